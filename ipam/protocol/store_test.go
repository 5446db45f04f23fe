package protocol

import (
	"net/netip"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
)

// pending returns a new affinity of a host.
func pending(host, cidr string) *Affinity {
	return &Affinity{Owner: affinity.HostOwner(host), CIDR: netip.MustParsePrefix(cidr), State: affinity.Pending}
}

// do makes a request about an object.
func do(s *Store, verb Verb, o Object) Response {
	r := Request{Verb: verb, Key: o.Key()}
	if verb != Get {
		r.Object = o
	}
	return s.Do(r)
}

// TestStore tries every verb with the object missing, existing, and written by
// another client since.
func TestStore(t *testing.T) {
	for _, c := range []struct {
		verb                 Verb
		missing, there, late Result
	}{
		{Get, Missing, OK, OK},
		{Create, OK, Exists, Exists},
		{Update, Missing, OK, Conflict},
		{Apply, OK, OK, OK},
		{Delete, Missing, OK, Conflict},
		{Mark, Missing, OK, Conflict},
	} {
		must.Eq(t, c.missing, do(newStore(), c.verb, pending("n", "10.0.0.0/26")).Result, must.Sprint(c.verb))

		s := newStore()
		read := do(s, Create, pending("n", "10.0.0.0/26")).Object
		must.Eq(t, c.there, do(s, c.verb, read).Result, must.Sprint(c.verb))

		s = newStore()
		read = do(s, Create, pending("n", "10.0.0.0/26")).Object
		other := do(s, Get, read).Object.(*Affinity)
		must.Eq(t, OK, do(s, Update, other).Result)
		must.Eq(t, c.late, do(s, c.verb, read).Result, must.Sprint(c.verb))
		conflicts := 0
		if c.late == Conflict {
			conflicts = 1
		}
		must.Eq(t, Counts{Calls: 4, Conflicts: conflicts}, s.Counts())
	}
}

// An object made anew under a key is not the one before.
func TestStoreRecreated(t *testing.T) {
	s := newStore()
	old := do(s, Create, pending("n", "10.0.0.0/26")).Object
	must.Eq(t, OK, do(s, Delete, old).Result)
	must.Eq(t, OK, do(s, Create, old).Result)
	must.Eq(t, Conflict, do(s, Update, old).Result)
	must.Eq(t, Conflict, do(s, Delete, old).Result)
}

// A block made anew does not repeat the numbers of the one before, even if its
// creator read the clock before that one was made.
func TestStoreNumbers(t *testing.T) {
	s := newStore()
	cidr := netip.MustParsePrefix("10.0.0.0/30")
	number := func() uint64 { return s.Look(blockKey(cidr)).(*Block).Sequence }
	late := newBlock(cidr, affinity.HostOwner("n"), time.Time{}, 5, nil)
	b := do(s, Create, newBlock(cidr, affinity.HostOwner("m"), time.Time{}, 5, nil)).Object.(*Block)
	must.Eq(t, 5, number())
	b.Sequence++
	b = do(s, Update, b).Object.(*Block)
	must.Eq(t, OK, do(s, Delete, b).Result)
	made := do(s, Create, late).Object.(*Block)
	must.Eq(t, 7, number())
	must.Eq[Object](t, s.Look(made.Key()), made)
	must.Eq(t, 5, late.Sequence, must.Sprint("the client's own copy"))
}

// A half-deleted object is gone for all clients.
func TestStoreMark(t *testing.T) {
	for _, verb := range []Verb{Get, Update, Delete, Mark} {
		s := newStore()
		o := do(s, Create, pending("n", "10.0.0.0/26")).Object
		must.Eq(t, OK, do(s, Mark, o).Result)
		must.SliceEmpty(t, s.Do(Request{Verb: List, Key: AffinitiesKey}).List)
		must.Eq(t, Missing, do(s, verb, o).Result, must.Sprint(verb))
		must.SliceEmpty(t, s.affinities.items, must.Sprint("whoever meets it completes the deletion"))
	}
	s := newStore()
	o := do(s, Create, pending("n", "10.0.0.0/26")).Object
	must.Eq(t, OK, do(s, Mark, o).Result)
	must.Eq(t, OK, do(s, Create, o).Result)
	must.Len(t, 1, s.affinities.live())
}

