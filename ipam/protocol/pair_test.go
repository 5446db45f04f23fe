package protocol

import (
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// makeEngine makes an engine of an empty cluster, with a clock and a release of
// Calico.
type makeEngine func(ipam.Options) trace.Engine

// allocator and client are the two engines: the fast one, and the one of this
// package that works alone.
func allocator(o ipam.Options) trace.Engine { return ipam.New(o) }
func client(o ipam.Options) trace.Engine    { return clusterOf(o.Calico).Client(nil, o.Now) }

// clusterOf returns an empty cluster of clients of the release.
func clusterOf(v calico.Version) *Cluster {
	c := NewCluster()
	c.SetCalico(v)
	return c
}

// A pair is two engines that do the same operations, one by one. The second is
// compared with the first, the reference.
type pair struct {
	header     trace.Header
	ops        []trace.Op // the operations, with the reference's outcomes
	ref, other *trace.Player
}

// newPair returns a pair in the setting of a recording.
func newPair(h trace.Header, ref, other makeEngine) (*pair, error) {
	p := &pair{header: h}
	for _, x := range []struct {
		player **trace.Player
		make   makeEngine
	}{{&p.ref, ref}, {&p.other, other}} {
		clock := ipam.NewClock(h.Start)
		o, err := h.Options(clock)
		if err != nil {
			return nil, err
		}
		*x.player = trace.PlayOn(x.make(o), clock)
		if err := (*x.player).Set(h); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// do does one operation on both, and returns the reference's outcome. The error is
// a [difference], or about an operation that cannot be understood.
func (p *pair) do(op trace.Op) (trace.Out, error) {
	want, err := p.ref.Do(op)
	if err != nil {
		return want, err
	}
	got, err := p.other.Do(op)
	if err != nil {
		return want, err
	}
	op.Out = want
	p.ops = append(p.ops, op)
	if w, g := want.String(), got.String(); w != g {
		return want, p.differ("outcome", w, g)
	}
	return want, nil
}

// same compares the whole state of the engines. The error is a [difference].
func (p *pair) same() error {
	want, got := p.ref.Engine().State(), p.other.Engine().State()
	if sameStates(&want, &got) {
		return p.sameNumbers(&want)
	}
	what, w, g := trace.StateOf(want, "whole").Compare(trace.StateOf(got, "whole"))
	if what == "" {
		what, w, g = "order of objects", fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", got)
	}
	return p.differ(what, w, g)
}

// sameNumbers compares what states do not have: the sequence numbers that free
// addresses remember in some releases of Calico, in blocks that are not too large.
func (p *pair) sameNumbers(s *ipam.State) error {
	if p.ref.Engine().Calico().Rules().FreeHasNoNumber && p.other.Engine().Calico().Rules().FreeHasNoNumber {
		return nil
	}
	for i := range s.Blocks {
		b := &s.Blocks[i]
		if len(b.Free)+len(b.Allocations) > 64 {
			continue
		}
		for _, ord := range b.Free {
			ip := b.Addr(ord)
			want, got := p.ref.Engine().SequenceNumber(ip), p.other.Engine().SequenceNumber(ip)
			if want != got {
				return p.differ("number of "+ip.String(), strconv.FormatUint(want, 10), strconv.FormatUint(got, 10))
			}
		}
	}
	return nil
}

func (p *pair) differ(what, want, got string) error {
	return &difference{len(p.ops), p.ops[len(p.ops)-1], what, want, got}
}

// sameStates compares everything, without reflection, which would take most of
// the time of a test.
func sameStates(a, b *ipam.State) bool {
	return slices.EqualFunc(a.Blocks, b.Blocks, func(x, y ipam.BlockState) bool {
		return x.CIDR == y.CIDR && x.Owner == y.Owner && x.Claimed == y.Claimed && x.Sequence == y.Sequence &&
			slices.Equal(x.Free, y.Free) && slices.Equal(x.Allocations, y.Allocations)
	}) && slices.Equal(a.Affinities, b.Affinities) && slices.EqualFunc(a.Handles, b.Handles, func(x, y ipam.HandleState) bool {
		return x.ID == y.ID && slices.Equal(x.Counts, y.Counts)
	})
}

// write writes the operations as a recording, with the whole state of the
// reference at its end. If the other engine differs, so does its replay.
func (p *pair) write(to io.Writer) error {
	w, err := trace.NewWriter(to, p.header)
	if err != nil {
		return err
	}
	for _, op := range p.ops {
		if err := w.Write(op); err != nil {
			return err
		}
	}
	whole := trace.Op{Op: "State", In: trace.In{State: "whole"}}
	if whole.Out, err = p.ref.Do(whole); err != nil {
		return err
	}
	return w.Write(whole)
}

// A difference is the first difference between two engines.
type difference struct {
	at   int // the operation, from 1
	op   trace.Op
	what string // "outcome", or an object's key
	want string
	got  string
}

func (d *difference) Error() string {
	return fmt.Sprintf("operation %d, %s: %s\n  want: %s\n  got:  %s", d.at, d.op.Op, d.what, d.want, d.got)
}
