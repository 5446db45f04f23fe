package fake_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ipamsim/ipamsim/calicofake/fake"
)

// TestNoNewFinalizers: an object that is being deleted gets none, by an update or a
// patch, but may lose some or have them in another order.
func TestNoNewFinalizers(t *testing.T) {
	f := fake.New(fake.Options{})
	r := f.Resources()
	pool := fake.Pool("blue", "10.0.0.0/24")
	for _, o := range []fake.Object{&pool, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1"}}} {
		finalizers := func(of ...string) func(fake.Object) (fake.Object, error) {
			return func(o fake.Object) (fake.Object, error) {
				o.SetFinalizers(of)
				return o, nil
			}
		}
		o.SetFinalizers([]string{"example.org/a"})
		o, err := r.Create(ctx, o)
		require.NoError(t, err)
		o, err = r.Patch(ctx, o, o.GetName(), finalizers("example.org/a", "example.org/b"))
		require.NoError(t, err, "it is not being deleted yet")
		o, err = r.Delete(ctx, o, o.GetName(), nil)
		require.NoError(t, err)
		at := o.GetResourceVersion()

		more := o.DeepCopyObject().(fake.Object)
		more.SetFinalizers([]string{"example.org/a", "example.org/b", "example.org/c"})
		_, err = r.Update(ctx, more)
		require.True(t, kerrors.IsInvalid(err), "%v", err)
		require.ErrorContains(t, err, "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted")
		_, err = r.Patch(ctx, o, o.GetName(), finalizers("example.org/c"))
		require.True(t, kerrors.IsInvalid(err), "%v", err)
		o, err = r.Get(ctx, o, o.GetName())
		require.NoError(t, err)
		require.Equal(t, at, o.GetResourceVersion(), "nothing was written")

		_, err = r.Patch(ctx, o, o.GetName(), finalizers("example.org/b", "example.org/a"))
		require.NoError(t, err)
		_, err = r.Patch(ctx, o, o.GetName(), finalizers("example.org/b"))
		require.NoError(t, err)
		_, err = r.Patch(ctx, o, o.GetName(), finalizers("example.org/a"))
		require.True(t, kerrors.IsInvalid(err), "one that was taken away does not come back: %v", err)
		_, err = r.Patch(ctx, o, o.GetName(), finalizers())
		require.NoError(t, err)
		_, err = r.Get(ctx, o, o.GetName())
		require.True(t, kerrors.IsNotFound(err), "%v", err)
	}
}

// TestTimes: a client sets no time of deletion and no grace period, but that of the
// creation and the generation it may send as it likes: they stay.
func TestTimes(t *testing.T) {
	f := fake.New(fake.Options{})
	r := f.Resources()
	pool := fake.Pool("blue", "10.0.0.0/24")
	o, err := r.Create(ctx, &pool)
	require.NoError(t, err)
	created, at := o.GetCreationTimestamp(), o.GetResourceVersion()
	later, grace, other := metav1.NewTime(created.Add(time.Hour)), int64(30), int64(31)
	edits := func(edit func(fake.Object)) []error {
		now, err := r.Get(ctx, o, "blue")
		require.NoError(t, err)
		edit(now)
		_, updated := r.Update(ctx, now)
		_, patched := r.Patch(ctx, o, "blue", func(o fake.Object) (fake.Object, error) {
			edit(o)
			return o, nil
		})
		return []error{updated, patched}
	}
	for _, err := range edits(func(o fake.Object) { o.SetDeletionTimestamp(&later) }) {
		require.True(t, kerrors.IsInvalid(err), "%v", err)
		require.ErrorContains(t, err, "metadata.deletionTimestamp: Invalid value")
		require.ErrorContains(t, err, "field is immutable")
	}
	for _, err := range edits(func(o fake.Object) { o.SetDeletionGracePeriodSeconds(&grace) }) {
		require.True(t, kerrors.IsInvalid(err), "%v", err)
		require.ErrorContains(t, err, "metadata.deletionGracePeriodSeconds: Invalid value")
	}
	ignored := func(o fake.Object) {
		o.SetCreationTimestamp(later)
		o.SetGeneration(7)
	}
	require.Equal(t, []error{nil, nil}, edits(ignored))
	o, err = r.Get(ctx, o, "blue")
	require.NoError(t, err)
	require.Equal(t, created, o.GetCreationTimestamp())
	require.EqualValues(t, 1, o.GetGeneration())
	require.Equal(t, at, o.GetResourceVersion(), "nothing was written")

	o.SetFinalizers([]string{"example.org/a"})
	_, err = r.Update(ctx, o)
	require.NoError(t, err)
	o, err = r.Delete(ctx, o, "blue", nil)
	require.NoError(t, err)
	deleted := o.GetDeletionTimestamp()
	require.Equal(t, []error{nil, nil}, edits(func(o fake.Object) { o.SetDeletionTimestamp(&later) }), "that of a deletion stays, too")
	require.Equal(t, []error{nil, nil}, edits(func(o fake.Object) { o.SetDeletionGracePeriodSeconds(nil) }))
	for _, err := range edits(func(o fake.Object) { o.SetDeletionGracePeriodSeconds(&other) }) {
		require.True(t, kerrors.IsInvalid(err), "%v", err)
	}
	o, err = r.Get(ctx, o, "blue")
	require.NoError(t, err)
	require.Equal(t, deleted, o.GetDeletionTimestamp())
}

// TestStatus: of the status of a node there is no creation and no deletion, and
// Calico's kinds have none.
func TestStatus(t *testing.T) {
	f := fake.New(fake.Options{})
	require.NoError(t, f.SetNode("node-1", nil))
	r := f.Resources().Status()
	n, err := r.Get(ctx, &corev1.Node{}, "node-1")
	require.NoError(t, err)
	_, err = r.Update(ctx, n)
	require.NoError(t, err)
	pool := fake.Pool("blue", "10.0.0.0/24")
	_, created := r.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-2"}})
	_, deleted := r.Delete(ctx, n, "node-1", nil)
	_, updated := r.Update(ctx, &pool)
	for _, err := range []error{created, deleted, updated} {
		require.True(t, kerrors.IsMethodNotSupported(err), "%v", err)
	}
}

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
