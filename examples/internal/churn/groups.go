package churn

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam/sim"
)

// writeGroups writes what the pod groups got, and how full each pool is in the end.
func writeGroups(w io.Writer, s *sim.Scenario, r *sim.Result) {
	for i := range s.PodGroups {
		name := s.PodGroups[i].Name
		of := r.PerPodGroup[name]
		if of == nil {
			continue
		}
		requests, refused := 0, ""
		for _, o := range slices.Sorted(maps.Keys(of)) {
			requests += of[o]
			if o != "own" && o != "kept" && o != "borrowed" {
				refused += fmt.Sprintf(", %d refused: %s", of[o], reason(&sim.Moment{Outcome: o, Group: name}, s))
			}
		}
		sentence(w, "Pod group %s: %s%s.", name, cli.Count(requests, "request"), cmp.Or(refused, ", none refused"))
	}
	if r.Kept > 0 {
		sentence(w, "Virtual machines: %d starts kept their addresses, %d of them in blocks of other nodes.", r.Kept, r.Moved)
	}
	if len(r.ServiceRequests) > 0 {
		sentence(w, "Services: %s in %s of their own; %d refused.", addresses(r.ServiceRequests["own"]), cli.Count(r.ServiceBlocks, "block"), r.ServicesRefused())
	}
	for _, name := range slices.Sorted(maps.Keys(r.PerPool)) {
		n := 0
		for _, of := range r.PerPool[name] {
			n += of
		}
		sentence(w, "Pool %s: %s in use at the end.", name, addresses(n))
	}
}
