package whatif

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
	"github.com/ipamsim/ipamsim/pool"
)

// This file is about pods whose annotations ask for addresses and not for pools
// (docs/calico.md §11).

// askFixed assigns a pod the addresses that it asks for: all of them or none. While one
// of them cools down, the pod is tried again, as kubelet does.
func (w *world) askFixed(p *pod, attrs map[string]string) string {
	w.clock.Advance(time.Second)
	if w.cools(p) {
		w.clock.Advance(time.Duration(w.a.GetIPAMConfig().IPCooldownSeconds) * time.Second)
	}
	reserve := w.reserved[p.node]
	for _, ip := range p.fixed {
		args := ipam.AssignIPArgs{
			IP: ip, Host: p.node, Handle: p.handle, Attrs: block.MakeAttrs(attrs), Use: pool.Workload,
			Windows: w.windows[p.node], HostReserved: reserve.v4,
		}
		if ip.Is6() {
			args.HostReserved = reserve.v6
		}
		if err := w.a.AssignIP(args); err != nil {
			_ = w.a.ReleaseByHandle(p.handle) // it may hold nothing yet
			p.ips = nil
			return fmt.Sprintf("its annotation asks for %s, %s", ip, w.fixedReason(ip, err))
		}
		p.ips = append(p.ips, ip)
	}
	return ""
}

// cools reports whether an address that the pod asks for is cooling down.
func (w *world) cools(p *pod) bool {
	return slices.ContainsFunc(p.fixed, func(ip netip.Addr) bool {
		_, err := w.a.GetAssignmentAttributes(ip)
		return errors.Is(err, codes.IPInCooldown)
	})
}

// fixedReason says why an address was not assigned.
func (w *world) fixedReason(ip netip.Addr, err error) string {
	switch {
	case errors.Is(err, codes.NotInPool):
		return "which no enabled pool has"
	case errors.Is(err, codes.UseNotAllowed):
		return "whose pool is not for pods"
	case errors.Is(err, codes.AffinityMismatch):
		_, owner, _ := w.a.BlockOf(ip)
		return fmt.Sprintf("which lies in a block that is %s, and strict affinity forbids borrowing", ownerText(owner))
	case errors.Is(err, codes.AlreadyExists):
		held, err := w.a.GetAssignmentAttributes(ip)
		if err != nil {
			return "which is cooling down"
		}
		return "which is taken by " + holderText(held)
	}
	return "which is refused: " + strings.TrimPrefix(err.Error(), "ipam: ")
}

// holderText says who holds an address.
func holderText(held ipam.Attributes) string {
	name, _ := held.Active.Get(ipam.AttrPod)
	namespace, _ := held.Active.Get(ipam.AttrNamespace)
	node, _ := held.Active.Get(ipam.AttrNode)
	switch {
	case name != "" && namespace != "":
		return "Pod " + namespace + "/" + name
	case node != "":
		return "Node " + node
	case held.Handle != "":
		return "handle " + held.Handle
	}
	return "somebody without a handle"
}

// labels names pods.
func labels(pods []*pod) string {
	names := make([]string, len(pods))
	for i, p := range pods {
		names[i] = p.label()
	}
	return listText(names)
}

// moveOutside moves the pods of a node that have their addresses without IPAM.
func (w *world) moveOutside(c *change, node string, t *targets, os string) {
	var moved []string
	for _, p := range w.outside {
		if p.node == node {
			if to := t.next(os); to != "" {
				p.node = to
				moved = append(moved, fmt.Sprintf("%s (%s)", p.label(), p.ips[0]))
			}
		}
	}
	if len(moved) > 0 {
		c.say("%s moved and kept what IPAM does not book: %s", plural(len(moved), "more pod"), listText(moved))
	}
}

// beside says of a pod which addresses it has that IPAM does not book.
func beside(l *snapshot.Pod) (says []string) {
	for _, ip := range l.Outside {
		says = append(says, fmt.Sprintf("its annotation ipAddrsNoIpam gives it %s without IPAM: no pool is asked, and nothing is booked", ip))
	}
	for _, ip := range l.Floating {
		says = append(says, fmt.Sprintf("it has the floating address %s, which Felix translates and IPAM does not know", ip))
	}
	if l.Faulty != "" {
		says = append(says, "the CNI plug-in refuses it when it starts again: "+l.Faulty)
	}
	return says
}

