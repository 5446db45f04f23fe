package sim

import "github.com/ipamsim/ipamsim/ipam/calico"

// releases are other releases of Calico beside that of a run. A scenario goes the same
// with one of them until a rule matters in which the two differ: the allocator and the
// cleaner tell of those that do. So most comparisons of releases need no runs of their
// own. Nil stands for none.
type releases struct {
	mine   calico.Rules
	others []otherRelease
	tell   func(i int) // of one that goes another way
}

type otherRelease struct {
	rules calico.Rules
	apart bool
}

// newReleases returns the releases of [Options].Releases. Those that the scenario is not
// valid for are apart from the start, and so are all where nothing tells of rules.
func newReleases(s *Scenario, o *Options) *releases {
	if len(o.Releases) == 0 {
		return nil
	}
	all := &releases{mine: s.Release().Rules(), tell: o.ReleaseApart}
	for i, v := range o.Releases {
		other := *s
		other.Calico = v.String()
		all.others = append(all.others, otherRelease{rules: v.Rules()})
		if o.Engine != nil || o.Headroom || other.Validate() != nil {
			all.part(i)
		}
	}
	return all
}

// part takes note of a release that goes another way.
func (r *releases) part(i int) {
	if r.others[i].apart = true; r.tell != nil {
		r.tell(i)
	}
}

// matters returns who is to be told of rules that matter; nil if nobody wants to know.
func (r *releases) matters() func(rule func(*calico.Rules) *bool) {
	if r == nil {
		return nil
	}
	return func(rule func(*calico.Rules) *bool) {
		for i := range r.others {
			if o := &r.others[i]; !o.apart && *rule(&o.rules) != *rule(&r.mine) {
				r.part(i)
			}
		}
	}
}

// same returns which of the releases have gone the same way.
func (r *releases) same() (same []bool) {
	if r == nil {
		return nil
	}
	for i := range r.others {
		same = append(same, !r.others[i].apart)
	}
	return same
}
