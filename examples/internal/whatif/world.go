package whatif

import (
	"net/netip"
	"time"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/lifecycle"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
	"github.com/ipamsim/ipamsim/pool"
)

// A world is the cluster that the changes are made in, and what is said of it.
type world struct {
	*snapshot.Live
	a *ipam.Allocator // of the cluster

	// handlesMade are the moments at which handles were made, as far as it is known.
	handlesMade map[string]time.Time
	policy      lifecycle.Policy // how kube-controllers cleans up
	taken       []netip.Prefix   // ranges that nodes and services use
	// faulty are the pods that asked in this step and that the CNI plug-in refuses, with
	// why: what they get here they get once their annotations are right.
	faulty   map[string]string
	commands []string // what cleans up in the real cluster what nobody else does
	last     figures  // as of the last step, or as it was loaded
}

// newWorld builds the cluster. Its clock shows the latest moment that the snapshot
// speaks of; nobody knows how much later it was taken.
func newWorld(s *snapshot.Snapshot) (*world, error) {
	l, err := s.Live()
	if err != nil {
		return nil, err
	}
	w := &world{Live: l, a: l.Allocator(), faulty: make(map[string]string), handlesMade: s.HandlesMade, policy: s.Policy()}
	for _, r := range s.Ranges {
		w.taken = append(w.taken, r.CIDR)
	}
	for _, a := range s.Addresses {
		w.taken = append(w.taken, netip.PrefixFrom(a.IP, a.IP.BitLen()))
	}
	w.commands = w.cleaningCommands()
	w.last = w.figures()
	return w, nil
}

// poolOf returns the pool that has the address, or nil.
func poolOf(specs []pool.Spec, ip netip.Addr) *pool.Spec {
	for i := range specs {
		if specs[i].CIDR.Contains(ip) {
			return &specs[i]
		}
	}
	return nil
}

// trial returns a copy of the world, in which anything can be tried.
func (w *world) trial() (*world, error) {
	l, err := w.Copy()
	if err != nil {
		return nil, err
	}
	t := *w
	t.adopt(&world{Live: l, a: l.Allocator()})
	return &t, nil
}

// adopt makes what was tried in a copy so.
func (w *world) adopt(trial *world) { w.Live, w.a = trial.Live, trial.a }

// asked notes the pods that asked and that the CNI plug-in refuses, and returns how many
// got no address.
func (w *world) asked(moves []snapshot.Move) (refused int) {
	for i := range moves {
		p := &moves[i].Pod
		if p.Faulty != "" && p.Node != "" {
			w.faulty[p.Label()] = p.Faulty
		}
		if moves[i].Err != nil {
			refused++
		}
	}
	return refused
}

// start starts a pod and returns why it was refused, or "".
func (w *world) start(p snapshot.LivePod) string {
	moves := w.Start(p)
	w.asked(moves)
	return moves[0].Why()
}
