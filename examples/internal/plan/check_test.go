package plan

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam/sim"
)

const recorded = "../../../testdata/plan.jsonl"

// small1 is a scenario with its results.
const small1 = `name: small
pool: 10.0.0.0/25
blockSize: 26
nodes: 3
podsPerNode: 2
requests: 6
borrowed: 2
routes: 4
firstBorrowRequest: 3
`

// quick is the file of recordings, without the datastore calls of all scenarios but
// the smallest: only the slow allocator makes them.
func quick(t *testing.T) string {
	text, err := os.ReadFile(recorded)
	must.NoError(t, err)
	return file(t, "plan.jsonl", regexp.MustCompile(`,"datastoreOps":(\d{6}|9\d{4})`).ReplaceAllString(string(text), ""))
}

func TestCheck(t *testing.T) {
	if !property.Long() {
		t.Skip("takes seconds; IPAMSIM_LONG=1 runs it")
	}
	path := quick(t)
	text, err := os.ReadFile(path)
	must.NoError(t, err)
	must.StrContains(t, string(text), "datastoreOps")
	status, out, errs := do("-check", path)
	must.Eq(t, cli.Fine, status, must.Sprint(out))
	must.Eq(t, "", errs)
	must.StrContains(t, out, "12 scenarios 136,665 requests  ok\n")
	must.True(t, strings.HasSuffix(out, "\n12 scenarios, 136,665 requests: 0 differences\n"))

	_, again, _ := do("-check", "-f", path)
	must.Eq(t, out, again)
	status, out, _ = do("-check", "-shard", "2/5", path)
	must.Eq(t, cli.Fine, status)
	must.StrContains(t, out, "\n2 scenarios, 24,600 requests: 0 differences\n")
	status, out, errs = do("-check", "-shard", "13/16", path)
	must.Eq(t, cli.Fine, status, must.Sprint("there are fewer scenarios than shards"))
	must.Eq(t, "0 scenarios in shard 13/16\n", out)
	must.Eq(t, "", errs)
}

// TestCheckAll compares the datastore calls of every scenario.
func TestCheckAll(t *testing.T) {
	if !property.Long() {
		t.Skip("takes a quarter of a minute; IPAMSIM_LONG=1 runs it")
	}
	status, out, _ := do("-check", recorded)
	must.Eq(t, cli.Fine, status, must.Sprint(out))
	must.StrContains(t, out, "\n12 scenarios, 136,665 requests: 0 differences\n")
}

// TestCheckFindsDifferences: a result that is false is named, with its line.
func TestCheckFindsDifferences(t *testing.T) {
	property.Slow(t)
	path := quick(t)
	text, err := os.ReadFile(path)
	must.NoError(t, err)
	lines := strings.SplitAfter(string(text), "\n")
	lines[2] = strings.Replace(lines[2], `"borrowed":2278`, `"borrowed":2277`, 1)
	lines[11] = regexp.MustCompile(`"datastoreOps":\d+`).ReplaceAllString(lines[11], `"datastoreOps":7`)
	must.NoError(t, os.WriteFile(path, []byte(strings.Join(lines, "")), 0o644))
	status, out, errs := do("-check", path)
	must.Eq(t, cli.No, status)
	must.Eq(t, "", errs)
	must.StrContains(t, out, "136,665 requests  2 differences\n")
	must.StrContains(t, out, "\n"+path+":3: 300-nodes-x-40-pods /26: borrowed: 2278, want 2277\n")
	must.RegexMatch(t, regexp.MustCompile(`plan.jsonl:12: 65th-node /26: datastoreOps: \d{4,}, want 7\n`), out)
	must.True(t, strings.HasSuffix(out, "\n12 scenarios, 136,665 requests: 2 differences\n"))

	status, out, _ = do("-check", "-json", path)
	must.Eq(t, cli.No, status)
	var r checked
	must.NoError(t, json.Unmarshal([]byte(out), &r))
	must.Eq(t, 12, r.Scenarios)
	must.Len(t, 2, r.Details)
}

// TestCheckBetween: the two allocators are held against each other, too.
func TestCheckBetween(t *testing.T) {
	status, out, _ := do("-check", file(t, "a.yaml", "pool: 10.0.0.0/25\nnodes: 3\npodsPerNode: 2\ndatastoreOps: 1\n"))
	must.Eq(t, cli.No, status)
	must.StrContains(t, out, "  1 difference\n", must.Sprint("the calls only"))

	moment := sim.Moment{Request: 3, Node: "node-2", Outcome: "borrowed"}
	other := moment
	other.Node = "node-1"
	for _, c := range []struct {
		name       string
		fast, slow sim.Result
		want       []string
	}{
		{"nothing", sim.Result{FirstBorrow: &moment}, sim.Result{FirstBorrow: &moment}, nil},
		{"a number", sim.Result{Totals: sim.Totals{Routes: 5}}, sim.Result{Totals: sim.Totals{Routes: 4}},
			[]string{"with a datastore: routes: 4, want 5 as without"}},
		{"whose it was", sim.Result{FirstBorrow: &moment}, sim.Result{FirstBorrow: &other},
			[]string{`with a datastore: firstBorrow.node: "node-1", want "node-2" as without`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := between(&c.fast, &c.slow)
			must.NoError(t, err)
			must.Eq(t, c.want, got)
		})
	}
}

