package sim

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
)

const wholeFile = `
# two scenarios
name: small
about: everything a file can say
pools:
- name: rack-a
  cidr: 10.0.0.0/24
  blockSize: 28
  nodeSelector: rack == 'a'
  allowedUses: [Workload]
- {name: rest, cidr: 10.1.0.0/24, disabled: false}
reservations: [10.0.0.0/30]
serviceCIDR: 10.96.0.0/12
nodes: 2
nodeFormat: a-%d
labels: {rack: a}
podHistogram:
- {pods: 3, nodes: 1}
- {pods: 5, nodes: 1}
groups:
- {nodes: 1, nodeFormat: b-%d, podsPerNode: 4}
tunnelIPPerNode: true
order: random
seed: 7
strictAffinity: true
noAutoAllocateBlocks: false
maxBlocksPerHost: 3
ipCooldownSeconds: 60
churn: {perSecond: 0.5, for: 1m30s}
events:
- {at: 10s, do: drain, nodes: [a-0]}
- {at: 20s, do: add-nodes, group: {nodes: 1}}
- {at: 20s, do: set-labels, nodes: [a-0, b-0], labels: {rack: b}}
- {at: 30s, do: set-strict-affinity, strict: false}
- {at: 1m, do: set-cooldown, seconds: 300}
- {at: 1m, do: remove-nodes, nodes: [b-0]}
requests: 17
blocks: {claimed: 3}
---
name: default
pool: 10.0.0.0/24
nodes: 1
`

func TestRead(t *testing.T) {
	entries, err := Read("f.yaml", strings.NewReader(wholeFile))
	must.NoError(t, err)
	must.Len(t, 2, entries)
	e := entries[0]
	must.Eq(t, "f.yaml", e.File)
	must.Eq(t, 3, e.Line)
	must.Eq(t, []Bucket{{3, 1}, {5, 1}}, e.PodHistogram)
	must.Eq(t, Duration(90*time.Second), e.Churn.For)
	must.Eq(t, Duration(time.Minute), e.Events[5].At)
	must.Eq(t, map[string]json.RawMessage{"requests": []byte("17"), "blocks": []byte(`{"claimed":3}`)}, e.Want)
	must.Eq(t, 40, entries[1].Line)
	must.MapEmpty(t, entries[1].Want)

	// What is written as JSON reads as the same.
	text, err := json.Marshal(e.Scenario)
	must.NoError(t, err)
	again, err := Read("f.json", strings.NewReader(string(text)+"\n"+string(text)))
	must.NoError(t, err)
	must.Eq(t, e.Scenario, again[0].Scenario)
	must.Eq(t, e.Scenario, again[1].Scenario)
	must.Eq(t, 2, again[1].Line)
}

// TestReadPlan: plan.jsonl is a file of scenarios with their results.
func TestReadPlan(t *testing.T) {
	property.Slow(t)
	f, err := os.Open("../../testdata/plan.jsonl")
	must.NoError(t, err)
	defer f.Close()
	entries, err := Read("plan.jsonl", f)
	must.NoError(t, err)
	must.Len(t, 12, entries)
	for i, e := range entries {
		must.Eq(t, i+1, e.Line)
		must.MapContainsKey(t, e.Want, datastoreOps)
		got, err := Run(e.Scenario, Options{})
		must.NoError(t, err)
		must.SliceEmpty(t, e.Differences(&got))
		got.Borrowed++
		got.FirstRefusalRequest++
		must.Len(t, 2, e.Differences(&got), must.Sprint("the second is not in every line"))
	}
}

func TestDifferences(t *testing.T) {
	e := Entry{Want: map[string]json.RawMessage{
		"borrowed": []byte("2278"), "released": []byte("0"), "reuseGap": []byte(`"1s"`),
		"blocks": []byte(`{"free":3,"empty":0}`), datastoreOps: []byte("5"),
	}}
	gap := Duration(2 * time.Second)
	got := Result{Totals: Totals{Borrowed: 2277}, ReuseGap: &gap, Blocks: Blocks{Free: 4}}
	must.Eq(t, []string{"blocks.free: 4, want 3", "borrowed: 2277, want 2278", `reuseGap: "2s", want "1s"`}, e.Differences(&got))
	// Some of the results only: nothing is said of the first borrowing.
	e.Want["requests"] = []byte("5")
	must.Len(t, 1, e.Differences(&Result{Totals: Totals{Requests: 5, Borrowed: 2278, FirstBorrowRequest: 3}, ReuseGap: &gap, Blocks: Blocks{Free: 3}}))
	delete(e.Want, "requests")
	got = Result{Totals: Totals{Borrowed: 2278}, Blocks: Blocks{Free: 3}}
	must.Eq(t, []string{`reuseGap: 0, want "1s"`}, e.Differences(&got))
}

