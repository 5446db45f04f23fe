package snapshot

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/pool"
)

// A Snapshot is a cluster as its resources describe it. The caller owns it and may
// change it.
type Snapshot struct {
	// Cluster is what [ipam.Restore] makes an allocator from.
	Cluster ipam.Cluster
	Pods    []Pod // in the order of namespace and name
	// Unlisted are the kinds of which the resources have no object: nobody asked
	// for them, and nobody knows whether the cluster has any. A list of one kind
	// that is empty, such as an IPAMHandleList, is an answer.
	Unlisted KindSet
	// Machines are the VirtualMachines of KubeVirt, by "namespace/name". Instances are
	// the VirtualMachineInstances, and whether a machine owns each. Moving are those with
	// live migrations, and whether one is under way. A map that is nil tells nothing:
	// the resources have no object and no list of its kind.
	Machines, Instances, Moving map[string]bool
	// Addresses are those that the nodes use themselves.
	Addresses []NodeAddress

	// Calico is the release that the cluster runs: what ClusterInformation says,
	// else the image of calico-node in a DaemonSet or in pods, else the operator's
	// Installation; or a later one, if the cluster has what that release does not.
	// It is zero, the newest, where none of them names one that is understood.
	Calico calico.Version
	// CalicoFrom says in words how the release was found, such as
	// "ClusterInformation default says v3.28.2".
	CalicoFrom string

	// Networks are the networks of an Installation's pools. IPPool objects have
	// none.
	Networks []Network

	// Namespaces and Services are in the order of names. Services are those of type
	// LoadBalancer only.
	Namespaces []Namespace
	Services   []Service
	// Ranges are those that nodes, kube-proxy, kubeadm and Kubernetes set aside.
	Ranges []Range
	// GracePeriod is for how long kube-controllers waits before it takes what nobody
	// uses (§12), as KubeControllersConfiguration has it, else its default of 15
	// minutes; 0 is never. GracePeriodFrom says which.
	GracePeriod     time.Duration
	GracePeriodFrom string

	// Problems are the harmless ones and, with [Options].Lenient or SkipOdd, all
	// others, in the order of files and lines.
	Problems []*Problem

	// HandlesMade are the moments at which handles were made, by id, as far as the
	// resources say.
	HandlesMade map[string]time.Time

	Objects int // how many objects were read, of any kind
	Deleted int // how many of them are marked deleted, and skipped
	// Skipped counts objects of kinds that are not read, such as Deployment, by kind.
	Skipped map[string]int
	// LeftOut counts objects that are odd and that the cluster does without, by kind.
	// Each has a problem.
	LeftOut map[string]int
	refused []ipam.BlockState // blocks that were left out of the cluster

	// Latest is the latest time in the resources: the snapshot was taken then or
	// later. Zero if the resources have no time.
	Latest time.Time
}

// Network is how the packets of a pool travel. IPAM ignores it, but it decides
// which tunnels need addresses.
type Network struct {
	Pool          string
	Encapsulation string // as written: IPIP, VXLAN, VXLANCrossSubnet, None, …
	NATOutgoing   bool
}

// Allocator returns an allocator that goes on where the cluster stands. Its clock
// should show [Snapshot].Latest or later. Without a release among the options it
// goes by [Snapshot].Calico. Where the resources list no affinity or no handle, it
// has those that the blocks imply. Errors are those of [ipam.Restore]; a cluster that was
// not changed has none, unless it has what a given release does not.
func (s *Snapshot) Allocator(o ipam.Options) (*ipam.Allocator, error) {
	if o.Calico == 0 {
		o.Calico = s.Calico
	}
	return ipam.Restore(s.derived(), o)
}

