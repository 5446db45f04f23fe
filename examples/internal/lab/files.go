package lab

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
)

// load takes nodes and pool from the files that a cluster is made from. Where the
// pool is given otherwise, that of the files does not count.
func (s *settings) load(files []string, poolGiven bool) error {
	read, err := snapshot.Load(snapshot.Options{}, files...)
	if err != nil {
		return err
	}
	if nodes := read.Cluster.Nodes; len(nodes) > 0 {
		s.names = slices.SortedFunc(slices.Values(nodes), compareNodes)
	}
	if poolGiven || len(read.Cluster.Pools) == 0 {
		return nil
	}
	if len(read.Cluster.Pools) > 1 {
		var names []string
		for _, p := range read.Cluster.Pools {
			names = append(names, fmt.Sprintf("%s (%s)", p.Name, p.CIDR))
		}
		return fmt.Errorf("the lab has one pool, the files have %d: %s; pick one with -pool CIDR", len(names), strings.Join(names, ", "))
	}
	s.pool = read.Cluster.Pools[0]
	for _, n := range read.Networks {
		s.encapsulation, s.natOutgoing = n.Encapsulation, n.NATOutgoing
	}
	if s.tunnel() == "" {
		return fmt.Errorf("pool %s has encapsulation %s: the lab shows how a tunnel gets its address, so it must be IPIP or VXLAN", s.pool.Name, s.encapsulation)
	}
	if s.tunnel() == "IPIP" && s.pool.CIDR.Addr().Is6() {
		return errors.New("encapsulation IPIP is for IPv4; an IPv6 pool needs VXLAN")
	}
	return nil
}

// compareNodes puts the control plane first, and worker2 before worker10.
func compareNodes(x, y ipam.Node) int {
	isWorker := func(n ipam.Node) int {
		if _, control := n.Labels[controlPlaneLabel]; control {
			return 0
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(isWorker(x), isWorker(y)),
		cmp.Compare(len(x.Name), len(y.Name)),
		strings.Compare(x.Name, y.Name),
	)
}

// count returns how many nodes there are.
func (s *settings) count() int {
	if s.names != nil {
		return len(s.names)
	}
	return s.nodes
}

// tunnel returns the kind of tunnel between the nodes, empty without one.
func (s *settings) tunnel() string {
	for _, kind := range []string{"VXLAN", "IPIP"} {
		if strings.HasPrefix(s.encapsulation, kind) {
			return kind
		}
	}
	return ""
}
