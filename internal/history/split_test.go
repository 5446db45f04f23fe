package history

import (
	"net/netip"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
)

// randomEvents returns a short history about one address, right or wrong.
func randomEvents(src property.Source) []event {
	handles := []string{"g", "h"}
	var events []event
	for range 3 + src.Pick("events", 5) {
		e := event{call: int64(src.Pick("call", 20))}
		e.ret = e.call + int64(src.Pick("takes", 6))
		e.op = op{verb: []verb{assign, assign, release, releaseHandle, ask, look}[src.Pick("verb", 6)], handle: handles[src.Pick("handle", 2)]}
		switch e.verb {
		case assign:
			e.ip, e.outcome, e.held = one, []outcome{done, done, taken, unanswered}[src.Pick("outcome", 4)], src.Pick("held", 4) == 0
			if e.outcome == unanswered && src.Pick("of all", 2) == 0 {
				e.ip = netip.Addr{}
			}
		case release:
			e.ip, e.outcome = one, []outcome{done, wasNobodys, badHandle, unanswered}[src.Pick("outcome", 4)]
		case releaseHandle:
			e.outcome = []outcome{done, unanswered}[src.Pick("outcome", 2)]
		case ask:
			if e.outcome = no; src.Pick("has", 2) == 0 {
				e.ip, e.outcome = one, yes
			}
		case look:
			e.ip, e.outcome = one, isFree
		}
		events = append(events, e)
	}
	if src.Pick("begun", 3) == 0 {
		events = append(events, event{ip: one, op: op{verb: found}, answer: answer{outcome: isHeld, handle: "h", seq: 1}, call: before, ret: before})
	}
	return events
}

// TestSplit: the events that split leaves out do not change whether a history can
// be explained.
func TestSplit(t *testing.T) {
	var m model
	fewer, right := 0, 0
	histories := 20000
	if testing.Short() {
		histories = 600
	}
	for seed := range uint64(histories) {
		events := randomEvents(property.Seeded(seed))
		var all []porcupine.Operation
		named := false
		for _, e := range events {
			named = named || e.ip == one
			all = append(all, porcupine.Operation{Input: e.op, Output: e.answer, Call: e.call, Return: e.ret})
		}
		if !named {
			must.MapEmpty(t, split(events))
			continue
		}
		some := split(events)[one]
		want := m.explains(all)
		must.Eq(t, want, m.explains(some), must.Sprintf("seed %d", seed))
		if len(some) < len(all) {
			fewer++
		}
		if want == porcupine.Ok {
			right++
		}
	}
	must.Greater(t, histories/10, fewer)
	must.Greater(t, histories/10, right)
	must.Less(t, histories*9/10, right)
}

// TestConcerns: an event without an address is about all others of its family.
func TestConcerns(t *testing.T) {
	for _, c := range []struct {
		event
		ip   netip.Addr
		want bool
	}{
		{event{ip: one}, one, true},
		{event{ip: one}, two, false},
		{event{}, one, true},
		{event{but: []netip.Addr{one}}, one, false},
		{event{but: []netip.Addr{one}}, two, true},
		{event{family: only4}, one, true},
		{event{family: only4}, three, false},
		{event{family: only6}, three, true},
		{event{family: only6}, two, false},
	} {
		must.Eq(t, c.want, c.concerns(c.ip))
	}
}
