package history

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// patience limits the search for an order of one address's operations.
const patience = time.Minute

// Check returns an error unless some order of the operations in the logs explains
// every answer. The logs are those of all clients of one allocator with that
// cooldown. The error shows the history of an address up to the first answer that
// no order explains, the earliest one of all addresses.
func Check(cooldown time.Duration, logs ...*Log) error {
	var events []event
	for _, l := range logs {
		events = append(events, l.events...)
	}
	m := model{int64(cooldown / time.Second)}
	var worst *Violation
	for ip, ops := range split(events) {
		switch m.explains(ops) {
		case porcupine.Unknown:
			return fmt.Errorf("history: no order of %d operations on %s found within %v, and none excluded", len(ops), ip, patience)
		case porcupine.Illegal:
			if v := m.violation(ip, ops); worst == nil || v.at < worst.at || v.at == worst.at && ip.Less(worst.ip) {
				worst = &v
			}
		}
	}
	if worst == nil {
		return nil
	}
	return worst
}

// explains looks for an order of one address's operations.
func (m model) explains(ops []porcupine.Operation) porcupine.CheckResult {
	model := porcupine.NondeterministicModel{
		Init: func() []any { return []any{state{}} },
		Step: func(s, o, a any) (next []any) {
			for _, n := range m.step(s.(state), o.(op), a.(answer)) {
				next = append(next, n)
			}
			return next
		},
	}
	return porcupine.CheckOperationsTimeout(model.ToModel(), ops, patience)
}

// A Violation is a history that no order explains, up to the first impossible
// answer.
type Violation struct {
	ip  netip.Addr
	at  int64 // when that answer came
	ops []porcupine.Operation
}

// violation cuts a history that no order explains after its first impossible
// answer, and removes observations that play no part. Every beginning of an
// explained history is explained too, so a binary search finds the moment.
func (m model) violation(ip netip.Addr, ops []porcupine.Operation) Violation {
	var returns []int64
	for _, o := range ops {
		returns = append(returns, o.Return)
	}
	slices.Sort(returns)
	i := sort.Search(len(returns)-1, func(i int) bool { return m.explains(until(ops, returns[i])) == porcupine.Illegal })
	ops = until(ops, returns[i])
	for i := len(ops) - 1; i >= 0; i-- {
		if fewer := slices.Delete(slices.Clone(ops), i, i+1); observes(ops[i]) && m.explains(fewer) == porcupine.Illegal {
			ops = fewer
		}
	}
	return Violation{ip, returns[i], ops}
}

// observes reports whether the operation changed nothing: a history that cannot be
// explained without it cannot be explained with it either.
func observes(o porcupine.Operation) bool {
	switch o.Input.(op).verb {
	case look, ask:
		return true
	case assign, release:
		out := o.Output.(answer).outcome
		return out != done && out != unanswered
	}
	return false
}

// until returns the history as of that moment: operations that had not returned
// may have happened or not.
func until(ops []porcupine.Operation, at int64) (cut []porcupine.Operation) {
	for _, o := range ops {
		if o.Call > at {
			continue
		}
		if o.Return > at {
			if observes(o) && o.Input.(op).verb != assign && o.Input.(op).verb != release {
				continue
			}
			in := o.Input.(op)
			in.to = never
			o.Input, o.Output, o.Return = in, answer{}, never
		}
		cut = append(cut, o)
	}
	return cut
}

// shown is the number of operations that a violation shows.
const shown = 30

// Error shows the history, in the order of the answers.
func (v *Violation) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "history: nothing explains what clients were told of %s until %d:", v.ip, v.at)
	ops := slices.SortedFunc(slices.Values(v.ops), func(x, y porcupine.Operation) int {
		return cmp.Or(cmp.Compare(x.Return, y.Return), cmp.Compare(x.Call, y.Call))
	})
	if n := len(ops) - shown; n > 0 {
		fmt.Fprintf(&text, "\n  %d operations before", n)
		ops = ops[n:]
	}
	for _, o := range ops {
		ret := "…"
		if o.Return != never {
			ret = fmt.Sprint(o.Return)
		}
		fmt.Fprintf(&text, "\n  client %d [%d, %s] %s", o.ClientId, o.Call, ret, describe(o.Input.(op), o.Output.(answer)))
	}
	return text.String()
}
