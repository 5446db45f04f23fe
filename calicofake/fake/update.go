package fake

import (
	"context"
	"errors"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/ipamsim/ipamsim/ipam/protocol"
)

var errModified = errors.New("the object has been modified; please apply your changes to the latest version and try again")

// Update replaces the object of its name. Its revision must be the one that the
// object has; a node may have none, and replaces whatever is there. An update that
// changes nothing is no write. Generation and time of creation stay as they are; one
// that sets a time of deletion or a grace period is invalid. The status of a node stays,
// too: see [Resources.Status].
func (r *Resources) Update(ctx context.Context, o Object) (Object, error) {
	defer r.lock()()
	k, err := r.writable(ctx, o, "update")
	if err != nil {
		return nil, err
	}
	old := r.fake.entry(k.Plural, o.GetName())
	if old == nil {
		return nil, kerrors.NewNotFound(k.resource(), o.GetName())
	}
	if o.GetUID() != "" && o.GetUID() != old.meta.UID {
		return nil, uidConflict(k, o.GetName(), string(o.GetUID()), old)
	}
	return r.update(k, old, o)
}

// Patch replaces the object of that name, of the kind of the object of, by what edit
// makes of it. Nobody else writes in between, so edit must not use the fake. Edit may
// change and return the object that it gets; an error of it is that of the patch.
//
// What edit returns must have the name and, if any, the UID that the object has: with
// another UID it is invalid, where Update has a conflict. Otherwise it is written as
// by Update.
func (r *Resources) Patch(ctx context.Context, of Object, name string, edit func(Object) (Object, error)) (Object, error) {
	defer r.lock()()
	k, err := r.writable(ctx, of, "patch")
	if err != nil {
		return nil, err
	}
	old := r.fake.entry(k.Plural, name)
	if old == nil {
		return nil, kerrors.NewNotFound(k.resource(), name)
	}
	o, err := edit(k.show(old))
	if err != nil {
		return nil, err
	}
	if kindFor(o) != k || o.GetName() != name {
		return nil, kerrors.NewBadRequest(fmt.Sprintf("the patch of %s %s makes another object of it", k.Kind, name))
	}
	return r.update(k, old, o)
}

// update replaces an entry by an object of its name.
func (r *Resources) update(k *Kind, old *entry, o Object) (Object, error) {
	o = o.DeepCopyObject().(Object)
	at := old.object.Metadata().Revision
	switch text := o.GetResourceVersion(); {
	case text == "" && k.Group != "":
		return nil, invalidObject(k, o, field.Invalid(field.NewPath("metadata", "resourceVersion"), text, "must be specified for an update"))
	case text != "" && text != revision(at):
		return nil, kerrors.NewConflict(k.resource(), o.GetName(), errModified)
	}
	shown := k.show(old)
	if n, ok := o.(*corev1.Node); ok {
		if was := shown.(*corev1.Node); r.status {
			n.Spec = was.Spec
		} else {
			n.Status = was.Status
		}
	}
	errs := checkUpdate(o, metaOf(shown))
	if len(errs) > 0 {
		return nil, invalidObject(k, o, errs...)
	}
	written := writtenMeta(o)
	meta := old.meta
	meta.Labels, meta.Annotations, meta.Finalizers, meta.OwnerReferences = written.Labels, written.Annotations, written.Finalizers, written.OwnerReferences
	o.GetObjectKind().SetGroupVersionKind(k.GroupVersionKind)
	full := *metaOf(shown).DeepCopy()
	full.Annotations, full.Finalizers, full.OwnerReferences, full.Labels = o.GetAnnotations(), o.GetFinalizers(), o.GetOwnerReferences(), o.GetLabels()
	setMeta(o, full)
	if equality.Semantic.DeepEqual(shown, o) {
		return shown, nil
	}
	setMeta(shown, full)
	object := old.object.Copy()
	if !equality.Semantic.DeepEqual(shown, o) {
		var err error
		if object, err = r.object(k, o, old.object); err != nil {
			return nil, err
		}
		if meta.Generation > 0 {
			meta.Generation++
		}
	} else if n, ok := object.(*protocol.Node); ok {
		n.Labels = maps.Clone(o.GetLabels())
	}
	e := &entry{object: object, meta: meta, node: nodeOf(o)}
	r.replace(e, halfDeleted(o))
	if e.meta.DeletionTimestamp != nil && len(e.meta.Finalizers) == 0 {
		r.remove(e)
	}
	return k.show(e), nil
}

// checkUpdate returns what Kubernetes has against the metadata of an object that
// replaces one with other metadata.
func checkUpdate(o Object, was *metav1.ObjectMeta) field.ErrorList {
	// The name is that of an object that is there: the allocator makes any.
	errs := checkMeta(o, func(string, bool) []string { return nil })
	// Of these an API server takes what is there, whatever the client sends.
	meta := *metaOf(o)
	meta.ResourceVersion, meta.Generation, meta.CreationTimestamp = was.ResourceVersion, was.Generation, was.CreationTimestamp
	meta.ManagedFields = nil
	if meta.UID == "" {
		meta.UID = was.UID
	}
	if was.DeletionTimestamp != nil {
		meta.DeletionTimestamp = was.DeletionTimestamp
	}
	if meta.DeletionGracePeriodSeconds == nil {
		meta.DeletionGracePeriodSeconds = was.DeletionGracePeriodSeconds
	}
	return append(errs, apivalidation.ValidateObjectMetaUpdate(&meta, was, field.NewPath("metadata"))...)
}

func uidConflict(k *Kind, name, uid string, there *entry) error {
	return kerrors.NewConflict(k.resource(), name, fmt.Errorf("the UID is %s, not %s: the object of this name is another one", there.meta.UID, uid))
}
