package sim

import "time"

// agenda is what is still to come: a heap, the earliest item first. The zero value is
// an empty one.
type agenda struct {
	items []item
	filed int // items ever
}

// item is something to be done at a moment.
type item struct {
	at time.Duration // since the start
	n  int           // of two at one moment the one that was filed first comes first
	do func()
}

// before reports whether the item comes before another.
func (x *item) before(y *item) bool { return x.at < y.at || x.at == y.at && x.n < y.n }

// file puts something on the agenda.
func (a *agenda) file(at time.Duration, do func()) {
	a.filed++
	a.items = append(a.items, item{at, a.filed, do})
	for i := len(a.items) - 1; i > 0; {
		parent := (i - 1) / 2
		if !a.items[i].before(&a.items[parent]) {
			return
		}
		a.items[i], a.items[parent] = a.items[parent], a.items[i]
		i = parent
	}
}

// next takes the first item up to a moment from the agenda, and reports whether there
// was one.
func (a *agenda) next(upTo time.Duration) (first item, ok bool) {
	if len(a.items) == 0 || a.items[0].at > upTo {
		return item{}, false
	}
	first = a.items[0]
	last := len(a.items) - 1
	a.items[0] = a.items[last]
	a.items[last] = item{}
	a.items = a.items[:last]
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if a.items[child].before(&a.items[least]) {
				least = child
			}
		}
		if least == i {
			return first, true
		}
		a.items[i], a.items[least] = a.items[least], a.items[i]
		i = least
	}
}
