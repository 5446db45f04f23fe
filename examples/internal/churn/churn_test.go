package churn

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/internal/property"
)

func do(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(args, nil, &out, &errs)
	return status, out.String(), errs.String()
}

// small is a run that takes no time.
func small(more ...string) []string {
	return append([]string{"-nodes", "4", "-pods", "6", "-pool", "10.0.0.0/24", "-block-size", "28", "-for", "3h"}, more...)
}

func TestSuffices(t *testing.T) {
	status, out, errs := do(small()...)
	must.Eq(t, 0, status)
	must.Eq(t, "", errs)
	must.StrContains(t, out, "4 nodes of 6 pods in 10.0.0.0/24 (16 blocks); each node lives for 15m; 3h, grace\n15m, Calico v3.33\n")
	must.StrContains(t, out, "The pool suffices: 49 nodes and 294 pods got their addresses.\n")
	must.StrContains(t, out, "\n      16 |........")
	must.StrContains(t, out, "# live   x dead   o empty   . free\n")
	for _, name := range []string{"as asked", "grace 0s", "grace 1h", "controller down for 1h", "no controller", "Calico v3.31", "Calico v3.27"} {
		must.StrContains(t, out, "  "+name+"  ")
	}
	must.RegexMatch(t, regexp.MustCompile(`no controller +NO +02:15`), out)
	for line := range strings.Lines(out) {
		must.LessEq(t, 80+len("\n"), len([]rune(line)), must.Sprint(line))
	}
	_, again, _ := do(small()...)
	must.Eq(t, out, again, must.Sprint("the same output for the same seed"))
}

func TestDoesNotSuffice(t *testing.T) {
	status, out, errs := do("-nodes", "4", "-pods", "20", "-pool", "10.0.0.0/26", "-block-size", "28", "-for", "1h", "-compare=false", "-together")
	must.Eq(t, 1, status)
	must.Eq(t, "", errs)
	must.StrContains(t, out, "The pool does NOT suffice: of ")
	must.StrContains(t, out, "First refusal at 00:00: pod node-000004-0 on node-000004: no address left in the\npool.\n")
	must.StrNotContains(t, out, "How the answer changes")
}

// TestGraceMatters: where releases are lost on nodes that stay, it is the grace
// period that decides.
func TestGraceMatters(t *testing.T) {
	property.Slow(t)
	status, out, _ := do(small("-replace-every", "24h", "-replace-pods-every", "5m", "-leaks", "0.8", "-grace", "5m")...)
	must.Eq(t, 0, status)
	must.RegexMatch(t, regexp.MustCompile(`grace 1m +yes`), out)
	must.RegexMatch(t, regexp.MustCompile(`grace 1h +NO`), out)
	must.RegexMatch(t, regexp.MustCompile(`grace 0s +NO`), out)
}

func TestJSON(t *testing.T) {
	status, out, _ := do(small("-json", "-upgrade", "2", "-drain")...)
	must.Eq(t, 0, status)
	var page struct {
		Blocks int
		Runs   []struct {
			Name     string
			Suffices bool
			Samples  []struct{ Live, Dead, Empty, Free int }
		}
	}
	must.NoError(t, json.Unmarshal([]byte(out), &page))
	must.Eq(t, 16, page.Blocks)
	must.Len(t, 9, page.Runs)
	must.Eq(t, "as asked", page.Runs[0].Name)
	for _, s := range page.Runs[0].Samples {
		must.Eq(t, 16, s.Live+s.Dead+s.Empty+s.Free)
	}
}

func TestChartFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "day.svg")
	status, _, errs := do(small("-compare=false", "-o", path)...)
	must.Eq(t, 0, status, must.Sprint(errs))
	text, err := os.ReadFile(path)
	must.NoError(t, err)
	d := xml.NewDecoder(bytes.NewReader(text))
	elements := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		must.NoError(t, err)
		if _, ok := token.(xml.StartElement); ok {
			elements++
		}
	}
	must.Greater(t, 12, elements)
	status, _, errs = do(small("-compare=false", "-o", filepath.Join(path, "no"))...)
	must.Eq(t, 2, status)
	must.Eq(t, "churn: -o "+filepath.Join(path, "no")+": not a directory\n", errs)
}

