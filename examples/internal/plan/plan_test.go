package plan

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam/sim"
)

func do(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(args, strings.NewReader(""), &out, &errs)
	return status, out.String(), errs.String()
}

// file writes a file that is gone when the test is over, and returns its path.
func file(t *testing.T, name, text string) string {
	path := filepath.Join(t.TempDir(), name)
	must.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

// tableRow returns the cells of a block size's line, the mark aside.
func tableRow(t *testing.T, out, size string) []string {
	for line := range strings.Lines(out) {
		if cells := strings.Fields(strings.Replace(line, "> ", "  ", 1)); len(cells) > 1 && cells[0] == size {
			return cells
		}
	}
	t.Fatalf("no %s in\n%s", size, out)
	return nil
}

// TestReadme: what the README shows is what the program prints.
func TestReadme(t *testing.T) {
	property.Slow(t)
	t.Chdir("../../..") // where its commands are run
	readme, err := os.ReadFile("examples/plan/README.md")
	must.NoError(t, err)
	_, after, ok := strings.Cut(string(readme), "```yaml\n")
	must.True(t, ok)
	example, _, _ := strings.Cut(after, "```")
	status, _, errs := do("-f", file(t, "s.yaml", example))
	must.NotEq(t, cli.Bad, status, must.Sprint(errs))

	shown := 0
	for _, fence := range strings.Split(string(readme), "```\n$ go run ./examples/plan ")[1:] {
		command, want, _ := strings.Cut(fence, "\n")
		want, _, _ = strings.Cut(want, "```")
		if strings.Contains(command, "plan.jsonl") && !property.Long() { // it takes seconds
			continue
		}
		var args []string
		for _, arg := range strings.Fields(command) {
			if files, _ := filepath.Glob(arg); len(files) > 0 {
				args = append(args, files...)
			} else {
				args = append(args, arg)
			}
		}
		_, out, _ := do(args...)
		must.Eq(t, want, out, must.Sprint(command))
		for line := range strings.Lines(out) {
			must.LessEq(t, pageWidth+1, len([]rune(line)), must.Sprint(line))
		}
		shown++
	}
	must.GreaterEq(t, 8, shown)
}

// TestThreeHundredNodes: the figures of the recordings of the real allocator.
func TestThreeHundredNodes(t *testing.T) {
	status, out, _ := do()
	must.Eq(t, cli.Fine, status, must.Sprint("these are the defaults"))
	must.Eq(t, strings.Fields("/26 256 256 10,022 2,278 none 44 2,534 4,084"), tableRow(t, out, "/26"))
	must.Eq(t, strings.Fields("/28 1,024 900 12,300 none none none 900 2,100"), tableRow(t, out, "/28"))
	must.StrContains(t, out, "\n  > /28 ", must.Sprint("the one to take is marked"))
	must.Eq(t, 1, strings.Count(out, ">"))
}

// TestNodesComeAndGo: with a cleaner a pool suffices for nodes that come and go, and
// without one it does not.
func TestNodesComeAndGo(t *testing.T) {
	const spot = `
pool: 10.0.0.0/24
blockSize: 28
nodes: 8
podsPerNode: 10
tunnelIPPerNode: true
for: 3h
retryEvery: 1m
events: [{at: 15m, do: interrupt, count: 8, every: 15m, over: 15m}]
`
	status, out, errs := do("-f", file(t, "spot.yaml", spot+"cleaner: {down: [{from: 1h, to: 70m}]}\n"))
	must.Eq(t, cli.Fine, status, must.Sprint(errs))
	must.StrContains(t, out, "/28 fits: every request gets an address from a block of its node's own")
	must.Eq(t, "", errs)
	status, out, errs = do("-f", file(t, "spot.yaml", spot))
	must.Eq(t, cli.No, status)
	must.StrContains(t, out, "/28 does not fit: ")
	must.StrContains(t, errs, "spot.yaml:2: nodes that are replaced leave addresses and blocks behind")
}

// TestVerdict: what the program says, in other clusters than the README's.
func TestVerdict(t *testing.T) {
	property.Slow(t)
	// With so many blocks, or so much room to measure, these take longest.
	longest := []string{"a small cluster in a large pool", "the smallest are not run"}
	long := []string{"the default fits as well", "as few routes with room that nobody needs", "a pool of sixteen million addresses", "sizes that are not run", "the best of those that are run", "none of those that are run", "the service CIDR", "churn"}
	for _, c := range []struct {
		name   string
		args   string
		status int
		says   []string
		not    []string
	}{
		{"the default is best", "-nodes 3 -pods 50 -pool 10.0.0.0/24", cli.Fine,
			[]string{"Take /26, Calico's default: every request gets an address from a block of its\nnode's own, with 3 routes."},
			[]string{"What would make", "does not fit", "fits as well"}},
		{"the default fits as well", "-nodes 100 -pods 80 -pool 10.0.0.0/16", cli.Fine,
			[]string{"Take /25: ", "Calico's default, /26, fits as well, with 200 routes.\n"}, []string{"What would make"}},
		{"as few routes with more room", "-strict -nodes 3 -pods 10 -pool 10.0.0.0/24", cli.Fine,
			[]string{"Take /27: ", "There is room for 5 more nodes", "Calico's default, /26, fits as well, with 3 routes. There is room for 1 more\nnode like these,"}, nil},
		{"as few routes with room that nobody needs", "-nodes 3 -pods 3 -pool 10.0.0.0/18", cli.Fine,
			[]string{"Take /26, Calico's default: "}, nil},
		{"none fits", "-nodes 20 -pods 60 -pool 10.0.0.0/24 -strict", cli.No,
			[]string{
				"No block size fits: with each of them requests are refused. Fewest are with /29:\n56 requests are refused by strict affinity and 908 requests are refused for want\nof an address; there are 32 routes.\n",
				"the 5th request, for the tunnel of node-4,\nis the first to be refused, for all 4 blocks are taken.",
				"  no   a smaller block: none of /27 to /32; at best, with /29, 56 requests are\n       refused by strict affinity and 908 requests are refused for want of an\n       address\n",
				"  yes  a larger pool: 10.0.0.0/21; 20 routes\n",
				"  no   fewer pods: 1 a node is too many;",
			}, []string{"Take", ">"}},
		{"none fits, and nothing is refused", "-nodes 3 -pods 81 -pool 10.0.0.0/24 -tunnel=false", cli.No,
			[]string{"No block size fits: with each of them addresses are borrowed or refused, or\nnodes have no block. Best is /29: 1 address is borrowed; there are 33 routes.\n"}, []string{"Take", ">"}},
		{"strict affinity", "-strict -block-size 26", cli.No,
			[]string{
				"/26 does not fit: the 257th request, for the tunnel of node-256, is the first to\nbe refused, for all 256 blocks are taken.",
				"  yes  strict affinity off; nothing is refused, but 2,278 addresses are borrowed\n       and 44 nodes have no block\n",
				"  yes  a smaller block: /28; 900 routes\n",
			}, []string{"What fails first", "limit"}},
		{"the limit of blocks", "-nodes 3 -pods 3000 -block-size 26", cli.No,
			[]string{
				"the 3,841st request, for a pod of node-0, is the first to be\nrefused, for 20 blocks are the limit.",
				"  yes  a limit of 47 blocks a node and strict affinity, without which Calico\n       takes no limit; 141 routes\n",
				"  yes  fewer pods: 1,279 a node; 60 routes\n",
				"  no   a larger pool: 10.0.0.0/17; 5,163 requests are refused at the limit of 20\n       blocks\n",
			}, []string{"affinity off"}},
		{"no new blocks", "-nodes 3 -pods 5 -pool 10.0.0.0/24 -strict -no-auto-allocate -block-size 26", cli.No,
			[]string{"for nodes may not claim blocks.", "  yes  autoAllocateBlocks on; 3 routes\n"}, []string{"affinity off"}},
		{"a limit of one", "-nodes 300 -pods 30 -max-blocks 1 -strict -pool 10.0.0.0/16 -block-size 28", cli.No,
			[]string{
				"for 1 block is the limit", "What would make /28 fit", "  yes  a limit of 2 blocks a node; 600 routes\n",
				"  yes  strict affinity off, and the limit of blocks with it; 600 routes\n",
			}, nil},
		{"a pool smaller than the default", "-nodes 2 -pods 3 -pool 10.0.0.0/28", cli.Fine,
			[]string{"Take /29", "The pool is smaller than a block of Calico's default, /26.\n"}, nil},
		{"one of each", "-nodes 1 -pods 1 -tunnel=false -pool 10.0.0.0/32", cli.Fine,
			[]string{"1 node of 1 pod in 10.0.0.0/32 (1 address): 1 request.", "every request gets an address from a block of its node's own, with 1\nroute.", "no room for another node"}, nil},
		{"IPv6", "-nodes 70 -pods 10 -pool fd00::/116", cli.Fine,
			[]string{"Take /123: ", "Calico's default, /122, does not fit", "  yes  a larger pool: fd00::/115; 70 routes\n"}, nil},
		{"a pool of sixteen million addresses", "-nodes 3 -pods 300 -pool 10.0.0.0/8", cli.Fine,
			[]string{"Take /23: ", "There is room for at least 665 more nodes like these, or 9,939 more pods\non every node, before a request is refused."}, nil},
		{"a small cluster in a large pool", "-pool 10.0.0.0/11 -nodes 2 -pods 3", cli.Fine,
			[]string{"There is room for 32,766 more nodes like these with\nblocks of their own, at least 50,000 before a request is refused; or for 1,276\nmore pods on every node."}, nil},
		{"a larger pool of default blocks", "-pool 10.0.0.0/28 -nodes 3 -pods 80", cli.No,
			[]string{"The pool is smaller than a block of Calico's default, /26.\n", "\nWhat would make it fit, the cheapest first,", "  yes  a larger pool: 10.0.0.0/23 in blocks of /26; 6 routes\n"}, []string{"a smaller block"}},
		{"a larger pool of other blocks", "-pool 10.0.0.0/27 -nodes 3 -pods 20", cli.No,
			[]string{"\nWhat would make it fit, the cheapest first,", "  yes  a larger pool: 10.0.0.0/25 in blocks of /27; 3 routes\n"}, []string{"a smaller block"}},
		{"sizes that are not run", "-nodes 5 -pods 5 -pool fd00:10:244::/56", cli.Fine,
			[]string{"/116 fits: every request", "Blocks of /117 to /128, Calico's default of /122 among them, were not run:\nfd00:10:244::/56 has more than 2^60 of them. They can be compared in a part of\nit, fd00:10:244::/68 say.\n"}, []string{"Take", ">"}},
		{"the smallest are not run", "-nodes 5 -pods 5 -pool fd00:10:244::/67", cli.Fine,
			[]string{"Take /122, Calico's default: ", "Blocks of /128 were not run: "}, nil},
		{"the best of those that are run", "-nodes 5 -pods 200 -pool fd00:10:244::/60", cli.Fine,
			[]string{"Of the block sizes that were run /120 is best: every request", "Blocks of /121 to /128, Calico's"}, []string{"Take", ">"}},
		{"none of those that are run", "-nodes 1 -pods 90000 -pool fd00:10:244::/56", cli.No,
			[]string{"No block size that was run fits: ", "What would make it fit"}, nil},
		{"as many blocks as can be run", "-nodes 1 -pods 2000 -pool fd00::/64 -block-size 122", cli.No,
			[]string{"  no   a smaller block: none of /123 to /124;", "  no   a larger pool: fd00::/63;", "  yes  fewer pods: 1,279 a node;"}, nil},
		{"more blocks cannot be run", "-nodes 1 -pods 2000 -pool fd00::/62 -block-size 122", cli.No,
			[]string{"  yes  fewer pods: 1,279 a node;"}, []string{"a smaller block", "a larger pool"}},
		{"the service CIDR", "-service-cidr 10.0.64.0/18", cli.Fine,
			[]string{"  no   a larger pool: 10.0.0.0/17; it would touch the service CIDR, 10.0.64.0/18\n"}, nil},
		{"churn", "-nodes 3 -pods 30 -pool 10.0.0.0/20 -churn-rate 2 -churn-for 5m -cooldown 1m -order random", cli.Fine,
			[]string{"\nin random order, cooldown 1m, 2 restarts a second for 5m: 693 requests.\n"}, nil},
		{"a histogram", "-pods-histogram 10:20,60:10 -node-format w%d", cli.Fine,
			[]string{"30 nodes of 10 to 60 pods and a tunnel address each in 10.0.0.0/18"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if slices.Contains(long, c.name) {
				property.Slow(t)
			}
			if !property.Long() && slices.Contains(longest, c.name) {
				t.Skip("takes seconds")
			}
			status, out, _ := do(strings.Fields(c.args)...)
			must.Eq(t, c.status, status, must.Sprint(out))
			for _, text := range c.says {
				must.StrContains(t, out, text)
			}
			for _, text := range c.not {
				must.StrNotContains(t, out, text)
			}
		})
	}
}

// TestRoom: first what has blocks of its own.
func TestRoom(t *testing.T) {
	const end = sim.NoEnd
	for _, c := range []struct {
		name string
		room *sim.Headroom
		says string
	}{
		{"not known", nil, ""},
		{"no end", &sim.Headroom{Nodes: end, NodesFit: end, PodsPerNode: end, PodsFit: end}, ""},
		{"none", &sim.Headroom{}, " There is no room for another node like these, nor for another pod on every node."},
		{"many", &sim.Headroom{Nodes: 99, NodesFit: 31, PodsPerNode: 1300, PodsFit: 7},
			" There is room for 31 more nodes like these with blocks of their own, 99 before a request is refused; " +
				"or for 7 more pods on every node from its own blocks, 1,300 before a request is refused."},
		{"none of their own", &sim.Headroom{Nodes: 131, PodsPerNode: 43, PodsFit: 43},
			" There is room for no more nodes like these with blocks of their own, 131 before a request is refused; or for 43 more pods on every node."},
		{"one", &sim.Headroom{Nodes: 1, NodesFit: 1, PodsPerNode: 1, PodsFit: 1},
			" There is room for 1 more node like these, or 1 more pod on every node, before a request is refused."},
		{"one of its own", &sim.Headroom{Nodes: 2, NodesFit: 1, PodsPerNode: 2, PodsFit: 1},
			" There is room for 1 more node like these with blocks of its own, 2 before a request is refused; " +
				"or for 1 more pod on every node from its own blocks, 2 before a request is refused."},
		{"equal", &sim.Headroom{Nodes: 6, NodesFit: 6, PodsPerNode: 9, PodsFit: 9},
			" There is room for 6 more nodes like these, or 9 more pods on every node, before a request is refused."},
		{"nodes only", &sim.Headroom{Nodes: 6, NodesFit: 6},
			" There is room for 6 more nodes like these before a request is refused, but not for another pod on every node."},
		{"nodes that borrow only", &sim.Headroom{Nodes: 6},
			" There is room for no more nodes like these with blocks of their own, 6 before a request is refused, but not for another pod on every node."},
		{"pods only", &sim.Headroom{PodsPerNode: 4, PodsFit: 4},
			" There is room for 4 more pods on every node before a request is refused, but not for another node."},
		{"pods, and nodes that ask for nothing", &sim.Headroom{Nodes: end, NodesFit: end, PodsPerNode: 4, PodsFit: 4},
			" There is room for 4 more pods on every node before a request is refused."},
		{"at least", &sim.Headroom{Nodes: 50000, NodesFit: 50000, NodesAtLeast: true, PodsPerNode: 900, PodsFit: 20, PodsAtLeast: true},
			" There is room for at least 50,000 more nodes like these; or for 20 more pods on every node from its own blocks, at least 900 before a request is refused."},
	} {
		t.Run(c.name, func(t *testing.T) { must.Eq(t, c.says, room(c.room)) })
	}
}

// TestInNeed: a node that has no block and needs none is no fault.
func TestInNeed(t *testing.T) {
	for name, text := range map[string]string{
		"a drained node's block went to a new one": `
nodes: 4
podsPerNode: 20
events:
- {at: 1h, do: drain, nodes: [node-3]}
- {at: 2h, do: add-nodes, group: {nodes: 1, podsPerNode: 20}}
`,
		"new nodes without pods": `
nodes: 4
podsPerNode: 20
events: [{at: 1h, do: add-nodes, group: {nodes: 1, podHistogram: [{pods: 0, nodes: 1}]}}]
`,
	} {
		t.Run(name, func(t *testing.T) {
			status, out, errs := do("-f", file(t, "s.yaml", "pool: 10.0.0.0/24\nblockSize: 26"+text))
			must.NotEq(t, cli.Bad, status, must.Sprint(errs))
			must.Eq(t, cli.Fine, status, must.Sprint(out))
			must.StrContains(t, out, "/26 fits: ")
			must.Eq(t, "none", tableRow(t, out, "/26")[6])
		})
	}
}

const zones = `name: two zones
about: A zone with a pool each, and a drain.
pools:
- {name: a, cidr: 10.0.0.0/24, nodeSelector: zone == 'a'}
- {name: b, cidr: 10.1.0.0/20, nodeSelector: zone == 'b'}
nodes: 5
podsPerNode: 30
labels: {zone: a}
groups: [{nodes: 2, nodeFormat: b-%d, podsPerNode: 60, labels: {zone: b}}]
events: [{at: 10m, do: drain, nodes: [node-0, node-1]}]
---
# The same in one pool.
pool: 10.0.0.0/24
nodes: 5
podsPerNode: 30
`

// TestFile: several pools are run as they are, others are compared.
func TestFile(t *testing.T) {
	path := file(t, "zones.yaml", zones)
	status, out, errs := do("-f", path)
	must.Eq(t, cli.No, status, must.Sprint("of two one does not fit"))
	must.RegexMatch(t, regexp.MustCompile(`^warning: .*/zones.yaml:1[0-9]: with Calico's default, /26: 5 nodes and 4 blocks: .*\n$`), errs)
	must.StrContains(t, out, "two zones: 5 nodes of 30 pods and 2 nodes of 60 pods in 2 pools, 1 event:")
	must.StrContains(t, out, "\nA zone with a pool each, and a drain.\n")
	must.StrContains(t, out, "/26 does not fit: the 5th request, for a pod of node-4, is the first to be\nborrowed, for no block is left that its node may claim.")
	must.StrContains(t, out, "5 nodes of 30 pods in 10.0.0.0/24 (256 addresses): 150 requests.\n")
	must.StrContains(t, out, "Take /27:")
	must.StrNotContains(t, out, "\n\n\n")

	var stdout, stderr bytes.Buffer
	must.Eq(t, cli.No, run([]string{"-f", "-"}, strings.NewReader(zones), &stdout, &stderr))
	must.Eq(t, out, stdout.String())
}

// TestDisabledPools: pools that nobody uses do not decide which block size it is.
func TestDisabledPools(t *testing.T) {
	status, out, _ := do("-f", file(t, "s.yaml", `pools:
- {name: old, cidr: 10.1.0.0/24, blockSize: 28, disabled: true}
- {name: new, cidr: 10.2.0.0/16}
nodes: 1
podsPerNode: 1400
`))
	must.Eq(t, cli.No, status)
	tableRow(t, out, "/26")
	must.StrContains(t, out, "  yes  a limit of 22 blocks a node and strict affinity,")
}

// TestSameNameInOneTable: lines of a file that differ in their block sizes are
// compared with each other.
func TestSameNameInOneTable(t *testing.T) {
	if !property.Long() {
		t.Skip("takes seconds")
	}
	status, out, errs := do("-f", recorded)
	must.Eq(t, cli.No, status)
	must.Eq(t, 3, strings.Count(out, "  block"), must.Sprint("tables"))
	must.Eq(t, 1, strings.Count(out, legend[:20]))
	must.Eq(t, 2, strings.Count(out, "Take /28"))
	must.StrContains(t, out, "Calico's default, /26, does not fit: the 257th request")
	must.StrContains(t, errs, "warning: ../../../testdata/plan.jsonl:1: 300 nodes and 64 blocks")
}

func TestWide(t *testing.T) {
	property.Slow(t)
	status, out, _ := do("-wide")
	must.Eq(t, cli.Fine, status)
	_, second, _ := strings.Cut(out, "borrows")
	must.Eq(t, strings.Fields("/28 0 0 none none none none none none"), tableRow(t, second, "/28"))
	must.Eq(t, strings.Fields("/31 0 0 none 300 none none none 12,001"), tableRow(t, second, "/31"))
	_, third, _ := strings.Cut(out, "pods of")
	must.Eq(t, strings.Fields("/28 41 99 7 13"), tableRow(t, third, "/28"))
	for line := range strings.Lines(out) {
		must.LessEq(t, pageWidth+1, len([]rune(line)), must.Sprint(line))
	}
	_, out, _ = do("-wide", "-pods", "0", "-pool", "10.0.0.0/20")
	must.StrContains(t, out, "/20")
}

// TestInterrupted: who interrupts does not wait, and gets no half a file.
func TestInterrupted(t *testing.T) {
	report := filepath.Join(t.TempDir(), "report.html")
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var out, errs bytes.Buffer
	// The interrupt comes when the scenario has been read. It would run for minutes.
	scenario := io.MultiReader(strings.NewReader("nodes: 5000\npodsPerNode: 110\npool: 10.0.0.0/12\n"), atEnd(stop))
	status := cli.Execute(ctx, Command(), []string{"-f", "-", "-o", report}, scenario, &out, &errs)
	must.Eq(t, cli.Interrupted, status, must.Sprint(errs.String()))
	must.Eq(t, "plan: interrupted\n", errs.String())
	must.Eq(t, "", out.String())
	files, err := os.ReadDir(filepath.Dir(report))
	must.NoError(t, err)
	must.SliceEmpty(t, files, must.Sprint(files))
}

func TestReportFile(t *testing.T) {
	report := filepath.Join(t.TempDir(), "report.html")
	status, out, errs := do("-nodes", "3", "-pods", "5", "-pool", "10.0.0.0/24", "-o", report)
	must.Eq(t, cli.Fine, status, must.Sprint(errs))
	must.StrContains(t, out, "Take /")
	text, err := os.ReadFile(report)
	must.NoError(t, err)
	must.SliceNotEmpty(t, text)
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestUnwritable(t *testing.T) {
	small := []string{"-nodes", "3", "-pods", "5", "-pool", "10.0.0.0/24"}
	plans := file(t, "a.yaml", zones)
	for _, args := range [][]string{small, append(small, "-json"), {"-f", plans, "-json"}, {"-check", file(t, "w.yaml", small1)}} {
		var errs bytes.Buffer
		must.Eq(t, cli.Bad, run(args, nil, full{}, &errs), must.Sprint(args))
		must.StrContains(t, errs.String(), "plan: no space left\n", must.Sprint(args))
	}
}

// atEnd is a reader with nothing to read, that calls a function when that is found out.
type atEnd func()

func (f atEnd) Read([]byte) (int, error) {
	f()
	return 0, io.EOF
}

// TestWindowsNodes: four addresses of each block are the host's.
func TestWindowsNodes(t *testing.T) {
	var out, wrong strings.Builder
	must.Eq(t, 1, run([]string{"-f", "../../../testdata/field/plan-windows.yaml"}, nil, &out, &wrong), must.Sprint(wrong.String()))
	must.StrContains(t, out.String(), "10 Windows nodes of 14 pods")
	must.StrContains(t, out.String(), "yes  fewer pods: 12 a node")
}

// TestDualStack: each family is planned by itself, and all must fit.
func TestDualStack(t *testing.T) {
	var out, wrong strings.Builder
	const file = "../../../testdata/field/13-plan-dual-stack.yaml"
	must.Eq(t, 1, run([]string{"-f", file}, nil, &out, &wrong), must.Sprint(wrong.String()))
	must.StrContains(t, out.String(), "dual stack (IPv4): 20 nodes of 30 pods in 1 pool: 600 requests.")
	must.StrContains(t, out.String(), "/26 does not fit: ")
	must.StrContains(t, out.String(), "dual stack (IPv6): 20 nodes of 30 pods in 1 pool: 600 requests.")
	must.StrContains(t, out.String(), "/122 fits: ")
	out.Reset()
	must.Zero(t, run([]string{"-f", file, "-only", "dual stack (IPv6)"}, nil, &out, &wrong))
	must.StrNotContains(t, out.String(), "IPv4")
}
