package fake_test

import (
	"errors"
	"testing"
	"time"

	"github.com/shoenig/test/must"
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
		must.NoError(t, err)
		o, err = r.Patch(ctx, o, o.GetName(), finalizers("example.org/a", "example.org/b"))
		must.NoError(t, err, must.Sprint("it is not being deleted yet"))
		o, err = r.Delete(ctx, o, o.GetName(), nil)
		must.NoError(t, err)
		at := o.GetResourceVersion()

		more := o.DeepCopyObject().(fake.Object)
		more.SetFinalizers([]string{"example.org/a", "example.org/b", "example.org/c"})
		_, err = r.Update(ctx, more)
		must.True(t, kerrors.IsInvalid(err), must.Sprintf("%v", err))
		must.ErrorContains(t, err, "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted")
		_, err = r.Patch(ctx, o, o.GetName(), finalizers("example.org/c"))
		must.True(t, kerrors.IsInvalid(err), must.Sprintf("%v", err))
		o, err = r.Get(ctx, o, o.GetName())
		must.NoError(t, err)
		must.Eq(t, at, o.GetResourceVersion(), must.Sprint("nothing was written"))

		_, err = r.Patch(ctx, o, o.GetName(), finalizers("example.org/b", "example.org/a"))
		must.NoError(t, err)
		_, err = r.Patch(ctx, o, o.GetName(), finalizers("example.org/b"))
		must.NoError(t, err)
		_, err = r.Patch(ctx, o, o.GetName(), finalizers("example.org/a"))
		must.True(t, kerrors.IsInvalid(err), must.Sprintf("one that was taken away does not come back: %v", err))
		_, err = r.Patch(ctx, o, o.GetName(), finalizers())
		must.NoError(t, err)
		_, err = r.Get(ctx, o, o.GetName())
		must.True(t, kerrors.IsNotFound(err), must.Sprintf("%v", err))
	}
}

// TestTimes: a client sets no time of deletion and no grace period, but that of the
// creation and the generation it may send as it likes: they stay.
func TestTimes(t *testing.T) {
	f := fake.New(fake.Options{})
	r := f.Resources()
	pool := fake.Pool("blue", "10.0.0.0/24")
	o, err := r.Create(ctx, &pool)
	must.NoError(t, err)
	created, at := o.GetCreationTimestamp(), o.GetResourceVersion()
	later, grace, other := metav1.NewTime(created.Add(time.Hour)), int64(30), int64(31)
	edits := func(edit func(fake.Object)) []error {
		now, err := r.Get(ctx, o, "blue")
		must.NoError(t, err)
		edit(now)
		_, updated := r.Update(ctx, now)
		_, patched := r.Patch(ctx, o, "blue", func(o fake.Object) (fake.Object, error) {
			edit(o)
			return o, nil
		})
		return []error{updated, patched}
	}
	for _, err := range edits(func(o fake.Object) { o.SetDeletionTimestamp(&later) }) {
		must.True(t, kerrors.IsInvalid(err), must.Sprintf("%v", err))
		must.ErrorContains(t, err, "metadata.deletionTimestamp: Invalid value")
		must.ErrorContains(t, err, "field is immutable")
	}
	for _, err := range edits(func(o fake.Object) { o.SetDeletionGracePeriodSeconds(&grace) }) {
		must.True(t, kerrors.IsInvalid(err), must.Sprintf("%v", err))
		must.ErrorContains(t, err, "metadata.deletionGracePeriodSeconds: Invalid value")
	}
	ignored := func(o fake.Object) {
		o.SetCreationTimestamp(later)
		o.SetGeneration(7)
	}
	must.Eq(t, []error{nil, nil}, edits(ignored))
	o, err = r.Get(ctx, o, "blue")
	must.NoError(t, err)
	must.Eq(t, created, o.GetCreationTimestamp())
	must.Eq(t, 1, o.GetGeneration())
	must.Eq(t, at, o.GetResourceVersion(), must.Sprint("nothing was written"))

	o.SetFinalizers([]string{"example.org/a"})
	_, err = r.Update(ctx, o)
	must.NoError(t, err)
	o, err = r.Delete(ctx, o, "blue", nil)
	must.NoError(t, err)
	deleted := o.GetDeletionTimestamp()
	must.Eq(t, []error{nil, nil}, edits(func(o fake.Object) { o.SetDeletionTimestamp(&later) }), must.Sprint("that of a deletion stays, too"))
	must.Eq(t, []error{nil, nil}, edits(func(o fake.Object) { o.SetDeletionGracePeriodSeconds(nil) }))
	for _, err := range edits(func(o fake.Object) { o.SetDeletionGracePeriodSeconds(&other) }) {
		must.True(t, kerrors.IsInvalid(err), must.Sprintf("%v", err))
	}
	o, err = r.Get(ctx, o, "blue")
	must.NoError(t, err)
	must.Eq(t, deleted, o.GetDeletionTimestamp())
}

// TestStatus: of the status of a node there is no creation and no deletion, and
// Calico's kinds have none.
func TestStatus(t *testing.T) {
	f := fake.New(fake.Options{})
	must.NoError(t, f.SetNode("node-1", nil))
	r := f.Resources().Status()
	n, err := r.Get(ctx, &corev1.Node{}, "node-1")
	must.NoError(t, err)
	_, err = r.Update(ctx, n)
	must.NoError(t, err)
	pool := fake.Pool("blue", "10.0.0.0/24")
	_, created := r.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-2"}})
	_, deleted := r.Delete(ctx, n, "node-1", nil)
	_, updated := r.Update(ctx, &pool)
	for _, err := range []error{created, deleted, updated} {
		must.True(t, kerrors.IsMethodNotSupported(err), must.Sprintf("%v", err))
	}
}

// TestPatch: what edit makes of an object is written, and nothing if it fails or makes
// another object of it.
func TestPatch(t *testing.T) {
	f := fake.New(fake.Options{})
	must.NoError(t, f.SetNode("node-1", nil))
	r := f.Resources()
	node := &corev1.Node{}
	o, err := r.Patch(ctx, node, "node-1", func(o fake.Object) (fake.Object, error) {
		o.SetLabels(map[string]string{"zone": "a"})
		return o, nil
	})
	must.NoError(t, err)
	must.Eq(t, map[string]string{"zone": "a"}, o.GetLabels())
	at := o.GetResourceVersion()

	failed := errors.New("failed")
	_, err = r.Patch(ctx, node, "node-1", func(o fake.Object) (fake.Object, error) {
		o.SetLabels(nil)
		return nil, failed
	})
	must.ErrorIs(t, err, failed)
	_, err = r.Patch(ctx, node, "node-1", func(o fake.Object) (fake.Object, error) {
		o.SetName("node-2")
		return o, nil
	})
	must.True(t, kerrors.IsBadRequest(err), must.Sprintf("%v", err))
	_, err = r.Patch(ctx, node, "node-1", func(fake.Object) (fake.Object, error) {
		p := fake.Pool("node-1", "10.0.0.0/24")
		return &p, nil
	})
	must.True(t, kerrors.IsBadRequest(err), must.Sprintf("%v", err))
	_, err = r.Patch(ctx, node, "node-2", nil)
	must.True(t, kerrors.IsNotFound(err), must.Sprintf("%v", err))
	o, err = r.Get(ctx, node, "node-1")
	must.NoError(t, err)
	must.Eq(t, map[string]string{"zone": "a"}, o.GetLabels())
	must.Eq(t, at, o.GetResourceVersion())
}