func TestReadErrors(t *testing.T) {
	const good = "pool: 10.0.0.0/24\nnodes: 2\n"
	for name, c := range map[string]struct{ text, want string }{
		"empty":                 {"", "f: no scenario in it"},
		"only comments":         {"# nothing\n---\n", "f: no scenario in it"},
		"a list":                {"- a\n", "f:1: not a scenario: it has no keys"},
		"text":                  {"nodes 3\n", "f:1: not a scenario: it has no keys"},
		"bad YAML":              {good + "name: [\n", "f:3: did not find expected node content"},
		"key twice":             {good + "nodes: 3\n", `f:3: key "nodes" stands there twice`},
		"unknown key":           {good + "podz: 3\n", `f:3: unknown key "podz"`},
		"unknown key inside":    {good + "churn:\n  nodes: 3\n", `f:4: unknown key "nodes"`},
		"unknown key of a list": {good + "events:\n- do: drain\n  when: 3s\n", `f:5: unknown key "when"`},
		"unknown result":        {good + "blocks: {lost: 3}\n", `f:3: unknown key "lost"`},
		"text for a number":     {"pool: 10.0.0.0/24\nnodes: many\n", "f:2: nodes: string, must be a whole number"},
		"a fraction":            {"pool: 10.0.0.0/24\nnodes: 2.5\n", "f:2: nodes: number 2.5, must be a whole number"},
		"a list for a number":   {good + "podsPerNode: [1]\n", "f:3: podsPerNode: array, must be a whole number"},
		"without an end":        {good + "groups: &a [*a]\n", "f:1: anchor 'a' value contains itself"},
		"not a CIDR":            {"nodes: 2\npool: 10.0.0.0\n", "f:2: pool: netip.ParsePrefix(\"10.0.0.0\"): no '/'"},
		"a bare number":         {good + "churn:\n  for: 3\n", "f:4: churn.for: number, must be a duration such as 1m30s"},
		"not a duration":        {good + "churn:\n  for: soon\n", "f:4: for: time: invalid duration \"soon\""},
		"no nodes":              {"pool: 10.0.0.0/24\nnodes: 0\n", "f:2: nodes 0: must be 1 to 250000"},
		"nothing about nodes":   {"pool: 10.0.0.0/24\n", "f:1: nodes 0: must be 1 to 250000"},
		"a small pool":          {"nodes: 2\nblockSize: 26\npool: 10.0.0.0/27\n", "f:3: pool 10.0.0.0/27: "},
		"a rate below zero":     {good + "churn:\n  for: 1s\n  perSecond: -1\n", "f:5: churn.perSecond -1: must be more than 0"},
		"an unknown node":       {good + "events:\n- at: 1s\n  do: drain\n  nodes:\n  - node-0\n  - node-2\n", `f:8: events[0].nodes[1] "node-2": there never was such a node`},
		"of the second":         {good + "---\n" + good + "order: backwards\n", `f:6: order "backwards": must be`},
		"JSON":                  {`{"pool":"10.0.0.0/24",` + "\n" + `"nodes":0}`, "f:2: nodes 0: must be"},
		"JSON of the second":    {`{"pool":"10.0.0.0/24","nodes":1}` + "\n\n" + `{"pool":"10.0.0.0/24","node":1}`, `f:3: unknown key "node"`},
		"not compared":          {good + "headroom: {nodes: 3}\n", "f:3: headroom: no result that can be compared"},
		"infinity":              {"pool: 10.0.0.0/24\nnodes: .inf\n", "f:2: .inf: not a number that can be reached"},
		"no number":             {good + "churn:\n  perSecond: .nan\n", "f:4: .nan: not a number"},
		"a key that is no text": {good + "labels: {1: x}\n", `f:3: key "1" must be text: put it in quotes`},
		"no pool":               {"nodes: 2\n", "f:1: pool is missing"},
		"a bad escape":          {good + `name: "\q"` + "\n", "f:3: found unknown escape character"},
		"too many blocks":       {"nodes: 2\npools:\n- {name: a, cidr: \"fd00::/62\"}\n- {name: b, cidr: \"fd01::/62\"}\n", "f:4: pools[1].cidr fd01::/62: makes more than 2^60 blocks in all"},
		"limit":                 {good + "maxBlocksPerHost: 1000001\n", "f:3: maxBlocksPerHost 1000001: must be 0 to 1000000"},
		"JSON cut short":        {`{"pool":"10.0.0.0/24","nodes":1}` + "\n" + `{"pool":"10.0.0`, "f:2: unexpected EOF"},
		"JSON syntax":           {`{"pool":"10.0.0.0/24","nodes":1}` + "\n" + `{"pool":}`, "f:2: invalid character"},
	} {
		t.Run(name, func(t *testing.T) {
			entries, err := Read("f", strings.NewReader(c.text))
			must.SliceEmpty(t, entries, must.Sprint(entries))
			must.ErrorContains(t, err, c.want)
			must.StrNotContains(t, err.Error(), "\n")
			var at *FileError
			must.ErrorAs[*FileError](t, err, &at)
		})
	}
}

