package session

import (
	"fmt"
	"testing"
)

// large is a cluster of so many nodes and pods.
func large(b *testing.B, nodes, pods int) *Session {
	s := New()
	if err := run(s, fmt.Sprintf(`{"do":"setup","nodes":%d,"pool":"10.0.0.0/10"}`, nodes)); err != nil {
		b.Fatal(err)
	}
	for left := pods; left > 0; left -= maxAtOnce {
		if err := run(s, fmt.Sprintf(`{"do":"scale","count":%d}`, pods-max(0, left-maxAtOnce))); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

func BenchmarkView(b *testing.B) {
	for _, nodes := range []int{3, 300, 5000} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			s := large(b, nodes, min(12*nodes, maxAtOnce))
			b.ReportAllocs()
			for b.Loop() {
				s.Call("view", nil, nil)
			}
		})
	}
}

func BenchmarkAct(b *testing.B) {
	for _, nodes := range []int{3, 5000} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			s := large(b, nodes, 3*nodes)
			for b.Loop() {
				s.Call("do", []byte(`{"do":"add-pods","count":1}`), nil)
				s.at, s.ops, s.done = 1, s.ops[:1], s.done[:1]
			}
		})
	}
}

func BenchmarkUndo(b *testing.B) {
	s := large(b, 5000, 20_000)
	for b.Loop() {
		s.Call("undo", nil, nil)
		s.Call("redo", nil, nil)
	}
}

func BenchmarkPlan(b *testing.B) {
	for _, size := range []int{24, 26, 28} {
		b.Run(fmt.Sprintf("block=%d", size), func(b *testing.B) {
			s := New()
			for b.Loop() {
				s.Call("plan", fmt.Appendf(nil, `{"nodes":300,"pods":40,"pool":"10.0.0.0/18","blockSize":%d}`, size), nil)
			}
		})
	}
}
