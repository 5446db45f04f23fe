package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoenig/test/must"
)

const header = `{"version":1,"name":"t","start":"2026-01-01T00:00:00Z","pools":[{"name":"p","cidr":"10.244.0.0/16","blockSize":26}],"nodes":[{"name":"minikube"}]}` + "\n"

const (
	assignRight = `{"i":1,"op":"AutoAssign","in":{"host":"minikube","num4":1,"use":"Workload"},"out":{"ips4":["10.244.120.64/26"]}}` + "\n"
	assignWrong = `{"i":2,"op":"AutoAssign","in":{"host":"minikube","num4":1,"use":"Workload"},"out":{"ips4":["10.244.120.99/26"]}}` + "\n"
	assignLater = `{"i":3,"op":"AutoAssign","in":{"host":"minikube","num4":1,"use":"Workload"},"out":{"ips4":["10.244.120.98/26"]}}` + "\n"
)

// written puts a recording into a file and returns its path.
func written(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "t.jsonl")
	must.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func do(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(args, strings.NewReader(header+assignRight), &out, &errs)
	return status, out.String(), errs.String()
}

func TestAgrees(t *testing.T) {
	path := written(t, header+assignRight)
	status, out, errs := do(path)
	must.Eq(t, 0, status)
	must.Eq(t, "", errs)
	must.StrContains(t, out, "1 operation  ok\n")
	must.True(t, strings.HasSuffix(out, "\n1 recording: 0 divergences in 1 operation\n"), must.Sprint(out))
}

func TestRecordings(t *testing.T) {
	files, err := filepath.Glob("../../../testdata/traces/c*.gz")
	must.NoError(t, err)
	must.Len(t, 15, files)
	want := "15 recordings: 0 divergences in 8,"
	if testing.Short() {
		files, want = files[:1], "1 recording: 0 divergences in "
	}
	status, out, _ := do(files...)
	must.Eq(t, 0, status)
	must.StrContains(t, out, want)
}

func TestLifecycleRecordings(t *testing.T) {
	for pattern, total := range map[string]string{
		"lifecycle/*.gz":            "40 recordings: 0 divergences in 17,201 operations",
		"lifecycle-2/*.gz":          "80 recordings: 0 divergences in 9,772 operations",
		"minimal/lifecycle/*.jsonl": "7 recordings: 0 divergences in 73 operations",
	} {
		if testing.Short() && pattern != "minimal/lifecycle/*.jsonl" {
			continue // the others have many operations
		}
		files, err := filepath.Glob("../../../testdata/" + pattern)
		must.NoError(t, err)
		status, out, errs := do(files...)
		must.Eq(t, 0, status, must.Sprint(errs))
		must.StrContains(t, out, total)
	}
}

func TestDiverges(t *testing.T) {
	path := written(t, header+assignRight+assignWrong+assignLater)
	status, out, errs := do(path)
	must.Eq(t, 1, status)
	must.Eq(t, "", errs)
	must.StrContains(t, out, "3 operations  2 operations diverge\n")
	must.StrContains(t, out, "t.jsonl:3: operation 2, AutoAssign\n")
	must.StrContains(t, out, `want: {"ips4":["10.244.120.99/26"]}`)
	must.StrContains(t, out, `got:  {"ips4":["10.244.120.65/26"]}`)
	must.StrNotContains(t, out, "operation 3,", must.Sprint("only the first, unless asked"))
	must.StrContains(t, out, "1 recording: 2 divergences in 3 operations\n")

	_, out, _ = do("-all", path)
	must.StrContains(t, out, "operation 3,")
}

func TestJSON(t *testing.T) {
	good, bad := written(t, header+assignRight), written(t, header+assignRight+assignWrong)
	status, out, _ := do("-json", good, bad)
	must.Eq(t, 1, status)
	d := json.NewDecoder(strings.NewReader(out))
	var r [2]fileResult
	must.NoError(t, d.Decode(&r[0]))
	must.NoError(t, d.Decode(&r[1]))
	must.Eq(t, fileResult{File: good, Operations: 1}, r[0])
	must.Eq(t, 1, r[1].Divergences)
	must.Len(t, 1, r[1].Details)
	must.False(t, d.More())
}

