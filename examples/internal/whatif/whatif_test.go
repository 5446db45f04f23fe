package whatif

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
)

const sample = "../../../testdata/sample.yaml"

// do runs the program. It reads the sample from standard input, as JSON.
func do(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	var stdin []byte
	if i := slices.Index(args, sample); i >= 0 && !slices.Contains(args[i+1:], sample) {
		args = slices.Clone(args)
		args[i], stdin = "-", sampleAsJSON()
	}
	status = run(args, bytes.NewReader(stdin), &out, &errs)
	return status, out.String(), errs.String()
}

// ask runs the program on the sample and returns what -json prints.
func ask(t *testing.T, args ...string) (int, result) {
	t.Helper()
	status, out, errs := do(append([]string{"-f", sample, "-json"}, args...)...)
	must.Eq(t, "", errs)
	var r result
	must.NoError(t, json.Unmarshal([]byte(out), &r))
	for _, c := range r.Steps {
		if len(c.Refused) > 0 {
			must.Eq(t, 1, status)
		}
	}
	return status, r
}

func TestAsItStands(t *testing.T) {
	var stdout bytes.Buffer
	must.Zero(t, run([]string{"-f", sample}, nil, &stdout, io.Discard))
	status, out, errs := do("-f", sample)
	must.Zero(t, status)
	must.Eq(t, "", errs)
	must.Eq(t, out, stdout.String(), must.Sprint("YAML and JSON"))
	must.Eq(t, `== The cluster as it stands (2026-06-01 09:16:43)

Calico v3.33.0: ClusterInformation default says v3.33.0.

POOL    CIDR            SIZE   BLOCKS   CLAIMED   EMPTY   ONE POD   FREE
blue    10.10.0.0/23    /28    32       32        0       0         0
green   10.20.0.0/26    /29    8        8         0       0         0
six     fd00:10::/112   /122   1024     43        1       1         981

40 nodes, 335 pods with addresses, strict affinity off

                                                     IPv4   IPv6
addresses in use                                     383    343
cooling down                                         57     18
borrowed                                             67     0
stranded: free, but in a block of a node or nobody   136    2391
  of these in blocks that no node owns               9      62
routes: confirmed blocks and borrowed addresses      107    43
nodes without a block                                6      0
headroom: blocks left for more nodes                 0      981

Without a block of IPv4: node-32, node-33, node-35, node-36, node-38, node-39

Note: 17 addresses are allocated but used by nobody; -check names them, -gc
gives them back.

LENDER     BORROWER   ADDRESSES
node-02    node-33    8
node-03    node-32    8
node-05    node-36    8
node-08    node-39    8
node-30    node-38    8
node-14    node-35    7
node-01    node-08    4
node-04    node-14    4
node-12    node-05    4
node-27    node-03    4
node-old   node-02    4
`, out)
}

// TestStrictDrain: the question of day 1000, and who is refused.
func TestStrictDrain(t *testing.T) {
	status, out, errs := do("-f", sample, "-strict", "-drain", "node-07")
	must.Eq(t, 1, status)
	must.Eq(t, "", errs)
	must.StrContains(t, out, "\n== -strict\n\n59 pods have borrowed addresses; if they started again on their nodes, 57 would\nbe refused.\n")
	for line := range strings.Lines(out) {
		must.LessEq(t, width+1, len([]rune(line)), must.Sprint(line))
	}
	must.StrContains(t, out, "strict affinity   off      on\n")
	must.StrContains(t, out, "\n== -drain node-07\n\n8 pods moved from node-07 to other nodes, 2 could not.\n")
	must.StrContains(t, out, "\nREFUSED: 2\n  shop/web-07-3 on node-35: no block is left to claim, and strict affinity\n    forbids borrowing\n")

	_, r := ask(t, "-strict", "-drain", "node-07")
	must.True(t, r.Steps[0].After.Strict)
	must.Len(t, 8, r.Steps[1].Moved)
	must.Eq(t, r.Cluster.Pods-2, r.Steps[1].After.Pods)

	// In the other order the drained node asks while it still may borrow.
	_, r = ask(t, "-drain", "node-07", "-strict")
	must.SliceEmpty(t, r.Steps[0].Refused)
	must.SliceNotEmpty(t, r.Steps[1].Refused)
}

