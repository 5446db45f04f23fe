package whatif

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/ipam/snapshot"
)

// leftOutText says what of the files no figure counts, if anything.
func leftOutText(s *snapshot.Snapshot) string {
	var says []string
	if len(s.LeftOut) > 0 {
		says = append(says, "left out, for something is wrong with them: "+kindsText(s.LeftOut)+" (no figure counts them; -check says what)")
	}
	if s.Deleted > 0 {
		says = append(says, plural(s.Deleted, "object is", "objects are")+" marked deleted and not counted")
	}
	idle := 0
	for _, p := range s.Problems {
		if p.Harmless && p.Kind != "pod-annotation" {
			idle++
		}
	}
	if idle > 0 {
		says = append(says, plural(idle, "line or field of the files has", "lines or fields of the files have")+" no effect; -check names them")
	}
	return strings.Join(says, "; ")
}

// kindsText counts objects by kind.
func kindsText(count map[string]int) string {
	var kinds []string
	for _, kind := range slices.Sorted(maps.Keys(count)) {
		kinds = append(kinds, fmt.Sprintf("%d %s", count[kind], kind))
	}
	return strings.Join(kinds, ", ")
}
