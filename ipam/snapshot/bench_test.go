package snapshot

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// large returns a cluster of so many nodes with four /26 blocks each, and a
// hundred pods with a handle of their own.
func large(t testing.TB, nodes int) ipam.Cluster {
	t.Helper()
	clock := ipam.NewClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	a := ipam.New(ipam.Options{Now: clock.Now})
	must.NoError(t, a.SetPool(pool.Spec{Name: "default-ipv4-ippool", CIDR: netip.MustParsePrefix("10.0.0.0/8")}))
	var v4, v6 ipam.Assignment
	for n := range nodes {
		node := fmt.Sprintf("node-%04d.example.internal", n)
		must.NoError(t, a.SetNode(ipam.Node{Name: node, Labels: map[string]string{"kubernetes.io/hostname": node, "kubernetes.io/os": "linux"}}))
		for p := range 100 {
			must.NoError(t, a.AutoAssignInto(&ipam.AutoAssignArgs{
				Host: node, Num4: 1, Handle: fmt.Sprintf("k8s-pod-network.%064x", n*1000+p), Use: pool.Workload,
				Attrs: block.MakeAttrs(map[string]string{
					"pod": fmt.Sprintf("deployment-%d-6d4b75cb6d-%05d", n, p), "namespace": "production", "node": node, "timestamp": "2026-01-01 00:00:00.123456789 +0000 UTC",
				}),
			}, &v4, &v6))
		}
		// Two blocks more that are empty but for what came and went.
		must.NoError(t, a.AutoAssignInto(&ipam.AutoAssignArgs{Host: node, Num4: 128, Use: pool.Workload}, &v4, &v6))
		for _, ip := range v4.IPs {
			_, err := a.ReleaseIP(ipam.Release{IP: ip.Addr()})
			must.NoError(t, err)
		}
	}
	return a.Cluster()
}

// padded puts into every object what the API server adds, and nobody reads.
type padded struct{ w io.Writer }

const padding = `"creationTimestamp":"2026-01-01T00:00:00Z","generation":1,"resourceVersion":"123456789","uid":"0466178f-6749-437d-88a1-009d4345ab00",` +
	`"managedFields":[{"apiVersion":"crd.projectcalico.org/v1","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{".":{},"f:block":{".":{},"f:10.0.0.0/26":{}},"f:deleted":{},"f:handleID":{}}},` +
	`"manager":"calico-node","operation":"Update","time":"2026-01-01T00:00:00Z"}],`

func (p padded) Write(text []byte) (int, error) {
	out := bytes.ReplaceAll(text, []byte(`"metadata":{"name"`), []byte(`"metadata":{`+padding+`"name"`))
	_, err := p.w.Write(out)
	return len(text), err
}

// BenchmarkLoad reads clusters of several sizes, and makes an allocator of each.
// With IPAMSIM_LONG it is one of 5,000 nodes, 20,000 blocks and 500,000 handles,
// and fails where that takes more than 60 s (of JSON) or 1.5 GiB.
func BenchmarkLoad(b *testing.B) {
	nodes := 50
	if property.Long() {
		nodes = 5000
	}
	for _, form := range []string{"json", "yaml"} {
		b.Run(fmt.Sprintf("nodes=%d/%s", nodes, form), func(b *testing.B) {
			path, size := largeFile(b, nodes, form)
			b.SetBytes(size)
			b.ReportAllocs()
			var peak uint64
			var took, processors time.Duration
			for b.Loop() {
				stop := watchMemory(&peak)
				began, had := time.Now(), processorTime()
				s, err := Load(Options{}, path)
				must.NoError(b, err)
				a, err := s.Allocator(ipam.Options{})
				must.NoError(b, err)
				took, processors = max(took, time.Since(began)), max(processors, processorTime()-had)
				stop()
				sum := a.Summary()
				must.Eq(b, nodes, sum.Owners)
				must.Eq(b, 100*nodes, len(s.Cluster.Handles))
			}
			b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
			b.ReportMetric(processors.Seconds(), "cpu-s")
			if form == "json" && took > time.Minute {
				b.Errorf("took %s, %s of the processors; at most 60 s are allowed", took, processors)
			}
			if peak > 3<<29 {
				b.Errorf("used %d MiB, at most 1,536 are allowed", peak>>20)
			}
		})
	}
}

// largeFile writes a large cluster to a file.
func largeFile(b *testing.B, nodes int, form string) (path string, size int64) {
	path = b.TempDir() + "/large." + form
	f, err := os.Create(path)
	must.NoError(b, err)
	c := large(b, nodes)
	must.GreaterEq(b, 4*nodes, len(c.Blocks))
	if form == "json" {
		err = writeJSON(padded{f}, c, V1)
	} else {
		err = writeYAML(f, c, V1)
	}
	must.NoError(b, err)
	must.NoError(b, f.Close())
	info, err := os.Stat(path)
	must.NoError(b, err)
	runtime.GC()
	return path, info.Size()
}

// watchMemory keeps the most memory that the process had from the system for its
// heap and stacks, until it is stopped.
func watchMemory(peak *uint64) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	look := func() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		*peak = max(*peak, m.HeapInuse+m.StackInuse)
	}
	go func() {
		defer close(ended)
		for {
			look()
			select {
			case <-done:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	return func() {
		look()
		close(done)
		<-ended
	}
}

// BenchmarkWrite writes what BenchmarkLoad reads.
func BenchmarkWrite(b *testing.B) {
	c := large(b, 50)
	for name, write := range map[string]func(io.Writer) error{
		"json": func(w io.Writer) error { return writeJSON(w, c, V1) },
		"yaml": func(w io.Writer) error { return writeYAML(w, c, V1) },
	} {
		b.Run("nodes=50/"+name, func(b *testing.B) {
			var out strings.Builder
			must.NoError(b, write(&out))
			b.SetBytes(int64(out.Len()))
			b.ReportAllocs()
			for b.Loop() {
				must.NoError(b, write(io.Discard))
			}
		})
	}
}

// BenchmarkHandles reads and checks a dump of 69,745 handles as kubectl prints it, 24 MB
// of YAML, most of which hold nothing any more. With IPAMSIM_LONG it fails where that
// takes more than 2 s of the processors.
func BenchmarkHandles(b *testing.B) {
	handles := 2000
	if property.Long() {
		handles = 69745
	}
	c := large(b, max(1, handles/2000))
	for i := len(c.Handles); i < handles; i++ {
		c.Handles = append(c.Handles, ipam.HandleState{
			ID:     fmt.Sprintf("k8s-pod-network.%064x", 1<<30+i),
			Counts: []ipam.HandleCount{{Block: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 200, byte(i), 0}), 26), Count: 1}},
		})
	}
	var text bytes.Buffer
	must.NoError(b, writeYAML(&text, c, V1))
	b.Run(fmt.Sprintf("handles=%d", handles), func(b *testing.B) {
		b.SetBytes(int64(text.Len()))
		b.ReportAllocs()
		var processors time.Duration
		for b.Loop() {
			had := processorTime()
			l := NewLoader(Options{})
			must.NoError(b, l.Add("dump", bytes.NewReader(text.Bytes())))
			s, err := l.Snapshot()
			must.NoError(b, err)
			must.Eq(b, handles-100*max(1, handles/2000), Check(s).Count(kindHandleEmpty))
			processors = max(processors, processorTime()-had)
		}
		b.ReportMetric(processors.Seconds(), "cpu-s")
		if property.Long() && processors > 2*time.Second {
			b.Errorf("took %s of the processors; at most 2 s are allowed", processors)
		}
	})
}
