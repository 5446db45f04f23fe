package snapshot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// sound returns a cluster in which nothing is wrong, with what might be mistaken
// for a fault: cooling and host-reserved addresses, tunnels, a service, a pod that
// has not reported its address, pods of the host's network and ended ones.
func sound(t testing.TB) *Snapshot {
	t.Helper()
	clock := ipam.NewClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	a := ipam.New(ipam.Options{Now: clock.Now})
	must.NoError(t, a.SetIPAMConfig(ipam.Config{AutoAllocateBlocks: true, IPCooldownSeconds: 60}))
	must.NoError(t, a.SetPool(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/24"), BlockSize: 28}))
	must.NoError(t, a.SetPool(pool.Spec{Name: "lb", CIDR: netip.MustParsePrefix("10.9.0.0/24"), AllowedUses: []pool.Use{pool.LoadBalancer}}))
	s := new(Snapshot)
	ask := func(host, handle string, use pool.Use, attrs map[string]string, reserve *ipam.HostReservation) netip.Addr {
		v4, _, err := a.AutoAssign(ipam.AutoAssignArgs{Host: host, Num4: 1, Handle: handle, Use: use, Attrs: block.MakeAttrs(attrs), HostReserved4: reserve})
		must.NoError(t, err)
		must.Len(t, 1, v4.IPs)
		return v4.IPs[0].Addr()
	}
	windows := &ipam.HostReservation{StartOfBlock: 3, EndOfBlock: 1, Note: "windows host rsvd"}
	for _, node := range []string{"a", "b", "w"} {
		must.NoError(t, a.SetNode(ipam.Node{Name: node}))
		var reserve *ipam.HostReservation
		if node == "w" {
			reserve = windows
		}
		tunnel := ask(node, "vxlan-tunnel-addr-"+node, pool.Tunnel, map[string]string{"node": node, "type": "vxlanTunnelAddress"}, reserve)
		s.Addresses = append(s.Addresses, NodeAddress{Node: node, IP: netip.MustParseAddr("172.18.0.2")})
		s.Addresses[len(s.Addresses)-1].IP = netip.AddrFrom4([4]byte{172, 18, 0, node[0]})
		if node != "b" { // which says nothing of its tunnel
			s.Addresses = append(s.Addresses, NodeAddress{node, tunnel, "vxlanTunnelAddress"})
		}
		for _, name := range []string{"x", "y"} {
			pod := name + node
			ip := ask(node, "h-"+pod, pool.Workload, map[string]string{"namespace": "n", "pod": pod, "node": node}, reserve)
			s.Pods = append(s.Pods, Pod{Namespace: "n", Name: pod, Node: node, IPs: []netip.Addr{ip}})
		}
	}
	ask("lb", "lb-1", pool.LoadBalancer, map[string]string{"type": "loadbalancer", "service": "s", "namespace": "n"}, nil)
	ask("a", "h-released", pool.Workload, map[string]string{"namespace": "n", "pod": "gone", "node": "a"}, nil)
	must.NoError(t, a.ReleaseByHandle("h-released"))
	ask("a", "h-starting", pool.Workload, map[string]string{"namespace": "n", "pod": "starting", "node": "a"}, nil)
	s.Pods = append(s.Pods,
		Pod{Namespace: "n", Name: "starting", Node: "a"},
		Pod{Namespace: "kube-system", Name: "kube-proxy", Node: "a", HostNetwork: true, IPs: []netip.Addr{netip.AddrFrom4([4]byte{172, 18, 0, 'a'})}},
		Pod{Namespace: "n", Name: "job", Node: "a", Ended: true, IPs: s.Pods[0].IPs},
	)
	s.Cluster = a.Cluster()
	must.NoError(t, a.Check())
	return s
}

func TestCheckFindsNothing(t *testing.T) {
	r := Check(sound(t))
	must.SliceEmpty(t, r.Findings, must.Sprint(r.Findings))
	must.SliceEmpty(t, r.Notes, must.Sprint(r.Notes))
	must.Eq(t, []string{"1 address of services was not looked at: of the services, none are among the resources (kubectl get services -A -o yaml)"}, r.Unjudged)
	lb := sound(t)
	for i := range lb.Cluster.Blocks {
		if b := &lb.Cluster.Blocks[i]; b.Owner.Type == affinity.Virtual {
			lb.Services = []Service{{"n", "s", []netip.Addr{b.Addr(b.Allocations[0].Ordinal)}}}
		}
	}
	must.SliceEmpty(t, Check(lb).Unjudged)
	lb.Services[0].IPs = nil
	must.Eq(t, []string{"1 address of services was not looked at: no service reports having them, and only the controller of load balancers gives them back"}, Check(lb).Unjudged)
	must.Eq(t, 1, r.Cooling)
	must.Eq(t, 7, r.Pods)

	var text bytes.Buffer
	must.NoError(t, r.WriteText(&text, 0))
	must.StrContains(t, text.String(), "Looked at 4 blocks with 15 addresses in use and 1 cooling, 11 handles, 7 pods.\n\nNothing was found.\n")
}

// podOn returns the pod of a sound cluster.
func podNamed(s *Snapshot, name string) *Pod {
	return &s.Pods[slices.IndexFunc(s.Pods, func(p Pod) bool { return p.Name == name })]
}

// blockOwnedBy returns the block of a node of a sound cluster.
func blockOwnedBy(s *Snapshot, node string) *ipam.BlockState {
	blocks := s.Cluster.Blocks
	return &blocks[slices.IndexFunc(blocks, func(b ipam.BlockState) bool { return b.Owner == affinity.HostOwner(node) })]
}

func affinityOf(s *Snapshot, node string) *ipam.AffinityState {
	list := s.Cluster.Affinities
	return &list[slices.IndexFunc(list, func(a ipam.AffinityState) bool { return a.Owner == affinity.HostOwner(node) })]
}

func handleNamed(s *Snapshot, id string) int {
	return slices.IndexFunc(s.Cluster.Handles, func(h ipam.HandleState) bool { return h.ID == id })
}

// TestCheckFinds plants one fault at a time into a sound cluster: the finding of
// that kind must come, name the objects, and no other kind.
func TestCheckFinds(t *testing.T) {
	free := func(s *Snapshot, node string) netip.Addr {
		b := blockOwnedBy(s, node)
		return b.Addr(b.Free[0])
	}
	for _, c := range []struct {
		name    string
		plant   func(s *Snapshot)
		kind    Kind
		what    string
		objects []string
	}{
		{"leak: no such pod", func(s *Snapshot) {
			s.Pods = slices.DeleteFunc(s.Pods, func(p Pod) bool { return p.Name == "xa" })
		}, kindNotUsed, "is allocated to Pod n/xa, which does not exist", []string{"IPAMBlock ", "IPAMHandle h-xa"}},
		{"leak: the pod has ended", func(s *Snapshot) { podNamed(s, "xa").Ended = true }, kindNotUsed, "Pod n/xa, which has ended", nil},
		{"leak: the node is gone", func(s *Snapshot) {
			s.Cluster.Nodes = slices.DeleteFunc(s.Cluster.Nodes, func(n ipam.Node) bool { return n.Name == "b" })
		}, kindNotUsed, "tunnel of Node b, which does not exist", []string{"IPAMHandle vxlan-tunnel-addr-b"}},
		{"leak: nobody's", func(s *Snapshot) {
			b := blockOwnedBy(s, "a")
			b.Allocations = append([]block.Allocation{{Ordinal: b.Free[0], Record: 99, Seq: 1}}, b.Allocations...)
			slices.SortFunc(b.Allocations, func(x, y block.Allocation) int { return x.Ordinal - y.Ordinal })
			b.Free = b.Free[1:]
		}, kindNotUsed, "names no pod", nil},

		{"two pods", func(s *Snapshot) {
			s.Pods = append(s.Pods, Pod{Namespace: "n", Name: "zz", Node: "a", IPs: podNamed(s, "xa").IPs})
		}, kindTwoOwners, "is used by Pod n/xa and Pod n/zz", []string{"Pod n/xa", "Pod n/zz"}},
		{"a pod and a tunnel", func(s *Snapshot) {
			s.Addresses = append(s.Addresses, NodeAddress{"b", podNamed(s, "xa").IPs[0], "ipipTunnelAddress"})
		}, kindTwoOwners, "is used by Node b and Pod n/xa", nil},
		{"another pod", func(s *Snapshot) { podNamed(s, "xa").Name = "zz" }, kindTwoOwners, "Pod n/zz uses ", []string{"Pod n/zz", "IPAMBlock "}},

		{"used but free", func(s *Snapshot) {
			s.Pods = append(s.Pods, Pod{Namespace: "n", Name: "zz", IPs: []netip.Addr{free(s, "a")}})
		}, kindNotAllocated, "which is free", []string{"Pod n/zz", "IPAMBlock "}},
		{"used but in no block", func(s *Snapshot) {
			s.Addresses = append(s.Addresses, NodeAddress{"a", netip.MustParseAddr("10.0.0.255"), "ipipTunnelAddress"})
		}, kindNotAllocated, "Node a uses 10.0.0.255, whose block does not exist", []string{"Node a"}},
		{"a node's own address", func(s *Snapshot) {
			s.Addresses = append(s.Addresses, NodeAddress{Node: "a", IP: netip.MustParseAddr("10.0.0.255")})
		}, kindNotAllocated, "Node a uses 10.0.0.255", nil},
		{"used but cooling", func(s *Snapshot) {
			for i := range s.Cluster.Blocks {
				for _, al := range s.Cluster.Blocks[i].Allocations {
					if !al.ReleasedAt.IsZero() {
						s.Pods = append(s.Pods, Pod{Namespace: "n", Name: "zz", IPs: []netip.Addr{s.Cluster.Blocks[i].Addr(al.Ordinal)}})
					}
				}
			}
		}, kindNotAllocated, "is cooling down", nil},
		{"outside every pool", func(s *Snapshot) {
			s.Pods = append(s.Pods, Pod{Namespace: "n", Name: "zz", IPs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}})
		}, kindOutsidePools, "Pod n/zz uses 192.0.2.1, which no pool has", []string{"Pod n/zz"}},

		{"handle without addresses", func(s *Snapshot) {
			s.Cluster.Handles = append(s.Cluster.Handles, ipam.HandleState{ID: "zz", Counts: []ipam.HandleCount{{Block: blockOwnedBy(s, "a").CIDR, Count: 1}}})
		}, kindHandleEmpty, "zz holds no address, but counts 1 in 10.0.0.", []string{"IPAMHandle zz"}},
		{"handle that counts nothing", func(s *Snapshot) {
			s.Cluster.Handles = append(s.Cluster.Handles, ipam.HandleState{ID: "zz"})
		}, kindHandleEmpty, "zz holds no address, but counts none", nil},
		{"handle missing", func(s *Snapshot) {
			i := handleNamed(s, "h-xa")
			s.Cluster.Handles = slices.Delete(s.Cluster.Handles, i, i+1)
		}, kindHandleMissing, "1 address is in ", []string{"IPAMHandle h-xa", "IPAMBlock "}},
		{"handle counts too many", func(s *Snapshot) { s.Cluster.Handles[handleNamed(s, "h-xa")].Counts[0].Count = 3 }, kindHandleCount, "h-xa counts 3 in ", nil},
		{"handle counts elsewhere too", func(s *Snapshot) {
			h := &s.Cluster.Handles[handleNamed(s, "h-xa")]
			h.Counts = append(h.Counts, ipam.HandleCount{Block: netip.MustParsePrefix("10.0.0.240/28"), Count: 1})
		}, kindHandleCount, "counts 1 in 10.0.0.240/28, and holds 0", []string{"IPAMHandle h-xa", "IPAMBlock 10-0-0-240-28"}},
		{"handle counts only elsewhere", func(s *Snapshot) {
			s.Cluster.Handles[handleNamed(s, "h-xa")].Counts[0].Block = netip.MustParsePrefix("10.0.0.240/28")
		}, kindHandleCount, "h-xa counts none in ", nil},

		{"affinity without a block", func(s *Snapshot) {
			s.Cluster.Affinities = append(s.Cluster.Affinities, ipam.AffinityState{Owner: affinity.HostOwner("a"), CIDR: netip.MustParsePrefix("10.0.0.240/28"), State: affinity.Confirmed})
		}, kindAffinityWithoutBlock, "host:a has a confirmed affinity on 10.0.0.240/28, which does not exist", []string{"BlockAffinity a-10-0-0-240-28"}},
		{"stale affinity", func(s *Snapshot) {
			s.Cluster.Affinities = append(s.Cluster.Affinities, ipam.AffinityState{Owner: affinity.HostOwner("a"), CIDR: blockOwnedBy(s, "b").CIDR, State: affinity.Confirmed})
		}, kindAffinityStale, "which is host:b's", []string{"BlockAffinity a-10-0-0-", "IPAMBlock 10-0-0-"}},
		{"affinity pending", func(s *Snapshot) { affinityOf(s, "a").State = affinity.Pending }, kindAffinityPending, "host:a announced its claim", []string{"BlockAffinity a-"}},
		{"affinity pending deletion", func(s *Snapshot) { affinityOf(s, "a").State = affinity.PendingDeletion }, kindAffinityPendingDeletion, "host:a began to give up", []string{"BlockAffinity a-"}},

		{"block without affinity", func(s *Snapshot) {
			s.Cluster.Affinities = slices.DeleteFunc(s.Cluster.Affinities, func(a ipam.AffinityState) bool { return a.Owner.Name == "b" })
		}, kindBlockWithoutAffinity, "is host:b's, who has no affinity on it", []string{"IPAMBlock 10-0-0-"}},
		{"block in no pool", func(s *Snapshot) {
			s.Cluster.Pools = slices.DeleteFunc(s.Cluster.Pools, func(p pool.Spec) bool { return p.Name == "lb" })
		}, kindBlockWithoutPool, "lies in no pool; 1 address is in use there", []string{"IPAMBlock 10-9-0-"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := sound(t)
			c.plant(s)
			r := Check(s)
			must.SliceNotEmpty(t, r.Findings)
			for _, f := range r.Findings {
				must.Eq(t, c.kind, f.Kind, must.Sprintf("%+v", f))
				must.NotEq(t, "", f.Mend)
			}
			must.Eq(t, len(r.Findings), r.Count(c.kind))
			must.StrContains(t, r.Findings[0].What, c.what)
			for i, want := range c.objects {
				if i >= len(r.Findings[0].Objects) || !strings.HasPrefix(r.Findings[0].Objects[i], want) {
					must.True(t, slices.ContainsFunc(r.Findings[0].Objects, func(o string) bool { return strings.HasPrefix(o, want) }), must.Sprintf("%v", r.Findings[0].Objects))
				}
			}
		})
	}
}

// TestCheckOfMovedTunnel: a node that says which address its tunnel has does not
// use another that is allocated for it.
func TestCheckOfMovedTunnel(t *testing.T) {
	s := sound(t)
	i := slices.IndexFunc(s.Addresses, func(a NodeAddress) bool { return a.Node == "a" && a.Tunnel != "" })
	s.Addresses[i].IP = netip.MustParseAddr("192.0.2.1")
	r := Check(s)
	must.Eq(t, 1, r.Count(kindNotUsed))
	must.Eq(t, 1, r.Count(kindOutsidePools))
	must.Len(t, 2, r.Findings)
}

// TestCheckMigration: while a virtual machine moves, either of its pods may use the
// address.
func TestCheckMigration(t *testing.T) {
	s := sound(t)
	p := podNamed(s, "xa")
	b := blockOwnedBy(s, "a")
	for i := range b.Allocations {
		if b.Addr(b.Allocations[i].Ordinal) == p.IPs[0] {
			b.Allocations[i].Active = block.MakeAttrs(map[string]string{"namespace": "n", "pod": "xa", "node": "a", "vmi-name": "vm"})
			b.Allocations[i].Alternate = block.MakeAttrs(map[string]string{"namespace": "n", "pod": "target", "vmi-name": "vm"})
		}
	}
	must.SliceEmpty(t, Check(s).Findings)
	s.Pods = append(s.Pods, Pod{Namespace: "n", Name: "target", Node: "b", IPs: p.IPs})
	must.SliceEmpty(t, Check(s).Findings, must.Sprint("both at once"))
	s.Pods = append(s.Pods, Pod{Namespace: "n", Name: "third", Node: "b", IPs: p.IPs})
	r := Check(s)
	must.Len(t, 1, r.Findings)
	must.Eq(t, "kubectl delete pod -n n third", r.Findings[0].Fixes[len(r.Findings[0].Fixes)-1].Command)
	must.StrNotContains(t, fmt.Sprint(r.Findings[0].Fixes), " target")
	s.Pods = s.Pods[:len(s.Pods)-2]
	p = podNamed(s, "xa")
	p.Name = "target"
	must.SliceEmpty(t, Check(s).Findings)
	p.Name = "other"
	must.Eq(t, 1, Check(s).Count(kindTwoOwners))
}

// TestCheckNamesakes: ids that differ in letters only share a handle.
func TestCheckNamesakes(t *testing.T) {
	s := sound(t)
	s.Cluster.Handles[handleNamed(s, "h-xa")].ID = "H-xA"
	must.SliceEmpty(t, Check(s).Findings)
	i := handleNamed(s, "H-xA")
	s.Cluster.Handles = slices.Delete(s.Cluster.Handles, i, i+1)
	r := Check(s)
	must.Eq(t, 1, r.Count(kindHandleMissing))
	must.StrContains(t, r.Findings[0].What, "of handle h-xa,", must.Sprint("as it is written"))
}

// TestCheckWithoutPods: what cannot be judged is said, and is no finding.
func TestCheckWithoutPods(t *testing.T) {
	s := sound(t)
	s.Pods, s.Addresses, s.Cluster.Nodes = nil, nil, nil
	s.Unlisted = KindSet{Pods: true, Nodes: true}
	r := Check(s)
	must.SliceEmpty(t, r.Findings, must.Sprint(r.Findings))
	must.Eq(t, []string{
		"7 addresses of pods were not looked at: of the pods, none are among the resources (kubectl get pods -A -o yaml)",
		"3 addresses of tunnels were not looked at: of the nodes, none are among the resources (kubectl get nodes -o yaml)",
		"1 address of services was not looked at: of the services, none are among the resources (kubectl get services -A -o yaml)",
	}, r.Unjudged)
}

// TestCheckText: both reports of a cluster with several faults.
func TestCheckText(t *testing.T) {
	s := sound(t)
	affinityOf(s, "a").State = affinity.Pending
	affinityOf(s, "b").State = affinity.Pending
	s.Pods = append(s.Pods, Pod{Namespace: "n", Name: "zz", IPs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}})
	r := Check(s)
	var text bytes.Buffer
	must.NoError(t, r.WriteText(&text, 1))
	must.StrContains(t, text.String(), "\nAddresses used outside every pool: 1 finding (used-outside-pools)\n")
	must.StrContains(t, text.String(), "  Pod n/zz uses 192.0.2.1, which no pool has\n    Pod n/zz\n  -> make a pool")
	must.StrContains(t, text.String(), "(affinity-pending)\n")
	must.StrContains(t, text.String(), "  … and 1 more\n")

	raw, err := json.Marshal(r)
	must.NoError(t, err)
	var back Report
	must.NoError(t, json.Unmarshal(raw, &back))
	must.Eq(t, kindOutsidePools, back.Findings[0].Kind)
	must.Eq(t, "192.0.2.1", back.Findings[0].Address)
	must.Eq(t, 2, back.Count(kindAffinityPending))
	must.Eq(t, string(raw), string(encoded(json.Marshal(Check(s)))), must.Sprint("the same again"))
}

