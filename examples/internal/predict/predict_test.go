package predict

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
)

// predict runs the program.
func predict(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(args, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

// ok runs the program and wants nothing but output.
func ok(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	code, stdout, stderr := predict(t, stdin, args...)
	must.Zero(t, code, must.Sprint(stderr))
	must.Eq(t, "", stderr)
	return stdout
}

func TestPredict(t *testing.T) {
	must.Eq(t, "minikube\t10.244.120.64/26\n", ok(t, "", "-pool", "10.244.0.0/16", "minikube"))
	must.Eq(t, "calico-ipam-control-plane\t192.168.18.64/26\ncalico-ipam-worker\t192.168.131.128/26\ncalico-ipam-worker2\t192.168.112.128/26\n",
		ok(t, "", "-pool", "192.168.0.0/16", "calico-ipam-control-plane", "calico-ipam-worker", "calico-ipam-worker2"))
	must.Eq(t, "calico-ipam-worker\tfd00::8380/122\n", ok(t, "", "-pool", "fd00::/112", "calico-ipam-worker"))
}

// TestObservations: the first blocks of nodes on real clusters.
func TestObservations(t *testing.T) {
	text, err := os.ReadFile("../../../pool/testdata/observations.json")
	must.NoError(t, err)
	var observations []struct {
		Node, Pool, Block string
		BlockSize         int
	}
	must.NoError(t, json.Unmarshal(text, &observations))
	must.SliceNotEmpty(t, observations)
	for _, o := range observations {
		must.Eq(t, o.Node+"\t"+o.Block+"\n",
			ok(t, "", "-pool", o.Pool, "-block-size", fmt.Sprint(o.BlockSize), o.Node))
	}
}

// Nodes go on from blocks that are taken, unless each is alone.
func TestIndependent(t *testing.T) {
	names := []string{"a", "b", "c", "d"}
	args := append([]string{"-pool", "10.0.0.0/28", "-block-size", "30"}, names...)
	lines := strings.Split(strings.TrimSpace(ok(t, "", args...)), "\n")
	blocks := make(map[string]bool)
	for i, line := range lines {
		node, block, _ := strings.Cut(line, "\t")
		must.Eq(t, names[i], node)
		blocks[block] = true
	}
	must.MapLen(t, 4, blocks, must.Sprint("every block once"))

	var alone strings.Builder
	for _, name := range names {
		alone.WriteString(ok(t, "", "-pool", "10.0.0.0/28", "-block-size", "30", name))
	}
	must.Eq(t, alone.String(), ok(t, "", append([]string{"-independent"}, args...)...))
	must.NotEq(t, alone.String(), strings.Join(lines, "\n")+"\n", must.Sprint("these names collide"))
}

func TestNodeTwice(t *testing.T) {
	must.Eq(t, "a\t10.0.0.8/29\na\t10.0.0.8/29\n", ok(t, "", "-pool", "10.0.0.8/29", "-block-size", "29", "a", "a"))
}

func TestRefused(t *testing.T) {
	code, stdout, stderr := predict(t, "", "-pool", "10.0.0.0/29", "-block-size", "30", "a", "b", "c", "a", "d")
	must.Eq(t, 1, code)
	must.Eq(t, 3, strings.Count(stdout, "\n"), must.Sprint("a, b and a again"))
	must.Eq(t, "predict: c: no block: all blocks of 10.0.0.0/29 (2) belong to other nodes: it can only borrow addresses\n"+
		"predict: d: no block: all blocks of 10.0.0.0/29 (2) belong to other nodes: it can only borrow addresses\n", stderr)

	code, stdout, _ = predict(t, "", "-json", "-pool", "10.0.0.0/29", "-block-size", "29", "a", "b")
	must.Eq(t, 1, code)
	must.Eq(t, "[\n"+`{"node":"a","block":"10.0.0.0/29"}`+",\n"+
		`{"node":"b","error":"all blocks of 10.0.0.0/29 (1) belong to other nodes: it can only borrow addresses"}`+"\n]\n", stdout)

	must.Eq(t, "a\t10.0.0.0/29\nb\t10.0.0.0/29\n",
		ok(t, "", "-independent", "-pool", "10.0.0.0/29", "-block-size", "29", "a", "b"))
}

func TestJSON(t *testing.T) {
	stdout := ok(t, "", "-json", "-pool", "10.244.0.0/16", "minikube", `quo"te`)
	must.True(t, strings.HasPrefix(stdout, "[\n"+`{"node":"minikube","block":"10.244.120.64/26"}`+",\n"), must.Sprint(stdout))
	var list []prediction
	must.NoError(t, json.Unmarshal([]byte(stdout), &list))
	must.Len(t, 2, list)
	must.Eq(t, `quo"te`, list[1].Node)
}

func TestNames(t *testing.T) {
	text := "\ufeff# nodes\n\n  minikube\r\ncalico-ipam-worker # the first\n\t\n#"
	want := ok(t, "", "-pool", "10.244.0.0/16", "minikube", "calico-ipam-worker")
	must.Eq(t, want, ok(t, text, "-pool", "10.244.0.0/16", "-"))
	must.Eq(t, want, ok(t, text, "-pool", "10.244.0.0/16", "-f", "-"))
	file := filepath.Join(t.TempDir(), "nodes")
	must.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	must.Eq(t, want, ok(t, "", "-pool", "10.244.0.0/16", "-f", file))

	// Arguments come first, standard input where it is named.
	must.Eq(t, ok(t, "", "-pool", "10.0.0.0/8", "a", "b", "c", "minikube", "calico-ipam-worker"),
		ok(t, "b", "-pool", "10.0.0.0/8", "-f", file, "a", "-", "c"))
}

func TestSingleAddresses(t *testing.T) {
	code, at1970, stderr := predict(t, "", "-pool", "10.0.0.0/16", "-block-size", "32", "a")
	must.Zero(t, code)
	must.StrContains(t, stderr, "by the clock")
	_, b, _ := predict(t, "", "-pool", "10.0.0.0/16", "-block-size", "32", "b")
	must.Eq(t, at1970[1:], b[1:], must.Sprint("the name does not matter"))
	later := ok(t, "", "-pool", "10.0.0.0/16", "-block-size", "32", "-at", "2026-01-01T01:00:00+01:00", "a")
	must.NotEq(t, at1970, later)
	must.Eq(t, later, ok(t, "", "-pool", "10.0.0.0/16", "-block-size", "32", "-at", "2026-01-01T00:00:00Z", "a"))
	code, _, _ = predict(t, "", "-pool", "fd00::/64", "-block-size", "128", "-at", "9999-12-31T23:59:59Z", "a")
	must.Zero(t, code)

	// The time changes nothing elsewhere.
	must.Eq(t, "minikube\t10.244.120.64/26\n", ok(t, "", "-pool", "10.244.0.0/16", "-at", "2026-01-01T00:00:00Z", "minikube"))
}

func TestBadUsage(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		args  []string
		stdin string
		want  string
	}{
		"nothing":           {nil, "", "-pool is missing"},
		"no pool":           {[]string{"minikube"}, "", "-pool is missing"},
		"no node":           {[]string{"-pool", "10.0.0.0/16"}, "", "no node is named"},
		"no node in input":  {[]string{"-pool", "10.0.0.0/16", "-"}, "#\n", "no node is named"},
		"no CIDR":           {[]string{"-pool", "10.0.0.0", "a"}, "", "-pool 10.0.0.0: not a CIDR"},
		"host bits":         {[]string{"-pool", "10.0.0.1/16", "a"}, "", "-pool 10.0.0.1/16: has host bits set"},
		"mapped":            {[]string{"-pool", "::ffff:10.0.0.0/112", "a"}, "", "-pool ::ffff:10.0.0.0/112: must be"},
		"small pool":        {[]string{"-pool", "10.0.0.0/28", "a"}, "", "-pool 10.0.0.0/28: is smaller than a block of /26"},
		"block size":        {[]string{"-pool", "10.0.0.0/8", "-block-size", "19", "a"}, "", "-block-size 19: must be from 20 to 32"},
		"block size six":    {[]string{"-pool", "fd00::/64", "-block-size", "26", "a"}, "", "-block-size 26: must be from 116 to 128"},
		"block size text":   {[]string{"-pool", "10.0.0.0/8", "-block-size", "x", "a"}, "", "block-size"},
		"time":              {[]string{"-pool", "10.0.0.0/8", "-at", "noon", "a"}, "", "-at noon: not a time"},
		"unknown flag":      {[]string{"-pools", "10.0.0.0/8", "a"}, "", "-pools"},
		"flag after names":  {[]string{"-pool", "10.0.0.0/8", "a", "--", "-json"}, "", "-json: not the name"},
		"missing file":      {[]string{"-pool", "10.0.0.0/8", "-f", filepath.Join(dir, "none")}, "", "none"},
		"directory":         {[]string{"-pool", "10.0.0.0/8", "-f", dir}, "", dir},
		"two on a line":     {[]string{"-pool", "10.0.0.0/8", "-"}, "a\nb c\n", `standard input:2: "b c": one name a line`},
		"line too long":     {[]string{"-pool", "10.0.0.0/8", "-"}, "a\n" + strings.Repeat("x", math.MaxUint16+1), "standard input:2: "},
		"name too long":     {[]string{"-pool", "10.0.0.0/8", strings.Repeat("x", 254)}, "", "at most 253"},
		"name with blanks":  {[]string{"-pool", "10.0.0.0/8", "a b"}, "", `predict: invalid node "a b": must not contain blanks`},
		"empty name":        {[]string{"-pool", "10.0.0.0/8", ""}, "", "must not be empty"},
		"input twice":       {[]string{"-pool", "10.0.0.0/8", "-f", "-", "-"}, "a", "only once"},
		"input in the list": {[]string{"-pool", "10.0.0.0/8", "-", "-"}, "a", "only once"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := predict(t, c.stdin, c.args...)
			must.Eq(t, 2, code)
			must.Eq(t, "", stdout)
			must.StrContains(t, stderr, c.want)
			must.True(t, strings.HasPrefix(stderr, "predict: "), must.Sprint(stderr))
			must.Eq(t, 1, strings.Count(stderr, "\n"), must.Sprint("one line"))
		})
	}
}