// Snapshot returns what was read. The error is an [*InvalidError] with every
// problem that is not harmless; with [Options].Lenient it is nil, and with
// [Options].SkipOdd the problems of objects are no error. Do not use the loader
// afterwards.
func (l *Loader) Snapshot() (*Snapshot, error) {
	l.ofCalico()
	l.affinitiesOfBlocks()
	s := &Snapshot{Objects: l.objects, Deleted: l.deleted, Skipped: l.skipped, LeftOut: l.leftOut, Latest: l.latest, HandlesMade: l.givenHandles()}
	s.Machines, s.Instances, s.Moving = l.machines.Machines, l.machines.Instances, l.machines.Moving
	s.Cluster = l.cluster
	s.Cluster.Config = ipam.DefaultConfig()
	for _, c := range unique(l, "IPAMConfig", l.configs) {
		s.Cluster.Config = c.T
	}
	pools := unique(l, "IPPool", append(l.pools, l.poolsOfOperator()...))
	s.Cluster.Pools = values(pools, func(n named[pool.Spec]) pool.Spec { return n.T })
	for _, r := range unique(l, "IPReservation", l.reservations) {
		s.Cluster.Reservations = append(s.Cluster.Reservations, r.T...)
	}
	l.nodes = sortedBy(l.nodes, func(x, y *ipam.Node) int { return strings.Compare(x.Name, y.Name) }, func(x, y located[ipam.Node]) bool {
		return isSame(l, x.at, x.T, y.at, y.T) && !l.addsAddresses(max(x.at.order, y.at.order))
	})
	l.blocks = sorted(l, l.blocks, func(x, y *ipam.BlockState) int { return affinity.CompareCIDRNames(x.CIDR, y.CIDR) })
	l.affinities = sorted(l, l.affinities, compareAffinities)
	l.handles = sorted(l, l.handles, func(x, y *ipam.HandleState) int { return strings.Compare(x.ID, y.ID) })
	s.Cluster.Nodes = values(l.nodes, func(n located[ipam.Node]) ipam.Node { return n.T })
	s.Cluster.Blocks = values(l.blocks, func(b located[ipam.BlockState]) ipam.BlockState { return b.T })
	s.Cluster.Affinities = values(l.affinities, func(a located[ipam.AffinityState]) ipam.AffinityState { return a.T })
	s.Cluster.Handles = values(l.handles, func(h located[ipam.HandleState]) ipam.HandleState { return h.T })
	l.pods = sorted(l, l.pods, func(x, y *Pod) int {
		return cmp.Or(strings.Compare(x.Namespace, y.Namespace), strings.Compare(x.Name, y.Name))
	})
	l.pods = l.podsOnce(l.pods)
	s.Pods = values(l.pods, func(p located[Pod]) Pod { return p.T })
	s.Addresses = values(l.addresses, func(a located[NodeAddress]) NodeAddress { return a.T })
	s.Networks = values(l.networks, func(n located[Network]) Network { return n.T })
	l.beside(s)
	s.poolsOfNamespaces()
	l.fit(s, pools)
	s.Unlisted = l.unlisted(s)
	s.Calico, s.CalicoFrom = l.release(&s.Cluster)

	s.Problems = l.sortedProblems()
	harmful := slices.DeleteFunc(slices.Clone(s.Problems), func(p *Problem) bool { return p.Harmless || l.options.SkipOdd && p.Object != "" })
	if len(harmful) > 0 && !l.options.Lenient {
		return nil, &InvalidError{harmful}
	}
	return s, nil
}

func compareAffinities(x, y *ipam.AffinityState) int {
	return cmp.Or(
		x.Owner.Compare(y.Owner),
		strings.Compare(affinity.Name(x.Owner.Name, x.CIDR), affinity.Name(y.Owner.Name, y.CIDR)),
		affinity.CompareCIDRNames(x.CIDR, y.CIDR),
	)
}

// podsOnce keeps each pod once. Of two of one name that differ, such as those of two
// dumps in one file, it reports the second.
func (l *Loader) podsOnce(pods []located[Pod]) []located[Pod] {
	kept := pods[:0]
	for _, p := range pods {
		if n := len(kept); n > 0 && kept[n-1].T.Namespace == p.T.Namespace && kept[n-1].T.Name == p.T.Name {
			if !reflect.DeepEqual(kept[n-1].T, p.T) {
				l.again("Pod "+p.T.Namespace+"/"+p.T.Name, kept[n-1].at, p.at)
			}
			continue
		}
		kept = append(kept, p)
	}
	return kept
}

