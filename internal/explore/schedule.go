package explore

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A Schedule says whose call to the datastore comes next, and whether it fails.
//
// Its text has a word for each [Move], separated by blanks:
//
//	a         a's next call is made and answered
//	a*5       five of these
//	a*        all that are left, until a has nothing more to do
//	a:dies    a dies before its next call; its host may come back, as a again
//	a:fails   a's next call is not made, and a is told that it failed
//	a:lost    a's next call is made, and a is told that it failed
//	a:stale   a's next call is a read, answered with what there was before the
//	          last write to that; a:stale2 before the last two, and so on
//
// [ParseSchedule] reads it, and String writes it so that it is read again.
type Schedule []Move

// A Move is one entry of a schedule.
type Move struct {
	Client int // its number, from 0
	Fate   Fate
	Back   int // how many writes a Stale answer misses, from 1; else 0
}

// Fate is what happens to the calls of a move.
type Fate uint8

// The fates of a move.
const (
	Answered Fate = iota // the call is made and answered
	ToTheEnd             // all its calls are, until the client has nothing more to do
	Dies                 // the client dies before the call
	Fails                // the call is not made, the client is told that it failed
	Lost                 // the call is made, the client is told that it failed
	Stale                // the call is a read, and its answer is an older one
)

// fateNames are the words after the colon.
var fateNames = map[Fate]string{Dies: "dies", Fails: "fails", Lost: "lost", Stale: "stale"}

// ErrSchedule is matched by errors about a schedule that does not parse, or names
// a client or a step that the program does not have.
var ErrSchedule = errors.New("explore: impossible schedule")

// maxMoves is the greatest number of moves of a schedule: no hand-written program
// makes more calls.
const maxMoves = 1 << 20

// ParseSchedule reads the text of a schedule. Errors match [ErrSchedule].
func ParseSchedule(text string) (Schedule, error) {
	var s Schedule
	for i, word := range strings.Fields(text) {
		m, times, err := parseMove(word)
		if err == nil && len(s)+times > maxMoves {
			err = fmt.Errorf("that makes more than %d moves", maxMoves)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: word %d, %q: %w", ErrSchedule, i+1, word, err)
		}
		for range times {
			s = append(s, m)
		}
	}
	return s, nil
}

var errWord = errors.New("want a client from a to z, alone or with *, *N, :dies, :fails, :lost, :stale or :staleN")

// parseMove reads one word: a move and its repetitions.
func parseMove(word string) (m Move, times int, err error) {
	if word[0] < 'a' || word[0] > 'z' {
		return m, 0, errWord
	}
	m.Client = int(word[0] - 'a')
	rest := word[1:]
	switch {
	case rest == "":
		return m, 1, nil
	case rest == "*":
		m.Fate = ToTheEnd
		return m, 1, nil
	case rest[0] == '*':
		times, err := parseCount(rest[1:])
		return m, times, err
	}
	for fate, text := range fateNames {
		if after, ok := strings.CutPrefix(rest, ":"+text); ok {
			m.Fate = fate
			switch {
			case fate == Stale && after == "":
				m.Back = 1
				return m, 1, nil
			case fate == Stale:
				m.Back, err = parseCount(after)
				return m, 1, err
			case after == "":
				return m, 1, nil
			}
		}
	}
	return m, 0, errWord
}

// parseCount reads a number from 1, in its shortest form.
func parseCount(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || strconv.Itoa(n) != text {
		return 0, errWord
	}
	if n < 1 || n > maxMoves {
		return 0, fmt.Errorf("want a number from 1 to %d", maxMoves)
	}
	return n, nil
}

// String returns the text of the schedule, in its shortest form.
func (s Schedule) String() string {
	var words []string
	for i := 0; i < len(s); {
		m, end := s[i], i+1
		for end < len(s) && m.Fate == Answered && s[end] == m {
			end++
		}
		word := m.String()
		if end > i+1 {
			word += "*" + strconv.Itoa(end-i)
		}
		words = append(words, word)
		i = end
	}
	return strings.Join(words, " ")
}

// String returns the word of the move.
func (m Move) String() string {
	switch {
	case m.Fate == Answered:
		return name(m.Client)
	case m.Fate == ToTheEnd:
		return name(m.Client) + "*"
	case m.Back > 1:
		return name(m.Client) + ":" + fateNames[m.Fate] + strconv.Itoa(m.Back)
	}
	return name(m.Client) + ":" + fateNames[m.Fate]
}

// MarshalText returns the text of the schedule.
func (s Schedule) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the text of a schedule.
func (s *Schedule) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSchedule(string(text))
	return err
}

// validate returns what is wrong with the schedule for any program with that many
// clients.
func (s Schedule) validate(p *Program) error {
	for i, m := range s {
		if m.Client < 0 || m.Client >= len(p.Clients) {
			return fmt.Errorf("%w: move %d is of client %s, and there are only a to %s", ErrSchedule, i+1, m, name(len(p.Clients)-1))
		}
	}
	return nil
}