func TestUnreadableInput(t *testing.T) {
	var out, errs bytes.Buffer
	code := run([]string{"-pool", "10.0.0.0/8", "-"}, iotest.ErrReader(errors.New("broken pipe")), &out, &errs)
	must.Eq(t, 2, code)
	must.StrContains(t, errs.String(), "standard input:1: broken pipe")
}

// full is a disk that is.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestOutputFails(t *testing.T) {
	var errs bytes.Buffer
	must.Eq(t, 2, run([]string{"-pool", "10.0.0.0/8", "a"}, nil, full{}, &errs))
	must.Eq(t, "predict: no space left\n", errs.String())
}

func TestHelp(t *testing.T) {
	help := ok(t, "", "-h")
	must.Eq(t, help, ok(t, "", "-help"))
	for _, flag := range []string{"-pool", "-block-size", "-independent", "-json", "-f ", "-at"} {
		must.StrContains(t, help, flag)
	}
}

// TestMany: a hundred thousand nodes are a matter of seconds, for no step looks
// at the nodes before it.
func TestMany(t *testing.T) {
	property.Slow(t)
	var names strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&names, "node-%d\n", i)
	}
	stdout := ok(t, names.String(), "-pool", "10.0.0.0/8", "-")
	blocks := make(map[string]bool)
	for line := range strings.Lines(stdout) {
		_, block, _ := strings.Cut(line, "\t")
		blocks[block] = true
	}
	must.MapLen(t, 20_000, blocks, must.Sprint("each has its own"))
}

