package whatif

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
)

// TestExplainNode: each pool with the label that decides, each block of the node, and
// what the next pod would get.
func TestExplainNode(t *testing.T) {
	property.Slow(t)
	status, out, errs := do("-f", sample, "-explain-node", "node-32")
	must.Zero(t, status, must.Sprint(errs))
	must.Eq(t, `== Why the next pod on node-32 gets what it gets

Pools:
  blue 10.10.0.0/23: used: 0 blocks left
  green 10.20.0.0/26: not used: its nodeSelector zone == 'b' does not match:
    the node has zone=c
  six fd00:10::/112: used: 981 blocks left

BLOCK OF THE NODE   POOL   FREE   WHY
fd00:10::d280/122   six    57     it has free addresses

If it asked now:
  1. IPv4: the pools are blue, in this order
  2. IPv4: the node owns no block of them
  3. IPv4: no block is left to claim, so it borrows 10.10.0.188 from
    10.10.0.176/28, which is node-27's
  4. IPv6: the pools are six, in this order
  5. IPv6: the node's own blocks of them are fd00:10::d280/122 (57 free)
  6. IPv6: it takes fd00:10::d287, the first in the queue of fd00:10::d280/122
`, out)
	status, out, _ = do("-f", sample, "-strict", "-explain-node", "node-32")
	must.Eq(t, 1, status)
	must.StrContains(t, strings.Join(strings.Fields(out), " "), "3. IPv4: it is refused: no block is left to claim, and strict affinity forbids borrowing")
	_, out, _ = do("-f", sample, "-add-pool", "red:10.30.0.0/27:28", "-explain-node", "node-32")
	must.StrContains(t, strings.Join(strings.Fields(out), " "), "none has a free address, so the node claims 10.30.0.")
	status, _, errs = do("-f", sample, "-explain-node", "node-3")
	must.Eq(t, 2, status)
	must.StrContains(t, errs, `no node is called "node-3"; did you mean "node-03"?`)
}

// TestExplainTruth: what is foretold of each node is what its next pod gets.
func TestExplainTruth(t *testing.T) {
	property.Slow(t)
	s := loadSample(t)
	w, err := newWorld(s)
	must.NoError(t, err)
	before := w.a.Cluster()
	refused := 0
	for _, strict := range []bool{false, true} {
		config := w.a.GetIPAMConfig()
		config.StrictAffinity = strict
		must.NoError(t, w.a.SetIPAMConfig(config))
		for i, n := range w.a.Nodes() {
			if testing.Short() && i%8 > 0 {
				continue
			}
			e, err := w.explainNode(s, n.Name)
			must.NoError(t, err)
			trial, err := w.trial()
			must.NoError(t, err)
			m := trial.Start(snapshot.LivePod{Namespace: "x", Name: "y", Node: n.Name, Num4: 1, Num6: 1})[0]
			must.Eq(t, m.Err == nil, e.OK, must.Sprint(n.Name))
			if m.Err != nil {
				refused++
				continue
			}
			says := strings.Join(e.Next, "; ")
			for _, ip := range m.Pod.IPs {
				must.StrContains(t, says, ip.String(), must.Sprint(n.Name))
			}
		}
	}
	must.Positive(t, refused)
	before.Config.StrictAffinity = true
	must.Eq(t, before, w.a.Cluster(), must.Sprint("nothing was changed"))
}

// TestExplainPod: what it has, what it asks for, and why it may get nothing.
func TestExplainPod(t *testing.T) {
	status, out, _ := do("-f", "../../../testdata/field/05-pod-asks-for-its-pool.yaml", "-explain", "shop/db-0")
	must.Zero(t, status)
	text := strings.Join(strings.Fields(out), " ")
	must.StrContains(t, text, "It has 10.64.1.11 of pool fixed, in block 10.64.1.8/29 of its own node.")
	must.StrContains(t, text, "fixed 10.64.1.0/24: used: the pod asks for it, so its selectors are not looked at; 31 blocks left default 10.64.0.0/24: not used: the pod asks for other pools")

	const pods = `
---
apiVersion: v1
kind: Pod
metadata: {name: stuck, namespace: shop}
spec: {nodeName: a}
---
apiVersion: v1
kind: Pod
metadata: {name: host, namespace: shop}
spec: {nodeName: a, hostNetwork: true}
---
apiVersion: v1
kind: Pod
metadata: {name: waits, namespace: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: done, namespace: shop}
spec: {nodeName: a}
status: {phase: Succeeded}
---
apiVersion: v1
kind: Pod
metadata: {name: asks, namespace: shop, annotations: {cni.projectcalico.org/ipv4pools: '["nowhere"]'}}
spec: {nodeName: a}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {env: prod}}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: ns}
spec: {cidr: 10.2.0.0/24, blockSize: 29, nodeSelector: all(), namespaceSelector: env == 'dev' && has(team)}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: lb}
spec: {cidr: 10.3.0.0/24, blockSize: 29, nodeSelector: all(), allowedUses: [LoadBalancer], assignmentMode: Automatic}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: manual}
spec: {cidr: 10.4.0.0/24, blockSize: 29, nodeSelector: all(), assignmentMode: Manual}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: closed}
spec: {cidr: 10.5.0.0/24, blockSize: 29, nodeSelector: all(), disabled: true}
`
	all := small + poolOfB + pods[1:]
	status, out, errs := about(all, "-explain", "shop/stuck")
	must.Zero(t, status, must.Sprint(errs))
	for _, want := range []string{
		"It has no address.", "p 10.0.0.0/28: used: ", "q 10.1.0.0/28: not used: its nodeSelector zone == 'b' does not match: the node has no label zone",
		"ns 10.2.0.0/24: not used: its namespaceSelector env == 'dev' && has(team) does not match: the namespace has env=prod and has no label team",
		"lb 10.3.0.0/24: not used: its allowedUses have no Workload", "manual 10.4.0.0/24: not used: its assignment mode is Manual", "closed 10.5.0.0/24: not used: it is disabled",
	} {
		must.StrContains(t, out, want)
	}
	for name, want := range map[string]string{
		"shop/host": "It uses the network of its node", "shop/done": "It has ended", "shop/waits": "It is on no node yet",
		"shop/asks": "it is refused: its annotation asks for pool nowhere, which does not exist",
	} {
		_, out, _ = about(all, "-explain", name)
		must.StrContains(t, out, want)
	}
	for name, want := range map[string]string{"shop/other": "there is no such pod; there are", "other": "must be NAMESPACE/POD"} {
		status, _, errs = about(all, "-explain", name)
		must.Eq(t, 2, status)
		must.StrContains(t, errs, want)
	}
	_, out, _ = about(all, "-explain", "shop/stuck", "-json")
	var r result
	must.NoError(t, json.Unmarshal([]byte(out), &r))
	must.Len(t, 6, r.Explain.Pools)

	path := filepath.Join(t.TempDir(), "x.yaml")
	must.NoError(t, os.WriteFile(path, []byte(small), 0o600))
	status, _, errs = do("-f", path, "-explain", "a/b", "-summary")
	must.Eq(t, 2, status)
	must.StrContains(t, errs, "is a page of its own")
}