// addsAddresses reports whether the node at the place of this number has an address that
// none before it has.
func (l *Loader) addsAddresses(order int32) bool {
	return slices.ContainsFunc(l.addresses, func(a located[NodeAddress]) bool { return a.at.order == order })
}

// sorted sorts objects. Those of one name stay in the order in which they were
// read; of two that are one object in both API groups the first is kept.
func sorted[T any](l *Loader, list []located[T], compare func(x, y *T) int) []located[T] {
	return sortedBy(list, compare, func(x, y located[T]) bool { return isSame(l, x.at, x.T, y.at, y.T) })
}

// sortedBy is sorted where same says which of one name are one object.
func sortedBy[T any](list []located[T], compare func(x, y *T) int, same func(x, y located[T]) bool) []located[T] {
	behind := func(least int) bool {
		for i := 1; i < len(list); i++ {
			if compare(&list[i-1].T, &list[i].T) >= least {
				return true
			}
		}
		return false
	}
	if behind(1) {
		by := make([]*located[T], len(list)) // objects are large, and a stable sort moves them often
		for i := range list {
			by[i] = &list[i]
		}
		slices.SortStableFunc(by, func(x, y *located[T]) int { return compare(&x.T, &y.T) })
		list = values(by, func(x *located[T]) located[T] { return *x })
	}
	if !behind(0) {
		return list
	}
	return slices.CompactFunc(list, func(x, y located[T]) bool {
		return compare(&x.T, &y.T) == 0 && same(x, y)
	})
}

// isSame reports whether two objects of one name are the same one: equal, and
// printed once for each API group. With [Options].SkipOdd any two equal ones are.
func isSame[T any](l *Loader, at1 place, v1 T, at2 place, v2 T) bool {
	return (at1.v3 != at2.v3 || l.options.SkipOdd) && reflect.DeepEqual(v1, v2)
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

// unique sorts objects by name. Of several with one name it keeps the first, and
// reports the others unless they are the same in the other API group.
func unique[T any](l *Loader, kind string, list []named[T]) []named[T] {
	slices.SortStableFunc(list, func(x, y named[T]) int { return strings.Compare(x.name, y.name) })
	var kept []named[T]
	for _, n := range list {
		if last := len(kept) - 1; last >= 0 && kept[last].name == n.name {
			if !isSame(l, kept[last].at, kept[last].T, n.at, n.T) {
				l.again(kind+" "+n.name, kept[last].at, n.at)
			}
			continue
		}
		kept = append(kept, n)
	}
	return kept
}

// again reports an object that is given twice, and counts it as left out.
func (l *Loader) again(object string, first, again place) {
	kind, _, _ := strings.Cut(object, " ")
	l.leftOut[kind]++
	l.problems = append(l.problems, &Problem{
		File: l.files[again.file], Line: int(again.line), Object: object, Kind: kindDuplicate, order: again.order,
		Reason: fmt.Sprintf("is given twice, first in %s:%d", l.files[first.file], first.line),
	})
}

// fit removes from the cluster the objects that [ipam.Restore] refuses, and reports
// each. It tries again until nothing is refused; every round removes something.
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
				// The lists are sorted: the first of that name comes just before.
				_, first := places[r.Kind](r.Index - 1)
				l.again(kind+" "+objectName(s, r), first, at)
				drop(r)
				continue
			}
			l.leftOut[kind]++
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
	if r.Kind == ipam.BlockObject {
		return kindBlockContradiction
	}
	return kindUnreadable
}

// refusalText joins the reasons of a refusal in one line.
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
		if wrong.Field == "blockSize" {
			o.wrong(at+".blockSize", "is %s, %s: Calico makes no pool of another size (§1), but installers wrote some; its blocks are read, and more cannot be made", quote(wrong.Value), wrong.Reason)
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
