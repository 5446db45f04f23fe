package history

// A state is what is known of one address. The zero state is that of an address
// that nobody ever had. A state is a value.
//
//	        assign: done
//	free ────────────────▶ held
//	  ▲                     │ release, releaseHandle: done
//	  └──────── cooling ◀───┘ (free at once without a cooldown)
//	 cooldown over
type state struct {
	phase  phase
	handle string // that holds it; empty for none
	seq    uint64 // held: its sequence number, 0 while no client knows it
	last   uint64 // its highest sequence number that any client was told
	// cooling: when it was released, at the earliest and at the latest, in
	// seconds of the allocator's clock.
	from, to int64
}

type phase uint8

const (
	free phase = iota
	held
	cooling
)

func (s state) heldBy(handle string) bool { return s.phase == held && s.handle == handle }

// number returns the state of a held address after a client was told its sequence
// number, and whether the number is possible: it stays the same while the address
// is held, and is never used again.
func (s state) number(seq uint64) (state, bool) {
	if s.seq == 0 && seq > s.last {
		s.seq, s.last = seq, seq
	}
	return s, seq != 0 && s.seq == seq
}

// A model says what may happen to an address, with that cooldown in seconds.
type model struct{ cooldown int64 }

// mayBeOver reports whether the cooldown of a cooling address may be over at some
// moment of the operation.
func (m model) mayBeOver(s state, o op) bool { return o.to-m.cooldown >= s.from }

// mayLast reports whether the cooldown may last on at some moment of the
// operation.
func (m model) mayLast(s state, o op) bool { return o.from-m.cooldown < s.to }

// step returns the possible states of an address after an operation: none if the
// answer is impossible, two if it is unknown whether the operation happened.
func (m model) step(s state, o op, a answer) []state {
	next, can := m.happen(s, o, a)
	switch {
	case a.outcome == unanswered && can && next != s:
		return []state{s, next}
	case a.outcome == unanswered:
		return []state{s}
	case can:
		return []state{next}
	}
	return nil
}

// happen returns the state of an address after an operation that happened, and
// whether its outcome is possible. Of an unanswered one it reports whether it can
// have succeeded.
func (m model) happen(s state, o op, a answer) (state, bool) {
	switch o.verb {
	case assign:
		return m.assign(s, o, a)
	case release:
		return m.release(s, o, a)
	case releaseHandle:
		if s.heldBy(o.handle) {
			s = m.released(s, o)
		}
		return s, true
	case look:
		return m.look(s, o, a)
	case ask:
		return s, s.heldBy(o.handle) == (a.outcome == yes)
	}
	if a.outcome == isCooling {
		return state{phase: cooling, from: o.from, to: o.to}, true
	}
	return state{phase: held, handle: a.handle, seq: a.seq, last: a.seq}, true
}

func (m model) assign(s state, o op, a answer) (state, bool) {
	already := o.held && s.heldBy(o.handle)
	switch {
	case a.outcome == taken:
		return s, s.phase == held && !already || s.phase == cooling && m.mayLast(s, o)
	case s.phase == free || s.phase == cooling && m.mayBeOver(s, o):
		return state{phase: held, handle: o.handle, last: s.last}, true
	}
	return s, already
}

func (m model) release(s state, o op, a answer) (state, bool) {
	told, right := s, true
	if o.numbered {
		told, right = s.number(o.seq)
	}
	theirs := o.handle == "" || o.handle == s.handle
	switch a.outcome {
	case wasNobodys:
		return s, s.phase != held
	case badHandle:
		return told, s.phase == held && right && !theirs
	case badNumber:
		return s, o.numbered && (s.phase != held || s.seq != o.seq)
	}
	return m.released(told, o), s.phase == held && right && theirs
}

func (m model) released(s state, o op) state {
	if m.cooldown == 0 {
		return state{last: s.last}
	}
	return state{phase: cooling, last: s.last, from: o.from, to: o.to}
}

func (m model) look(s state, o op, a answer) (state, bool) {
	switch a.outcome {
	case isHeld:
		told, right := s.number(a.seq)
		return told, right && s.heldBy(a.handle)
	case isCooling:
		return s, s.phase == cooling && m.mayLast(s, o)
	case isFree:
		return state{last: s.last}, s.phase == free || s.phase == cooling && m.mayBeOver(s, o)
	}
	return s, s.phase != held
}
