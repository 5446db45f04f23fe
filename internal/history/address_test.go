package history

import (
	"fmt"
	"testing"

	"github.com/shoenig/test/must"
)

// The states of the table below, with a cooldown of 5 seconds.
var (
	nobodys = state{last: 4}
	hs      = state{phase: held, handle: "h", last: 4}          // nobody was told its number
	hs6     = state{phase: held, handle: "h", seq: 6, last: 6}  // or it is 6
	cools   = state{phase: cooling, last: 4, from: 10, to: 12}  // until 15 to 17
	gone    = state{phase: cooling, last: 4, from: 20, to: 21}  // released at 20 or 21
	gone6   = state{phase: cooling, last: 6, from: 20, to: 21}  // number 6
	at      = func(o op) op { o.from, o.to = 20, 21; return o } // in all of it
)

// TestModel goes through what can happen to an address, state by state.
func TestModel(t *testing.T) {
	m := model{cooldown: 5}
	give, again := op{verb: assign, handle: "h"}, op{verb: assign, handle: "h", held: true}
	others := op{verb: assign, handle: "g", held: true}
	plain, hers, named := op{verb: release}, op{verb: release, handle: "h"}, op{verb: release, handle: "h", numbered: true, seq: 6}
	theirs, all := op{verb: release, handle: "g"}, op{verb: releaseHandle, handle: "h"}
	old, late := op{verb: release, numbered: true, seq: 4}, op{verb: release, numbered: true, seq: 7}
	who, whether := op{verb: look}, op{verb: ask, handle: "h"}
	has := func(handle string, seq uint64) answer { return answer{isHeld, handle, seq} }
	is := func(o outcome) answer { return answer{outcome: o} }

	one := func(s state) []state { return []state{s} }
	both := func(s, or state) []state { return []state{s, or} }
	for _, c := range []struct {
		op op
		answer
		// The next states from each state: none if the answer is impossible.
		nobodys, hs, hs6, cools []state
	}{
		{give, is(done), one(hs), nil, nil, one(hs)},
		{give, is(taken), nil, one(hs), one(hs6), nil},
		{give, is(unanswered), both(nobodys, hs), one(hs), one(hs6), both(cools, hs)},
		{again, is(done), one(hs), one(hs), one(hs6), one(hs)},
		{again, is(taken), nil, nil, nil, nil},
		{others, is(taken), nil, one(hs), one(hs6), nil},
		{plain, is(done), nil, one(gone), one(gone6), nil},
		{plain, is(wasNobodys), one(nobodys), nil, nil, one(cools)},
		{plain, is(badNumber), nil, nil, nil, nil},
		{plain, is(badHandle), nil, nil, nil, nil},
		{plain, is(unanswered), one(nobodys), both(hs, gone), both(hs6, gone6), one(cools)},
		{hers, is(done), nil, one(gone), one(gone6), nil},
		{hers, is(badHandle), nil, nil, nil, nil},
		{theirs, is(done), nil, nil, nil, nil},
		{theirs, is(badHandle), nil, one(hs), one(hs6), nil},
		{theirs, is(unanswered), one(nobodys), one(hs), one(hs6), one(cools)},
		{named, is(done), nil, one(gone6), one(gone6), nil},
		{named, is(badNumber), one(nobodys), one(hs), nil, one(cools)},
		{old, is(done), nil, nil, nil, nil},
		{old, is(badNumber), one(nobodys), one(hs), one(hs6), one(cools)},
		{old, is(wasNobodys), one(nobodys), nil, nil, one(cools)},
		{late, is(done), nil, one(state{phase: cooling, last: 7, from: 20, to: 21}), nil, nil},
		{all, is(done), one(nobodys), one(gone), one(gone6), one(cools)},
		{all, is(unanswered), one(nobodys), both(hs, gone), both(hs6, gone6), one(cools)},
		{op{verb: releaseHandle, handle: "g"}, is(done), one(nobodys), one(hs), one(hs6), one(cools)},
		{who, is(isFree), one(nobodys), nil, nil, one(nobodys)},
		{who, is(isNobodys), one(nobodys), nil, nil, one(cools)},
		{who, is(isCooling), nil, nil, nil, nil},
		{who, has("h", 6), nil, one(hs6), one(hs6), nil},
		{who, has("h", 4), nil, nil, nil, nil},
		{who, has("h", 7), nil, one(state{phase: held, handle: "h", seq: 7, last: 7}), nil, nil},
		{who, has("h", 0), nil, nil, nil, nil},
		{who, has("g", 6), nil, nil, nil, nil},
		{whether, is(yes), nil, one(hs), one(hs6), nil},
		{whether, is(no), one(nobodys), nil, nil, one(cools)},
		{op{verb: ask, handle: "g"}, is(no), one(nobodys), one(hs), one(hs6), one(cools)},
	} {
		for _, in := range []struct {
			state
			want []state
		}{{nobodys, c.nobodys}, {hs, c.hs}, {hs6, c.hs6}, {cools, c.cools}} {
			must.Eq(t, in.want, m.step(in.state, at(c.op), c.answer), must.Sprintf("%s, in %+v", describe(c.op, c.answer), in.state))
		}
	}

	// Begun.
	must.Eq(t, one(hs6), m.step(state{}, op{verb: found}, has("h", 6)))
	must.Eq(t, one(state{phase: cooling, from: 9, to: 9}), m.step(state{}, op{verb: found, from: 9, to: 9}, is(isCooling)))
	// Without a cooldown.
	must.Eq(t, one(state{last: 6}), model{}.step(hs6, at(plain), is(done)))
}

// TestCooldown: an address that was released at second 10 to 12 and cools for 5
// is certainly cooling until 15, and certainly not from 17 on.
func TestCooldown(t *testing.T) {
	m := model{cooldown: 5}
	for _, c := range []struct {
		from, to      int64
		cooling, free bool
	}{
		{13, 14, true, false},
		{14, 15, true, true},
		{16, 16, true, true},
		{16, 30, true, true},
		{17, 17, false, true},
	} {
		during := func(v verb) op { return op{verb: v, handle: "h", from: c.from, to: c.to} }
		for _, x := range []struct {
			op
			outcome
			can bool
		}{
			{during(look), isCooling, c.cooling},
			{during(assign), taken, c.cooling},
			{during(look), isFree, c.free},
			{during(assign), done, c.free},
		} {
			must.Eq(t, x.can, len(m.step(cools, x.op, answer{outcome: x.outcome})) > 0, must.Sprint(fmt.Sprint(c, describe(x.op, answer{outcome: x.outcome}))))
		}
	}
}
