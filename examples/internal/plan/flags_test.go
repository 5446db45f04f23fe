package plan

import (
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/cli"
)

// TestBadUsage: one line says what is wrong, and nothing else is printed.
func TestBadUsage(t *testing.T) {
	for args, says := range map[string]string{
		"-nodes 0":                                 "-nodes 0: must be 1 to ",
		"-nodes many":                              "-nodes many: must be a whole number",
		"-pods -1":                                 "-pods -1: must be 0",
		"-pods 0 -tunnel=false":                    "-pods 0: without -tunnel nobody asks for an address",
		"-pods 3 -pods-histogram 3:4":              "-pods-histogram: not with -pods",
		"-pods-histogram 3":                        `"3" is not pods:nodes`,
		"-pods-histogram 3:0":                      `"3:0" is not pods:nodes`,
		"-pool 10.0.0.0":                           "-pool 10.0.0.0: not a CIDR such as",
		"-pool 10.0.0.1/18":                        "-pool 10.0.0.1/18: has host bits set",
		"-pool 10.0.0.0/28 -block-size 26":         "-pool 10.0.0.0/28: is smaller than a block of /26",
		"-pool fd00::/48":                          "-pool fd00::/48: has 2^74 blocks of /122",
		"-block-size 19":                           "-block-size 19: must be from 20 to 32",
		"-node-format node":                        `-node-format "node": must hold one %d`,
		"-labels a=b":                              "-labels: no such flag (-h for help)",
		"-wide -json":                              "-wide: not with -json, which prints no table",
		"-f a.yaml -wide -shard 0/2":               "-wide: not with -shard, which prints no table",
		"-order sideways":                          `-order "sideways": must be round-robin,`,
		"-no-auto-allocate":                        "-no-auto-allocate needs -strict: Calico refuses autoAllocateBlocks off while strict affinity is off (-h",
		"-max-blocks -1":                           "-max-blocks -1: must be 0 ",
		"-cooldown 21m":                            "-cooldown 21m: must be from 0s to 20m",
		"-cooldown -1s":                            "-cooldown -1s: must be from 0s to 20m",
		"-cooldown 1500ms":                         "-cooldown 1500ms: must be whole seconds",
		"-reserve 10.0.0.0/40":                     `-reserve "10.0.0.0/40": must be an address or a CIDR`,
		"-reserve 10.9.0.0/24":                     "-reserve 10.9.0.0/24: no address of it is in the pool 10.0.0.0/18",
		"-reserve 10.0.0.1,fd00::1":                "-reserve fd00::1: no address of it is in the pool 10.0.0.0/18",
		"-service-cidr x":                          "-service-cidr x: not a CIDR such as",
		"-service-cidr 10.96.0.1/12":               "-service-cidr 10.96.0.1/12: has host bits",
		"-churn-rate -1":                           "-churn-rate -1: must be more than 0",
		"-churn-rate 1 -churn-for -1s":             "-churn-for -1s: must be more than 0s",
		"-churn-for 1m":                            "-churn-for: needs -churn-rate",
		"-nodse 3":                                 "-nodse: no such flag; did you mean -nodes? (-h for help)",
		"cluster.yaml":                             `unexpected argument "cluster.yaml"`,
		"-check":                                   "-check: no FILE given",
		"-check a.yaml -json":                      "open a.yaml: no such file",
		"-cooldown 300":                            "-cooldown 300: write 300s or 5m",
		"-check -wide a.yaml":                      "-wide: not with -check",
		"-check -nodes 3 a.yaml":                   "-nodes: not with a FILE, which says",
		"-f a.yaml -strict":                        "-strict: not with a FILE, which says",
		"-f a.yaml -shard 16/16":                   "-shard 16/16: must be I/N, with I from 0 to N-1",
		"-f a.yaml -shard /16":                     "-shard /16: must be I/N",
		"-f a.yaml -shard 0/2 -o r":                "-o: not with -shard",
		"-shard 0/2":                               "-shard: needs -f FILE",
		"-j -1":                                    "-j -1: must be 1 or more",
		"-samples 1 -json":                         "-samples 1: must be 0, or 2 and more",
		"-samples 5":                               "-samples: needs -json or -o",
		"-f " + recorded + " -o x":                 "-o: a report is of one scenario, or one at several block sizes, and " + recorded + " has 3",
		"-only x":                                  "-only: needs -f FILE",
		"-o=":                                      "-o: no file named; - is standard output",
		"-o /nowhere/r":                            "-o /nowhere/r: no such file or directory",
		"-o ../../plan/stories":                    "-o ../../plan/stories: is a directory",
		"-o - -json":                               "-o -: the report is printed instead of the table: not with -json",
		"-o flags.go/r":                            "-o flags.go/r: not a directory",
		"-f ../../plan/stories/drain.yaml -only x": "-only x: no scenario of that name in ../../plan/stories/drain.yaml",
		"-f ../../plan/stories/drain.yaml -o x":    "-o: a report is of one scenario, or one at several block sizes, and ../../plan/stories/drain.yaml has 4: pick one with -only NAME",
		"-f /nowhere":                              "open /nowhere: no such file",
		"-f command.go":                            "command.go",
		"-check /nowhere " + recorded + " x":       "open /nowhere: no such file",
	} {
		status, out, errs := do(strings.Fields(args)...)
		must.Eq(t, cli.Bad, status, must.Sprint(args))
		must.Eq(t, "", out, must.Sprint(args))
		must.True(t, strings.HasPrefix(errs, "plan: "), must.Sprint(errs))
		must.StrContains(t, errs, says, must.Sprint(args))
		must.Eq(t, 1, strings.Count(errs, "\n"), must.Sprint(errs))
	}
}