func TestSteps(t *testing.T) {
	property.Slow(t)
	t.Run("strict off", func(t *testing.T) {
		status, r := ask(t, "-strict=false")
		must.Zero(t, status)
		must.False(t, r.Steps[0].After.Strict)
	})
	t.Run("add-nodes", func(t *testing.T) {
		status, r := ask(t, "-add-nodes", "3:node-%d:zone=b,x=")
		must.Zero(t, status)
		must.Eq(t, 43, r.Steps[0].After.Nodes)
		must.Len(t, 9, r.Steps[0].After.Families[0].NodesWithoutBlock, must.Sprint("no block of IPv4 is left"))
		status, r = ask(t, "-add-pool", "red:10.30.0.0/27:28", "-add-nodes", "3:node-%d")
		must.Zero(t, status)
		must.StrContains(t, r.Steps[1].Says[0], "3 nodes came, of which 2 live in a block of their own")
	})
	t.Run("add-nodes where all is full", func(t *testing.T) {
		property.Slow(t)
		status, r := ask(t, "-strict", "-add-nodes", "2:new-%d")
		must.Eq(t, 1, status)
		must.Eq(t, refusal{"vxlanTunnelAddress", "new-0", "no block is left to claim, and strict affinity forbids borrowing"}, r.Steps[1].Refused[0])
	})
	t.Run("remove-node", func(t *testing.T) {
		property.Slow(t)
		status, r := ask(t, "-remove-node", "node-07")
		must.Zero(t, status)
		must.Eq(t, 39, r.Steps[0].After.Nodes)
		must.Len(t, 10, r.Steps[0].Moved)
		must.Positive(t, r.Steps[0].After.Families[0].Headroom.Int64(), must.Sprint("its blocks are free"))
		_, r = ask(t, "-drain", "node-07", "-remove-node", "node-07")
		must.SliceEmpty(t, r.Steps[1].Moved)
		must.Eq(t, 39, r.Steps[1].After.Nodes)
	})
	t.Run("remove every node", func(t *testing.T) {
		_, small := ask(t, "-scale", "0")
		must.Zero(t, small.Steps[0].After.Pods)
	})
	t.Run("scale", func(t *testing.T) {
		property.Slow(t)
		status, r := ask(t, "-scale", "5")
		must.Zero(t, status)
		must.LessEq(t, 5*40, r.Steps[0].After.Pods)
		status, r = ask(t, "-scale", "14")
		must.Eq(t, 1, status)
		must.StrContains(t, r.Steps[0].Refused[0].Why, "every address is taken in 10.10.0.0/23")
	})
	t.Run("disable-pool", func(t *testing.T) {
		property.Slow(t)
		status, r := ask(t, "-disable-pool", "blue")
		must.Eq(t, 1, status)
		must.StrContains(t, r.Steps[0].Says[0], "have addresses of blue")
		must.True(t, r.Steps[0].After.Pools[0].Disabled)
	})
	t.Run("max-blocks-per-host", func(t *testing.T) {
		property.Slow(t)
		status, r := ask(t, "-max-blocks-per-host", "1")
		must.Eq(t, 1, status)
		must.StrContains(t, r.Steps[0].Refused[0].Why, "needs strictAffinity")
		_, r = ask(t, "-strict", "-max-blocks-per-host", "1")
		must.SliceEmpty(t, r.Steps[1].Refused)
	})
	t.Run("cooldown", func(t *testing.T) {
		property.Slow(t)
		status, r := ask(t, "-cooldown", "0")
		must.Zero(t, status)
		must.StrContains(t, r.Steps[0].Says[0], "before the change, 190 would be", must.Sprint("of 136 addresses that are free and 57 that cool down"))
		status, r = ask(t, "-cooldown", "1200")
		must.Eq(t, 1, status)
		must.StrContains(t, r.Steps[0].Refused[0].Why, "all pods starting again at once")
		must.Eq(t, 1200, r.Steps[0].After.Cooldown)
		_, out, _ := do("-f", sample, "-cooldown", "60s", "-strict", "-max-blocks", "3")
		must.StrContains(t, out, "\nFIGURE     BEFORE   AFTER\ncooldown   5m       1m\n")
		must.StrContains(t, out, "\nFIGURE                  BEFORE   AFTER\nmost blocks of a node   20       3\n")
		// 193 IPv4 addresses are free or cool down: no cooldown serves more pods.
		var refused int
		_, r = ask(t, "-cooldown", "1s")
		_, err := fmt.Sscanf(r.Steps[0].Says[0], "if all 335 pods started again at once, %d would be", &refused)
		must.NoError(t, err)
		must.GreaterEq(t, 335-193, refused)
	})
	t.Run("gc", func(t *testing.T) {
		status, r := ask(t, "-check", "-gc")
		must.Zero(t, status)
		must.Eq(t, 17, r.Check.Count("allocated-not-used"))
		must.StrContains(t, r.Steps[0].Says[0], "17 addresses that leaked, 7 blocks, 0 stale affinities and 1 handle without addresses were given back")
		must.Less(t, r.Cluster.Families[0].InUse, r.Steps[0].After.Families[0].InUse)
	})
	t.Run("resize-pool", func(t *testing.T) {
		property.Slow(t)
		status, r := ask(t, "-resize-pool", "blue:29")
		must.Eq(t, 1, status)
		must.StrContains(t, r.Steps[0].Refused[0].Why, "-gc before this may help")
		must.Eq(t, r.Cluster, r.Steps[0].After, must.Sprint("left as it was"))

		status, r = ask(t, "-gc", "-resize-pool", "blue:29")
		must.Zero(t, status)
		must.Len(t, 32, r.Steps[1].Blocks)
		must.Len(t, 37, r.Steps[1].Drain)
		must.Eq(t, 29, r.Steps[1].After.Pools[0].BlockSize)
		must.Eq(t, r.Steps[0].After.Pods, r.Steps[1].After.Pods, must.Sprint("all came back"))
		must.StrContains(t, r.Steps[1].Says[2], "it fits")

		status, r = ask(t, "-gc", "-strict", "-resize-pool", "blue:24")
		must.Eq(t, 1, status)
		must.StrContains(t, r.Steps[2].Says[2], "it does not fit")
	})
}

