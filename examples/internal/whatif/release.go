package whatif

import (
	"fmt"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
)

// release is the release of Calico that the cluster goes by.
type release struct {
	Version string `json:"version"`
	Why     string `json:"why"`
	Warning string `json:"warning,omitempty"` // where its rules are not known
}

// release settles which release the cluster goes by: the one that is given, or what
// the snapshot found. It fails where the cluster has what a given one does not.
func (o *options) release(s *snapshot.Snapshot, given bool) (release, error) {
	why := s.CalicoFrom
	switch {
	case given:
		if lacks := s.Cluster.Lacks(o.calico); len(lacks) > 0 {
			texts := make([]string, len(lacks))
			for i, l := range lacks {
				texts[i] = l.String()
			}
			return release{}, cli.Usagef("-calico %s: the cluster cannot run it: %s", o.calico, strings.Join(texts, "; "))
		}
		why = "given with -calico"
		if s.Calico != 0 {
			why += "; " + s.CalicoFrom
		}
		s.Calico = o.calico
	case s.Calico == 0:
		why += "; -calico chooses another"
	}
	return release{s.Calico.String(), why, s.Calico.Caveat()}, nil
}

// handleFigures are the handles that count what they do not hold.
type handleFigures struct {
	Total   int `json:"total"`
	Empty   int `json:"withoutAddresses"`
	Surplus int `json:"countMore"` // than they hold, of those that hold something
	// LastDay are those of the empty ones that were made in the day before the files;
	// nil where they do not say when handles were made.
	LastDay *int `json:"withoutAddressesOfLastDay,omitempty"`
}

// harmful counts the problems of the files that have an effect.
func harmful(s *snapshot.Snapshot) (n int) {
	for _, p := range s.Problems {
		if !p.Harmless {
			n++
		}
	}
	return n
}

// handleFigures counts handles.
func (w *world) handleFigures() handleFigures {
	s := w.a.State()
	held := s.Held()
	f := handleFigures{Total: len(s.Handles)}
	lastDay := 0
	if len(w.handlesMade) > 0 {
		f.LastDay = &lastDay
	}
	for _, h := range s.Handles {
		holds := held[strings.ToLower(h.ID)]
		if holds == nil {
			f.Empty++
			if made, known := w.handlesMade[h.ID]; known && w.Clock().Now().Sub(made) < 24*time.Hour {
				lastDay++
			}
			continue
		}
		for _, n := range h.Counts {
			if n.Count > holds[n.Block] {
				f.Surplus++
				break
			}
		}
	}
	return f
}

// text says how many handles count too much, and where they come from under this
// release (docs/calico.md §7, docs/calico.md §16); empty if there are none.
func (f *handleFigures) text(v calico.Version) string {
	if f.Empty+f.Surplus == 0 {
		return ""
	}
	var parts []string
	if f.Empty > 0 {
		parts = append(parts, plural(f.Empty, "holds", "hold")+" no address at all")
	}
	if f.Surplus > 0 {
		parts = append(parts, plural(f.Surplus, "counts more than it holds", "count more than they hold"))
	}
	var s strings.Builder
	s.WriteString("of " + plural(f.Total, "handle") + ", " + strings.Join(parts, " and ") + ". ")
	if rules := v.Rules(); rules.LowerByReleased {
		s.WriteString("They are left from releases before v3.33, or from requests that a block could serve only in part. ")
	} else {
		s.WriteString("Calico " + v.String() + " leaves such handles behind: of several addresses of a handle in one block that one call releases, its count there is lowered by one only.")
		if rules.ReleasesLeaksAtOnce {
			s.WriteString(" Since v3.31 kube-controllers releases leaks in such calls.")
		}
		if f.LastDay != nil {
			s.WriteString(fmt.Sprintf(" Of those without an address %s made in the last day: so many a day stay behind.", plural(*f.LastDay, "was", "were")))
		}
		s.WriteString(" An upgrade to v3.33 stops it; requests that a block can serve only in part leave some in every release. ")
	}
	s.WriteString("They do no harm but take room in the datastore")
	if f.Empty > 0 {
		s.WriteString("; -gc clears those without addresses")
	}
	return s.String() + "."
}