func TestBadUsage(t *testing.T) {
	for args, says := range map[string]string{
		"-nodes 0":                "churn: -nodes 0: must be 1 to 250000 (-h for help)\n",
		"-pods -1":                "churn: -pods -1: must be 0 to ",
		"-pool 10.0.0.0":          "-pool 10.0.0.0: not a CIDR",
		"-pool 10.0.0.0/28":       "-pool 10.0.0.0/28: is smaller than a block of /26",
		"-block-size 99":          "-block-size 99",
		"-grace -1s":              "-grace -1s: must be 0s or more",
		"-replace-every 0s":       "-replace-every 0s: must be 1s or more",
		"-replace-pods-every 1ns": "-replace-pods-every 1ns",
		"-for 0s":                 "churn: -for 0s: must be 1s or more",
		"-leaks 2 -drain":         "churn: -leaks 2: must be a share, 0 to 1",
		"-leaks 0.1":              "-leaks needs -drain",
		"-calico old":             "-calico old: must be a release of Calico such as v3.28 or v3.28.2",
		"-grcae 1m":               "-grcae: no such flag; did you mean -grace? (-h for help)",
		"-upgrade -1":             "churn: -upgrade -1: must be 1 to 250",
		"-upgrade 0":              "churn: -upgrade 0: must be 1 or more nodes at a time",
		"day":                     `unexpected argument "day"`,
	} {
		status, out, errs := do(strings.Fields(args)...)
		must.Eq(t, 2, status, must.Sprint(args))
		must.Eq(t, "", out, must.Sprint(args))
		must.StrContains(t, errs, says, must.Sprint(args))
	}
	status, out, errs := do("-h")
	must.Eq(t, 0, status)
	must.StrContains(t, out, "Exit status")
	must.StrContains(t, out, "-replace-every")
	for line := range strings.Lines(out) {
		must.LessEq(t, 80+len("\n"), len([]rune(strings.Replace(line, "\t", "    ", 1))), must.Sprint(line))
	}
	must.Eq(t, "", errs)
}

