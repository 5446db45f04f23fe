package race

import (
	"bytes"
	"encoding/json"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/internal/storm"
)

const forty = `40 nodes at once, 1 pod each; pool 10.0.0.0/20, empty
5 calls a second a node after a burst of 10, 10ms a call, seed 1
+------------+-------+------+--------+---------+-------+--------+--------+
|     BLOCKS | CALLS |   IN |   CON- | RETRIES | WORST | MEDIAN |   LAST |
|            |       | TURN | FLICTS |         |  NODE |        |        |
+------------+-------+------+--------+---------+-------+--------+--------+
|   16 x /24 |   902 |  400 |     17 |      67 | 36, 2 | 3.21 s | 6.01 s |
|   32 x /25 |   894 |  480 |      1 |      52 | 46, 1 | 0.61 s | 8.21 s |
|   64 x /26 |   888 |  520 |      0 |      46 | 77, 0 | 0.61 s |   15 s |
|  128 x /27 |   536 |  520 |      0 |       2 | 21, 0 | 0.61 s | 2.41 s |
|  256 x /28 |   528 |  520 |      0 |       1 | 21, 0 | 0.61 s | 2.41 s |
|  512 x /29 |   520 |  520 |      0 |       0 | 13, 0 | 0.61 s | 0.61 s |
| 1024 x /30 |   520 |  520 |      0 |       0 | 13, 0 | 0.61 s | 0.61 s |
+------------+-------+------+--------+---------+-------+--------+--------+
Contention costs most with 16 x /24: 2.3 times the calls of the same pods one
after the other (IN TURN), for 17 writes met a conflict and 50 claims a block
that another node had created first. With 512 x /29 it costs nothing.
The last pod waits 15 s, with 64 x /26: a node makes up to 77 calls, of which
its limit lets 10 pass at once and then 5 a second.
`

func TestStorm(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	all := []int{1, 2, 8}
	if testing.Short() && !property.UnderRace {
		all = []int{2}
	}
	for _, processors := range all {
		runtime.GOMAXPROCS(processors)
		status, out, errs := do("-storm", "40")
		must.Eq(t, 0, status)
		must.Eq(t, "", errs)
		must.Eq(t, forty, out)
	}
	_, out, _ := do("-storm=40", "-seed", "2")
	must.NotEq(t, forty, out)
}

func TestStormInWords(t *testing.T) {
	for name, c := range map[string]struct {
		args   string
		status int
		want   []string
	}{
		"nearly full": {"-storm 200 -filled 95", 0, []string{
			"10.0.0.0/20, 95 of 100 blocks full\n",
			"In a pool this full a node reads block after block",
			"It costs least with 128 x /27: ",
			"Left out, for the pool has no room for so many pods: blocks of /28, /29, /30.\n",
		}},
		"nearly full, old": {"-storm 40 -filled 95 -block-size 26 -calico v3.28", 0, []string{"95 of 100 blocks full\n", "seed 1\nCalico v3.28\n"}},
		"strict, old":      {"-storm 40 -strict -block-size 24 -calico v3.31", 1, []string{"Calico v3.31\n", "Pods without an address: 24 with 16 x /24;"}},
		"strict": {"-storm 40 -strict", 1, []string{
			"empty, strict affinity\n",
			"Pods without an address: 24 with 16 x /24, 8 with 32 x /25; with strict affinity a node without a block cannot borrow.",
		}},
		"one block": {"-storm 120 -pool 10.0.0.0/24 -block-size 24", 1, []string{
			"Contention is costly with 1 x /24: ",
			"Pods without an address: 19 with 1 x /24; a node gives up after 100 conflicts",
		}},
		"tie for the last": {"-storm 2 -pool 10.0.0.0/30 -block-size 30", 0, []string{"for 1 claim a block that another node had created first. The last pod waits 1.41 s: a node makes up to 16 calls, of which"}},
		"one node": {"--storm=1 -pods 2", 0, []string{
			"1 node at once, 2 pods each",
			"There is no contention",
			"The last pod waits 2.21 s: a node makes up to 21 calls,",
		}},
		"small pool":  {"-storm 2 -pool 10.0.0.0/31", 0, []string{"| 1 x /31 |"}},
		"large pool":  {"-storm 2 -pool fd00::/64 -rate 0.5 -latency 1s", 0, []string{"| 2^58 x /122 |"}},
		"long wait":   {"-storm 2 -pods 40 -rate 0.1 -block-size 30", 0, []string{"| 2550 s | 7200 s |"}},
		"odd address": {"-storm 3 -pool 10.0.0.0/30 -block-size 32", 0, []string{"| 4 x /32 |"}},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "nearly full" || name == "one block" {
				property.Slow(t)
			}
			status, out, errs := do(strings.Fields(c.args)...)
			must.Eq(t, c.status, status, must.Sprint(errs))
			must.Eq(t, "", errs)
			for line := range strings.Lines(out) {
				must.LessEq(t, stormWidth+1, len(line), must.Sprint(line))
			}
			flat := strings.Join(strings.Split(out, "\n"), " ")
			for _, want := range c.want {
				must.StrContains(t, flat, strings.ReplaceAll(want, "\n", " "))
			}
		})
	}
}

// The table of a storm as large as they come fits a terminal.
func TestStormWidth(t *testing.T) {
	large := storm.Result{
		BlockSize: 30, BlockBits: 14, Pods: 1000, Total: storm.Cost{Calls: 999_999, Conflicts: 99_999, Retries: 99_999}, InTurn: 99_999,
		Worst: storm.Node{Name: "node-0", Cost: storm.Cost{Calls: 999, Conflicts: 100}}, Median: 99_900 * time.Millisecond, Last: 1234 * time.Second,
	}
	for line := range strings.Lines(drawStorm([]storm.Result{large})) {
		must.LessEq(t, stormWidth, len(strings.TrimSpace(line)), must.Sprint(line))
	}
}

