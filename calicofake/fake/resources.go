package fake

import (
	"context"
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/ipamsim/ipamsim/ipam/protocol"
)

// Resources are the objects of a fake as its API server has them: custom resources
// of Calico's v3.28 and nodes, with revisions, compare-and-swap and watches.
// [Fake.Resources] returns them; package server serves them over HTTP.
//
// They are the objects of [Fake.Datastore], so the allocator sees what is written
// here and the other way round. With [Options].Pools or [Options].Reservations, the
// pools or reservations are those of the accessor, as of its last call, and cannot be
// written; without, they are what is written here.
//
// Errors are those of package k8s.io/apimachinery/pkg/api/errors. No hook of the fake
// sees these calls. Objects that come back are the caller's.
//
// An API server of a cluster accepts any object that the CRD's schema allows. Here it
// must also be one that the allocator can read, with the name that Calico gives it.
// Names, labels and the other metadata must be what Kubernetes allows.
type Resources struct {
	fake   *Fake
	status bool // see Status
}

// Resources returns the objects as an API server has them.
func (f *Fake) Resources() *Resources { return &Resources{fake: f} }

// Status returns the same objects by the subresource status, which only nodes have.
// Update and Patch of it write status and metadata and leave the spec, where those of
// r write spec and metadata and leave the status. It has no Create and no Delete.
func (r *Resources) Status() *Resources { return &Resources{fake: r.fake, status: true} }

// ListOptions says which objects a list or a watch has.
type ListOptions struct {
	// Match chooses objects; nil stands for all. An object that begins to match is
	// added for a watch, one that ceases to is deleted. It must not use the fake.
	Match func(Object) bool
	// Revision is where a watch begins: with the changes after the list of that
	// revision. Empty stands for now, with all objects that there are as added and
	// then a bookmark.
	Revision string
}

func (o ListOptions) matches(object Object) bool { return o.Match == nil || o.Match(object) }

