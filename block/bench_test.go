package block

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// podHandles returns n handles such as Calico gives to pods: equally long, each
// with a string of its own.
func podHandles(n int) []string {
	handles := make([]string, n)
	for i := range handles {
		x := uint64(i+1) * 0x9e3779b97f4a7c15
		handles[i] = fmt.Sprintf("k8s-pod-network.%016x%016x%016x%016x", x, x*3, x*5, x*7)
	}
	return handles
}

func podAttrs(i int) Attrs {
	return MakeAttrs(map[string]string{"namespace": "default", "node": "node-1", "pod": fmt.Sprint("pod-", i)})
}

// halfFull returns a block in which every second ordinal is allocated to a pod.
func halfFull(cidr string) *Block {
	b, err := New(netip.MustParsePrefix(cidr), 1)
	if err != nil {
		panic(err)
	}
	for i, h := range podHandles(b.Size() / 2) {
		if err := b.TakeOrdinal(i*2, &Owner{MakeHandle(h), podAttrs(i)}); err != nil {
			panic(err)
		}
	}
	return b
}

func BenchmarkTakeRelease(bench *testing.B) {
	now := time.Unix(1_700_000_000, 0)
	cold := ColdAt(now, 0)
	reserved := &Ordinals{}
	reserved.AddRange(0, 4)
	for _, cidr := range []string{"10.0.0.0/26", "10.0.0.0/24", "10.0.0.0/20"} {
		for _, bc := range []struct {
			name     string
			reserved *Ordinals
		}{{"none", nil}, {"four", reserved}} {
			bench.Run(fmt.Sprintf("block=%s/full=50/reserved=%s", cidr[9:], bc.name), func(bench *testing.B) {
				b := halfFull(cidr)
				// As in a cluster: a new handle every time.
				to := make([]Owner, 256)
				for i, h := range podHandles(b.Size()/2 + 256)[b.Size()/2:] {
					to[i] = Owner{MakeHandle(h), podAttrs(1000 + i)}
				}
				dst := make([]int, 0, 1)
				bench.ReportAllocs()
				i := 0
				for bench.Loop() {
					dst = b.Take(dst[:0], 1, &to[i&255], bc.reserved)
					b.Commit()
					b.Release(dst, now, cold)
					b.Commit()
					i++
				}
			})
		}
	}
}
