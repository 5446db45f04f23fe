package storm

import (
	"cmp"
	"container/heap"
	"math/rand"
	"time"
)

// agenda is the calls that nodes are about to make, the next one first. Each node
// has at most one.
type agenda struct {
	calls  calls
	random *rand.Rand
}

// call is when a node makes its next call.
type call struct {
	at   time.Duration
	draw int64 // decides among calls at the same time
	node int
}

// add notes when a node makes its next call.
func (a *agenda) add(node int, at time.Duration) {
	heap.Push(&a.calls, call{at, a.random.Int63(), node})
}

// next takes the next call from the agenda, which must not be empty.
func (a *agenda) next() call { return heap.Pop(&a.calls).(call) }

// calls is a heap, the next call on top.
type calls []call

func (c calls) Len() int           { return len(c) }
func (c calls) Swap(i, j int)      { c[i], c[j] = c[j], c[i] }
func (c calls) Less(i, j int) bool { return compareCalls(c[i], c[j]) < 0 }
func (c *calls) Push(x any)        { *c = append(*c, x.(call)) }

func (c *calls) Pop() any {
	last := (*c)[len(*c)-1]
	*c = (*c)[:len(*c)-1]
	return last
}

func compareCalls(x, y call) int {
	return cmp.Or(cmp.Compare(x.at, y.at), cmp.Compare(x.draw, y.draw), cmp.Compare(x.node, y.node))
}
