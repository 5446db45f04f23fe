package race

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
)

// A race in which a host dies while it claims the only block, and the same with a
// result that nobody could get.
const right = `{"version":1,"name":"right","setting":{"version":1,"name":"","start":"2026-01-01T00:00:00Z","pools":[{"name":"p","cidr":"10.0.0.0/30","blockSize":30}],"nodes":[{"name":"n"}]},"clients":[{"host":"n","steps":[{"op":"ClaimAffinity","in":{"host":"n","cidr":"10.0.0.0/30"}}],"diesAfter":2}],"schedule":[0,0],"calls":[{"c":0,"op":0,"call":"get","key":"config","result":"missing"},{"c":0,"op":0,"call":"create","key":"affinity/host:n/10.0.0.0/30","result":"ok"}],"state":{"affinities":[{"type":"host","host":"n","cidr":"10.0.0.0/30","state":"pending"}]}}` + "\n"

var wrong = strings.NewReplacer(`"name":"right"`, `"name":"wrong"`, `"result":"ok"`, `"result":"exists"`).Replace(right)

// written puts races into a file and returns its path.
func written(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "t.jsonl")
	must.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func do(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(args, strings.NewReader(right), &out, &errs)
	return status, out.String(), errs.String()
}

func TestRecorded(t *testing.T) {
	property.Slow(t)
	status, out, errs := do("-check", "../../../testdata/races.jsonl.gz")
	must.Eq(t, 0, status)
	must.Eq(t, "", errs)
	must.Eq(t, "../../../testdata/races.jsonl.gz            600 races   24,339 calls  ok\n"+
		"1 recording: 0 differences in 600 races, 24,339 calls\n", out)
}

func TestDiffers(t *testing.T) {
	path := written(t, right+wrong+right+strings.Replace(wrong, "wrong", "wrong too", 1))
	status, out, errs := do("-check", path)
	must.Eq(t, 1, status)
	must.Eq(t, "", errs)
	must.StrContains(t, out, "4 races        8 calls  2 differ\n")
	must.StrContains(t, out, "wrong: call 1\n"+
		"  want: client 0, operation 0: create affinity/host:n/10.0.0.0/30, exists\n"+
		"  got:  client 0, operation 0: create affinity/host:n/10.0.0.0/30, ok\n"+
		"wrong too: call 1\n")
	must.StrContains(t, out, "\n1 recording: 2 differences in 4 races, 8 calls\n")
}

func TestPlainAndGzip(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write([]byte(right))
	must.NoError(t, err)
	must.NoError(t, z.Close())
	status, out, _ := do("-check", written(t, right), written(t, packed.String()), "-")
	must.Eq(t, 0, status)
	must.StrContains(t, out, "3 recordings: 0 differences in 3 races, 6 calls\n")
}

func TestJSON(t *testing.T) {
	good, bad := written(t, right), written(t, right+wrong)
	status, out, _ := do("-check", "-json", good, bad)
	must.Eq(t, 1, status)
	d := json.NewDecoder(strings.NewReader(out))
	var r [2]fileResult
	must.NoError(t, d.Decode(&r[0]))
	must.NoError(t, d.Decode(&r[1]))
	must.Eq(t, fileResult{File: good, Races: 1, Calls: 2}, r[0])
	must.Eq(t, 1, r[1].Different)
	must.Len(t, 1, r[1].Details)
	must.False(t, d.More())
}