// TestWritten: what is written is the cluster that came of it.
func TestWritten(t *testing.T) {
	for _, name := range []string{"after.yaml", "after.json"} {
		if testing.Short() && name == "after.yaml" {
			continue // it takes longer to read
		}
		path := filepath.Join(t.TempDir(), name)
		status, out, errs := do("-f", sample, "-drain", "node-07", "-json", "-o", path)
		must.Zero(t, status)
		must.Eq(t, "", errs)
		s, err := snapshot.Load(snapshot.Options{}, path)
		must.NoError(t, err)
		must.Eq(t, "v3.33.0", s.Calico.String(), must.Sprint("the release goes on"))
		w, err := newWorld(s)
		must.NoError(t, err)
		var r result
		must.NoError(t, json.Unmarshal([]byte(out), &r))
		want := r.Steps[0].After
		got := w.figures()
		got.Pods = want.Pods // without pods, what leaked looks like them
		wantText, err := json.Marshal(want)
		must.NoError(t, err)
		gotText, err := json.Marshal(got)
		must.NoError(t, err)
		must.EqJSON(t, string(wantText), string(gotText))
		entries, err := os.ReadDir(filepath.Dir(path))
		must.NoError(t, err)
		must.Len(t, 1, entries, must.Sprint("nothing else is left there"))
	}
}

// TestRecordedClusters: every cluster that was recorded stands a drain, a scale
// and a cleaning.
func TestRecordedClusters(t *testing.T) {
	files, err := filepath.Glob("../../../testdata/snapshots/*.v3.yaml.gz")
	must.NoError(t, err)
	must.Len(t, 16, files)
	if testing.Short() {
		files = property.Some(files)
	}
	for _, file := range files {
		s, err := snapshot.Load(snapshot.Options{}, file)
		must.NoError(t, err)
		node := s.Cluster.Nodes[0].Name
		status, out, errs := do("-f", file, "-check", "-gc", "-drain", node, "-strict", "-scale", "3", "-add-nodes", "2:n%d", "-remove-node", node, "-cooldown", "5")
		must.NotEq(t, 2, status, must.Sprintf("%s: %s", file, errs))
		must.Eq(t, "", errs)
		must.StrContains(t, out, "== -cooldown 5")
	}
}

func TestCheck(t *testing.T) {
	status, out, _ := do("-f", sample, "-check")
	must.Zero(t, status)
	for _, want := range []string{
		"Addresses allocated but used by no pod or node: 17 findings (allocated-not-used)",
		"10.10.0.97 is allocated to Pod shop/old-0, which does not exist",
		"Handles without addresses: 1 finding",
		"host:node-13 announced its claim on fd00:10::ffc0/122 and did not confirm it",
		"host:node-14 began to give up fd00:10::ff80/122 and did not end",
	} {
		must.StrContains(t, out, want)
	}
}

