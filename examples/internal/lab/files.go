package lab

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/examples/internal/course"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
)

// load takes nodes and pool from the files that a cluster is made from. Where the
// pool is given otherwise, that of the files does not count.
func load(s *course.Settings, files []string, poolGiven bool) error {
	read, err := snapshot.Load(snapshot.Options{}, files...)
	if err != nil {
		return err
	}
	if nodes := read.Cluster.Nodes; len(nodes) > 0 {
		s.Names = slices.SortedFunc(slices.Values(nodes), compareNodes)
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
	s.Pool = read.Cluster.Pools[0]
	for _, n := range read.Networks {
		s.Encapsulation, s.NATOutgoing = n.Encapsulation, n.NATOutgoing
	}
	if s.Tunnel() == "" {
		return fmt.Errorf("pool %s has encapsulation %s: the lab shows how a tunnel gets its address, so it must be IPIP or VXLAN", s.Pool.Name, s.Encapsulation)
	}
	if s.Tunnel() == "IPIP" && s.Pool.CIDR.Addr().Is6() {
		return errors.New("encapsulation IPIP is for IPv4; an IPv6 pool needs VXLAN")
	}
	return nil
}

// compareNodes puts the control plane first, and worker2 before worker10.
func compareNodes(x, y ipam.Node) int {
	isWorker := func(n ipam.Node) int {
		if _, control := n.Labels[course.ControlPlaneLabel]; control {
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