// No two copies share memory.
func TestStoreCopies(t *testing.T) {
	s := newStore()
	cidr := netip.MustParsePrefix("10.0.0.0/30")
	h := &Handle{ID: "h", Counts: map[netip.Prefix]int{cidr: 1}}
	written := do(s, Create, h).Object.(*Handle)
	h.Counts[cidr] = 2
	written.Counts[cidr] = 3
	read := do(s, Get, h).Object.(*Handle)
	must.Eq(t, 1, read.Counts[cidr])
	must.NonZero(t, read.Revision)
	must.Zero(t, h.Revision)

	b := newBlock(cidr, affinity.HostOwner("n"), time.Time{}, 1, nil)
	inStore := do(s, Create, b).Object.(*Block)
	b.take(0, Record{})
	inStore.take(1, Record{})
	must.Eq(t, []int{0, 1, 2, 3}, do(s, Get, b).Object.(*Block).Queue)
}

// Looks at the datastore from outside are not counted.
func TestStoreLook(t *testing.T) {
	s := newStore()
	must.Nil(t, s.Look("affinity/host:n/10.0.0.0/26"))
	o := do(s, Create, pending("n", "10.0.0.0/26")).Object
	before := s.Counts()
	must.Eq(t, o, s.Look(o.Key()))
	must.Eq(t, []Object{o}, s.LookList(AffinitiesKey))
	must.Eq(t, before, s.Counts())
	seen := s.Look(o.Key())
	mine := seen.Copy().(*Affinity)
	mine.State = affinity.Confirmed
	must.Eq(t, OK, do(s, Update, mine).Result)
	must.Eq(t, affinity.Pending, seen.(*Affinity).State, must.Sprint("others are put in its place"))
	must.Eq(t, OK, do(s, Mark, s.Look(o.Key())).Result)
	must.Nil(t, s.Look(o.Key()), must.Sprint("half deleted is gone"))
	must.SliceEmpty(t, s.LookList(AffinitiesKey))
}

func TestStoreLists(t *testing.T) {
	s := newStore()
	for _, a := range []*Affinity{pending("n", "10.0.0.4/30"), pending("n", "10.0.0.16/30"), pending("m", "10.0.0.0/30"), pending("n", "fd00::/122")} {
		do(s, Create, a)
	}
	virtual := pending("n", "10.0.0.0/30")
	virtual.Owner.Type = affinity.Virtual
	do(s, Create, virtual)
	keys := func(list Key) (keys []Key) {
		for _, o := range s.Do(Request{Verb: List, Key: list}).List {
			keys = append(keys, o.Key())
		}
		return keys
	}
	must.Eq(t, []Key{"affinity/host:n/10.0.0.16/30", "affinity/host:n/10.0.0.4/30"}, keys("affinities/host:n/ipv4"), must.Sprint("by name, not by address"))
	must.Eq(t, []Key{"affinity/host:n/fd00::/122"}, keys("affinities/host:n/ipv6"))
	must.Eq(t, []Key{"affinity/virtual:n/10.0.0.0/30"}, keys(OwnerKey(virtual.Owner, true)))
	must.Len(t, 5, keys(AffinitiesKey))
	must.SliceEmpty(t, keys(BlocksKey))
	must.SliceEmpty(t, keys("affinities/host:other/ipv4"))
	for _, wrong := range []Key{"pods", "affinities/n/ipv4", "affinities/"} {
		must.Panic(t, func() { keys(wrong) })
	}
}

func TestKeys(t *testing.T) {
	owner := affinity.HostOwner("n")
	for want, key := range map[Key]Key{
		"config":                       new(Config).Key(),
		"block/10.0.0.0/26":            blockKey(netip.MustParsePrefix("10.0.0.0/26")),
		"handle/h":                     (&Handle{ID: "h"}).Key(),
		"node/n":                       (&Node{Node: ipam.Node{Name: "n"}}).Key(),
		"affinity/host:n/fd00::/122":   affinityKey(owner, netip.MustParsePrefix("fd00::/122")),
		"affinities/host:n/ipv4":       OwnerKey(owner, true),
		"affinities/host:n/ipv6":       OwnerKey(owner, false),
		"affinities/virtual:host/ipv4": OwnerKey(affinity.VirtualOwner("host"), true),
	} {
		must.Eq(t, want, key)
	}
}