func TestStormJSON(t *testing.T) {
	property.Slow(t)
	status, out, errs := do("-storm", "40", "-json", "-filled", "50")
	must.Eq(t, 0, status, must.Sprint(errs))
	d := json.NewDecoder(strings.NewReader(out))
	d.DisallowUnknownFields()
	for size := 24; size <= 30; size++ {
		var r stormJSON
		must.NoError(t, d.Decode(&r))
		must.Eq(t, size, r.BlockSize)
		must.Eq(t, 1<<(size-20), r.Blocks.Int64())
		must.Eq(t, 40, r.Pods)
		must.Positive(t, r.InTurn)
		must.GreaterEq(t, r.Conflicts, r.Retries)
		must.GreaterEq(t, r.MedianSeconds, r.LastSeconds)
		must.LessEq(t, r.Calls, r.Worst.Calls*2)
	}
	must.ErrorIs(t, d.Decode(new(any)), io.EOF)
}

func TestStormUsage(t *testing.T) {
	status, out, errs := do("-storm", "40", "-h")
	must.Eq(t, 0, status)
	must.Eq(t, "", errs)
	for _, want := range []string{"go run ./examples/race -storm 40 -filled 95", "Exit status", "-burst", "-calico RELEASE", "10.0.0.0/20)"} {
		must.StrContains(t, out, want)
	}
	for line := range strings.Lines(out) {
		must.LessEq(t, 80+len("\n"), len([]rune(strings.Replace(line, "\t", "    ", 1))), must.Sprint(line))
	}
	for args, want := range map[string]string{
		"-storm 40 -calico v2":             "-calico v2: must be a release of Calico such as v3.28",
		"-storm 0":                         "race: -storm 0: must be 1 to 10000",
		"-storm":                           "-storm: needs a value: -storm N",
		"-storm many":                      "-storm many: must be a whole number",
		"-storm 40 -check":                 "-storm and -check are different things to do: give one of them",
		"-check -storm 40 races.gz":        "-storm and -check are different",
		"-storm 40 races.gz":               `"races.gz": -storm takes no arguments`,
		"-storm 40 -rate 0":                "-rate 0: must be 0.01 to 1000000 calls a second",
		"-storm 40 -rate -5":               "-rate -5: must be",
		"-storm 40 -burst 0":               "-burst 0: must be",
		"-storm 40 -latency -1s":           "-latency -1s: must be",
		"-storm 40 -pods 0":                "-pods 0: must be",
		"-storm 40 -filled 101":            "-filled 101: must be",
		"-storm 40 -filled 100":            "-pool 10.0.0.0/20: has 0 free addresses for 40 pods: a larger pool",
		"-storm 40 -pool 10.0.0.0/27":      "-pool 10.0.0.0/27: has 32 free addresses for 40 pods",
		"-storm 40 -pool 10.0.0.0":         "-pool 10.0.0.0: not a CIDR such as",
		"-storm 40 -pool 10.0.0.1/20":      "-pool 10.0.0.1/20: has host bits set",
		"-storm 40 -block-size 33":         "-block-size 33: must be",
		"-storm 40 -sizes 3":               "-sizes: no such flag",
		"-storm 4 -pool fd::/64 -filled 9": "-filled 9: fd::/64 has 2^56 blocks",
	} {
		status, out, errs := do(strings.Fields(args)...)
		must.Eq(t, 2, status, must.Sprint(args))
		must.Eq(t, "", out, must.Sprint(args))
		must.StrContains(t, errs, want, must.Sprint(args))
		must.Eq(t, 1, strings.Count(errs, "\n"), must.Sprint(errs))
	}
	_, _, errs = do("-check", "--", "-storm")
	must.StrContains(t, errs, "open -storm", must.Sprint("a file of that name"))
}

func TestStormUnwritable(t *testing.T) {
	for _, args := range [][]string{{"-storm", "4"}, {"-storm", "4", "-json"}} {
		var errs bytes.Buffer
		must.Eq(t, 2, run(args, nil, full{}, &errs))
		must.Eq(t, "race: no space left\n", errs.String())
	}
}

// TestStormLimit: where nodes have all the blocks that they may have, the words name that
// limit, and no other reason.
func TestStormLimit(t *testing.T) {
	status, out, errs := do("-storm", "5", "-pods", "30", "-block-size", "32")
	must.Eq(t, 1, status, must.Sprint(errs))
	must.StrContains(t, out, "Pods without an address: 50 with 4096 x /32; a node may have 20 blocks\n(maxBlocksPerHost), has them, and then borrows from no other node either.\n")
	must.StrNotContains(t, out, "gives up")
	_, out, _ = do("-storm", "5", "-pods", "30", "-block-size", "32", "-strict", "-json")
	must.StrContains(t, out, `"refused":50,"refusedAtBlockLimit":50,`)

	// Fewer blocks than that: it is not the limit.
	status, out, _ = do("-storm", "3", "-pods", "5", "-block-size", "28", "-pool", "10.0.0.0/27", "-strict")
	must.Eq(t, 1, status)
	must.StrContains(t, strings.Join(strings.Fields(out), " "), "; with strict affinity a node without a block cannot borrow.")
	must.StrNotContains(t, out, "maxBlocksPerHost")
}