func encoded(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// TestEveryKindIsTitled: reports know every kind.
func TestEveryKindIsTitled(t *testing.T) {
	seen := make(map[Kind]bool)
	for _, k := range kinds {
		must.False(t, seen[k.kind])
		seen[k.kind] = true
		must.NotEq(t, "", k.title)
		must.NotEq(t, "", k.mend)
	}
	must.MapLen(t, 21, seen)
}

// TestCheckOfOldHandles: clusters that were migrated from Calico 2 have handle ids with
// a carriage return, in blocks or in handles; both sides are cut (§9).
func TestCheckOfOldHandles(t *testing.T) {
	s := sound(t)
	for i := range s.Cluster.Blocks {
		for k := range s.Cluster.Blocks[i].Allocations {
			if al := &s.Cluster.Blocks[i].Allocations[k]; al.Handle != "" && !isHostReserved(al) {
				al.Handle += "\r\n"
			}
		}
	}
	must.SliceEmpty(t, Check(s).Findings)
	for i := range s.Cluster.Handles {
		s.Cluster.Handles[i].ID += "\r"
	}
	must.SliceEmpty(t, Check(s).Findings)
	s.Cluster.Handles = append(s.Cluster.Handles, ipam.HandleState{ID: "left\r\nover"})
	s.Pods = slices.DeleteFunc(s.Pods, func(p Pod) bool { return p.Name == "xa" })
	r := Check(s)
	must.Len(t, 2, r.Findings)
	must.Eq(t, []string{"IPAMHandle h-xa"}, r.Findings[0].Objects[1:])
	must.Eq(t, kindNotUsed, r.Findings[0].Kind)
	must.StrContains(t, r.Findings[0].Mend, "kube-controllers releases them once it has missed their owner for 15 minutes")
	must.Eq(t, "kubectl delete ipamhandle left", r.Findings[1].Fixes[1].Command)
}

// TestCheckSteersNoTerminal: control characters in names come out escaped, and get into
// no command.
func TestCheckSteersNoTerminal(t *testing.T) {
	s := sound(t)
	podNamed(s, "xa").Name = "evil\x1b[2J; rm -rf /"
	s.Cluster.Handles = append(s.Cluster.Handles, ipam.HandleState{ID: "evil\x1b]0;x\a"}, ipam.HandleState{ID: "$(reboot)"})
	s.Cluster.Affinities = append(s.Cluster.Affinities, ipam.AffinityState{Owner: affinity.HostOwner("gone'; reboot #\u009b"), CIDR: netip.MustParsePrefix("10.0.0.240/28"), State: affinity.Pending})
	r := Check(s)
	for _, kind := range []Kind{kindTwoOwners, kindHandleEmpty, kindAffinityPending, kindAffinityWithoutBlock} {
		must.Positive(t, r.Count(kind), must.Sprint(kind))
	}
	for _, f := range r.Findings {
		for _, fix := range f.Fixes {
			must.Eq(t, doLook, fix.Does, must.Sprint(fix.Command))
		}
	}
	var text bytes.Buffer
	must.NoError(t, r.WriteText(&text, 0))
	must.StrNotContains(t, strings.ReplaceAll(text.String(), "\n", ""), "\x1b")
	must.False(t, strings.ContainsFunc(text.String(), func(r rune) bool { return r != '\n' && unicode.IsControl(r) }))
	must.StrContains(t, text.String(), `Pod n/evil\x1b[2J; rm -rf / uses `)

	p := &Problem{File: "x.yaml", Object: "Pod evil\x1b", Reason: "is odd"}
	must.Eq(t, `x.yaml: Pod evil\x1b: is odd`, p.Error())
}

// TestFixes: the commands of each kind, the dry run first.
func TestFixes(t *testing.T) {
	s := sound(t)
	s.Cluster.Affinities = append(s.Cluster.Affinities, ipam.AffinityState{Owner: affinity.HostOwner("gone"), CIDR: netip.MustParsePrefix("10.0.0.240/28"), State: affinity.Confirmed})
	s.Cluster.Affinities = slices.DeleteFunc(s.Cluster.Affinities, func(a ipam.AffinityState) bool { return a.Owner.Name == "b" })
	podNamed(s, "xa").Ended = true
	s.Addresses = append(s.Addresses, NodeAddress{"a", netip.MustParseAddr("10.0.0.255"), "ipipTunnelAddress"})
	s.Pods = append(s.Pods, Pod{Namespace: "n", Name: "zz", IPs: podNamed(s, "ya").IPs})
	var commands []string
	for _, f := range Check(s).Findings {
		for _, fix := range f.Fixes {
			if fix.Does != doLook {
				must.Eq(t, fix.DryRun, strings.HasSuffix(fix.Command, " --dry-run=server"))
				commands = append(commands, fix.Command)
			}
		}
	}
	b := blockOwnedBy(s, "b")
	for _, want := range []string{
		"kubectl delete pod -n n zz",
		"kubectl delete pod -A -l k8s-app=calico-node --field-selector=spec.nodeName=a",
		"kubectl delete pod -n n xa",
		"kubectl delete blockaffinities.crd.projectcalico.org gone-10-0-0-240-28",
		`echo '{"apiVersion":"crd.projectcalico.org/v1","kind":"BlockAffinity","metadata":{"name":"` + affinity.Name("b", b.CIDR) + `"},"spec":{"cidr":"` + b.CIDR.String() + `","node":"b","state":"confirmed","deleted":"false"}}' | kubectl create -f -`,
	} {
		i := slices.Index(commands, want)
		must.Positive(t, i, must.Sprintf("%s\n%s", want, strings.Join(commands, "\n")))
		must.Eq(t, want+" --dry-run=server", commands[i-1])
	}
	must.Len(t, 10, commands, must.Sprint(strings.Join(commands, "\n")))
}

// TestCheckOfPartOfACluster: a namespace that is not there says nothing of its pods, and
// a kind of which some cannot be read says nothing of those.
func TestCheckOfPartOfACluster(t *testing.T) {
	s := sound(t)
	s.Pods = slices.DeleteFunc(s.Pods, func(p Pod) bool { return p.Namespace == "n" })
	r := Check(s)
	must.SliceEmpty(t, r.Findings, must.Sprint(r.Findings))
	must.SliceContains(t, r.Unjudged, "7 addresses of pods were not looked at: all pods among the resources are of one namespace (kubectl get pods -A -o yaml)")
	for _, object := range []string{"Pod n/xa", "Node b", "IPAMHandle h-xa", "IPAMBlock x", "BlockAffinity x", "IPPool p", ""} {
		s := sound(t)
		s.Problems = []*Problem{{File: "x", Object: object, Kind: kindUnreadable, Reason: "is odd"}}
		s.Pods = slices.DeleteFunc(s.Pods, func(p Pod) bool { return object == "Pod n/xa" && p.Name == "xa" })
		s.Cluster.Nodes = slices.DeleteFunc(s.Cluster.Nodes, func(n ipam.Node) bool { return object == "Node b" && n.Name == "b" })
		r := Check(s)
		must.Len(t, 1, r.Findings, must.Sprint(object))
		must.SliceNotEmpty(t, r.Unjudged)
	}
}

// TestTexts: programs rely on the texts of kinds, actions and ranges, which have no
// exported names.
func TestTexts(t *testing.T) {
	var got []Kind
	for _, k := range kinds {
		got = append(got, k.kind)
	}
	must.Eq(t, []Kind{
		"unreadable", "duplicate",
		"used-will-be-released", "two-owners", "used-not-allocated", "used-outside-pools", "pod-annotation", "floating-address-allocated", "allocated-not-used",
		"handle-without-addresses", "handle-missing", "handle-count",
		"affinity-without-block", "affinity-stale", "affinity-pending", "affinity-pending-deletion",
		"block-without-affinity", "block-without-pool", "block-overlap", "block-size", "block-contradiction",
	}, got)
	must.Eq(t, []Action{
		"look", "delete-pod", "restart-calico-node", "release-address", "delete-handle", "delete-affinity", "create-affinity", "pause-cleaning",
	}, []Action{doLook, doDeletePod, doRestartNode, doReleaseAddress, doDeleteHandle, doDeleteAffinity, doCreateAffinity, doPauseCleaning})
	must.Eq(t, []string{"pods of one node", "pods of the cluster", "services"}, []string{podsOfNode, podsOfCluster, forServices})
}
