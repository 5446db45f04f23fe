package whatif

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
)

// fileOf writes a text to a file for -f.
func fileOf(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	must.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

const (
	poolOfB = "---\napiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: q}\nspec: {cidr: 10.1.0.0/28, blockSize: 29, nodeSelector: zone == 'b'}\n"
	nodeInB = "---\napiVersion: v1\nkind: Node\nmetadata: {name: c, labels: {zone: b}}\n"
)

// TestSummary: a line for each pool, and an exit status for cron.
func TestSummary(t *testing.T) {
	property.Slow(t)
	status, out, errs := do("-f", sample, "-summary")
	must.Zero(t, status)
	must.Eq(t, "", errs)
	must.Eq(t, `POOL    CIDR            BLOCKS   LEFT   NODES WITHOUT   BORROWED   MORE NODES
blue    10.10.0.0/23    32       0      6               67         0
green   10.20.0.0/26    8        0      0               0          0
six     fd00:10::/112   1024     981    0               0          490
`, out)
	status, out, _ = do("-f", sample, "-summary", "-fail-below", "1")
	must.Eq(t, 1, status)
	must.StrContains(t, out, "\nFewer than 1 block of IPv4 left, 0 at least, for 40 nodes: node-00, ")
	status, _, _ = do("-f", sample, "-add-pool", "red:10.30.0.0/24:28", "-summary", "-fail-below", "16")
	must.Zero(t, status, must.Sprint("after the changes"))
	status, out, _ = do("-f", sample, "-add-pool", "red:10.30.0.0/24:28", "-add-nodes", "1:x", "-summary", "-fail-below", "16")
	must.Eq(t, 1, status)
	must.StrNotContains(t, out, "==")
	status, out, _ = do("-f", sample, "-fail-below", "5", "-json", "-summary")
	must.Eq(t, 1, status)
	var r result
	must.NoError(t, json.Unmarshal([]byte(out), &r))
	must.Len(t, 3, r.Room)
	must.Len(t, 1, r.Below)
	must.Len(t, 40, r.Below[0].Nodes)

	// What a node's pods may not use does not help them.
	text := small + poolOfB + nodeInB
	status, out, _ = about(text, "-summary", "-fail-below", "1")
	must.Eq(t, 1, status)
	must.StrContains(t, out, "q 10.1.0.0/28 2 2 1 0 2")
	must.StrContains(t, out, "Fewer than 1 block of IPv4 left, 0 at least, for 2 nodes: a, b")
	status, out, _ = about(strings.Replace(text, "nodeSelector: zone", "disabled: true, nodeSelector: zone", 1), "-summary", "-fail-below", "1")
	must.Eq(t, 1, status)
	must.StrContains(t, out, "q (disabled) 10.1.0.0/28 2 2 1 0 0")
	must.StrContains(t, out, "for 3 nodes: a, b, c")
	for flag, want := range map[string]string{"-json": "not with -json", "-summary": "not with -json or -summary"} {
		status, _, errs = about(small, "-prometheus", flag)
		must.Eq(t, 2, status)
		must.StrContains(t, errs, want)
	}
}

// TestPrometheus: the names of kube-controllers, and labels that are escaped.
func TestPrometheus(t *testing.T) {
	status, out, _ := do("-f", sample, "-prometheus")
	must.Zero(t, status)
	for _, want := range []string{
		"# TYPE ipam_allocations_in_use gauge\n", "\nipam_blocks{ippool=\"blue\",node=\"node-00\"} 1\n", "\nipam_allocations_borrowed{ippool=\"blue\",node=\"node-33\"} 8\n",
		"\nipam_ippool_size{ippool=\"blue\"} 512\n", "\nipamsim_blocks_left{ippool=\"six\"} 981\n", "\nipamsim_nodes_without_block{ippool=\"blue\"} 6\n",
	} {
		must.StrContains(t, out, want)
	}
	candidates := 0
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "ipam_allocations_gc_candidates{") {
			candidates++
		}
		must.RegexMatch(t, regexp.MustCompile(`^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+\{[a-z]+="[^"]*"(,node="[^"]*")?\} [0-9]+)\n$`), line)
	}
	must.Positive(t, candidates)
}

