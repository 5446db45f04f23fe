package trace

import (
	"net/netip"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
)

// TestWholeState: a whole dump has everything in a plain one, and more than
// recordings of the real allocator.
func TestWholeState(t *testing.T) {
	r, _, _ := recorded(t)
	_, _, err := r.AutoAssign(pod("n1", "h", 2))
	must.NoError(t, err)
	_, _, err = r.AutoAssign(pod("n1", "g", 1))
	must.NoError(t, err)
	p := PlayOn(r.Allocator, nil)
	plain, err := p.Do(Op{Op: "State"})
	must.NoError(t, err)
	whole, err := p.Do(Op{Op: "State", In: In{State: "whole"}})
	must.NoError(t, err)

	b, s := whole.State.Blocks[0], r.Allocator.State()
	must.Eq(t, s.Blocks[0].Sequence, b.Seq)
	must.EqOp(t, s.Blocks[0].Claimed, b.Claimed)
	must.Eq(t, []int{0, 0, 1}, []int{b.Allocs[0].Record, b.Allocs[1].Record, b.Allocs[2].Record})
	must.Eq(t, b.Allocs[0].Seq+1, b.Allocs[2].Seq)
	must.False(t, whole.State.Affinities[0].Created.IsZero())

	key, want, got := plain.State.Compare(whole.State)
	must.Eq(t, "affinity/host:n1/"+b.CIDR, key)
	must.StrNotContains(t, want, "created")
	must.StrContains(t, got, `"created":"2026-01-01T00:00:00Z"`)
	key, want, got = whole.State.Compare(whole.State)
	must.Eq(t, "", key+want+got)

	_, err = p.Do(Op{Op: "State", In: In{State: "half"}})
	must.EqError(t, err, `State: state "half" is neither empty, numbered nor whole`)
}

// TestOtherNumber: an address has another number only if several blocks have it.
func TestOtherNumber(t *testing.T) {
	ip := netip.MustParseAddr("10.0.0.1")
	b := func(cidr string, seq uint64) ipam.BlockState {
		s := ipam.BlockState{CIDR: netip.MustParsePrefix(cidr)}
		if seq > 0 {
			s.Allocations = []block.Allocation{{Ordinal: 1, Seq: seq}}
		}
		return s
	}
	one, two := b("10.0.0.0/30", 7), b("10.0.0.0/31", 0)
	must.Eq(t, uint64(7), otherNumber(ipam.State{Blocks: []ipam.BlockState{one}}, ip, 7))
	must.Eq(t, uint64(9), otherNumber(ipam.State{Blocks: []ipam.BlockState{two}}, ip, 9), must.Sprint("kept by a free address"))
	must.Eq(t, uint64(0), otherNumber(ipam.State{Blocks: []ipam.BlockState{one, two}}, ip, 7))
	must.Eq(t, uint64(7), otherNumber(ipam.State{Blocks: []ipam.BlockState{one, two}}, ip, 0))
	must.Eq(t, uint64(7), otherNumber(ipam.State{Blocks: []ipam.BlockState{one, b("10.0.0.0/29", 7)}}, ip, 7))
}
