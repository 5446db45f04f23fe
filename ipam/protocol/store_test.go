package protocol

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
		require.Equal(t, c.missing, do(newStore(), c.verb, pending("n", "10.0.0.0/26")).Result, c.verb)

		s := newStore()
		read := do(s, Create, pending("n", "10.0.0.0/26")).Object
		require.Equal(t, c.there, do(s, c.verb, read).Result, c.verb)

		s = newStore()
		read = do(s, Create, pending("n", "10.0.0.0/26")).Object
		other := do(s, Get, read).Object.(*Affinity)
		require.Equal(t, OK, do(s, Update, other).Result)
		require.Equal(t, c.late, do(s, c.verb, read).Result, c.verb)
		conflicts := 0
		if c.late == Conflict {
			conflicts = 1
		}
		require.Equal(t, Counts{Calls: 4, Conflicts: conflicts}, s.Counts())
	}
}

// An object made anew under a key is not the one before.
func TestStoreRecreated(t *testing.T) {
	s := newStore()
	old := do(s, Create, pending("n", "10.0.0.0/26")).Object
	require.Equal(t, OK, do(s, Delete, old).Result)
	require.Equal(t, OK, do(s, Create, old).Result)
	require.Equal(t, Conflict, do(s, Update, old).Result)
	require.Equal(t, Conflict, do(s, Delete, old).Result)
}

// A block made anew does not repeat the numbers of the one before, even if its
// creator read the clock before that one was made.
func TestStoreNumbers(t *testing.T) {
	s := newStore()
	cidr := netip.MustParsePrefix("10.0.0.0/30")
	number := func() uint64 { return s.Look(blockKey(cidr)).(*Block).Sequence }
	late := newBlock(cidr, affinity.HostOwner("n"), time.Time{}, 5, nil)
	b := do(s, Create, newBlock(cidr, affinity.HostOwner("m"), time.Time{}, 5, nil)).Object.(*Block)
	require.EqualValues(t, 5, number())
	b.Sequence++
	b = do(s, Update, b).Object.(*Block)
	require.Equal(t, OK, do(s, Delete, b).Result)
	made := do(s, Create, late).Object.(*Block)
	require.EqualValues(t, 7, number())
	require.Equal(t, s.Look(made.Key()), made)
	require.EqualValues(t, 5, late.Sequence, "the client's own copy")
}

// A half-deleted object is gone for all clients.
func TestStoreMark(t *testing.T) {
	for _, verb := range []Verb{Get, Update, Delete, Mark} {
		s := newStore()
		o := do(s, Create, pending("n", "10.0.0.0/26")).Object
		require.Equal(t, OK, do(s, Mark, o).Result)
		require.Empty(t, s.Do(Request{Verb: List, Key: AffinitiesKey}).List)
		require.Equal(t, Missing, do(s, verb, o).Result, verb)
		require.Empty(t, s.affinities.items, "whoever meets it completes the deletion")
	}
	s := newStore()
	o := do(s, Create, pending("n", "10.0.0.0/26")).Object
	require.Equal(t, OK, do(s, Mark, o).Result)
	require.Equal(t, OK, do(s, Create, o).Result)
	require.Len(t, s.affinities.live(), 1)
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
	require.Equal(t, 1, read.Counts[cidr])
	require.NotZero(t, read.Revision)
	require.Zero(t, h.Revision)

	b := newBlock(cidr, affinity.HostOwner("n"), time.Time{}, 1, nil)
	inStore := do(s, Create, b).Object.(*Block)
	b.take(0, Record{})
	inStore.take(1, Record{})
	require.Equal(t, []int{0, 1, 2, 3}, do(s, Get, b).Object.(*Block).Queue)
}

// Looks at the datastore from outside are not counted.
func TestStoreLook(t *testing.T) {
	s := newStore()
	require.Nil(t, s.Look("affinity/host:n/10.0.0.0/26"))
	o := do(s, Create, pending("n", "10.0.0.0/26")).Object
	before := s.Counts()
	require.Equal(t, o, s.Look(o.Key()))
	require.Equal(t, []Object{o}, s.LookList(AffinitiesKey))
	require.Equal(t, before, s.Counts())
	seen := s.Look(o.Key())
	mine := seen.Copy().(*Affinity)
	mine.State = affinity.Confirmed
	require.Equal(t, OK, do(s, Update, mine).Result)
	require.Equal(t, affinity.Pending, seen.(*Affinity).State, "others are put in its place")
	require.Equal(t, OK, do(s, Mark, s.Look(o.Key())).Result)
	require.Nil(t, s.Look(o.Key()), "half deleted is gone")
	require.Empty(t, s.LookList(AffinitiesKey))
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
	require.Equal(t, []Key{"affinity/host:n/10.0.0.16/30", "affinity/host:n/10.0.0.4/30"}, keys("affinities/host:n/ipv4"), "by name, not by address")
	require.Equal(t, []Key{"affinity/host:n/fd00::/122"}, keys("affinities/host:n/ipv6"))
	require.Equal(t, []Key{"affinity/virtual:n/10.0.0.0/30"}, keys(OwnerKey(virtual.Owner, true)))
	require.Len(t, keys(AffinitiesKey), 5)
	require.Empty(t, keys(BlocksKey))
	require.Empty(t, keys("affinities/host:other/ipv4"))
	for _, wrong := range []Key{"pods", "affinities/n/ipv4", "affinities/"} {
		require.Panics(t, func() { keys(wrong) })
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
		require.Equal(t, want, key)
	}
}
