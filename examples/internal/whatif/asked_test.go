package whatif

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
)

// asked is a cluster of two nodes, whose pods web-0 (10.64.0.12) and db-0 (10.64.0.11) are
// on n1; db-0 has the annotations, and more documents follow.
func asked(annotations string, more ...string) string {
	text := `apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: default}
spec: {cidr: '10.64.0.0/24', blockSize: 29, nodeSelector: all()}
---
{apiVersion: v1, kind: Node, metadata: {name: n1}}
---
{apiVersion: v1, kind: Node, metadata: {name: n2}}
---
apiVersion: crd.projectcalico.org/v1
kind: BlockAffinity
metadata: {name: n1-10-64-0-8-29}
spec: {cidr: '10.64.0.8/29', node: n1, state: confirmed, deleted: "false"}
---
apiVersion: crd.projectcalico.org/v1
kind: IPAMBlock
metadata: {name: 10-64-0-8-29}
spec:
  cidr: 10.64.0.8/29
  affinity: host:n1
  allocations: [null, null, null, 0, 1, null, null, null]
  unallocated: [0, 1, 2, 5, 6, 7]
  attributes:
  - {handle_id: k8s-pod-network.g1, secondary: {namespace: shop, node: n1, pod: db-0}}
  - {handle_id: k8s-pod-network.g2, secondary: {namespace: shop, node: n1, pod: web-0}}
---
` + strings.TrimPrefix(handleOf("k8s-pod-network.g1", "10.64.0.8/29: 1"), "---\n") + handleOf("k8s-pod-network.g2", "10.64.0.8/29: 1") +
		podWith("shop/db-0", "n1", "10.64.0.11", annotations) + podWith("shop/web-0", "n1", "10.64.0.12", "")
	return text + strings.Join(more, "")
}

// podWith returns a running pod with annotations of the CNI plug-in, such as
// ipAddrs: '["10.0.0.1"]'.
func podWith(name, node, ip, annotations string) string {
	namespace, name, _ := strings.Cut(name, "/")
	if annotations != "" {
		annotations = ", annotations: {cni.projectcalico.org/" + strings.ReplaceAll(annotations, "; ", ", cni.projectcalico.org/") + "}"
	}
	return fmt.Sprintf("---\napiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: %s%s}\nspec: {nodeName: %s}\nstatus: {phase: Running, podIPs: [{ip: '%s'}]}\n", name, namespace, annotations, node, ip)
}