// TestCheckSeveral: more than one file, packed ones too, and scenarios without
// results among others.
func TestCheckSeveral(t *testing.T) {
	a := file(t, "a.yaml", small1+"---\npool: 10.0.0.0/24\nnodes: 1\n")
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write([]byte(small1))
	must.NoError(t, err)
	must.NoError(t, z.Close())
	b := file(t, "b.yaml.gz", packed.String())
	status, out, errs := do("-check", a, b)
	must.Eq(t, cli.Fine, status, must.Sprint(errs))
	must.StrContains(t, out, "a.yaml")
	must.StrContains(t, out, "  ok (1 more without results)\n")
	must.True(t, strings.HasSuffix(out, "\n2 scenarios, 12 requests: 0 differences\n"))

	status, out, errs = do("-check", a, file(t, "none.yaml", "pool: 10.0.0.0/24\nnodes: 1\n"))
	must.Eq(t, cli.Bad, status, must.Sprint("a check that compares nothing does not pass"))
	must.Eq(t, "", out)
	must.StrContains(t, errs, "none.yaml: nothing to compare with")
}

// TestShards: what shards print, put together, is what is printed without.
func TestShards(t *testing.T) {
	property.Slow(t)
	name, scenarios := recorded, 12
	if !property.Long() {
		name, scenarios = "../../plan/stories/drain.yaml", 4
	}
	status, whole, _ := do("-f", name, "-json")
	must.Eq(t, cli.No, status)
	must.Eq(t, scenarios, strings.Count(whole, "\n"))
	for _, n := range []int{1, 5} {
		got := make([]string, scenarios)
		for i := range n {
			status, out, _ := do("-f", name, "-shard", fmt.Sprintf("%d/%d", i, n))
			must.Eq(t, cli.Fine, status, must.Sprint("a shard that was run"))
			for line := range strings.Lines(out) {
				var p plan
				must.NoError(t, json.Unmarshal([]byte(line), &p))
				must.Eq(t, i, p.Index%n)
				must.Eq(t, "", got[p.Index])
				got[p.Index] = line
			}
		}
		must.Eq(t, whole, strings.Join(got, ""), must.Sprintf("%d shards", n))
	}
	status, out, errs := do("-f", name, "-shard", "15/16")
	must.Eq(t, cli.Fine, status, must.Sprint("there are fewer scenarios than shards"))
	must.Eq(t, "", out+errs)
}

// TestJSON: one document of one scenario, with everything in it.
func TestJSON(t *testing.T) {
	property.Slow(t)
	status, out, _ := do("-json", "-samples", "5", "-name", "mine")
	must.Eq(t, cli.Fine, status)
	var p plan
	d := json.NewDecoder(strings.NewReader(out))
	d.DisallowUnknownFields()
	must.NoError(t, d.Decode(&p))
	must.False(t, d.More())
	must.Eq(t, "mine", p.Scenario.Name)
	must.Len(t, 13, p.Rows)
	must.Eq(t, 28, p.Verdict.BlockSize)
	must.Len(t, 3, p.Verdict.Changes)
	must.SliceNotEmpty(t, p.Warnings)
	for _, r := range p.Rows {
		must.Len(t, 5, r.Result.Samples)
		must.Len(t, 300, r.Result.PerNode)
		must.Eq(t, r.Fits, r.FailsAt == "")
	}
	must.Eq(t, 99, p.at(28).Result.Headroom.Nodes)

	path := file(t, "one.yaml", "pool: 10.0.0.0/24\nnodes: 1\npodsPerNode: 3\n")
	_, out, _ = do("-json", "-f", path)
	must.StrContains(t, out, "\n \"file\": ", must.Sprint("one of a file is indented, too"))
}

// TestWorkers: the output is the same however many run at a time.
func TestWorkers(t *testing.T) {
	if !property.UnderRace {
		property.Slow(t)
	}
	tables := [][]string{{"-nodes", "70", "-pool", "10.0.0.0/20"}, {"-f", "../../plan/stories/strict.yaml"}, {"-f", "../../plan/stories/drain.yaml", "-json"}}
	if !testing.Short() {
		tables = append(tables, nil, []string{"-json", "-samples", "3", "-strict"})
	}
	for _, args := range tables {
		_, one, _ := do(append(args, "-j", "1")...)
		_, eight, _ := do(append(args, "-j", "8")...)
		must.NotEq(t, "", one)
		must.Eq(t, one, eight, must.Sprint(args))
	}
}

// TestCheckInterrupted: it does not wait for the slow allocator.
func TestCheckInterrupted(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	stop()
	var out, errs bytes.Buffer
	must.Eq(t, cli.Interrupted, cli.Execute(ctx, Command(), []string{"-check", filepath.Clean(recorded)}, nil, &out, &errs))
	must.Eq(t, "", out.String())
}
