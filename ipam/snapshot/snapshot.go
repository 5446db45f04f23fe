package snapshot

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// A Snapshot is a cluster as its resources describe it. It is its holder's, and
// may be changed: nothing else refers to it.
type Snapshot struct {
	// Cluster is what an allocator is made of; it can be restored as it is.
	Cluster ipam.Cluster
	// Pods are those that the resources list, by namespace and name. HasPods
	// tells whether they were asked for at all: a cluster without any pod looks
	// the same as one whose pods were left out.
	Pods    []Pod
	HasPods bool
	// Addresses are those that the nodes use themselves.
	Addresses []NodeAddress

	// Networks are what the pools of an Installation say besides; of pools that
	// exist already there are none.
	Networks []Network

	// Problems are the harmless ones and, with [Options].Lenient, all others, in
	// the order of files and lines.
	Problems []*Problem

	Objects int               // that were met, of any kind
	Deleted int               // marked deleted, and skipped
	refused []ipam.BlockState // those that were left out of the cluster

	// Latest is the latest moment that the resources speak of: the snapshot was
	// taken then or later. Zero if they speak of none.
	Latest time.Time
}

// Network is how the packets of a pool travel, which is nothing to IPAM, but
// decides which tunnels want addresses.
type Network struct {
	Pool          string
	Encapsulation string // as written: IPIP, VXLAN, VXLANCrossSubnet, None, …
	NATOutgoing   bool
}

// Allocator returns an allocator that goes on where the cluster stands, on a clock
// that should show [Snapshot].Latest or later. Errors are those of [ipam.Restore];
// there are none for a cluster that was not changed.
func (s *Snapshot) Allocator(o ipam.Options) (*ipam.Allocator, error) {
	return ipam.Restore(s.Cluster, o)
}

// Snapshot returns what was read. The error is an [*InvalidError] with every
// problem that is not harmless, unless [Options].Lenient is set. The loader is of
// no further use.
func (l *Loader) Snapshot() (*Snapshot, error) {
	s := &Snapshot{HasPods: len(l.pods) > 0, Objects: l.objects, Deleted: l.deleted, Latest: l.latest}
	s.Cluster = l.cluster
	s.Cluster.Config = ipam.DefaultConfig()
	for _, c := range unique(l, "IPAMConfig", l.configs) {
		s.Cluster.Config = c.T
	}
	pools := unique(l, "IPPool", l.pools)
	s.Cluster.Pools = values(pools, func(n named[pool.Spec]) pool.Spec { return n.T })
	for _, r := range unique(l, "IPReservation", l.reservations) {
		s.Cluster.Reservations = append(s.Cluster.Reservations, r.T...)
	}
	l.nodes = sorted(l.nodes, func(x, y *ipam.Node) int { return strings.Compare(x.Name, y.Name) })
	l.blocks = sorted(l.blocks, func(x, y *ipam.BlockState) int { return affinity.CompareCIDRNames(x.CIDR, y.CIDR) })
	l.affinities = sorted(l.affinities, compareAffinities)
	l.handles = sorted(l.handles, func(x, y *ipam.HandleState) int { return strings.Compare(x.ID, y.ID) })
	s.Cluster.Nodes = values(l.nodes, func(n located[ipam.Node]) ipam.Node { return n.T })
	s.Cluster.Blocks = values(l.blocks, func(b located[ipam.BlockState]) ipam.BlockState { return b.T })
	s.Cluster.Affinities = values(l.affinities, func(a located[ipam.AffinityState]) ipam.AffinityState { return a.T })
	s.Cluster.Handles = values(l.handles, func(h located[ipam.HandleState]) ipam.HandleState { return h.T })
	l.pods = sorted(l.pods, func(x, y *Pod) int {
		return cmp.Or(strings.Compare(x.Namespace, y.Namespace), strings.Compare(x.Name, y.Name))
	})
	s.Pods = values(l.pods, func(p located[Pod]) Pod { return p.T })
	s.Addresses = values(l.addresses, func(a located[NodeAddress]) NodeAddress { return a.T })
	s.Networks = values(l.networks, func(n located[Network]) Network { return n.T })
	l.fit(s, pools)

	s.Problems = l.sortedProblems()
	harmful := slices.DeleteFunc(slices.Clone(s.Problems), func(p *Problem) bool { return p.Harmless })
	if len(harmful) > 0 && !l.options.Lenient {
		return nil, &InvalidError{harmful}
	}
	return s, nil
}

func compareAffinities(x, y *ipam.AffinityState) int {
	return cmp.Or(
		strings.Compare(string(x.Owner.Type), string(y.Owner.Type)),
		strings.Compare(x.Owner.Name, y.Owner.Name),
		strings.Compare(affinity.Name(x.Owner.Name, x.CIDR), affinity.Name(y.Owner.Name, y.CIDR)),
		affinity.CompareCIDRNames(x.CIDR, y.CIDR),
	)
}

// sorted sorts objects, those read first before others that are equal.
func sorted[T any](list []located[T], compare func(x, y *T) int) []located[T] {
	slices.SortStableFunc(list, func(x, y located[T]) int { return compare(&x.T, &y.T) })
	return list
}

func values[L, T any](list []L, value func(L) T) []T {
	if len(list) == 0 {
		return nil
	}
	out := make([]T, len(list))
	for i, l := range list {
		out[i] = value(l)
	}
	return out
}