func BenchmarkPredict(b *testing.B) {
	var names strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&names, "node-%d\n", i)
	}
	b.Run("nodes=1000", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			run([]string{"-pool", "10.0.0.0/8", "-"}, strings.NewReader(names.String()), &bytes.Buffer{}, &bytes.Buffer{})
		}
	})
}

// Input that cannot be names is refused with its line, and not echoed whole.
func TestNamesThatAreNone(t *testing.T) {
	for want, text := range map[string]string{
		"standard input:2: \"xxxx":        "a\n" + strings.Repeat("x", 300) + "\n",
		"standard input:1: line is lon":   strings.Repeat("x", 1<<20),
		"standard input:3: \"c\\x00d\": ": "a\nb\nc\x00d\n",
	} {
		_, err := scanNames("standard input", strings.NewReader(text))
		must.ErrorContains(t, err, want)
		must.Less(t, 200, len(err.Error()))
	}
}

// Of very many nodes without a block only some are named on standard error.
func TestManyRefused(t *testing.T) {
	var names []string
	for i := range 50 {
		names = append(names, fmt.Sprintf("n%d", i))
	}
	var out, errs strings.Builder
	status := run(append([]string{"-pool", "10.0.0.0/26"}, names...), nil, &out, &errs)
	must.Eq(t, 1, status)
	must.Eq(t, maxRefusals+1, strings.Count(errs.String(), "\n"))
	must.True(t, strings.HasSuffix(errs.String(), "predict: and 29 more nodes without a block; -json names them all\n"))
}

// TestUncovered: a release without rules of its own is answered, with a warning.
func TestUncovered(t *testing.T) {
	want := ok(t, "", "-pool", "10.0.0.0/24", "-calico", "v3.22", "a", "b")
	code, out, errs := predict(t, "", "-pool", "10.0.0.0/24", "-calico", "v3.20", "a", "b")
	must.Zero(t, code)
	must.Eq(t, want, out)
	must.StrContains(t, errs, "predict: Calico v3.20 is answered as v3.22: ")
}
