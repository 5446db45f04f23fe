package churn

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoenig/test/must"
)

// TestGroups: a day tells of pod groups, virtual machines, services and pools.
func TestGroups(t *testing.T) {
	const day = `name: all
pools:
- {name: data, cidr: 10.1.0.0/28, blockSize: 30, namespaceSelector: team == 'data', allowedUses: [Workload]}
- {name: rest, cidr: 10.0.0.0/24, blockSize: 28, namespaceSelector: team != 'data'}
- {name: lb, cidr: 10.2.0.0/30, blockSize: 30, allowedUses: [LoadBalancer]}
nodes: 3
tunnelIPPerNode: true
services: SERVICES
podGroups:
- {name: web, podsPerNode: 5}
- {name: db, namespace: data, namespaceLabels: {team: data}, pods: DBS, virtualMachines: true}
cleaner: {}
for: 3h
retryEvery: 1m
events: [{at: 10m, do: drain, nodes: [node-0]}]
`
	live := func(services, dbs string, args ...string) (status int, text string) {
		path := filepath.Join(t.TempDir(), "day.yaml")
		text = strings.NewReplacer("SERVICES", services, "DBS", dbs).Replace(day)
		must.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		var out, errs bytes.Buffer
		status = run(append([]string{"-f", path, "-compare=false"}, args...), nil, &out, &errs)
		must.Eq(t, "", errs.String())
		return status, strings.Join(strings.Fields(out.String()), " ")
	}
	status, out := live("3", "9")
	must.Eq(t, 0, status, must.Sprint(out))
	for _, want := range []string{
		"Pod group web: 20 requests, none refused.", "Pod group db: 12 requests, none refused.",
		"Virtual machines: 3 starts kept their addresses, 3 of them in blocks of other nodes.",
		"Services: 3 addresses in 1 block of their own; 0 refused.",
		"Pool data: 9 addresses in use at the end.", "Pool rest: 18 addresses in use at the end.", "Pool lb: 3 addresses in use at the end.",
	} {
		must.StrContains(t, out, want)
	}
	status, out = live("7", "9")
	must.Eq(t, 1, status)
	must.StrContains(t, out, "The pools of services do NOT suffice.")
	must.StrContains(t, out, "Services: 4 addresses in 1 block of their own; 3 refused.")
	_, out = live("7", "9", "-compare")
	must.StrContains(t, out, "as asked NO - 0 0")
	must.StrNotContains(t, out, " yes ")
	status, out = live("3", "17")
	must.Eq(t, 1, status)
	must.StrContains(t, out, "refused: no address left in the pool.")
	_, out = live("3", "9", "-json")
	must.StrContains(t, out, `"perPool": { "data": { "db": 9 }, "lb": { "services": 3 }, "rest": { "tunnels": 3, "web": 15 } }`)
	must.StrContains(t, out, `"perPodGroup": { "db": { "kept": 3, "own": 9 }, "web": { "own": 20 } }`)
}