func TestBadUsage(t *testing.T) {
	for i, c := range []struct {
		args []string
		want string
	}{
		{nil, "no cluster: give the output of kubectl with -f FILE"},
		{[]string{"-f"}, "-f"},
		{[]string{"-f", sample, "-strct"}, "-strct: no such flag; did you mean -strict?"},
		{[]string{"-f", sample, "node-07"}, `"node-07": there are no arguments`},
		{[]string{"-f", sample, "-strict=maybe"}, "must be true or false"},
		{[]string{"-f", sample, "-gc=now"}, "takes no value"},
		{[]string{"-f", sample, "-scale", "-1"}, "must be a number from 0"},
		{[]string{"-f", sample, "-scale", "many"}, "must be a number"},
		{[]string{"-f", sample, "-cooldown", "1201"}, "-cooldown 1201: must be from 0s to 20m"},
		{[]string{"-f", sample, "-max-blocks", "x"}, "must be a number"},
		{[]string{"-f", sample, "-add-nodes", "50"}, "must be N:NAME[:LABELS]"},
		{[]string{"-f", sample, "-add-nodes", "x:n-%d"}, "must be a number from 1"},
		{[]string{"-f", sample, "-add-nodes", "5:n"}, "must hold one %d"},
		{[]string{"-f", sample, "-add-nodes", "5:n-%d-%s"}, "must hold one %d"},
		{[]string{"-f", sample, "-add-nodes", "5:n-%d:zone"}, "must be KEY=VALUE"},
		{[]string{"-f", sample, "-add-nodes", "1:node-07"}, "exists already"},
		{[]string{"-f", sample, "-add-pool", "red"}, "must be NAME:CIDR[:SIZE]"},
		{[]string{"-f", sample, "-add-pool", "red:10.1.0.0/16:x"}, "block size"},
		{[]string{"-f", sample, "-add-pool", "red:10.10.0.0/24"}, "overlaps another pool"},
		{[]string{"-f", sample, "-add-pool", "red:fd00:10::/112:122"}, "overlaps another pool"},
		{[]string{"-f", sample, "-resize-pool", "blue"}, "must be NAME:SIZE"},
		{[]string{"-f", sample, "-resize-pool", "blue:33"}, "must be from 20 to 32"},
		{[]string{"-f", sample, "-resize-pool", "blue:28"}, "has blocks of /28 already"},
		{[]string{"-f", sample, "-resize-pool", "red:28"}, `no pool is called "red"; there are blue, green, six`},
		{[]string{"-f", sample, "-disable-pool", "red"}, `no pool is called "red"`},
		{[]string{"-f", sample, "-drain", "node-99"}, `no node is called "node-99"; there are node-00, node-01`},
		{[]string{"-f", sample, "-drain", "node-07", "-drain", "node-07"}, "was drained already"},
		{[]string{"-f", sample, "-remove-node", "x"}, "no node is called"},
		{[]string{"-f", sample, "-o", "/nowhere/after.yaml"}, "-o /nowhere/after.yaml: "},
		{[]string{"-f", "missing.yaml"}, "missing.yaml: no such file"},
		{[]string{"-f", "command.go"}, "command.go:"},
		{[]string{"-f", "-"}, "standard input:1: holds no objects"},
		{[]string{"-f", sample, "-f", sample, "-strict-input"}, "IPPool blue: is given twice"},
		{[]string{"-f", sample, "-lenient", "-strict-input"}, "give one of them"},
	} {
		if testing.Short() && i%9 > 0 {
			continue // most of them read the sample
		}
		status, _, errs := do(c.args...)
		must.Eq(t, 2, status, must.Sprintf("%v", c.args))
		must.StrContains(t, errs, c.want)
		must.StrContains(t, errs, "whatif: ")
		must.LessEq(t, 52, strings.Count(errs, "\n"))
	}
	status, out, errs := do("-f", sample, "-strict", "-drain", "node-7")
	must.Eq(t, 2, status)
	must.Eq(t, "", out, must.Sprint("no table before the error"))
	must.StrContains(t, errs, `whatif: -drain node-7: no node is called "node-7"; did you mean "node-07"? There are node-00, `)
	status, out, errs = do("-f", sample, "-add-nodes", "2:new-%d", "-remove-node", "new-x")
	must.Eq(t, 2, status)
	must.Eq(t, "", out)
	must.StrContains(t, errs, `no node is called "new-x"; there are node-00`)
	for _, change := range []string{"-disable-pool red", "-resize-pool red:28", "-migrate-pool red:10.99.0.0/24"} {
		flag, value, _ := strings.Cut(change, " ")
		status, out, errs = do("-f", sample, "-strict", flag, value)
		must.Eq(t, 2, status)
		must.Eq(t, "", out)
		must.StrContains(t, errs, "whatif: "+change+`: no pool is called "red"; there are blue`)
	}
	status, _, errs = do("-f", sample, "-add-pool", "red:10.99.0.0/24", "-disable-pool", "red")
	must.NotEq(t, 2, status, must.Sprint(errs))
	status, _, errs = do("-f", sample, "-add-nodes", "2:new-%d", "-add-nodes", "1:one", "-remove-node", "new-1", "-drain", "one")
	must.NotEq(t, 2, status, must.Sprint(errs))
	status, out, errs = do("-h")
	must.Zero(t, status)
	must.Eq(t, "", errs)
	must.StrContains(t, out, "Exit status")
	for line := range strings.Lines(out) {
		must.LessEq(t, 81, len([]rune(line)), must.Sprint(line))
	}
}

