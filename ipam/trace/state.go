package trace

import (
	"maps"
	"slices"
	"strconv"

	"github.com/ipamsim/ipamsim/ipam"
)

// StateOf writes a state in one of the forms of dumps, named by In.State:
//
//   - "": what is allocated and claimed;
//   - "numbered": also how far the sequence number of each allocation lies behind its
//     block's, 1 or more, and absent for an address that has none;
//   - "whole": everything that is kept, also what recordings of the real allocator do
//     not have: sequence numbers, moments, and which attribute record an allocation
//     points at.
func StateOf(s ipam.State, form string) *State {
	out := plainState(s)
	switch form {
	case "numbered":
		out.number(s)
	case "whole":
		out.complete(s)
	}
	return out
}

// plainState writes the part that every form has.
func plainState(s ipam.State) *State {
	out := new(State)
	for _, b := range s.Blocks {
		block := Block{CIDR: b.CIDR.String(), Affinity: b.Owner.String(), Free: ranges(b.Free)}
		for _, al := range b.Allocations {
			block.Allocs = append(block.Allocs, Alloc{
				Ordinal: al.Ordinal, Handle: al.Handle, Attrs: al.Active.Map(), AlternateAttrs: al.Alternate.Map(),
				Cooldown: !al.ReleasedAt.IsZero(),
			})
		}
		out.Blocks = append(out.Blocks, block)
	}
	for _, c := range s.Affinities {
		out.Affinities = append(out.Affinities, Affinity{Type: string(c.Owner.Type), Host: c.Owner.Name, CIDR: c.CIDR.String(), State: c.State.String()})
	}
	for _, h := range s.Handles {
		counts := make(map[string]int, len(h.Counts))
		for _, c := range h.Counts {
			counts[c.Block.String()] = c.Count
		}
		if out.Handles == nil {
			out.Handles = make(map[string]map[string]int)
		}
		out.Handles[h.ID] = counts
	}
	return out
}

// number adds how far the sequence number of each allocation lies behind its block's.
func (out *State) number(s ipam.State) {
	for i, b := range s.Blocks {
		for k, al := range b.Allocations {
			if al.Seq > 0 {
				out.Blocks[i].Allocs[k].Seq = b.Sequence - al.Seq
			}
		}
	}
}

// numbered reports whether the dump has sequence numbers, but is not whole.
func (s *State) numbered() bool {
	for _, b := range s.Blocks {
		for _, al := range b.Allocs {
			if al.Seq > 0 {
				return b.Seq == 0
			}
		}
	}
	return false
}

// complete adds everything else.
func (out *State) complete(s ipam.State) {
	for i, b := range s.Blocks {
		o := &out.Blocks[i]
		o.Seq, o.Claimed = b.Sequence, b.Claimed
		for k, al := range b.Allocations {
			a := &o.Allocs[k]
			a.Seq, a.Record, a.ReleasedAt = al.Seq, al.Record, al.ReleasedAt
		}
	}
	for i, c := range s.Affinities {
		out.Affinities[i].Created = c.Created
	}
}

// Compare returns the first object in which got differs from the dump, by its key
// in the datastore ("block/10.0.0.0/26"), as the dump has it and as got does; a
// missing object is empty. Without a difference all three are empty. The order of
// objects does not count.
func (s *State) Compare(got *State) (key, wanted, is string) {
	w, g := objects(s), objects(got)
	keys := slices.AppendSeq(slices.Collect(maps.Keys(w)), maps.Keys(g))
	slices.Sort(keys)
	for _, key := range keys {
		if w[key] != g[key] {
			return key, w[key], g[key]
		}
	}
	return "", "", ""
}

// objects returns the text of every object of a dump, by key. If an object is
// listed twice, both count.
func objects(s *State) map[string]string {
	all := make(map[string]string)
	for _, b := range s.Blocks {
		all["block/"+b.CIDR] += compact(b)
	}
	for _, a := range s.Affinities {
		all["affinity/"+a.Type+":"+a.Host+"/"+a.CIDR] += compact(a)
	}
	for id, counts := range s.Handles {
		all["handle/"+id] += compact(counts)
	}
	return all
}

// ranges writes ordinals in their order, runs of ascending ones as FROM-TO.
func ranges(ordinals []int) string {
	var text []byte
	for i := 0; i < len(ordinals); {
		end := i + 1
		for end < len(ordinals) && ordinals[end] == ordinals[end-1]+1 {
			end++
		}
		if i > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendInt(text, int64(ordinals[i]), 10)
		if end > i+1 {
			text = append(text, '-')
			text = strconv.AppendInt(text, int64(ordinals[end-1]), 10)
		}
		i = end
	}
	return string(text)
}