// TestSnapshots: recordings that go on from a snapshot find it beside themselves.
func TestSnapshots(t *testing.T) {
	files, err := filepath.Glob("../../../testdata/snapshots/*.jsonl.gz")
	must.NoError(t, err)
	want := "16 recordings: 0 divergences in 1,952 operations\n"
	if testing.Short() {
		files, want = files[:1], "1 recording: 0 divergences in "
	}
	for _, args := range [][]string{{"-snapshot", "v3"}, nil} {
		status, out, errs := do(append(args, files...)...)
		must.Eq(t, 0, status)
		must.Eq(t, "", errs)
		must.StrContains(t, out, want)
	}
}

func TestSnapshotProblems(t *testing.T) {
	goesOn := strings.Replace(header, `"name":"t"`, `"name":"t","snapshot":"NAME"`, 1)
	missing := written(t, strings.Replace(goesOn, "NAME", "t", 1)+assignRight)
	status, out, errs := do(missing)
	must.Eq(t, 2, status)
	must.StrContains(t, errs, "there is no "+filepath.Join(filepath.Dir(missing), "t.v1")+".yaml.gz, .yaml")
	must.StrContains(t, out, "0 operations  unreadable\n")

	snapshot := filepath.Join(filepath.Dir(missing), "t.v3.json")
	must.NoError(t, os.WriteFile(snapshot, []byte(`{"apiVersion":"v1","kind":"List","items":[{"kind":"Node","apiVersion":"v3"}]}`), 0o600))
	status, _, errs = do("-snapshot", "v3", missing)
	must.Eq(t, 2, status)
	must.StrContains(t, errs, `t.v3.json:1: Node: kind: "Node" of "v3" is not read`)

	for _, name := range []string{"../t", "/etc/passwd", ".."} {
		status, _, errs = do(written(t, strings.Replace(goesOn, "NAME", name, 1)))
		must.Eq(t, 2, status)
		must.StrContains(t, errs, "is not the name of a file beside the recording")
	}

	status, _, errs = do("-snapshot", "v2", missing)
	must.Eq(t, 2, status)
	must.StrContains(t, errs, "-snapshot v2: must be v1 or v3")
}

func TestUnreadable(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":             {"", "t.jsonl:1: empty: no header"},
		"cut off":           {header + assignRight[:40], "t.jsonl:2: line ends in the middle of a JSON value"},
		"unknown field":     {strings.Replace(header, `"name":"t"`, `"nome":"t"`, 1), `t.jsonl:1: json: unknown field "nome"`},
		"unknown operation": {header + `{"i":1,"op":"Steal","in":{},"out":{}}`, `t.jsonl:2: trace: unknown operation "Steal"`},
	} {
		t.Run(name, func(t *testing.T) {
			status, out, errs := do(written(t, c.text))
			must.Eq(t, 2, status)
			must.StrContains(t, errs, c.want)
			must.StrContains(t, out, "0 operations  unreadable\n")
		})
	}
	status, out, _ := do(written(t, header+assignRight+assignRight[:40]))
	must.Eq(t, 2, status)
	must.StrContains(t, out, "1 operation  ok so far, then unreadable\n")

	status, _, errs := do(filepath.Join(t.TempDir(), "missing.gz"))
	must.Eq(t, 2, status)
	must.StrContains(t, errs, "missing.gz: no such file")

	const plan = "../../../testdata/plan.jsonl"
	status, out, errs = do(plan)
	must.Eq(t, 2, status)
	must.Eq(t, "replay: "+plan+": holds scenarios with results, not a recording of operations: use go run ./examples/plan -check "+plan+"\n", errs)
	must.StrContains(t, out, "0 operations  unreadable\n")
	const races = "../../../testdata/races.jsonl.gz"
	status, _, errs = do(races)
	must.Eq(t, 2, status)
	must.Eq(t, "replay: "+races+": holds recorded races, not a recording of operations: use go run ./examples/race -check "+races+"\n", errs)
}

