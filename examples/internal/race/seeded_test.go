package race

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/internal/explore"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam/protocol"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// TestSeeded pins what the README's command prints, on every machine.
func TestSeeded(t *testing.T) {
	status, out, errs := do("-seed", "7")
	must.Eq(t, 0, status)
	must.Eq(t, "", errs)
	golden, err := os.ReadFile("testdata/seed-7.txt")
	must.NoError(t, err)
	must.Eq(t, string(golden), out)

	_, again, _ := do("-seed=7", "-schedule", scheduleIn(out))
	must.Eq(t, out, again, must.Sprint("the command at the end shows the same"))
}

// scheduleIn returns the schedule of the command at the end.
func scheduleIn(out string) string {
	_, text, _ := strings.Cut(out, `-schedule "`)
	text, _, _ = strings.Cut(text, `"`)
	return text
}

// The tables of any seed keep to 80 columns, and no seed breaks an invariant.
func TestWidth(t *testing.T) {
	for _, seed := range []string{"0", "-1", "1", "2", "3", "4", "5", "6", "8", "9", "10", "11", "12", "9223372036854775807"} {
		if testing.Short() && seed != "0" {
			continue
		}
		status, out, errs := do("-seed", seed)
		must.Eq(t, 0, status, must.Sprint(errs))
		must.StrContains(t, out, "0 violations")
		must.StrNotContains(t, out, "\x1b", must.Sprint("no colours in a pipe"))
		for _, line := range strings.Split(out, "\n") {
			if !strings.HasPrefix(line, "  go run") {
				must.LessEq(t, width, len(line), must.Sprintf("seed %s: %s", seed, line))
			}
		}
	}
}

func TestSchedule(t *testing.T) {
	status, out, _ := do("-seed", "7", "-schedule", "a*8 a:dies b*4 a:fails a* b:lost b:stale b*")
	must.Eq(t, 2, status)
	must.Eq(t, "", out)
	status, out, _ = do("-seed", "7", "-schedule", "a*8 a:dies b*4 a:fails b*20")
	must.Eq(t, 0, status)
	must.StrContains(t, out, "dies")
	must.StrContains(t, out, "get fails")
	must.StrContains(t, out, "did not")
}

func TestSavedCase(t *testing.T) {
	file := filepath.Join(t.TempDir(), "case.json")
	status, shown, errs := do("-seed", "9", "-save", file)
	must.Eq(t, 0, status, must.Sprint(errs))
	status, again, errs := do("-seed", file)
	must.Eq(t, 0, status, must.Sprint(errs))
	body := func(out string) string {
		_, out, _ = strings.Cut(out, "\n") // what it is called
		out, _, _ = strings.Cut(out, "  go run")
		return out
	}
	must.Eq(t, body(shown), body(again))

	text, err := os.ReadFile(file)
	must.NoError(t, err)
	must.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(text), `"version":1`, `"version":2`, 1)), 0o600))
	status, out, errs := do("-seed", file)
	must.Eq(t, 2, status)
	must.Eq(t, "", out)
	must.StrContains(t, errs, "case.json:1: version 2, want 1")
}

// TestCalico: -calico shows the race as another release has it; the command at the end
// and the file show the same again.
func TestCalico(t *testing.T) {
	property.Slow(t)
	status, shown, errs := do("-seed", "7", "-calico", "v3.28")
	must.Eq(t, 0, status)
	must.Eq(t, "", errs)
	must.StrContains(t, shown, "Race 7 of Calico v3.28: pool ")
	must.StrContains(t, shown, " -seed 7 -calico v3.28 -schedule ")
	must.StrContains(t, shown, " 0 violations\n")
	_, newest, _ := do("-seed", "7")
	must.StrContains(t, newest, "host:n16 has ", must.Sprint("an empty block of n59's"))
	must.StrNotContains(t, shown, "host:n16 has ", must.Sprint("nobody takes another's block"))
	_, again, _ := do("-seed", "7", "-calico", "v3.28", "-schedule", scheduleIn(shown))
	must.Eq(t, shown, again)

	file := filepath.Join(t.TempDir(), "case.json")
	status, _, errs = do("-seed", "7", "-calico", "v3.28", "-o", file)
	must.Eq(t, 0, status, must.Sprint(errs))
	body := func(out string) string {
		_, out, _ = strings.Cut(out, "\n") // what it is called
		out, _, _ = strings.Cut(out, "  go run")
		return out
	}
	_, again, _ = do("-seed", file)
	must.StrContains(t, again, " of Calico v3.28: ")
	must.Eq(t, body(shown), body(again))
	status, _, errs = do("-seed", file, "-explore")
	must.Eq(t, 2, status)
	must.StrContains(t, errs, `setting is of Calico "v3.28", and only the newest release, v3.33, is explored`)

	release := func(args ...string) string {
		_, out, _ := do(append(args, "-json")...)
		var v struct{ Calico string }
		must.NoError(t, json.Unmarshal([]byte(out), &v))
		return v.Calico
	}
	must.Eq(t, "v3.28", release("-seed", file))
	must.Eq(t, "v3.31", release("-seed", file, "-calico", "v3.31"))
	must.Eq(t, "v3.33", release("-seed", "7"))

	_, _, errs = do("-seed", "7", "-calico", "v3.20")
	must.StrContains(t, errs, "race: Calico v3.20 is answered as v3.22")
}