// TestAnnotations: what the annotations of pods ask for, in checks, drains, restarts and
// explanations.
func TestAnnotations(t *testing.T) {
	property.Slow(t)
	const nothing = "Nothing was found."
	outside := podWith("infra/out-0", "n1", "10.99.0.13", `ipAddrsNoIpam: '["10.99.0.13"]'`)
	fixed := `ipAddrs: '["10.64.0.11"]'`
	for _, c := range []struct {
		name, text, args string
		status           int
		want, not        []string
	}{
		{"fixed, drained", asked(fixed), "-check -drain n1", 0, []string{nothing, "2 pods moved from n1 to other nodes, 0 could not.", "shop/db-0 n2 10.64.0.11 borrowed", "shop/web-0 n2 10.64.0.72 own"}, nil},
		{"not fixed, drained", asked(""), "-drain n1", 0, []string{"shop/db-0 n2 10.64.0.72 own"}, nil},
		{"fixed, cooling", asked(fixed), "-cooldown 5m -drain n1", 0, []string{
			"If all 2 pods started again at once, none would be refused",
			"1 pod asked for the very address that it gave back, and waited until it had cooled down: shop/db-0.", "shop/db-0 n2 10.64.0.11 borrowed",
		}, nil},
		{"fixed, strict", asked(fixed), "-strict -drain n1", 1, []string{"shop/db-0 on n2: its annotation asks for 10.64.0.11, which lies in a block that is n1's, and strict affinity forbids borrowing"}, nil},
		{"fixed, pool disabled", asked(fixed), "-disable-pool default", 1, []string{"shop/db-0 on n1: its annotation asks for 10.64.0.11, which no enabled pool has"}, nil},
		{"fixed, taken", asked(`ipAddrs: '["10.64.0.12"]'`), "-drain n1", 1, []string{"shop/db-0 on n2: its annotation asks for 10.64.0.12, which is taken by Pod shop/web-0"}, []string{"shop/db-0 n2"}},
		{"fixed, scaled", asked(fixed), "-scale 1", 0, []string{"1 pod started, 1 ended"}, []string{"10.64.0.11 is"}},
		{"fixed, removed", asked(fixed), "-remove-node n1", 0, []string{"shop/db-0 n2 10.64.0.11 borrowed"}, nil},
		{"fixed, explained", asked(fixed), "-explain shop/db-0", 0, []string{
			"default 10.64.0.0/24: used: it has 10.64.0.11, which the pod asks for, so its selectors are not looked at",
			"2. the pod that has 10.64.0.11 must be gone before its replacement starts 3. it gets 10.64.0.11 from 10.64.0.8/29, which is n1's",
		}, nil},
		{"fixed, not yet there", asked("", podWith("shop/new-0", "n2", "10.64.9.9", `ipAddrs: '["10.64.0.200"]'`)), "-explain shop/new-0", 0, []string{
			"1. its annotation ipAddrs asks for 10.64.0.200, and for no other 2. the node claims 10.64.0.200/29 for it, and it gets 10.64.0.200",
		}, nil},
		{"fixed, in no pool", asked("", podWith("shop/new-0", "n2", "10.64.9.9", `ipAddrs: '["10.1.1.1"]'`)), "-explain shop/new-0", 1, []string{
			"default 10.64.0.0/24: not used: the pod asks for addresses that it does not have", "it is refused: its annotation asks for 10.1.1.1, which no enabled pool has",
		}, nil},

		{"outside", asked("", outside), "-check -gc -drain n1", 0, []string{
			nothing, "2 nodes, 2 pods with addresses", "2 pods moved from n1", "1 more pod moved and kept what IPAM does not book: infra/out-0 (10.99.0.13).",
		}, []string{"Note: 1 address"}},
		{"outside, explained", asked("", outside), "-explain infra/out-0", 0, []string{"gives it 10.99.0.13 without IPAM: no pool is asked, and nothing is booked"}, []string{"If it asked now"}},
		{"outside, in a pool", asked("", strings.ReplaceAll(outside, "10.99.0.13", "10.64.0.13")), "-check", 0, []string{
			nothing, "Note: 1 address that pods have without IPAM lies in a pool, which may give it to another: 10.64.0.13; an IPReservation keeps it back.",
		}, []string{"used-not-allocated"}},
		{"outside, another's", asked("", strings.ReplaceAll(outside, "10.99.0.13", "10.64.0.12")), "-check", 0, []string{"(two-owners) 10.64.0.12 is used by Pod infra/out-0 and Pod shop/web-0", "give the pod that has it without IPAM another"}, []string{"kubectl delete"}},

		{"floating", asked(`floatingIPs: '["10.99.0.1", "10.99.0.2"]'`), "-check -drain n1", 0, []string{nothing, "addresses in use 2"}, nil},
		{"floating, free", asked(`floatingIPs: '["10.64.0.13"]'`), "-check", 0, []string{nothing}, nil},
		{"floating, another's", asked(`floatingIPs: '["10.64.0.12"]'`), "-check", 0, []string{
			"1 finding (floating-address-allocated) Pod shop/db-0 has the floating address 10.64.0.12, which is allocated to Pod shop/web-0", "calicoctl ipam show --ip=10.64.0.12",
		}, []string{"kubectl delete", "calicoctl ipam release"}},
		{"floating, explained", asked(`floatingIPs: '["10.99.0.1"]'`), "-explain shop/db-0", 0, []string{"It has the floating address 10.99.0.1, which Felix translates and IPAM does not know.", "it takes 10.64.0.8"}, nil},

		{"no JSON", asked(`ipAddrs: 10.64.0.11`), "-check -strict-input", 0, []string{
			"Annotations of pods that the CNI plug-in refuses: 1 finding (pod-annotation)",
			`metadata.annotations.cni.projectcalico.org/ipAddrs: is 10.64.0.11, which is no list of addresses in JSON such as ["10.0.0.5"]`,
			"-> correct them where the pod is made",
		}, []string{"has no effect"}},
		{"no address", asked(`ipAddrsNoIpam: '["10.64.0"]'`), "-check", 0, []string{"has 10.64.0, which is not an IP address"}, []string{"not looked at"}},
		{"family twice", asked(`ipAddrs: '["10.64.0.11", "10.64.0.12"]'`), "-check", 0, []string{`has two addresses of one family: ["10.64.0.11", "10.64.0.12"]`}, nil},
		{"none", asked(`ipAddrs: '[]'`), "-check", 0, []string{"is an empty list"}, nil},
		{"both", asked(fixed + `; ipAddrsNoIpam: '["10.64.0.11"]'`), "-check", 0, []string{"is given beside cni.projectcalico.org/ipAddrs: a pod may have one of them"}, nil},
		{"floating, no address", asked(`floatingIPs: '["x"]'`), "-check", 0, []string{"cni.projectcalico.org/floatingIPs: has x, which is not an IP address"}, nil},
		{"pools, no JSON", asked(`ipv4pools: default`), "-check", 0, []string{"(pod-annotation)", "is default, which is no list of pools in JSON"}, nil},
		{"faulty, drained", asked(`ipAddrs: '["x"]'`), "-drain n1", 0, []string{
			"2 pods moved from n1", "Pod shop/db-0 does not start on a real cluster until its annotations are right: the annotation cni.projectcalico.org/ipAddrs has x, which is not an IP address; here it counts as asking for nothing by it.",
		}, nil},
		{"faulty, explained", asked(`ipAddrs: '["x"]'`), "-explain shop/db-0", 1, []string{"1. it is refused: the annotation cni.projectcalico.org/ipAddrs has x, which is not an IP address; once that is right:"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, out, errs := about(c.text, strings.Fields(c.args)...)
			must.Eq(t, "", errs)
			must.Eq(t, c.status, status, must.Sprint(out))
			for _, want := range c.want {
				must.StrContains(t, out, want)
			}
			for _, not := range c.not {
				must.StrNotContains(t, out, not)
			}
		})
	}
}