// TestThen: two dumps of a cluster say what changed, at which rate, and what leaked in
// both.
func TestThen(t *testing.T) {
	const made = "---\napiVersion: crd.projectcalico.org/v1\nkind: BlockAffinity\nmetadata: {name: b-10-1-0-0-29, creationTimestamp: '2026-01-03T00:00:00Z'}\nspec: {cidr: 10.1.0.0/29, node: c, state: confirmed}\n" +
		"---\napiVersion: crd.projectcalico.org/v1\nkind: IPAMBlock\nmetadata: {name: 10-1-0-0-29}\nspec: {cidr: 10.1.0.0/29, affinity: 'host:c', allocations: [0, null, null, null, null, null, null, null], unallocated: [1, 2, 3, 4, 5, 6, 7], attributes: [{handle_id: gone, secondary: {pod: gone, namespace: x, node: c}}], sequenceNumber: 7, sequenceNumberForAllocation: {'0': 6}}\n"
	const pod = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: x, creationTimestamp: '2026-01-01T00:00:00Z'}\nspec: {nodeName: c}\nstatus: {podIP: 10.9.9.9}\n"
	time := func(at string) string {
		return "---\napiVersion: crd.projectcalico.org/v1\nkind: IPAMHandle\nmetadata: {name: t, creationTimestamp: '" + at + "'}\nspec: {handleID: t, block: {}}\n"
	}
	// The pool has room for eight blocks, of which one goes in two days.
	base := strings.Replace(poolOfB, "/28, block", "/26, block", 1)[4:] + nodeInB + pod
	before := fileOf(t, "before.yaml", base+time("2026-01-01T00:00:00Z"))
	after := fileOf(t, "after.yaml", base+made+strings.ReplaceAll(nodeInB, "name: c", "name: d")+time("2026-01-03T00:00:00Z"))
	status, out, errs := do("-f", before, "-f-then", after)
	must.Zero(t, status, must.Sprint(errs))
	must.StrContains(t, strings.Join(strings.Fields(out), " "), "From 2026-01-01 00:00:00 to 2026-01-03 00:00:00, the latest moments that the files speak of: 48h0m0s.")
	must.StrContains(t, out, "Nodes that came: d. Nodes that are gone: none.")
	must.StrContains(t, strings.Join(strings.Fields(out), " "), "IPv4 1 0.5 7 in 14 days")
	must.StrNotContains(t, out, "calicoctl ipam release", must.Sprint("it leaked in the second only"))

	status, out, _ = do("-f", after, "-f-then", after)
	must.Zero(t, status)
	must.StrContains(t, out, "calicoctl ipam release --ip=10.1.0.0\n")
	must.StrContains(t, out, "No figure changed.")
	again := fileOf(t, "again.yaml", base+strings.Replace(made, "'0': 6", "'0': 5", 1)+time("2026-01-03T00:00:00Z"))
	_, out, _ = do("-f", again, "-f-then", after)
	must.StrNotContains(t, out, "calicoctl ipam release", must.Sprint("given out anew in between"))

	_, out, _ = do("-f", before, "-f-then", fileOf(t, "x.yaml", strings.Replace(base, pod, "", 1)+poolOfB[:0]+strings.Replace(nodeInB, "name: c", "name: e", 1)))
	must.StrContains(t, strings.Join(strings.Fields(out), " "), "Note: what leaked is known only with pods in both")
	must.StrContains(t, strings.Join(strings.Fields(out), " "), "Note: the files do not say when they were taken")
	status, _, errs = do("-f", after, "-f-then", before)
	must.Eq(t, 2, status)
	must.StrContains(t, errs, "give them the other way round")
	status, _, errs = do("-f", after, "-f-then", before, "-gc")
	must.Eq(t, 2, status)
	must.StrContains(t, errs, "not with -gc")
}
