package whatif

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/ipam/snapshot"
	"github.com/ipamsim/ipamsim/pool"
)

// This file is about pods whose annotations ask for addresses and not for pools
// (docs/calico.md §11).

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
		i := slices.IndexFunc(a.Fixed, spec.CIDR.Contains)
		switch p, err := pool.New(spec); {
		case err != nil:
			why.Why = err.Error()
		case i < 0:
			why.Why = "the pod asks for addresses that it does not have"
		case p.Disabled():
			why.Why = fmt.Sprintf("it has %s, which the pod asks for, but it is disabled", a.Fixed[i])
		case !p.Allows(pool.Workload):
			why.Why = fmt.Sprintf("it has %s, which the pod asks for, but its allowedUses have no Workload", a.Fixed[i])
		default:
			why.Used = true
			why.Why = fmt.Sprintf("it has %s, which the pod asks for, so its selectors are not looked at", a.Fixed[i])
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
	says = append(says, fmt.Sprintf("its annotation ipAddrs asks for %s, and for no other", addrsText(a.Fixed)))
	if len(a.IPs) > 0 {
		says = append(says, fmt.Sprintf("the pod that has %s must be gone before its replacement starts", addrsText(a.IPs)))
		t.Stop(a.LivePod)
	}
	before := make(map[netip.Prefix]bool)
	for _, b := range t.a.State().Blocks {
		before[b.CIDR] = true
	}
	m := &t.Start(a.LivePod)[0]
	if m.Waited {
		says = append(says, fmt.Sprintf("it waits until they have cooled down, %s at most", time.Duration(t.a.GetIPAMConfig().IPCooldownSeconds)*time.Second))
	}
	if m.Err != nil {
		return append(says, "it is refused: "+m.Why()), false
	}
	for _, ip := range m.Pod.IPs {
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
	for _, p := range w.Pods() {
		want, pools := p.Num4, p.Pools4
		if !is4 {
			want, pools = p.Num6, p.Pools6
		}
		if want == 0 || len(p.Fixed) > 0 {
			continue
		}
		for _, node := range []string{p.Node, ""} {
			if !slices.ContainsFunc(all[node], func(r request) bool { return slices.Equal(r, pools) }) {
				all[node] = append(all[node], pools)
			}
		}
	}
	return all
}