// TestFailBelowByRequest: a pod counts the blocks of the pools that it asks for, and of no
// other.
func TestFailBelowByRequest(t *testing.T) {
	const small = "---\napiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: small}\nspec: {cidr: '10.65.0.0/28', blockSize: 29, nodeSelector: '!all()'}\n"
	for _, c := range []struct {
		text   string
		status int
		want   string
	}{
		{asked(""), 0, ""},
		{asked("", small), 0, ""},
		{asked(`ipv4pools: '["small"]'`, small), 1, "Fewer than 5 blocks of IPv4 left, 2 at least, for 1 node: n1"},
		{asked(`ipAddrs: '["10.64.0.11"]'`, small), 0, ""},
	} {
		status, out, errs := about(c.text, "-summary", "-fail-below", "5")
		must.Eq(t, "", errs)
		must.Eq(t, c.status, status, must.Sprint(out))
		must.StrContains(t, out, c.want)
	}
}

// fixedStays drains nodes of the sample on which some pods ask for the addresses that they
// have, and returns which of these got others, or which address two hold.
func fixedStays(whole *snapshot.Snapshot, src property.Source, breaks func(*snapshot.Snapshot)) error {
	s := *whole
	s.Pods = append([]snapshot.Pod(nil), s.Pods...)
	wants := make(map[string][]netip.Addr)
	for i := range s.Pods {
		if p := &s.Pods[i]; src.Pick("fixed", 3) == 2 {
			p.Fixed = p.IPs
			wants[p.Namespace+"/"+p.Name] = p.IPs
		}
	}
	s.Cluster.Config.IPCooldownSeconds = 300 * src.Pick("cooldown", 2)
	s.Cluster.Config.StrictAffinity = src.Pick("strict", 2) == 1
	breaks(&s)
	w, err := newWorld(&s)
	if err != nil {
		return err
	}
	refused := make(map[string]bool)
	for range 1 + src.Pick("drains", 3) {
		st := step{do: func(w *world, c *change) error { return nil }}
		node := fmt.Sprintf("node-%02d", 1+src.Pick("node", 39))
		if !w.Cordoned(node) {
			st.do = func(w *world, c *change) error { return w.drain(c, node) }
		}
		c, err := w.apply(st)
		if err != nil {
			return err
		}
		for _, r := range c.Refused {
			refused[r.Who] = true
		}
	}
	holder := make(map[netip.Addr]string)
	for _, p := range w.Pods() {
		for _, ip := range p.IPs {
			if holder[ip] != "" {
				return fmt.Errorf("%s is of %s and %s", ip, holder[ip], p.Label())
			}
			holder[ip] = p.Label()
			if held, err := w.a.GetAssignmentAttributes(ip); err != nil || held.Handle != p.Handle {
				return fmt.Errorf("%s of %s is not allocated to it: %v", ip, p.Label(), err)
			}
		}
	}
	for name, ips := range wants {
		for _, ip := range ips {
			if !refused[name] && holder[ip] != name {
				return fmt.Errorf("%s asked for %s, which is %q's", name, ip, holder[ip])
			}
		}
	}
	return nil
}

// TestFixedAddressesStay: whatever is drained, a pod that asks for addresses has exactly
// these afterwards, or was refused.
func TestFixedAddressesStay(t *testing.T) {
	whole := loadSample(t)
	property.Check(t, 20, 1, func(t *rapid.T) {
		if err := fixedStays(whole, property.Rapid(t), func(*snapshot.Snapshot) {}); err != nil {
			t.Fatal(err)
		}
	})
	must.True(t, property.Breaks(t, 20, 1, func(t *rapid.T) {
		if err := fixedStays(whole, property.Rapid(t), func(s *snapshot.Snapshot) {
			for i := range s.Pods {
				s.Pods[i].Fixed = nil // a drain that asks for any address
			}
		}); err != nil {
			t.Fatal(err)
		}
	}))
}

// TestAnnotationsInJSON: -json has the findings and what is explained.
func TestAnnotationsInJSON(t *testing.T) {
	_, out, errs := raw(asked(`floatingIPs: '["10.64.0.12"]'`), "-check", "-json", "-explain", "shop/db-0")
	must.Eq(t, "", errs)
	var r result
	must.NoError(t, json.Unmarshal([]byte(out), &r))
	must.Eq(t, 1, r.Check.Count("floating-address-allocated"))
	must.True(t, r.Explain.OK)
	must.Eq(t, 2, r.Cluster.Pods)
}
