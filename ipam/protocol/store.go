package protocol

import (
	"cmp"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
)

// Store is a datastore in memory with compare-and-swap: every write gives an
// object a new revision, and an update or deletion of an object that was
// written since it was read is a conflict. Make one with [Cluster.Store]. It is not
// safe for concurrent use.
//
// A deletion is two steps, as on Kubernetes: the object is marked, then removed.
// If only the first happened, the object counts as gone: the next client that
// reads it completes the deletion and finds it missing.
type Store struct {
	revision uint64
	objects  map[Key]Object // by the identity of their keys
	// What can be listed, by name.
	blocks     index[*Block]
	affinities index[*Affinity]
	handles    index[*Handle]

	counts Counts
	// highest is the largest sequence number of any block, ever.
	highest uint64
}

// Counts counts the requests that a datastore has carried out.
type Counts struct {
	Calls     int // all of them, a Delete being one
	Conflicts int // those that found a [Conflict]
}

// newStore returns an empty datastore.
func newStore() *Store {
	return &Store{
		objects: make(map[Key]Object),
		blocks:  index[*Block]{compare: func(x, y *Block) int { return affinity.CompareCIDRNames(x.CIDR, y.CIDR) }},
		affinities: index[*Affinity]{compare: func(x, y *Affinity) int {
			return cmp.Or(
				strings.Compare(affinity.Name(x.Owner.Name, x.CIDR), affinity.Name(y.Owner.Name, y.CIDR)),
				// Two owners can have affinities of one name: a host and a
				// virtual owner, or a-1 on 2::/122 and a on 1:2::/122.
				cmp.Compare(x.Owner.Type, y.Owner.Type),
				strings.Compare(x.Owner.Name, y.Owner.Name))
		}},
		handles: index[*Handle]{compare: func(x, y *Handle) int { return strings.Compare(x.ID, y.ID) }},
	}
}

// Revision returns the revision of the last write, of any object.
func (s *Store) Revision() uint64 { return s.revision }

// Counts returns how many requests were carried out so far.
func (s *Store) Counts() Counts { return s.counts }

// Do carries out a request. The response's object is the caller's.
func (s *Store) Do(r Request) Response {
	s.counts.Calls++
	out := s.carryOut(r)
	if out.Result == Conflict {
		s.counts.Conflicts++
	}
	return out
}

func (s *Store) carryOut(r Request) Response {
	if r.Verb == List {
		return Response{Result: OK, List: s.list(r.Key)}
	}
	there := s.objects[r.Key.identity()]
	if there != nil && there.Metadata().Deleted {
		s.remove(there)
		there = nil
	}
	switch {
	case r.Verb == Create && there != nil:
		return Response{Result: Exists}
	case r.Verb == Create:
		return Response{Result: OK, Object: s.create(r.Object).Copy()}
	case r.Verb == Apply:
		return Response{Result: OK, Object: s.put(r.Object).Copy()}
	case there == nil:
		return Response{Result: Missing}
	case r.Verb == Get:
		return Response{Result: OK, Object: there.Copy()}
	case there.Metadata().Revision != r.Object.Metadata().Revision:
		return Response{Result: Conflict}
	case r.Verb == Update:
		return Response{Result: OK, Object: s.put(r.Object).Copy()}
	}
	marked := there.Copy()
	marked.Metadata().Deleted = true
	marked = s.put(marked)
	if r.Verb == Delete {
		s.remove(marked)
	}
	return Response{Result: OK}
}

// create writes a copy of an object that is not there. A block begins with a
// sequence number higher than any before, even if the clock stands still or its
// client read the clock long ago (§6). Real ones use only the clock.
func (s *Store) create(o Object) Object {
	if b, ok := o.(*Block); ok {
		b = b.Copy().(*Block)
		b.Sequence = max(b.Sequence, s.highest+1)
		o = b
	}
	return s.put(o)
}

// Look returns the object of a key in the datastore, nil if there is none. It is
// no request and is not counted. The caller must not change the object; the
// datastore never changes it either, but replaces it.
func (s *Store) Look(key Key) Object {
	if o := s.objects[key.identity()]; o != nil && !o.Metadata().Deleted {
		return o
	}
	return nil
}

// LookList is [Store.Look] for a list, by name.
func (s *Store) LookList(key Key) []Object { return s.list(key) }

// put replaces the object of the key by a copy of the object, and returns the
// copy. The copy never changes, so lists may share it.
func (s *Store) put(o Object) Object {
	s.revision++
	o = o.Copy()
	o.Metadata().Revision = s.revision
	if old := s.objects[o.Key().identity()]; old != nil && old.Key() != o.Key() {
		s.remove(old) // a namesake's: it has another place in lists
	}
	s.objects[o.Key().identity()] = o
	switch o := o.(type) {
	case *Block:
		s.blocks.put(o)
		s.highest = max(s.highest, o.Sequence)
	case *Affinity:
		s.affinities.put(o)
	case *Handle:
		s.handles.put(o)
	}
	return o
}

func (s *Store) remove(o Object) {
	delete(s.objects, o.Key().identity())
	switch o := o.(type) {
	case *Block:
		s.blocks.remove(o)
	case *Affinity:
		s.affinities.remove(o)
	case *Handle:
		s.handles.remove(o)
	}
}

// list returns the live objects of a list.
func (s *Store) list(key Key) []Object {
	switch key {
	case BlocksKey:
		return objects(s.blocks.live())
	case HandlesKey:
		return objects(s.handles.live())
	case AffinitiesKey:
		return objects(s.affinities.live())
	}
	owner, is4 := parseOwnerKey(key)
	var of []Object
	for _, a := range s.affinities.live() {
		if a.Owner == owner && a.CIDR.Addr().Is4() == is4 {
			of = append(of, a)
		}
	}
	return of
}

// objects returns the items as objects.
func objects[T Object](items []T) []Object {
	all := make([]Object, len(items))
	for i, o := range items {
		all[i] = o
	}
	return all
}

// parseOwnerKey is the inverse of [OwnerKey].
func parseOwnerKey(key Key) (owner affinity.Owner, is4 bool) {
	text := strings.TrimPrefix(string(key), "affinities/")
	i := strings.LastIndexByte(text, '/')
	owner, err := affinity.ParseOwner(text[:max(i, 0)])
	if err != nil || owner.IsZero() {
		panic("protocol: there is no list " + string(key))
	}
	return owner, text[i:] == "/ipv4"
}

// index is a sorted set of objects.
type index[T Object] struct {
	items   []T
	compare func(x, y T) int
}

func (x *index[T]) put(o T) {
	i, found := slices.BinarySearchFunc(x.items, o, x.compare)
	if found {
		x.items[i] = o
	} else {
		x.items = slices.Insert(x.items, i, o)
	}
}

func (x *index[T]) remove(o T) {
	if i, found := slices.BinarySearchFunc(x.items, o, x.compare); found {
		x.items = slices.Delete(x.items, i, i+1)
	}
}

// live returns the objects that are not being deleted. The slice must not be
// changed, and is valid until the index is.
func (x *index[T]) live() []T {
	marked := func(o T) bool { return o.Metadata().Deleted }
	if !slices.ContainsFunc(x.items, marked) {
		return x.items
	}
	return slices.DeleteFunc(slices.Clone(x.items), marked)
}
