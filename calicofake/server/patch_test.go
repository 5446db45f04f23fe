package server_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	v3 "github.com/projectcalico/api/pkg/apis/projectcalico/v3"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ipamsim/ipamsim/calicofake/fake"
)

// TestPatchOfAnother: a patch for the object that had the name before is refused, as
// invalid: controllers of Kubernetes pass over that error when they release an object
// that was deleted and made again. One for an earlier revision is a conflict.
func TestPatchOfAnother(t *testing.T) {
	_, s := started(t, fake.Options{})
	c := clientOf(t, s.Config())
	n := &corev1.Node{}
	require.NoError(t, c.Get(ctx, key("node-1"), n))
	blue := pool("blue", "10.0.0.0/24")
	require.NoError(t, c.Create(ctx, blue))
	for _, of := range []struct {
		object client.Object
		media  types.PatchType
	}{
		{n, types.StrategicMergePatchType}, {n, types.MergePatchType}, {blue, types.MergePatchType},
	} {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		patch := func(names string) error {
			return c.Patch(ctx, of.object, client.RawPatch(of.media, fmt.Appendf(nil, `{"metadata":{%s,"labels":{"a":"b"}}}`, names)))
		}
		err := patch(`"uid":"stale"`)
		require.True(t, kerrors.IsInvalid(err), "%v", err)
		require.ErrorContains(t, err, `metadata.uid: Invalid value: "stale": field is immutable`)
		err = patch(`"uid":"stale","resourceVersion":"77"`)
		require.True(t, kerrors.IsConflict(err), "%v", err)
		err = patch(`"resourceVersion":"77"`)
		require.True(t, kerrors.IsConflict(err), "%v", err)
		require.NoError(t, c.Get(ctx, client.ObjectKeyFromObject(of.object), of.object))
		require.Empty(t, of.object.GetLabels())
		require.NoError(t, patch(fmt.Sprintf(`"uid":%q`, of.object.GetUID())))
		require.Equal(t, map[string]string{"a": "b"}, of.object.GetLabels())
		of.object.SetLabels(nil)
		require.NoError(t, c.Update(ctx, of.object))
		cancel()
	}
	n.UID = "stale"
	require.True(t, kerrors.IsConflict(c.Update(ctx, n)), "an update is one for the object of its UID")
}

// TestNodeStatus: a write of a node leaves its status, and one of its status leaves the
// spec, by updates and by patches. Both write the metadata.
func TestNodeStatus(t *testing.T) {
	_, s := started(t, fake.Options{})
	c := clientOf(t, s.Config())
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-2"}}
	n.Spec.PodCIDR, n.Status.Phase = "10.1.0.0/24", corev1.NodePending
	require.NoError(t, c.Create(ctx, n))
	require.Equal(t, corev1.NodePending, n.Status.Phase, "a new node has both")

	edit := func(label string, phase corev1.NodePhase, unschedulable bool) {
		n.Labels = map[string]string{"by": label}
		n.Status.Phase, n.Spec.Unschedulable = phase, unschedulable
	}
	is := func(label string, phase corev1.NodePhase, unschedulable bool) {
		t.Helper()
		for range 2 { // the answer, and what is there
			require.Equal(t, label, n.Labels["by"])
			require.Equal(t, phase, n.Status.Phase)
			require.Equal(t, unschedulable, n.Spec.Unschedulable)
			require.Equal(t, "10.1.0.0/24", n.Spec.PodCIDR)
			require.NoError(t, c.Get(ctx, key("node-2"), n))
		}
	}
	edit("update", corev1.NodeRunning, true)
	require.NoError(t, c.Update(ctx, n))
	is("update", corev1.NodePending, true)
	edit("status", corev1.NodeRunning, false)
	require.NoError(t, c.Status().Update(ctx, n))
	is("status", corev1.NodeRunning, true)
	for _, media := range []types.PatchType{types.MergePatchType, types.StrategicMergePatchType} {
		require.NoError(t, c.Patch(ctx, n, client.RawPatch(media, []byte(`{"metadata":{"labels":{"by":"patch"}},"spec":{"unschedulable":false},"status":{"phase":"Terminated"}}`))))
		is("patch", corev1.NodeRunning, false)
		require.NoError(t, c.Status().Patch(ctx, n, client.RawPatch(media, []byte(`{"metadata":{"labels":{"by":"status"}},"spec":{"unschedulable":true},"status":{"phase":"Terminated"}}`))))
		is("status", corev1.NodeTerminated, false)
		edit("status", corev1.NodeRunning, true)
		require.NoError(t, c.Status().Update(ctx, n))
		is("status", corev1.NodeRunning, false)
	}
	at := n.ResourceVersion
	n.Status.Phase = corev1.NodePending
	require.NoError(t, c.Update(ctx, n))
	require.Equal(t, at, n.ResourceVersion, "nothing was written")

	status, body := do(t, s, http.MethodDelete, "/api/v1/nodes/node-2/status", "")
	require.Equal(t, http.StatusMethodNotAllowed, status, body)
	require.NoError(t, c.Get(ctx, key("node-2"), n))
	require.JSONEq(t, get(t, s, "/api/v1/nodes/node-2"), get(t, s, "/api/v1/nodes/node-2/status"))
}

// TestPatchesAtOnce: patches that name no revision all succeed, and none is lost.
func TestPatchesAtOnce(t *testing.T) {
	_, s := started(t, fake.Options{})
	c := clientOf(t, s.Config())
	require.NoError(t, c.Create(ctx, pool("blue", "10.0.0.0/24")))
	const clients, patches = 6, 10
	done := make(chan error, clients)
	for i := range clients {
		go func() {
			var err error
			for k := 0; k < patches && err == nil; k++ {
				label := fmt.Appendf(nil, `{"metadata":{"labels":{"l-%d-%d":""}}}`, i, k)
				err = c.Patch(ctx, pool("blue", ""), client.RawPatch(types.MergePatchType, label))
			}
			done <- err
		}()
	}
	for range clients {
		require.NoError(t, <-done)
	}
	var blue v3.IPPool
	require.NoError(t, c.Get(ctx, key("blue"), &blue))
	require.Len(t, blue.Labels, clients*patches)
}