func TestSeededJSON(t *testing.T) {
	status, out, _ := do("-seed", "7", "-json")
	must.Eq(t, 0, status)
	var v shown
	must.NoError(t, json.Unmarshal([]byte(out), &v))
	must.Eq(t, "7", v.Seed)
	must.SliceNotEmpty(t, v.State.Blocks)
	s, err := explore.ParseSchedule(v.Schedule)
	must.NoError(t, err)
	must.Len(t, len(s), v.Steps)
	must.Eq(t, "", v.Violation)
}

func TestTryAll(t *testing.T) {
	property.Slow(t)
	status, out, errs := do("-seed", "9", "-explore", "-deaths", "0")
	must.Eq(t, 0, status)
	must.Eq(t, "", errs)
	must.StrContains(t, out, "complete: there is nothing else")
	must.StrContains(t, out, "0 violations\n")

	status, out, _ = do("-seed", "9", "-explore", "-states", "100")
	must.Eq(t, 0, status)
	must.StrContains(t, out, "100 states")
	must.StrContains(t, out, "stopped at the bound")

	status, out, _ = do("-seed", "9", "-random", "50", "-failures", "1", "-stale", "1", "-json")
	must.Eq(t, 0, status)
	var v tried
	must.NoError(t, json.Unmarshal([]byte(out), &v))
	must.Eq(t, 50, v.Schedules)
	must.SliceEmpty(t, v.Violations, must.Sprint(v.Violations))
}

// hasty confirms an affinity before there is a block.
type hasty struct{ protocol.Access }

func (h hasty) Do(r protocol.Request) protocol.Response {
	if a, ok := r.Object.(*protocol.Affinity); ok && r.Verb == protocol.Create {
		a.State = affinity.Confirmed
	}
	return h.Access.Do(r)
}

// A violation is shown with the schedule that leads there, and the program says so
// as it ends.
func TestViolation(t *testing.T) {
	property.Slow(t)
	for _, args := range [][]string{{"-seed", "5"}, {"-seed", "5", "-explore"}, {"-seed", "5", "-random", "9"}, {"-seed", "5", "-json"}, {"-seed", "5", "-explore", "-json"}} {
		o := new(options)
		o.small.options.Engine = func(c *protocol.Cluster, access protocol.Access, now func() time.Time) trace.Engine {
			return c.Client(hasty{access}, now)
		}
		var out, errs strings.Builder
		must.Eq(t, 1, cli.Execute(context.Background(), o.command(), args, strings.NewReader(""), &out, &errs), must.Sprint(args))
		must.StrContains(t, out.String(), "is confirmed, and there is no block")
		must.Eq(t, "", errs.String())
		if !o.json {
			_, err := explore.ParseSchedule(scheduleIn(out.String()))
			must.NoError(t, err)
		}
	}
}

func TestSeededUsage(t *testing.T) {
	property.Slow(t)
	missing := filepath.Join(t.TempDir(), "missing")
	for i, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-seed"}, "-seed: needs a value: -seed N|FILE"},
		{[]string{"-seed", ""}, "want a number or a file"},
		{[]string{"-seed", missing}, "no such file"},
		{[]string{"-seed", "-"}, "standard input:1: "}, // a race is no case
		{[]string{"-seed", "7", "-schedule", "a d"}, "move 2 is of client d, and there are only a to b"},
		{[]string{"-seed", "7", "-schedule", "a*1000"}, "a has nothing left to do"},
		{[]string{"-seed", "7", "-schedule", "a:sleeps"}, `word 1, "a:sleeps"`},
		{[]string{"-seed", "7", "-schedule", "a", "b"}, "b: what for?"},
		{[]string{"-seed", "7", "-explore", "-random", "5"}, "not both"},
		{[]string{"-seed", "7", "-random", "0"}, "want 1 or more"},
		{[]string{"-seed", "7", "-random", "1000000000"}, "want 1 to 100000000"},
		{[]string{"-seed", "7", "-explore", "-states", "0"}, "would explore forever"},
		{[]string{"-seed", "7", "-explore", "-states", "1000000000"}, "would explore forever"},
		{[]string{"-seed", "7", "-explore", "-deaths", "100"}, "would explore forever"},
		{[]string{"-seed", "7", "-explore", "-deaths", "-1"}, "-1 deaths"},
		{[]string{"-seed", "7", "-explore", "-conflicts", "0"}, "-conflicts 0"},
		{[]string{"-seed", "7", "-explore", "-conflicts", "50"}, "would explore forever"},
		{[]string{"-seed", "7", "-explore", "-schedule", "a"}, "-schedule and -o are for one"},
		{[]string{"-seed", "7", "-calico", "2.6"}, "-calico 2.6: must be a release of Calico"},
		{[]string{"-seed", "7", "-explore", "-calico", "v3.28"}, "-calico v3.28: -explore and -random know the newest release only, v3.33; -schedule tries one schedule of v3.28"},
		{[]string{"-seed", "7", "-random", "5", "-calico", "v3.32"}, "know the newest release only"},
		{[]string{"-seed", "7", "-deaths", "2"}, "-deaths is for -explore or -random"},
		{[]string{"-seed", "7", "-save", filepath.Join(missing, "x")}, "no such file"},
	} {
		if testing.Short() && i%4 > 0 {
			continue
		}
		status, out, errs := do(c.args...)
		must.Eq(t, 2, status, must.Sprint(c.args))
		must.Eq(t, "", out)
		must.StrContains(t, errs, c.want)
	}
}