func TestUnreadable(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":         {"", "t.jsonl:1: empty: no race"},
		"cut off":       {right[:40], "t.jsonl:1: line ends in the middle of a JSON value"},
		"version":       {strings.Replace(right, `"version":1`, `"version":2`, 1), "t.jsonl:1: version 2, want 1"},
		"unknown field": {strings.Replace(right, `"steps"`, `"stairs"`, 1), `t.jsonl:1: json: unknown field "stairs"`},
		"no such client": {
			strings.Replace(right, `"schedule":[0,0]`, `"schedule":[0,1]`, 1),
			"t.jsonl:1: schedule entry 1 names client 1 of 1",
		},
		"no such operation": {strings.Replace(right, `"ClaimAffinity"`, `"Steal"`, 1), `t.jsonl:1: operation 0 of client 0: trace: unknown operation "Steal"`},
	} {
		t.Run(name, func(t *testing.T) {
			status, out, errs := do("-check", written(t, c.text))
			must.Eq(t, 2, status)
			must.StrContains(t, errs, c.want)
			must.StrContains(t, out, "0 races        0 calls  unreadable\n")
		})
	}
	status, out, _ := do("-check", written(t, right+right[:40]))
	must.Eq(t, 2, status)
	must.StrContains(t, out, "1 race        2 calls  ok so far, then unreadable\n")

	status, _, errs := do("-check", filepath.Join(t.TempDir(), "missing.gz"))
	must.Eq(t, 2, status)
	must.StrContains(t, errs, "missing.gz: no such file")

	for file, use := range map[string]string{
		"../../../testdata/traces/churn-0.jsonl.gz": "a recording of operations, not recorded races: use go run ./examples/replay ",
		"../../../testdata/plan.jsonl":              "scenarios with results, not recorded races: use go run ./examples/plan -check ",
	} {
		status, _, errs = do("-check", file)
		must.Eq(t, 2, status)
		must.Eq(t, "race: "+file+": holds "+use+file+"\n", errs)
	}
}

// TestCountsUnreadable: a file that cannot be read is no recording without
// differences, for people and for programs; what was read of one still counts.
func TestCountsUnreadable(t *testing.T) {
	good, cutBad, missing := written(t, right), written(t, wrong+right[:40]), filepath.Join(t.TempDir(), "missing.gz")
	status, out, _ := do("-check", good, missing)
	must.Eq(t, 2, status)
	must.True(t, strings.HasSuffix(out, "\n1 recording: 0 differences in 1 race, 2 calls, 1 unreadable\n"), must.Sprint(out))
	status, out, _ = do("-check", cutBad, missing, good)
	must.Eq(t, 2, status)
	must.True(t, strings.HasSuffix(out, "\n2 recordings: 1 difference in 2 races, 4 calls, 1 unreadable, 1 not read to the end\n"), must.Sprint(out))

	_, out, _ = do("-check", "-json", good, missing, cutBad)
	var numbers []any
	for d := json.NewDecoder(strings.NewReader(out)); d.More(); {
		var r map[string]any
		must.NoError(t, d.Decode(&r))
		numbers = append(numbers, r["different"])
	}
	must.Eq(t, []any{0.0, nil, 1.0}, numbers)
}

// full is a writer that has no room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestUnwritable(t *testing.T) {
	property.Slow(t)
	for _, args := range [][]string{{"-check", "-"}, {"-check", "-json", "-"}, {"-seed", "7"}, {"-seed", "7", "-json"}} {
		var errs bytes.Buffer
		must.Eq(t, 2, run(args, strings.NewReader(right), full{}, &errs))
		must.Eq(t, "race: no space left\n", errs.String())
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"-h"}, {"--help"}, {"-check", "-h"}, {"-seed", "7", "-h"}} {
		status, out, errs := do(args...)
		must.Eq(t, 0, status)
		must.StrContains(t, out, "Exit status")
		must.StrContains(t, out, "go run ./examples/race -")
		must.Eq(t, "", errs)
	}

	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "nothing to do"},
		{[]string{"testdata/races.jsonl.gz"}, "testdata/races.jsonl.gz: want -seed, -check or -storm"},
		{[]string{"-check"}, "no recording given"},
		{[]string{"-chek", "x"}, "-chek: no such flag; did you mean -check?"},
		{[]string{"-check", "-all", "x"}, "-all"},
		{[]string{"-check", "-calico", "v3.28", "x"}, "-calico: not with -check, whose recordings name their own release"},
	} {
		status, out, errs := do(c.args...)
		must.Eq(t, 2, status)
		must.Eq(t, "", out)
		must.StrContains(t, errs, c.want)
	}
}