// unique sorts objects by name and leaves out those whose name another has, with
// a problem.
func unique[T any](l *Loader, kind string, list []named[T]) []named[T] {
	slices.SortStableFunc(list, func(x, y named[T]) int { return strings.Compare(x.name, y.name) })
	var kept []named[T]
	for _, n := range list {
		if last := len(kept) - 1; last >= 0 && kept[last].name == n.name {
			l.again(kind+" "+n.name, kept[last].at, n.at)
			continue
		}
		kept = append(kept, n)
	}
	return kept
}

// again reports an object that is given twice.
func (l *Loader) again(object string, first, again place) {
	l.problems = append(l.problems, &Problem{
		File: l.files[again.file], Line: int(again.line), Object: object, Kind: Duplicate, order: again.order,
		Reason: fmt.Sprintf("is given twice, first in %s:%d", l.files[first.file], first.line),
	})
}

// fit leaves out of the cluster what no allocator could be in, with a problem for
// each. What is left out may make room for nothing else, so this ends soon.
func (l *Loader) fit(s *Snapshot, pools []named[pool.Spec]) {
	places := map[ipam.ObjectKind]func(i int) (kind string, at place){
		ipam.PoolObject:     func(i int) (string, place) { return "IPPool", pools[i].at },
		ipam.NodeObject:     func(i int) (string, place) { return "Node", l.nodes[i].at },
		ipam.BlockObject:    func(i int) (string, place) { return "IPAMBlock", l.blocks[i].at },
		ipam.AffinityObject: func(i int) (string, place) { return "BlockAffinity", l.affinities[i].at },
		ipam.HandleObject:   func(i int) (string, place) { return "IPAMHandle", l.handles[i].at },
	}
	var refused *ipam.RestoreError
	for {
		_, err := ipam.Restore(s.Cluster, ipam.Options{})
		if !errors.As(err, &refused) {
			return
		}
		dropped := make(map[ipam.ObjectKind]map[int]bool)
		drop := func(r *ipam.Refusal) {
			if dropped[r.Kind] == nil {
				dropped[r.Kind] = make(map[int]bool)
			}
			dropped[r.Kind][r.Index] = true
		}
		for _, r := range refused.Refusals {
			kind, at := places[r.Kind](r.Index)
			if errors.Is(r.Err, ipam.ErrDuplicate) {
				// The lists are sorted: the first of that name stands before it.
				_, first := places[r.Kind](r.Index - 1)
				l.again(kind+" "+objectName(s, r), first, at)
				drop(r)
				continue
			}
			if r.Kind == ipam.BlockObject {
				s.refused = append(s.refused, s.Cluster.Blocks[r.Index])
			}
			l.problems = append(l.problems, &Problem{
				File: l.files[at.file], Line: int(at.line), Object: kind + " " + objectName(s, r), Kind: kindOfRefusal(r), Reason: refusalText(r), order: at.order,
			})
			drop(r)
		}
		c := &s.Cluster
		pools, c.Pools = without(pools, dropped[ipam.PoolObject]), without(c.Pools, dropped[ipam.PoolObject])
		l.nodes, c.Nodes = without(l.nodes, dropped[ipam.NodeObject]), without(c.Nodes, dropped[ipam.NodeObject])
		l.blocks, c.Blocks = without(l.blocks, dropped[ipam.BlockObject]), without(c.Blocks, dropped[ipam.BlockObject])
		l.affinities, c.Affinities = without(l.affinities, dropped[ipam.AffinityObject]), without(c.Affinities, dropped[ipam.AffinityObject])
		l.handles, c.Handles = without(l.handles, dropped[ipam.HandleObject]), without(c.Handles, dropped[ipam.HandleObject])
	}
}

// objectName returns the name that Kubernetes has for a refused object.
func objectName(s *Snapshot, r *ipam.Refusal) string {
	switch r.Kind {
	case ipam.BlockObject:
		return affinity.CIDRName(s.Cluster.Blocks[r.Index].CIDR)
	case ipam.AffinityObject:
		a := s.Cluster.Affinities[r.Index]
		return affinity.Name(a.Owner.Name, a.CIDR)
	}
	return r.Name
}

// kindOfRefusal says which kind of finding a refusal is.
func kindOfRefusal(r *ipam.Refusal) Kind {
	switch {
	case errors.Is(r.Err, ipam.ErrDuplicate):
		return Duplicate
	case errors.Is(r.Err, ipam.ErrOverlap):
		return BlockOverlap
	case errors.Is(r.Err, pool.ErrBlockSize):
		return BlockSize
	case r.Kind == ipam.BlockObject:
		return BlockContradiction
	}
	return Unreadable
}

// refusalText puts what may be several reasons into one line.
func refusalText(r *ipam.Refusal) string {
	return strings.Join(strings.Split(r.Err.Error(), "\n"), "; ")
}

// without returns the list without the elements of these indices.
func without[T any](list []T, drop map[int]bool) []T {
	if len(drop) == 0 {
		return list
	}
	var kept []T
	for i := range list {
		if !drop[i] {
			kept = append(kept, list[i])
		}
	}
	return kept
}

// list returns the errors that were joined into err.
func list(err error) []error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return many.Unwrap()
	}
	return []error{err}
}

// invalidPool reports what is wrong with a field of a pool.
func (o *object) invalidPool(at string, err error) {
	var wrong *pool.InvalidError
	if errors.As(err, &wrong) {
		if wrong.Field == "name" {
			o.wrong("metadata.name", "%s", wrong.Reason)
			return
		}
		o.wrong(at+"."+wrong.Field, "is %s, %s", quote(wrong.Value), wrong.Reason)
		return
	}
	o.wrong(at, "%v", err)
}

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

// number parses a sequence number.
func (o *object) number(field, text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		o.wrong(field, "%s is no sequence number", quote(text))
	}
	return n
}
