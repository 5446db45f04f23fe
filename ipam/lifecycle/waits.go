package lifecycle

import (
	"container/heap"
	"time"
)

// waits is a queue of blocks that wait to be collected or released, by the time
// since which they wait: a sync looks only at those whose time has come.
type waits []wait

type wait struct {
	since time.Time
	block *knownBlock
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

// add queues a block that has waited since that time.
func (w *waits) add(b *knownBlock, since time.Time) { heap.Push(w, wait{since, b}) }

// next removes and returns a block that has waited since atOrBefore or longer, nil
// if there is none.
func (w *waits) next(atOrBefore time.Time) *knownBlock {
	if len(*w) == 0 || (*w)[0].since.After(atOrBefore) {
		return nil
	}
	return heap.Pop(w).(wait).block
}