// kind checks a call.
func (r *Resources) kind(ctx context.Context, of Object) (*Kind, error) {
	k := kindFor(of)
	if k == nil {
		return nil, kerrors.NewBadRequest(fmt.Sprintf("%T is no kind of the fake: its kinds are those of fake.Kinds", of))
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return k, r.fake.mirror(ctx, k)
}

func (r *Resources) lock() (unlock func()) { r.fake.mu.Lock(); return r.fake.mu.Unlock }

// Get returns the object of that name, of the kind of the object of.
func (r *Resources) Get(ctx context.Context, of Object, name string) (Object, error) {
	defer r.lock()()
	k, err := r.kind(ctx, of)
	if err != nil {
		return nil, err
	}
	e := r.fake.entry(k.Plural, name)
	if e == nil {
		return nil, kerrors.NewNotFound(k.resource(), name)
	}
	return k.show(e), nil
}

// show returns an entry at its own revision.
func (k *Kind) show(e *entry) Object { return k.apiObject(e, e.object.Metadata().Revision) }

// List returns the objects of the kind of the object of in the order of their names,
// and the revision at which they are all of them.
func (r *Resources) List(ctx context.Context, of Object, options ListOptions) (list []Object, revision string, err error) {
	defer r.lock()()
	k, err := r.kind(ctx, of)
	if err != nil {
		return nil, "", err
	}
	list, now := r.list(k, options)
	return list, strconv.FormatUint(now, 10), nil
}

func (r *Resources) list(k *Kind, options ListOptions) (list []Object, revision uint64) {
	store := r.fake.cluster.Store()
	if store.Revision() == 0 {
		r.fake.tick() // 0 stands for any revision
	}
	for _, e := range r.fake.entriesOf(k.Plural) {
		if o := k.show(e); options.matches(o) {
			list = append(list, o)
		}
	}
	return list, store.Revision()
}

// Watch returns the changes of the objects of the kind of the object of. Each has the
// revision of its write, and they come in the order of these. The watch ends with
// Stop or the context.
func (r *Resources) Watch(ctx context.Context, of Object, options ListOptions) (watch.Interface, error) {
	defer r.lock()()
	k, err := r.kind(ctx, of)
	if err != nil {
		return nil, err
	}
	w := newWatcher(func(c change) (watch.Event, bool) { return k.event(c, options) })
	if options.Revision == "" {
		list, now := r.list(k, options)
		for _, o := range list {
			w.put(watch.Event{Type: watch.Added, Object: o})
		}
		mark := k.New()
		mark.GetObjectKind().SetGroupVersionKind(k.GroupVersionKind)
		mark.SetResourceVersion(revision(now))
		w.put(watch.Event{Type: watch.Bookmark, Object: mark})
	} else if err := w.since(r.fake, options.Revision); err != nil {
		return nil, err
	}
	w.start(ctx, r.fake)
	return w, nil
}

// event returns the event of a change, if it is one of the kind's.
func (k *Kind) event(c change, options ListOptions) (e watch.Event, ok bool) {
	for _, side := range []*entry{c.old, c.new} {
		if side != nil {
			if resource, _ := resourceOf(side.object); resource != k.resource() {
				return e, false
			}
		}
	}
	if c.old != nil {
		if o := k.apiObject(c.old, c.revision); options.matches(o) {
			e = watch.Event{Type: watch.Deleted, Object: o}
		}
	}
	if c.new != nil {
		if o := k.apiObject(c.new, c.revision); options.matches(o) {
			was := e.Type
			e = watch.Event{Type: watch.Added, Object: o}
			if was != "" {
				e.Type = watch.Modified
			}
		}
	}
	return e, e.Type != ""
}

// Create adds an object, which gets a UID, a time and a revision.
func (r *Resources) Create(ctx context.Context, o Object) (Object, error) {
	defer r.lock()()
	k, err := r.writable(ctx, o, "create")
	if err != nil {
		return nil, err
	}
	o = o.DeepCopyObject().(Object)
	switch {
	case o.GetName() == "":
		return nil, invalidObject(k, o, field.Required(field.NewPath("metadata", "name"), "every object needs a name: generateName is not supported"))
	case o.GetResourceVersion() != "":
		return nil, kerrors.NewBadRequest("resourceVersion should not be set on objects to be created")
	case r.fake.entry(k.Plural, o.GetName()) != nil:
		return nil, kerrors.NewAlreadyExists(k.resource(), o.GetName())
	}
	object, err := r.object(k, o, nil)
	if err != nil {
		return nil, err
	}
	if errs := checkMeta(o, apivalidation.NameIsDNSSubdomain); errs != nil {
		return nil, invalidObject(k, o, errs...)
	}
	e := r.fake.newEntry(r.fake.put(object), writtenMeta(o))
	e.node = nodeOf(o)
	r.fake.record(e.object, e)
	return k.show(e), nil
}

// put writes an object whatever is there, and returns it as the datastore has it.
func (f *Fake) put(o protocol.Object) protocol.Object {
	delete(f.halfway, o.Key())
	f.cluster.Store().Do(protocol.Request{Verb: protocol.Apply, Key: o.Key(), Object: o})
	return f.cluster.Store().Look(o.Key())
}

// writable checks a call that writes.
func (r *Resources) writable(ctx context.Context, of Object, verb string) (*Kind, error) {
	k, err := r.kind(ctx, of)
	if err != nil {
		return nil, err
	}
	if r.status && (k.Group != "" || verb == "create" || verb == "delete") {
		err := kerrors.NewMethodNotSupported(k.resource(), verb)
		err.ErrStatus.Message += " by the subresource status: only nodes have one, for updates and patches"
		return nil, err
	}
	if k.Plural == poolsResource && r.fake.options.Pools != nil || k.Plural == reservationsResource && r.fake.options.Reservations != nil {
		err := kerrors.NewMethodNotSupported(k.resource(), verb)
		err.ErrStatus.Message += ": they come from an accessor in fake.Options; leave it nil to write them here"
		return nil, err
	}
	return k, nil
}

// object returns what the datastore has of an object, whose name must fit.
func (r *Resources) object(k *Kind, o Object, there protocol.Object) (protocol.Object, error) {
	out, errs := r.fake.datastoreObject(o, there)
	if errs != nil {
		return nil, invalidObject(k, o, errs...)
	}
	if want := nameOf(out); want != o.GetName() {
		return nil, invalidObject(k, o, field.Invalid(field.NewPath("metadata", "name"), o.GetName(),
			fmt.Sprintf("must be %s, the name under which Calico looks for it", want)))
	}
	return out, nil
}

func invalidObject(k *Kind, o Object, errs ...*field.Error) error {
	return kerrors.NewInvalid(k.GroupKind(), o.GetName(), errs)
}

// checkMeta returns what Kubernetes has against the metadata of an object without a
// namespace.
func checkMeta(o Object, name apivalidation.ValidateNameFunc) field.ErrorList {
	meta := writtenMeta(o)
	meta.Name, meta.Labels = o.GetName(), o.GetLabels()
	return apivalidation.ValidateObjectMeta(&meta, false, name, field.NewPath("metadata"))
}

// writtenMeta returns the metadata that a client may write.
func writtenMeta(o Object) metav1.ObjectMeta {
	meta := metav1.ObjectMeta{
		Labels: o.GetLabels(), Annotations: o.GetAnnotations(), Finalizers: o.GetFinalizers(), OwnerReferences: o.GetOwnerReferences(),
	}
	if _, ok := o.(*corev1.Node); ok {
		meta.Labels = nil // the datastore has them
	}
	return meta
}

// nodeOf returns spec and status of a node; nil of another object.
func nodeOf(o Object) *corev1.Node {
	if n, ok := o.(*corev1.Node); ok {
		return &corev1.Node{Spec: n.Spec, Status: n.Status}
	}
	return nil
}

// replace writes an entry that was there. After half of a deletion the allocator
// does not see it any more.
func (r *Resources) replace(e *entry, half bool) {
	f := r.fake
	e.object = f.put(e.object)
	if half {
		f.cluster.Store().Do(protocol.Request{Verb: protocol.Delete, Key: e.object.Key(), Object: e.object})
		marked := e.object.Copy()
		marked.Metadata().Revision, marked.Metadata().Deleted = f.cluster.Store().Revision(), true
		e.object = marked
		f.halfway[marked.Key()] = marked
	}
	f.record(e.object, e)
}

// remove deletes an entry.
func (r *Resources) remove(e *entry) {
	f := r.fake
	if e.gone() {
		f.finish(e.object)
		return
	}
	f.cluster.Store().Do(protocol.Request{Verb: protocol.Delete, Key: e.object.Key(), Object: e.object})
	f.record(e.object, nil)
}

// Delete deletes the object of that name, of the kind of the object of, unless it is
// another one than the preconditions say. Nil stands for no preconditions. It returns
// the object. If that has finalizers it is only marked as being deleted, with a time,
// until an update takes the last of them away, and gets no new ones; the allocator
// pays them no attention.
func (r *Resources) Delete(ctx context.Context, of Object, name string, pre *metav1.Preconditions) (Object, error) {
	defer r.lock()()
	k, err := r.writable(ctx, of, "delete")
	if err != nil {
		return nil, err
	}
	e := r.fake.entry(k.Plural, name)
	if e == nil {
		return nil, kerrors.NewNotFound(k.resource(), name)
	}
	if pre != nil && pre.UID != nil && *pre.UID != e.meta.UID {
		return nil, uidConflict(k, name, string(*pre.UID), e)
	}
	if at := revision(e.object.Metadata().Revision); pre != nil && pre.ResourceVersion != nil && *pre.ResourceVersion != at {
		return nil, kerrors.NewConflict(k.resource(), name,
			fmt.Errorf("the resourceVersion is %s, not %s: read the object again", at, *pre.ResourceVersion))
	}
	if len(e.meta.Finalizers) == 0 {
		r.remove(e)
		return k.show(e), nil
	}
	if e.meta.DeletionTimestamp == nil {
		next := *e
		now := metav1.NewTime(r.fake.options.Now().UTC()).Rfc3339Copy()
		next.meta.DeletionTimestamp, next.meta.DeletionGracePeriodSeconds = &now, new(int64)
		if next.meta.Generation > 0 {
			next.meta.Generation++
		}
		next.object = e.object.Copy()
		next.object.Metadata().Deleted = false
		r.replace(&next, e.gone())
		e = &next
	}
	return k.show(e), nil
}
