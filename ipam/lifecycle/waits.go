package lifecycle

import (
	"container/heap"
	"time"
)

// waits is a queue of blocks, by the moment since which each of them waits to be
// collected or given back: a sync need not look at those whose time has not come.
type waits []wait

type wait struct {
	since time.Time
	block *owned
}

// Len, Less, Swap, Push and Pop are the heap's.
func (w waits) Len() int           { return len(w) }
func (w waits) Less(i, j int) bool { return w[i].since.Before(w[j].since) }
func (w waits) Swap(i, j int)      { w[i], w[j] = w[j], w[i] }
func (w *waits) Push(x any)        { *w = append(*w, x.(wait)) }
func (w *waits) Pop() any {
	last := (*w)[len(*w)-1]
	(*w)[len(*w)-1] = wait{}
	*w = (*w)[:len(*w)-1]
	return last
}

// add queues a block that waits since then.
func (w *waits) add(b *owned, since time.Time) { heap.Push(w, wait{since, b}) }

// next removes and returns a block that has been waiting since before or at the
// moment, nil if there is none.
func (w *waits) next(atOrBefore time.Time) *owned {
	if len(*w) == 0 || (*w)[0].since.After(atOrBefore) {
		return nil
	}
	return heap.Pop(w).(wait).block
}