// poolsOfFixed says of each pool of a family whether a pod that asks for addresses gets
// them from it: used ones first.
func (w *world) poolsOfFixed(a *asker, is4 bool) []poolWhy {
	var used, others []poolWhy
	for _, spec := range w.a.Pools() {
		if spec.CIDR.Addr().Is4() != is4 {
			continue
		}
		why := poolWhy{Pool: spec.Name, CIDR: spec.CIDR.String(), is4: is4}
		i := slices.IndexFunc(a.fixed, spec.CIDR.Contains)
		switch p, err := pool.New(spec); {
		case err != nil:
			why.Why = err.Error()
		case i < 0:
			why.Why = "the pod asks for addresses that it does not have"
		case p.Disabled():
			why.Why = fmt.Sprintf("it has %s, which the pod asks for, but it is disabled", a.fixed[i])
		case !p.Allows(pool.Workload):
			why.Why = fmt.Sprintf("it has %s, which the pod asks for, but its allowedUses have no Workload", a.fixed[i])
		default:
			why.Used = true
			why.Why = fmt.Sprintf("it has %s, which the pod asks for, so its selectors are not looked at", a.fixed[i])
		}
		if why.Used {
			used = append(used, why)
		} else {
			others = append(others, why)
		}
	}
	return append(used, others...)
}

// nextFixed tries in a copy whether the pod gets its addresses again.
func (w *world) nextFixed(a *asker) (says []string, ok bool) {
	t, err := w.trial()
	if err != nil {
		return []string{err.Error()}, false
	}
	p := a.pod
	says = append(says, fmt.Sprintf("its annotation ipAddrs asks for %s, and for no other", addrsText(p.fixed)))
	if len(p.ips) > 0 {
		says = append(says, fmt.Sprintf("the pod that has %s must be gone before its replacement starts", addrsText(p.ips)))
		t.release(&p)
	}
	if t.cools(&p) {
		says = append(says, fmt.Sprintf("it waits until they have cooled down, %s at most", time.Duration(t.a.GetIPAMConfig().IPCooldownSeconds)*time.Second))
	}
	before := make(map[netip.Prefix]bool)
	for _, b := range t.a.State().Blocks {
		before[b.CIDR] = true
	}
	if why := t.ask(&p); why != "" {
		return append(says, "it is refused: "+why), false
	}
	for _, ip := range p.ips {
		cidr, owner, _ := t.a.BlockOf(ip)
		switch {
		case !before[cidr]:
			says = append(says, fmt.Sprintf("the node claims %s for it, and it gets %s", cidr, ip))
		default:
			says = append(says, fmt.Sprintf("it gets %s from %s, which is %s", ip, cidr, ownerText(owner)))
		}
	}
	return says, true
}

// addrsText joins addresses.
func addrsText(ips []netip.Addr) string {
	texts := make([]string, len(ips))
	for i, ip := range ips {
		texts[i] = ip.String()
	}
	return strings.Join(texts, " and ")
}

// A request is the pools that a pod asks for, by CIDR; none for what may be used
// without asking.
type request []netip.Prefix

func (r request) automatic() bool { return len(r) == 0 }

// requests returns what the pods of each node request of a family, each once; of all nodes
// under "". Pods that ask for addresses need no block of their own, and do not count.
func (w *world) requests(is4 bool) map[string][]request {
	all := make(map[string][]request)
	for _, p := range w.pods {
		want, pools := p.want4, p.pools4
		if !is4 {
			want, pools = p.want6, p.pools6
		}
		if want == 0 || len(p.fixed) > 0 {
			continue
		}
		for _, node := range []string{p.node, ""} {
			if !slices.ContainsFunc(all[node], func(r request) bool { return slices.Equal(r, pools) }) {
				all[node] = append(all[node], pools)
			}
		}
	}
	return all
}