// TestScenario: the questions are asked of a file's scenario, which the flags give
// as well.
func TestScenario(t *testing.T) {
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "day.yaml")
		must.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	const day = `
name: small
pool: 10.0.0.0/24
blockSize: 28
nodes: 4
podsPerNode: 6
nodeFormat: node-%06d
numberFrom: 1
tunnelIPPerNode: true
order: one-by-one
seed: 1
cleaner: {}
retryEvery: 1m
for: 3h
events: [{at: 15m, do: interrupt, count: 4, every: 15m, over: 15m}]
`
	status, out, errs := do("-f", write(day))
	must.Eq(t, 0, status, must.Sprint(errs))
	first, rest, _ := strings.Cut(out, "\n\n")
	must.Eq(t, "small: 4 nodes in 10.0.0.0/24 (16 blocks); 3h, grace 15m, Calico v3.33", first)
	_, flags, _ := do(small()...)
	_, same, _ := strings.Cut(flags, "\n\n")
	must.Eq(t, same, rest)

	// Two pools that select nodes, a reservation, and no cleaner.
	const zones = `
name: zones
pools:
- {name: a, cidr: 10.0.0.0/25, blockSize: 28, nodeSelector: zone == 'a'}
- {name: b, cidr: 10.0.1.0/25, blockSize: 28, nodeSelector: zone == 'b'}
reservations: [10.0.1.0/28]
nodes: 2
podsPerNode: 6
labels: {zone: a}
groups: [{nodes: 2, nodeFormat: b-%d, podsPerNode: 6, labels: {zone: b}}]
for: 12h
events: [{at: 15m, do: interrupt, count: 2, every: 15m}]
`
	status, out, errs = do("-f", write(zones))
	must.Eq(t, 1, status, must.Sprint(errs))
	must.StrContains(t, out, "4 nodes in 2 pools (16 blocks); 12h, no controller, Calico v3.33\n")
	must.StrContains(t, out, "There is no controller")
	must.RegexMatch(t, regexp.MustCompile(`as asked +NO`), out)
	must.RegexMatch(t, regexp.MustCompile(`grace 15m +yes`), out)
	must.StrNotContains(t, out, "controller down")

	const dual = "\npools: [{name: four, cidr: 10.0.0.0/24}, {name: six, cidr: 'fd00::/120'}]\nnodes: 2\npodsPerNode: 3\nfor: 1h\n"
	for text, says := range map[string]string{
		"pool: 10.0.0.0/24\nnodes: 1":          "day.yaml:1: for is missing",
		"pool: 10.0.0.0/24\nnodes: 0\nfor: 1h": "day.yaml:2: nodes 0: must be",
		day + "---" + day:                      "has 2 scenarios, and churn is about one",
		dual:                                   "day.yaml: has pools of both families, and churn is about one: take out the pools of IPv4, or those of IPv6",
		dual + "---" + dual:                    "has 4 scenarios, and churn is about one",
		"pool: fd00::/64\nblockSize: 122\nnodes: 1\nfor: 1h": "must be at most 16,777,216",
	} {
		status, _, errs = do("-f", write(text))
		must.Eq(t, 2, status, must.Sprint(text))
		must.StrContains(t, errs, says)
	}
	status, _, errs = do("-f", write(day), "-nodes", "3")
	must.Eq(t, 2, status)
	must.StrContains(t, errs, "-nodes: not with -f")
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestOutput(t *testing.T) {
	var errs bytes.Buffer
	must.Eq(t, 2, run(small("-compare=false"), nil, full{}, &errs))
	must.Eq(t, "churn: no space left\n", errs.String())
	_, out, _ := do(small("-compare=false")...)
	status, older, _ := do(small("-only", "-chart", filepath.Join(t.TempDir(), "day.svg"))...)
	must.Zero(t, status)
	must.Eq(t, out, older, must.Sprint("the older spellings"))
	status, chart, _ := do(small("-compare=false", "-o", "-")...)
	must.Zero(t, status)
	must.True(t, strings.HasPrefix(chart, "<"), must.Sprint("nothing but the chart"))
}

// TestInterrupted: who interrupts does not wait for the day to end.
func TestInterrupted(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	stop()
	var out, errs bytes.Buffer
	chart := filepath.Join(t.TempDir(), "day.svg")
	must.Eq(t, cli.Interrupted, cli.Execute(ctx, Command(), []string{"-o", chart}, nil, &out, &errs))
	must.Eq(t, "", out.String())
	must.Eq(t, "churn: interrupted\n", errs.String())
	must.FileNotExists(t, chart)
}

// TestUncovered: a release without rules of its own is answered, with a warning.
func TestUncovered(t *testing.T) {
	_, want, errs := do(small("-calico", "v3.22", "-compare=false")...)
	must.Eq(t, "churn: the cleaning controller of Calico v3.22 was not looked at; that of v3.24 cleans up\n", errs)
	status, out, errs := do(small("-calico", "v3.20", "-compare=false")...)
	must.Zero(t, status)
	must.Eq(t, want, strings.Replace(out, "Calico v3.20", "Calico v3.22", 1))
	must.StrContains(t, errs, "churn: Calico v3.20 is answered as v3.22: ")
}

// TestHandlesLeft: before v3.33 the page says what handles are left behind.
func TestHandlesLeft(t *testing.T) {
	_, out, _ := do(small("-compare=false")...)
	must.StrNotContains(t, out, "without an address")
	_, out, _ = do(small("-compare=false", "-calico", "v3.31")...)
	must.StrContains(t, out, "No handle is left without an address: before v3.33")
	must.StrContains(t, handlesLeft(3, 12*time.Hour), "6 a day; an upgrade to v3.33 stops it")
}
