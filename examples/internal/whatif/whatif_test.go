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

	"github.com/stretchr/testify/require"

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
	require.Empty(t, errs)
	var r result
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	for _, c := range r.Steps {
		if len(c.Refused) > 0 {
			require.Equal(t, 1, status)
		}
	}
	return status, r
}

func TestAsItStands(t *testing.T) {
	var stdout bytes.Buffer
	require.Zero(t, run([]string{"-f", sample}, nil, &stdout, io.Discard))
	status, out, errs := do("-f", sample)
	require.Zero(t, status)
	require.Empty(t, errs)
	require.Equal(t, out, stdout.String(), "YAML and JSON")
	require.Equal(t, `== The cluster as it stands (2026-06-01 09:16:43)

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
	require.Equal(t, 1, status)
	require.Empty(t, errs)
	require.Contains(t, out, "\n== -strict\n\n59 pods have borrowed addresses; if they started again on their nodes, 57 would\nbe refused.\n")
	for line := range strings.Lines(out) {
		require.LessOrEqual(t, len([]rune(line)), width+1, line)
	}
	require.Contains(t, out, "strict affinity   off      on\n")
	require.Contains(t, out, "\n== -drain node-07\n\n8 pods moved from node-07 to other nodes, 2 could not.\n")
	require.Contains(t, out, "\nREFUSED: 2\n  shop/web-07-3 on node-35: no block is left to claim, and strict affinity\n    forbids borrowing\n")

	_, r := ask(t, "-strict", "-drain", "node-07")
	require.True(t, r.Steps[0].After.Strict)
	require.Len(t, r.Steps[1].Moved, 8)
	require.Equal(t, r.Cluster.Pods-2, r.Steps[1].After.Pods)

	// In the other order the drained node asks while it still may borrow.
	_, r = ask(t, "-drain", "node-07", "-strict")
	require.Empty(t, r.Steps[0].Refused)
	require.NotEmpty(t, r.Steps[1].Refused)
}

func TestSteps(t *testing.T) {
	t.Run("strict off", func(t *testing.T) {
		status, r := ask(t, "-strict=false")
		require.Zero(t, status)
		require.False(t, r.Steps[0].After.Strict)
	})
	t.Run("add-nodes", func(t *testing.T) {
		status, r := ask(t, "-add-nodes", "3:node-%d:zone=b,x=")
		require.Zero(t, status)
		require.Equal(t, 43, r.Steps[0].After.Nodes)
		require.Len(t, r.Steps[0].After.Families[0].NodesWithoutBlock, 9, "no block of IPv4 is left")
		status, r = ask(t, "-add-pool", "red:10.30.0.0/27:28", "-add-nodes", "3:node-%d")
		require.Zero(t, status)
		require.Contains(t, r.Steps[1].Says[0], "3 nodes came, of which 2 live in a block of their own")
	})
	t.Run("add-nodes where all is full", func(t *testing.T) {
		property.Slow(t)
		status, r := ask(t, "-strict", "-add-nodes", "2:new-%d")
		require.Equal(t, 1, status)
		require.Equal(t, refusal{"vxlanTunnelAddress", "new-0", "no block is left to claim, and strict affinity forbids borrowing"}, r.Steps[1].Refused[0])
	})
	t.Run("remove-node", func(t *testing.T) {
		property.Slow(t)
		status, r := ask(t, "-remove-node", "node-07")
		require.Zero(t, status)
		require.Equal(t, 39, r.Steps[0].After.Nodes)
		require.Len(t, r.Steps[0].Moved, 10)
		require.Positive(t, r.Steps[0].After.Families[0].Headroom.Int64(), "its blocks are free")
		_, r = ask(t, "-drain", "node-07", "-remove-node", "node-07")
		require.Empty(t, r.Steps[1].Moved)
		require.Equal(t, 39, r.Steps[1].After.Nodes)
	})
	t.Run("remove every node", func(t *testing.T) {
		_, small := ask(t, "-scale", "0")
		require.Zero(t, small.Steps[0].After.Pods)
	})
	t.Run("scale", func(t *testing.T) {
		property.Slow(t)
		status, r := ask(t, "-scale", "5")
		require.Zero(t, status)
		require.LessOrEqual(t, r.Steps[0].After.Pods, 5*40)
		status, r = ask(t, "-scale", "14")
		require.Equal(t, 1, status)
		require.Contains(t, r.Steps[0].Refused[0].Why, "every address is taken in 10.10.0.0/23")
	})
	t.Run("disable-pool", func(t *testing.T) {
		property.Slow(t)
		status, r := ask(t, "-disable-pool", "blue")
		require.Equal(t, 1, status)
		require.Contains(t, r.Steps[0].Says[0], "have addresses of blue")
		require.True(t, r.Steps[0].After.Pools[0].Disabled)
	})
	t.Run("max-blocks-per-host", func(t *testing.T) {
		property.Slow(t)
		status, r := ask(t, "-max-blocks-per-host", "1")
		require.Equal(t, 1, status)
		require.Contains(t, r.Steps[0].Refused[0].Why, "needs strictAffinity")
		_, r = ask(t, "-strict", "-max-blocks-per-host", "1")
		require.Empty(t, r.Steps[1].Refused)
	})
	t.Run("cooldown", func(t *testing.T) {
		property.Slow(t)
		status, r := ask(t, "-cooldown", "0")
		require.Zero(t, status)
		require.Contains(t, r.Steps[0].Says[0], "before the change, 190 would be", "of 136 addresses that are free and 57 that cool down")
		status, r = ask(t, "-cooldown", "1200")
		require.Equal(t, 1, status)
		require.Contains(t, r.Steps[0].Refused[0].Why, "all pods starting again at once")
		require.Equal(t, 1200, r.Steps[0].After.Cooldown)
		_, out, _ := do("-f", sample, "-cooldown", "60s", "-strict", "-max-blocks", "3")
		require.Contains(t, out, "\nFIGURE     BEFORE   AFTER\ncooldown   5m       1m\n")
		require.Contains(t, out, "\nFIGURE                  BEFORE   AFTER\nmost blocks of a node   20       3\n")
		// 193 IPv4 addresses are free or cool down: no cooldown serves more pods.
		var refused int
		_, r = ask(t, "-cooldown", "1s")
		_, err := fmt.Sscanf(r.Steps[0].Says[0], "if all 335 pods started again at once, %d would be", &refused)
		require.NoError(t, err)
		require.GreaterOrEqual(t, refused, 335-193)
	})
	t.Run("gc", func(t *testing.T) {
		status, r := ask(t, "-check", "-gc")
		require.Zero(t, status)
		require.Equal(t, 17, r.Check.Count("allocated-not-used"))
		require.Contains(t, r.Steps[0].Says[0], "17 addresses that leaked, 7 blocks, 0 stale affinities and 1 handle without addresses were given back")
		require.Less(t, r.Steps[0].After.Families[0].InUse, r.Cluster.Families[0].InUse)
	})
	t.Run("resize-pool", func(t *testing.T) {
		property.Slow(t)
		status, r := ask(t, "-resize-pool", "blue:29")
		require.Equal(t, 1, status)
		require.Contains(t, r.Steps[0].Refused[0].Why, "-gc before this may help")
		require.Equal(t, r.Cluster, r.Steps[0].After, "left as it was")

		status, r = ask(t, "-gc", "-resize-pool", "blue:29")
		require.Zero(t, status)
		require.Len(t, r.Steps[1].Blocks, 32)
		require.Len(t, r.Steps[1].Drain, 37)
		require.Equal(t, 29, r.Steps[1].After.Pools[0].BlockSize)
		require.Equal(t, r.Steps[0].After.Pods, r.Steps[1].After.Pods, "all came back")
		require.Contains(t, r.Steps[1].Says[2], "it fits")

		status, r = ask(t, "-gc", "-strict", "-resize-pool", "blue:24")
		require.Equal(t, 1, status)
		require.Contains(t, r.Steps[2].Says[2], "it does not fit")
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
		require.Zero(t, status)
		require.Empty(t, errs)
		s, err := snapshot.Load(snapshot.Options{}, path)
		require.NoError(t, err)
		require.Equal(t, "v3.33.0", s.Calico.String(), "the release goes on")
		w, err := newWorld(s)
		require.NoError(t, err)
		var r result
		require.NoError(t, json.Unmarshal([]byte(out), &r))
		want := r.Steps[0].After
		got := w.figures()
		got.Pods = want.Pods // without pods, what leaked looks like them
		wantText, err := json.Marshal(want)
		require.NoError(t, err)
		gotText, err := json.Marshal(got)
		require.NoError(t, err)
		require.JSONEq(t, string(wantText), string(gotText))
		entries, err := os.ReadDir(filepath.Dir(path))
		require.NoError(t, err)
		require.Len(t, entries, 1, "nothing else is left there")
	}
}

// TestRecordedClusters: every cluster that was recorded stands a drain, a scale
// and a cleaning.
func TestRecordedClusters(t *testing.T) {
	files, err := filepath.Glob("../../../testdata/snapshots/*.v3.yaml.gz")
	require.NoError(t, err)
	require.Len(t, files, 16)
	if testing.Short() {
		files = property.Some(files)
	}
	for _, file := range files {
		s, err := snapshot.Load(snapshot.Options{}, file)
		require.NoError(t, err)
		node := s.Cluster.Nodes[0].Name
		status, out, errs := do("-f", file, "-check", "-gc", "-drain", node, "-strict", "-scale", "3", "-add-nodes", "2:n%d", "-remove-node", node, "-cooldown", "5")
		require.NotEqual(t, 2, status, "%s: %s", file, errs)
		require.Empty(t, errs)
		require.Contains(t, out, "== -cooldown 5")
	}
}

func TestCheck(t *testing.T) {
	status, out, _ := do("-f", sample, "-check")
	require.Zero(t, status)
	for _, want := range []string{
		"Addresses allocated but used by no pod or node: 17 findings (allocated-not-used)",
		"10.10.0.97 is allocated to Pod shop/old-0, which does not exist",
		"Handles without addresses: 1 finding",
		"host:node-13 announced its claim on fd00:10::ffc0/122 and did not confirm it",
		"host:node-14 began to give up fd00:10::ff80/122 and did not end",
	} {
		require.Contains(t, out, want)
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
		require.Equal(t, 2, status, "%v", c.args)
		require.Contains(t, errs, c.want)
		require.Contains(t, errs, "whatif: ")
		require.LessOrEqual(t, strings.Count(errs, "\n"), 52)
	}
	status, out, errs := do("-f", sample, "-strict", "-drain", "node-7")
	require.Equal(t, 2, status)
	require.Empty(t, out, "no table before the error")
	require.Contains(t, errs, `whatif: -drain node-7: no node is called "node-7"; did you mean "node-07"? There are node-00, `)
	status, out, errs = do("-f", sample, "-add-nodes", "2:new-%d", "-remove-node", "new-x")
	require.Equal(t, 2, status)
	require.Empty(t, out)
	require.Contains(t, errs, `no node is called "new-x"; there are node-00`)
	for _, change := range []string{"-disable-pool red", "-resize-pool red:28", "-migrate-pool red:10.99.0.0/24"} {
		flag, value, _ := strings.Cut(change, " ")
		status, out, errs = do("-f", sample, "-strict", flag, value)
		require.Equal(t, 2, status)
		require.Empty(t, out)
		require.Contains(t, errs, "whatif: "+change+`: no pool is called "red"; there are blue`)
	}
	status, _, errs = do("-f", sample, "-add-pool", "red:10.99.0.0/24", "-disable-pool", "red")
	require.NotEqual(t, 2, status, errs)
	status, _, errs = do("-f", sample, "-add-nodes", "2:new-%d", "-add-nodes", "1:one", "-remove-node", "new-1", "-drain", "one")
	require.NotEqual(t, 2, status, errs)
	status, out, errs = do("-h")
	require.Zero(t, status)
	require.Empty(t, errs)
	require.Contains(t, out, "Exit status")
	for line := range strings.Lines(out) {
		require.LessOrEqual(t, len([]rune(line)), 81, line)
	}
}

// TestCutOff: half a file is refused, and taken as far as it goes if that is
// wanted.
func TestCutOff(t *testing.T) {
	property.Slow(t)
	text, err := os.ReadFile(sample)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "cut.yaml")
	require.NoError(t, os.WriteFile(path, text[:200_000], 0o600))
	status, out, errs := do("-f", path)
	require.Equal(t, 2, status)
	require.Empty(t, out)
	require.Contains(t, errs, "the file is cut off")
	require.Contains(t, errs, "or take it as far as it makes sense with -lenient")

	status, out, errs = do("-f", path, "-lenient", "-check")
	require.Zero(t, status)
	require.Empty(t, errs)
	require.Contains(t, out, "1 thing is not as it should be in the files; -check names them")
	require.Contains(t, strings.Join(strings.Fields(out), " "), "the file is cut off in this object, which is left out")
	require.Contains(t, out, "Note: there are no nodes; add nodes to what kubectl gets.")
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestUnwritable(t *testing.T) {
	var errs bytes.Buffer
	require.Equal(t, 2, run([]string{"-f", sample}, nil, full{}, &errs))
	require.Equal(t, "whatif: no space left\n", errs.String())
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
		require.Equal(t, want, got)
	}
}

// TestWindowsNodes: a Windows node's pods need strict affinity.
func TestWindowsNodes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cluster.yaml")
	const pool = "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: p}\nspec: {cidr: 10.0.0.0/24, blockSize: 28, nodeSelector: all()}\n"
	node := func(name, os string) string {
		return "---\napiVersion: v1\nkind: Node\nmetadata: {name: " + name + ", labels: {kubernetes.io/os: " + os + "}}\n"
	}
	require.NoError(t, os.WriteFile(file, []byte(pool+node("l", "linux")+node("w", "windows")), 0o600))
	s, err := snapshot.Load(snapshot.Options{}, file)
	require.NoError(t, err)
	w, err := newWorld(s)
	require.NoError(t, err)
	for node, want := range map[string]string{"l": "", "w": "its node runs Windows, where Calico needs strict affinity"} {
		require.Equal(t, want, w.start(snapshot.LivePod{Namespace: "n", Name: "p-" + node, Node: node, Num4: 1}), node)
	}
}

// TestAddedAgain: a node that went and comes again starts with a pod of a new name, as
// the first one lives on another node.
func TestAddedAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cluster.yaml")
	const text = "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: p}\nspec: {cidr: 10.0.0.0/24, blockSize: 28, nodeSelector: all()}\n" +
		"---\napiVersion: v1\nkind: Node\nmetadata: {name: old}\n"
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	s, err := snapshot.Load(snapshot.Options{}, file)
	require.NoError(t, err)
	w, err := newWorld(s)
	require.NoError(t, err)
	for range 3 {
		var c change
		require.NoError(t, w.addNodes(&c, 1, "new", nil))
		require.Empty(t, c.Refused)
		_, err := w.RemoveNode("new")
		require.NoError(t, err)
	}
	var names []string
	for _, p := range w.Pods() {
		names = append(names, p.Name)
	}
	require.Equal(t, []string{"first-pod-new", "first-pod-new-2", "first-pod-new-3"}, names)
}
