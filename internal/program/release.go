package program

import (
	"slices"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// releases has one release for each set of rules: between two neighbours some rule
// of the allocator changes. The newest is the plainest.
var releases = []string{"", "v3.32", "v3.31", "v3.31.6", "v3.30", "v3.30.3", "v3.28"}

// Releases returns one release for each set of rules, the newest first.
func Releases() []calico.Version {
	var all []calico.Version
	for _, text := range releases {
		v, err := calico.Parse(text)
		if err != nil {
			panic(err) // a mistake in this file
		}
		all = append(all, v)
	}
	return all
}

// Release picks a release: half of the time the newest.
func Release(src property.Source) calico.Version {
	if src.Pick("newest", 2) == 0 {
		return 0
	}
	old := Releases()[1:]
	return old[src.Pick("release", len(old))]
}

// avoids reports whether the program avoids what its release does not have:
// mostly, as refused requests lead nowhere.
func (p *Program) avoids(has bool) bool { return !has && !p.sometimes(8) }

// supported returns the pool without what the release does not have.
func (p *Program) supported(s trace.Pool) trace.Pool {
	if !p.rules.NamespaceSelector {
		s.NamespaceSelector = ""
	}
	if !p.rules.LoadBalancer {
		if s.AssignmentMode == "Manual" {
			s.AssignmentMode = ""
		}
		s.AllowedUses = slices.DeleteFunc(slices.Clone(s.AllowedUses), func(use string) bool { return use == "LoadBalancer" })
	}
	return s
}
