package session

import (
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/examples/internal/course"
)

// Tour is the course as a tour.
type Tour struct {
	Steps []course.Step `json:"steps"`
}

// Tour returns the steps of the course. They do not depend on the session.
func (s *Session) Tour() (*Tour, error) {
	steps, err := course.Tour()
	if err != nil {
		return nil, err
	}
	return &Tour{steps}, nil
}

type doneArgs struct {
	Name string `json:"name"`
}

// Done tells whether the reader has done what a step wants.
type Done struct {
	Done bool `json:"done"`
}

// Done reports whether the cluster is as the step with this predicate wants it.
func (s *Session) Done(name string) (*Done, error) {
	done, err := course.Done(name, s.tourWorld())
	if err != nil {
		return nil, err
	}
	return &Done{done}, nil
}

// tourWorld is the cluster as the tour looks at it.
func (s *Session) tourWorld() *course.World {
	v := s.View()
	w := &course.World{Strict: v.Config.Strict, Borrowed: v.Figures.Borrowed}
	if len(v.Pools) > 0 {
		w.BlockSize = v.Pools[0].BlockSize
	}
	for _, op := range s.ops[:s.at] {
		if slices.ContainsFunc(op.Schedule, func(step string) bool { return strings.HasPrefix(step, "kill ") }) {
			w.Died = true
		}
	}
	for _, n := range v.Nodes {
		of := course.Node{Name: n.Name, Cordoned: n.Cordoned, Gone: n.Gone, Pods: n.Pods, Waiting: n.Waiting, Borrows: n.Borrows}
		for _, b := range n.Blocks {
			if b.State == affinity.Confirmed.String() {
				of.Confirmed++
			} else {
				of.Pending++
			}
		}
		w.Nodes = append(w.Nodes, of)
	}
	return w
}