// TestReadForms: the same scenario in other clothes.
func TestReadForms(t *testing.T) {
	want, err := Read("f", strings.NewReader(`{"name":"é/😀","pool":"10.0.0.0/24","nodes":1}`))
	must.NoError(t, err)
	for name, text := range map[string]string{
		"escaped":     `{"name":"\u00e9\/\ud83d\ude00","pool":"10.0.0.0\/24","nodes":1}`,
		"byte order":  "\ufeff" + `{"name":"é/😀","pool":"10.0.0.0/24","nodes":1}`,
		"YAML":        "name: é/😀\npool: 10.0.0.0/24\nnodes: 1\n",
		"lines":       "\r\nname: é/😀\r\npool: 10.0.0.0/24\r\nnodes: 1\r\n",
		"an exponent": `{"name":"é/😀","pool":"10.0.0.0/24","nodes":1e0}`,
	} {
		got, err := Read("f", strings.NewReader(text))
		must.NoError(t, err, must.Sprint(name))
		must.Eq(t, want[0].Scenario, got[0].Scenario, must.Sprint(name))
	}
}

func FuzzRead(f *testing.F) {
	f.Add(wholeFile)
	f.Add(`{"pool":"10.0.0.0/24","nodes":1,"requests":1}`)
	f.Add("a: &a {b: *a}")
	f.Fuzz(func(t *testing.T, text string) {
		entries, err := Read("f", strings.NewReader(text))
		must.Eq(t, err != nil, entries == nil)
		for _, e := range entries {
			must.NoError(t, e.Validate())
		}
	})
}

// TestDocumentation: the scenarios of the documentation can be run, and name every key
// and every kind of event.
func TestDocumentation(t *testing.T) {
	property.Slow(t)
	text, err := os.ReadFile("../../docs/scenarios.md")
	must.NoError(t, err)
	scenarios, used := 0, make(map[string]bool)
	all := ""
	for i, part := range strings.Split(string(text), "```") {
		yaml, ok := strings.CutPrefix(part, "yaml\n")
		if !ok {
			continue
		}
		must.Eq(t, 1, i%2)
		all += yaml
		entries, err := Read("docs/scenarios.md", strings.NewReader(yaml))
		must.NoError(t, err)
		for _, e := range entries {
			result, err := Run(e.Scenario, Options{})
			must.NoError(t, err)
			must.Positive(t, result.Assigned)
			must.SliceEmpty(t, e.Differences(&result))
			scenarios++
			for _, event := range e.Events {
				used[event.Do] = true
			}
		}
	}
	must.Eq(t, 9, scenarios)
	for _, k := range allKinds {
		must.True(t, used[k], must.Sprint(k))
		must.StrContains(t, string(text), "`"+k+"`")
	}
	for _, of := range []reflect.Type{reflect.TypeFor[Scenario](), reflect.TypeFor[Group](), reflect.TypeFor[Pool](), reflect.TypeFor[PodGroup](), reflect.TypeFor[Event](), reflect.TypeFor[Cleaner](), reflect.TypeFor[Outage]()} {
		for key := range keys(of) {
			must.RegexMatch(t, regexp.MustCompile(`\b`+key+`:`), all)
		}
	}
}
