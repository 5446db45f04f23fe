package server_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	v3 "github.com/projectcalico/api/pkg/apis/projectcalico/v3"
	"github.com/shoenig/test/must"
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
	must.NoError(t, c.Get(ctx, key("node-1"), n))
	blue := pool("blue", "10.0.0.0/24")
	must.NoError(t, c.Create(ctx, blue))
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
		must.True(t, kerrors.IsInvalid(err), must.Sprintf("%v", err))
		must.ErrorContains(t, err, `metadata.uid: Invalid value: "stale": field is immutable`)
		err = patch(`"uid":"stale","resourceVersion":"77"`)
		must.True(t, kerrors.IsConflict(err), must.Sprintf("%v", err))
		err = patch(`"resourceVersion":"77"`)
		must.True(t, kerrors.IsConflict(err), must.Sprintf("%v", err))
		must.NoError(t, c.Get(ctx, client.ObjectKeyFromObject(of.object), of.object))
		must.MapEmpty(t, of.object.GetLabels())
		must.NoError(t, patch(fmt.Sprintf(`"uid":%q`, of.object.GetUID())))
		must.Eq(t, map[string]string{"a": "b"}, of.object.GetLabels())
		of.object.SetLabels(nil)
		must.NoError(t, c.Update(ctx, of.object))
		cancel()
	}
	n.UID = "stale"
	must.True(t, kerrors.IsConflict(c.Update(ctx, n)), must.Sprint("an update is one for the object of its UID"))
}

// TestNodeStatus: a write of a node leaves its status, and one of its status leaves the
// spec, by updates and by patches. Both write the metadata.
func TestNodeStatus(t *testing.T) {
	_, s := started(t, fake.Options{})
	c := clientOf(t, s.Config())
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-2"}}
	n.Spec.PodCIDR, n.Status.Phase = "10.1.0.0/24", corev1.NodePending
	must.NoError(t, c.Create(ctx, n))
	must.Eq(t, corev1.NodePending, n.Status.Phase, must.Sprint("a new node has both"))

	edit := func(label string, phase corev1.NodePhase, unschedulable bool) {
		n.Labels = map[string]string{"by": label}
		n.Status.Phase, n.Spec.Unschedulable = phase, unschedulable
	}
	is := func(label string, phase corev1.NodePhase, unschedulable bool) {
		t.Helper()
		for range 2 { // the answer, and what is there
			must.Eq(t, label, n.Labels["by"])
			must.Eq(t, phase, n.Status.Phase)
			must.Eq(t, unschedulable, n.Spec.Unschedulable)
			must.Eq(t, "10.1.0.0/24", n.Spec.PodCIDR)
			must.NoError(t, c.Get(ctx, key("node-2"), n))
		}
	}
	edit("update", corev1.NodeRunning, true)
	must.NoError(t, c.Update(ctx, n))
	is("update", corev1.NodePending, true)
	edit("status", corev1.NodeRunning, false)
	must.NoError(t, c.Status().Update(ctx, n))
	is("status", corev1.NodeRunning, true)
	for _, media := range []types.PatchType{types.MergePatchType, types.StrategicMergePatchType} {
		must.NoError(t, c.Patch(ctx, n, client.RawPatch(media, []byte(`{"metadata":{"labels":{"by":"patch"}},"spec":{"unschedulable":false},"status":{"phase":"Terminated"}}`))))
		is("patch", corev1.NodeRunning, false)
		must.NoError(t, c.Status().Patch(ctx, n, client.RawPatch(media, []byte(`{"metadata":{"labels":{"by":"status"}},"spec":{"unschedulable":true},"status":{"phase":"Terminated"}}`))))
		is("status", corev1.NodeTerminated, false)
		edit("status", corev1.NodeRunning, true)
		must.NoError(t, c.Status().Update(ctx, n))
		is("status", corev1.NodeRunning, false)
	}
	at := n.ResourceVersion
	n.Status.Phase = corev1.NodePending
	must.NoError(t, c.Update(ctx, n))
	must.Eq(t, at, n.ResourceVersion, must.Sprint("nothing was written"))

	status, body := do(t, s, http.MethodDelete, "/api/v1/nodes/node-2/status", "")
	must.Eq(t, http.StatusMethodNotAllowed, status, must.Sprint(body))
	must.NoError(t, c.Get(ctx, key("node-2"), n))
	must.EqJSON(t, get(t, s, "/api/v1/nodes/node-2"), get(t, s, "/api/v1/nodes/node-2/status"))
}

// TestPatchesAtOnce: patches that name no revision all succeed, and none is lost.
func TestPatchesAtOnce(t *testing.T) {
	_, s := started(t, fake.Options{})
	c := clientOf(t, s.Config())
	must.NoError(t, c.Create(ctx, pool("blue", "10.0.0.0/24")))
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
		must.NoError(t, <-done)
	}
	var blue v3.IPPool
	must.NoError(t, c.Get(ctx, key("blue"), &blue))
	must.MapLen(t, clients*patches, blue.Labels)
}