// TestCountsUnreadable: a file that cannot be read is no recording without
// divergences, for people and for programs; what was read of one still counts.
func TestCountsUnreadable(t *testing.T) {
	good, bad := written(t, header+assignRight), written(t, header+assignRight+assignWrong)
	cutOff, cutBad := written(t, header+assignRight+assignRight[:40]), written(t, header+assignWrong+assignRight[:40])
	missing := filepath.Join(t.TempDir(), "missing.gz")
	for _, c := range []struct {
		files []string
		want  string
	}{
		{[]string{good, missing}, "1 recording: 0 divergences in 1 operation, 1 unreadable"},
		{[]string{missing, missing}, "0 recordings: 0 divergences in 0 operations, 2 unreadable"},
		{[]string{missing, bad, good}, "2 recordings: 1 divergence in 3 operations, 1 unreadable"},
		{[]string{good, cutOff}, "2 recordings: 0 divergences in 2 operations, 1 not read to the end"},
		{[]string{good, missing, cutBad}, "2 recordings: 1 divergence in 2 operations, 1 unreadable, 1 not read to the end"},
	} {
		status, out, _ := do(c.files...)
		must.Eq(t, 2, status)
		must.True(t, strings.HasSuffix(out, "\n"+c.want+"\n"), must.Sprint(out))
	}

	status, out, _ := do("-json", good, missing, cutOff, cutBad)
	must.Eq(t, 2, status)
	var numbers []any
	for d := json.NewDecoder(strings.NewReader(out)); d.More(); {
		var r map[string]any
		must.NoError(t, d.Decode(&r))
		must.Eq(t, r["file"] != good, r["error"] != nil)
		numbers = append(numbers, r["divergences"])
	}
	must.Eq(t, []any{0.0, nil, nil, 1.0}, numbers)
}

func TestStandardInput(t *testing.T) {
	status, out, _ := do("-")
	must.Eq(t, 0, status)
	must.StrContains(t, out, "1 recording: 0 divergences in 1 operation\n")
}

// full is a writer that has no room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestUnwritable(t *testing.T) {
	for _, args := range [][]string{{"-"}, {"-json", "-"}} {
		var errs bytes.Buffer
		must.Eq(t, 2, run(args, strings.NewReader(header+assignRight), full{}, &errs))
		must.Eq(t, "replay: no space left\n", errs.String())
	}
}

func TestUsage(t *testing.T) {
	status, out, errs := do("-h")
	must.Eq(t, 0, status)
	must.StrContains(t, out, "Exit status")
	must.StrContains(t, out, "-json")
	must.Eq(t, "", errs)
	for line := range strings.Lines(out) {
		must.LessEq(t, 80+len("\n"), len([]rune(strings.Replace(line, "\t", "    ", 1))), must.Sprint(line))
	}

	status, out, errs = do()
	must.Eq(t, 2, status)
	must.Eq(t, "", out)
	must.StrContains(t, errs, "no recording given")

	status, _, errs = do("-al", "x")
	must.Eq(t, 2, status)
	must.StrContains(t, errs, "-al")
	must.StrContains(t, errs, "-h for help")
}

// TestUncovered: a release without rules of its own is replayed, with a warning,
// whether the recording or the flag names it.
func TestUncovered(t *testing.T) {
	path := written(t, strings.Replace(header, `"start"`, `"calico":"v3.40","start"`, 1)+assignRight)
	status, _, errs := do(path)
	must.Zero(t, status)
	must.StrContains(t, errs, "t.jsonl: Calico v3.40 is answered as v3.33, the newest release that is known here\n")
	_, _, errs = do("-calico", "v3.20", path)
	must.StrContains(t, errs, "t.jsonl: Calico v3.20 is answered as v3.22: ")
	_, _, errs = do("-calico", "v3.22", path)
	must.Eq(t, "", errs)
}
