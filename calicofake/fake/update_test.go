package fake_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	kerrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ipamsim/ipamsim/calicofake/fake"
)

// TestPatch: what edit makes of an object is written, and nothing if it fails or makes
// another object of it.
func TestPatch(t *testing.T) {
	f := fake.New(fake.Options{})
	require.NoError(t, f.SetNode("node-1", nil))
	r := f.Resources()
	node := &corev1.Node{}
	o, err := r.Patch(ctx, node, "node-1", func(o fake.Object) (fake.Object, error) {
		o.SetLabels(map[string]string{"zone": "a"})
		return o, nil
	})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"zone": "a"}, o.GetLabels())
	at := o.GetResourceVersion()

	failed := errors.New("failed")
	_, err = r.Patch(ctx, node, "node-1", func(o fake.Object) (fake.Object, error) {
		o.SetLabels(nil)
		return nil, failed
	})
	require.ErrorIs(t, err, failed)
	_, err = r.Patch(ctx, node, "node-1", func(o fake.Object) (fake.Object, error) {
		o.SetName("node-2")
		return o, nil
	})
	require.True(t, kerrors.IsBadRequest(err), "%v", err)
	_, err = r.Patch(ctx, node, "node-1", func(fake.Object) (fake.Object, error) {
		p := fake.Pool("node-1", "10.0.0.0/24")
		return &p, nil
	})
	require.True(t, kerrors.IsBadRequest(err), "%v", err)
	_, err = r.Patch(ctx, node, "node-2", nil)
	require.True(t, kerrors.IsNotFound(err), "%v", err)
	o, err = r.Get(ctx, node, "node-1")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"zone": "a"}, o.GetLabels())
	require.Equal(t, at, o.GetResourceVersion())
}