// TestCutOff: half a file is refused, and taken as far as it goes if that is
// wanted.
func TestCutOff(t *testing.T) {
	property.Slow(t)
	text, err := os.ReadFile(sample)
	must.NoError(t, err)
	path := filepath.Join(t.TempDir(), "cut.yaml")
	must.NoError(t, os.WriteFile(path, text[:200_000], 0o600))
	status, out, errs := do("-f", path)
	must.Eq(t, 2, status)
	must.Eq(t, "", out)
	must.StrContains(t, errs, "the file is cut off")
	must.StrContains(t, errs, "or take it as far as it makes sense with -lenient")

	status, out, errs = do("-f", path, "-lenient", "-check")
	must.Zero(t, status)
	must.Eq(t, "", errs)
	must.StrContains(t, out, "1 thing is not as it should be in the files; -check names them")
	must.StrContains(t, strings.Join(strings.Fields(out), " "), "the file is cut off in this object, which is left out")
	must.StrContains(t, out, "Note: there are no nodes; add nodes to what kubectl gets.")
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestUnwritable(t *testing.T) {
	var errs bytes.Buffer
	must.Eq(t, 2, run([]string{"-f", sample}, nil, full{}, &errs))
	must.Eq(t, "whatif: no space left\n", errs.String())
}

func TestPlural(t *testing.T) {
	for want, got := range map[string]string{
		"1 address":           plural(1, "address"),
		"2 addresses":         plural(2, "address"),
		"2 tunnel addresses":  plural(2, "tunnel address"),
		"2 stale affinities":  plural(2, "stale affinity"),
		"0 blocks":            plural(0, "block"),
		"2 handles without x": plural(2, "handle without x"),
	} {
		must.Eq(t, want, got)
	}
}

// TestWindowsNodes: a Windows node's pods need strict affinity.
func TestWindowsNodes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cluster.yaml")
	const pool = "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: p}\nspec: {cidr: 10.0.0.0/24, blockSize: 28, nodeSelector: all()}\n"
	node := func(name, os string) string {
		return "---\napiVersion: v1\nkind: Node\nmetadata: {name: " + name + ", labels: {kubernetes.io/os: " + os + "}}\n"
	}
	must.NoError(t, os.WriteFile(file, []byte(pool+node("l", "linux")+node("w", "windows")), 0o600))
	s, err := snapshot.Load(snapshot.Options{}, file)
	must.NoError(t, err)
	w, err := newWorld(s)
	must.NoError(t, err)
	for node, want := range map[string]string{"l": "", "w": "its node runs Windows, where Calico needs strict affinity"} {
		must.Eq(t, want, w.start(snapshot.LivePod{Namespace: "n", Name: "p-" + node, Node: node, Num4: 1}), must.Sprint(node))
	}
}

// TestAddedAgain: a node that went and comes again starts with a pod of a new name, as
// the first one lives on another node.
func TestAddedAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cluster.yaml")
	const text = "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: p}\nspec: {cidr: 10.0.0.0/24, blockSize: 28, nodeSelector: all()}\n" +
		"---\napiVersion: v1\nkind: Node\nmetadata: {name: old}\n"
	must.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	s, err := snapshot.Load(snapshot.Options{}, file)
	must.NoError(t, err)
	w, err := newWorld(s)
	must.NoError(t, err)
	for range 3 {
		var c change
		must.NoError(t, w.addNodes(&c, 1, "new", nil))
		must.SliceEmpty(t, c.Refused, must.Sprint(c.Refused))
		_, err := w.RemoveNode("new")
		must.NoError(t, err)
	}
	var names []string
	for _, p := range w.Pods() {
		names = append(names, p.Name)
	}
	must.Eq(t, []string{"first-pod-new", "first-pod-new-2", "first-pod-new-3"}, names)
}
