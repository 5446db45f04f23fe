package trace

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
)

// TestLifecycleRecordings replays every recording of the real cleaning controller,
// and checks the controller's memory after every sync. With -short it takes some.
func TestLifecycleRecordings(t *testing.T) {
	for pattern, want := range map[string]struct{ files, operations int }{
		"lifecycle/*.jsonl.gz":      {40, 17201},
		"lifecycle-2/*.jsonl.gz":    {80, 9772},
		"minimal/lifecycle/*.jsonl": {7, 73},
	} {
		files, err := filepath.Glob("../../testdata/" + pattern)
		must.NoError(t, err)
		must.Len(t, want.files, files)
		if testing.Short() {
			files = property.Some(files)
		}
		total := 0
		for _, file := range files {
			h, ops := readFile(t, file)
			p, err := NewPlayer(h)
			must.NoError(t, err)
			for _, op := range ops {
				got, err := p.Do(op)
				must.NoError(t, err, must.Sprintf("%s:%d", file, op.Line))
				if want, got := op.Out.String(), got.String(); want != got {
					must.Eq(t, want, got, must.Sprintf("%s:%d: %s", file, op.Line, compact(op.In)))
				}
				if op.Op == "Sync" {
					must.NoError(t, p.controller.Check(), must.Sprintf("%s:%d", file, op.Line))
				}
			}
			total += len(ops)
		}
		if !testing.Short() {
			must.Eq(t, want.operations, total, must.Sprint(pattern))
		}
	}
}

func readFile(t *testing.T, file string) (Header, []Op) {
	t.Helper()
	f, err := os.Open(file)
	must.NoError(t, err)
	defer f.Close()
	h, ops, err := readAll(file, f)
	must.NoError(t, err)
	return h, ops
}

// TestHeaderKubeVirt: the field says whether KubeVirt runs, or About in recordings
// older than the field.
func TestHeaderKubeVirt(t *testing.T) {
	const file = "../../testdata/lifecycle-2/life-vmi-kubevirt-5.jsonl.gz"
	h, ops := readFile(t, file)
	must.StrContains(t, h.About, aboutKubeVirt)
	for name, c := range map[string]struct {
		about string
		runs  bool
		exact bool
	}{
		"as it stands": {h.About, false, true},
		"the field":    {"", true, true},
		"neither":      {"", false, false},
	} {
		h.About, h.KubeVirt = c.about, c.runs
		p, err := NewPlayer(h)
		must.NoError(t, err)
		exact := true
		for _, op := range ops {
			got, err := p.Do(op)
			must.NoError(t, err)
			exact = exact && op.Out.String() == got.String()
		}
		must.Eq(t, c.exact, exact, must.Sprint(name))
	}
}

// TestSyncError: a failed sync says why. A node that is gone and cannot be
// released is an error before v3.31.6, and remaining work since then.
func TestSyncError(t *testing.T) {
	for release, want := range map[string]string{"v3.31.5": "block-not-empty", "v3.31.6": ""} {
		v, err := calico.Parse(release)
		must.NoError(t, err)
		clock := ipam.NewClock(time.Unix(0, 0))
		p := PlayOn(ipam.New(ipam.Options{Now: clock.Now, Calico: v}), clock)
		must.NoError(t, p.Set(Header{
			Pools: []Pool{{Name: "p", CIDR: "10.0.0.0/24", BlockSize: 26}},
			Nodes: []ipam.Node{{Name: "n1"}, {Name: "n2"}},
		}))
		attrs := map[string]string{"node": "n2", "pod": "p", "namespace": "ns"} // in a block of n1
		for _, op := range []Op{
			{Op: "AutoAssign", In: In{Host: "n1", Num4: 1, Handle: "h", Attrs: attrs, Use: "Workload"}},
			{Op: "DeleteNode", In: In{Node: &ipam.Node{Name: "n1"}}},
		} {
			_, err := p.Do(op)
			must.NoError(t, err)
		}
		out, err := p.Do(Op{Op: "Sync"})
		must.NoError(t, err)
		must.Eq(t, Out{Err: want, WorkRemaining: true}, out, must.Sprint(release))
	}
}

func TestLifecycleBadInput(t *testing.T) {
	h := Header{Start: time.Unix(0, 0).UTC()}
	p, err := NewPlayer(h)
	must.NoError(t, err)
	for name, c := range map[string]struct {
		op   Op
		says string
	}{
		"no pod":           {Op{Op: "AddPod"}, "AddPod: no pod"},
		"no pod to delete": {Op{Op: "DeletePod"}, "DeletePod: no pod"},
		"pod without name": {Op{Op: "AddPod", In: In{Pod: &Pod{Namespace: "n"}}}, `AddPod: lifecycle: invalid: pod "n/" without a name`},
		"no address":       {Op{Op: "AddPod", In: In{Pod: &Pod{Namespace: "n", Name: "p", IPs: []string{"10.0.0"}}}}, "AddPod: ParseAddr"},
	} {
		_, err := p.Do(c.op)
		must.ErrorContains(t, err, c.says, must.Sprint(name))
	}
	out, err := p.Do(Op{Op: "DeletePod", In: In{Pod: &Pod{Namespace: "n", Name: "p"}}})
	must.NoError(t, err)
	must.Eq(t, Out{}, out)

	for _, grace := range []int64{-1, 1 << 62} {
		h.LeakGracePeriodSeconds = grace
		_, err := NewPlayer(h)
		must.ErrorContains(t, err, "leakGracePeriodSeconds")
	}
	// An engine that is no allocator plays everything except a lifecycle.
	other := PlayOn(struct{ Engine }{ipam.New(ipam.Options{})}, ipam.NewClock(time.Unix(0, 0)))
	must.NoError(t, other.Set(Header{}))
	_, err = other.Do(Op{Op: "Sync"})
	must.ErrorContains(t, err, "no controller")
}