// TestBadFiles: errors about files say where.
func TestBadFiles(t *testing.T) {
	for text, says := range map[string]string{
		"pool: 10.0.0.0/24\nnodes: 0\n":                                            "s.yaml:2: nodes 0: must be 1 to ",
		"pool: 10.0.0.0/24\nnodes: 3\npodsPreNode: 4\n":                            `s.yaml:3: unknown key "podsPreNode"`,
		"pool: 10.0.0.0/24\nnodes: 3\nblockSize: 23\n":                             "s.yaml:1: pool 10.0.0.0/24: is smaller than a block of /23",
		"nodes: 3\npool: 10.0.0.0/24\nchurn: {perSecond: -1, for: 1m}\n":           "s.yaml:3: churn.perSecond -1: must be more than 0",
		"nodes: 3\npool: 10.0.0.0/24\nevents: [{at: 1s, do: drain, nodes: [x]}]\n": `s.yaml:3: events[0].nodes[0] "x": there never was such a node`,
		"nodes: 3\npool: 10.0.0.0/24\nnoAutoAllocateBlocks: true\n":                "s.yaml:3: noAutoAllocateBlocks without strictAffinity",
		"":           "s.yaml: no scenario in it",
		"- 3\n":      "s.yaml:1: not a scenario",
		"nodes: [\n": "s.yaml:",
		"nodes: 3\npool: 10.0.0.0/24\n---\nnodes: -3\npool: 10.0.0.0/24\n": "s.yaml:4: nodes -3",
	} {
		path := file(t, "s.yaml", text)
		for _, args := range [][]string{{"-f", path}, {"-check", path}, {"-f", path, "-json"}} {
			status, out, errs := do(args...)
			must.Eq(t, cli.Bad, status, must.Sprint(text))
			must.Eq(t, "", out, must.Sprint(text))
			must.StrContains(t, errs, says, must.Sprint(text))
			must.Eq(t, 1, strings.Count(errs, "\n"), must.Sprint(errs))
		}
	}
}

// TestWarnings: what is likely to disappoint is said, and run.
func TestWarnings(t *testing.T) {
	for args, says := range map[string]string{
		"-nodes 5 -pods 1 -pool 10.0.0.0/24 -block-size 26":                        "warning: 5 nodes and 4 blocks",
		"-nodes 3 -pods 2 -pool 10.0.0.0/29":                                       "warning: with blocks of /29, the largest: 3 nodes and 1 block: not every node gets one\n",
		"-nodes 2 -pods 90 -pool 10.0.0.0/24 -block-size 26 -strict -max-blocks 1": "warning: ",
		"-nodes 2 -pods 9 -pool 10.0.0.0/24 -reserve 10.0.0.0/27,10.0.0.64":        "warning: 33 of ",
		"-nodes 2 -pods 9 -pool 10.0.0.0/24 -max-blocks 3":                         "warning: a block limit without strict affinity",
		"-nodes 2 -pods 9 -pool 10.96.0.0/24 -service-cidr 10.96.0.0/12":           "warning: 10.96.0.0/24 touches the service CIDR 10.96.0.0/12",
	} {
		status, out, errs := do(strings.Fields(args)...)
		must.NotEq(t, cli.Bad, status, must.Sprint(args))
		must.NotEq(t, "", out)
		must.StrContains(t, errs, says, must.Sprint(args))
	}
}

func TestHelp(t *testing.T) {
	status, out, errs := do("-h")
	must.Eq(t, cli.Fine, status)
	must.Eq(t, "", errs)
	must.StrContains(t, out, "Exit status")
	must.StrContains(t, out, "-pods-histogram pods:nodes")
	for line := range strings.Lines(out) {
		must.LessEq(t, 80+len("\n"), len([]rune(strings.Replace(line, "\t", "    ", 1))), must.Sprint(line))
	}
	for field, name := range flagOf {
		must.StrContains(t, out, "  -"+name, must.Sprint(field))
	}
}

// TestOrders: the help lists every order that there is.
func TestOrders(t *testing.T) {
	status, _, errs := do("-order", "sideways")
	must.Eq(t, cli.Bad, status)
	last := len(orders) - 1
	must.StrContains(t, errs, ": must be "+strings.Join(orders[:last], ", ")+" or "+orders[last]+" (-h")
	_, help, _ := do("-h")
	must.StrContains(t, strings.Join(strings.Fields(help), " "), "how pods arrive: "+strings.Join(orders, ", ")+" (default")
}

// TestUsageRuns: the scenario that the help shows can be run.
func TestUsageRuns(t *testing.T) {
	_, after, _ := strings.Cut(usage, "are for files only:\n\n")
	text, _, _ := strings.Cut(after, "\n\n")
	status, out, errs := do("-f", file(t, "s.yaml", strings.ReplaceAll(text, "\n  ", "\n")[2:]))
	must.Eq(t, cli.Fine, status, must.Sprint(errs))
	must.StrContains(t, out, "two zones: 50 nodes of 30 pods and 20 nodes of 60 pods in 2 pools, 1 event")
}
