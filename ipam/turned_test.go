package ipam_test

import (
	"testing"
	"time"

	"github.com/shoenig/test"
	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/ipam/trace"
	"github.com/ipamsim/ipamsim/pool"
)

// caughtByRecordings are the rules that recordings show, each with a recording
// that diverges if the rule is flipped. The other rules of the allocator have
// tests below; those of calicoctl and of the cleaning controller have tests in
// their packages.
var caughtByRecordings = map[string]string{
	"ReclaimEmptyBlocks":  "releases/v3.26-affinities-3",
	"LowerByReleased":     "releases/v3.26-affinities-3",
	"QueueByOrdinal":      "releases/v3.26-assign-ip-3",
	"FreeHasNoNumber":     "traces/configuration-0",
	"ReservationsInUsage": "releases/v3.26-affinities-3",
	"EnsureByPools6":      "releases/v3.28-affinities-0",
	"TellReleased":        "releases/v3.26-affinities-3",
	"LoadBalancer":        "releases/v3.30-load-balancer-2",
	"NamespaceSelector":   "releases/v3.31-namespaces-0",
	"CapsPerHandle":       "releases/v3.32-affinities-0",
	"AlternateOwners":     "releases/v3.32-affinities-0",
	"Cooldown":            "traces/configuration-0",
}

func TestRulesTurnedRound(t *testing.T) {
	property.Broken(t)
	for rule, recording := range caughtByRecordings {
		t.Run(rule, func(t *testing.T) {
			file := "../testdata/" + recording + ".jsonl.gz"
			must.False(t, diverges(t, file, ""), must.Sprint("it diverges as it is"))
			must.True(t, diverges(t, file, rule), must.Sprintf("%s does not tell the two sides apart", recording))
		})
	}
}

// diverges reports whether a recording diverges with one rule flipped, or with
// none for the empty name.
func diverges(t *testing.T, file, rule string) bool {
	t.Helper()
	r, err := trace.Open(file)
	must.NoError(t, err)
	defer r.Close()
	result, err := trace.Replay(r, func(o ipam.Options) trace.Engine {
		a := ipam.New(o)
		if rule != "" {
			ipam.Turn(a, rule)
		}
		return a
	})
	return err != nil || len(result.Divergences) > 0
}

// TestAssignIPChecksUse: #13301, both sides.
func TestAssignIPChecksUse(t *testing.T) {
	for v, refused := range map[calico.Version]bool{calico.V3(29): false, calico.V3(32): false, calico.V3(33): true} {
		a := ipam.New(ipam.Options{Calico: v})
		must.NoError(t, a.SetPool(pool.Spec{Name: "p", CIDR: prefix("10.0.0.0/28"), BlockSize: 30, AllowedUses: []pool.Use{pool.Tunnel}}))
		err := a.AssignIP(ipam.AssignIPArgs{IP: addr("10.0.0.1"), Host: "n1", Use: pool.Workload})
		test.Eq(t, refused, err != nil, test.Sprintf("%s: %v", v, err))
	}
}

// TestDisabledByAddress: #10973, both sides. A block that does not have its disabled
// pool's size is found by an address until v3.30.3 only.
func TestDisabledByAddress(t *testing.T) {
	for text, found := range map[string]bool{"v3.29": true, "v3.30.3": true, "v3.30.4": false, "v3.33": false} {
		v, err := calico.Parse(text)
		must.NoError(t, err)
		a := ipam.New(ipam.Options{Calico: v, Now: func() time.Time { return start }})
		p := pool.Spec{Name: "p", CIDR: prefix("10.0.0.0/28"), BlockSize: 30}
		must.NoError(t, a.SetPool(p))
		must.NoError(t, a.SetNode(ipam.Node{Name: "n1"}))
		must.NoError(t, a.PutAffinity(affinity.HostOwner("n1"), prefix("10.0.0.0/28"), 1))
		v4, _, err := a.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 1, Handle: "h", Use: pool.Workload})
		must.NoError(t, err)
		must.Eq(t, []string{"10.0.0.0/28"}, texts(v4.IPs))
		p.Disabled = true
		must.NoError(t, a.SetPool(p))
		unallocated, _, err := a.ReleaseIPs(ipam.Release{IP: addr("10.0.0.0")})
		must.NoError(t, err)
		test.Eq(t, found, len(unallocated) == 0, test.Sprint(text))
		must.NoError(t, a.Check())
	}
}

// TestNotThereYet: what a release does not have is refused, with the first release
// that has it.
func TestNotThereYet(t *testing.T) {
	old := ipam.New(ipam.Options{Calico: calico.V3(28)})
	must.NoError(t, old.SetPool(pool.Spec{Name: "p", CIDR: prefix("10.0.0.0/28"), BlockSize: 30, NamespaceSelector: "all()"}))
	must.NoError(t, old.SetNode(ipam.Node{Name: "n1"}))
	_, _, lb := old.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 1, Use: pool.LoadBalancer})
	_, _, capped := old.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 1, Use: pool.Workload, MaxAllocPerHandle: 1})
	for what, err := range map[string]error{
		"v3.30": lb, "maxAllocPerHandle; v3.32": capped,
		"namespaceSelector; v3.31": old.SetPool(pool.Spec{Name: "q", CIDR: prefix("10.0.1.0/26"), NamespaceSelector: "has(x)"}),
		"assignment mode Manual":   old.SetPool(pool.Spec{Name: "q", CIDR: prefix("10.0.1.0/26"), AssignmentMode: pool.Manual}),
		"use LoadBalancer":         old.SetPool(pool.Spec{Name: "q", CIDR: prefix("10.0.1.0/26"), AllowedUses: []pool.Use{pool.LoadBalancer}}),
		"ipCooldownSeconds; v3.33": old.SetIPAMConfig(ipam.Config{AutoAllocateBlocks: true, IPCooldownSeconds: 60}),
		"alternate owners; v3.32":  old.SetOwnerAttributes(addr("10.0.0.1"), "h", ipam.OwnerUpdate{ClearActive: true}, ipam.OwnerPreconditions{}),
	} {
		must.ErrorIs(t, err, codes.InvalidArgument, must.Sprint(what))
		must.ErrorContains(t, err, what)
		must.ErrorContains(t, err, "Calico v3.28")
	}
	_, err := ipam.Restore(ipam.Cluster{Pools: []pool.Spec{{Name: "q", CIDR: prefix("10.0.1.0/26"), NamespaceSelector: "has(x)"}}}, ipam.Options{Calico: calico.V3(30)})
	must.ErrorContains(t, err, "v3.31 is the first release")
}
