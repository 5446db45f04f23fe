package fake

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam/protocol"
)

// An entry is an object of the datastore together with what an API server has of it
// beside: nothing that IPAM looks at. It never changes; each write makes a new one.
type entry struct {
	object protocol.Object
	// meta has no name and no revision, and of a node no labels: those are the
	// object's.
	meta metav1.ObjectMeta
	node *corev1.Node // a node's spec and status; nil for none
}

// tick is what is written to get a new revision and nothing else.
type tick struct{ protocol.Meta }

func (t *tick) Key() protocol.Key     { return "tick" }
func (t *tick) Copy() protocol.Object { c := *t; return &c }

// tick gives the datastore a new revision.
func (f *Fake) tick() {
	f.cluster.Store().Do(protocol.Request{Verb: protocol.Apply, Key: (&tick{}).Key(), Object: &tick{}})
}

// entry returns the object of a resource and a name; nil if there is none.
func (f *Fake) entry(resource, name string) *entry { return f.entries[resource][name] }

// entriesOf returns the objects of a resource in the order of their names.
func (f *Fake) entriesOf(resource string) []*entry {
	names := make([]string, 0, len(f.entries[resource]))
	for name := range f.entries[resource] {
		names = append(names, name)
	}
	slices.Sort(names)
	entries := make([]*entry, len(names))
	for i, name := range names {
		entries[i] = f.entries[resource][name]
	}
	return entries
}

// record notes what has become of an object: e, or nothing if e is nil. It tells
// whoever watches.
func (f *Fake) record(o protocol.Object, e *entry) {
	resource, name := resourceOf(o)
	of := f.entries[resource.Resource]
	if of == nil {
		of = make(map[string]*entry)
		f.entries[resource.Resource] = of
	}
	old := of[name]
	if old == nil && e == nil {
		return
	}
	if e == nil {
		delete(of, name)
	} else {
		of[name] = e
	}
	f.poolsChanged = f.poolsChanged || resource.Resource == poolsResource
	f.tell(old, e)
}

// next returns the entry of a write that is not an API server's: with the metadata
// of the object that was there, or with new metadata.
func (f *Fake) next(old *entry, o protocol.Object) *entry {
	if old == nil {
		return f.newEntry(o, metav1.ObjectMeta{})
	}
	e := *old
	e.object = o
	if e.meta.Generation > 0 {
		e.meta.Generation++
	}
	return &e
}

// newEntry returns the entry of an object that was just created.
func (f *Fake) newEntry(o protocol.Object, meta metav1.ObjectMeta) *entry {
	meta.UID = types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012x", o.Metadata().Revision))
	meta.CreationTimestamp = metav1.NewTime(f.options.Now().UTC()).Rfc3339Copy()
	if a, ok := o.(*protocol.Affinity); ok && !a.Created.IsZero() {
		meta.CreationTimestamp = metav1.NewTime(a.Created.UTC()).Rfc3339Copy()
	}
	if _, ok := o.(*protocol.Node); !ok { // Kubernetes counts no generations of nodes
		meta.Generation = 1
	}
	return &entry{object: o, meta: meta}
}

// write carries out a request of a client of the datastore.
func (f *Fake) write(r protocol.Request) protocol.Response {
	if r.Verb != protocol.List {
		// Whoever meets a deletion of which only the first step was done
		// does the second.
		if o := f.halfway[r.Key]; o != nil {
			f.finish(o)
		}
	}
	store := f.cluster.Store()
	out := store.Do(r)
	if r.Verb == protocol.Get || r.Verb == protocol.List || out.Result != protocol.OK {
		return out
	}
	now := store.Look(r.Key)
	if now == nil {
		f.record(r.Object, nil)
		return out
	}
	resource, name := resourceOf(now)
	f.record(now, f.next(f.entry(resource.Resource, name), now))
	return out
}

// finish does the second step of a deletion.
func (f *Fake) finish(o protocol.Object) {
	delete(f.halfway, o.Key())
	f.tick()
	f.record(o, nil)
}

// gone reports whether the allocator does not see the object any more.
func (e *entry) gone() bool { return e == nil || e.object.Metadata().Deleted }

// nameOf returns the name under which Kubernetes stores an object.
func nameOf(o protocol.Object) string {
	switch o := o.(type) {
	case *protocol.Block:
		return affinity.CIDRName(o.CIDR)
	case *protocol.Affinity:
		return affinity.Name(o.Owner.Name, o.CIDR)
	case *protocol.Handle:
		return strings.ToLower(o.ID)
	case *protocol.Node:
		return o.Name
	case *stored:
		return o.name
	}
	return "default"
}
