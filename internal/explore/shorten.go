package explore

import (
	"errors"
	"slices"
)

// Shorten looks for a schedule that breaks the same invariant with fewer faults
// and switches, and returns the finding with the best that it finds. It tries to
// remove faults and turns, and to join the turns of a client.
func Shorten(p *Program, f Finding, o Options) (Finding, error) {
	for {
		better := false
		for _, s := range shorter(f.Schedule) {
			t, err := Run(p, s, o)
			if errors.Is(err, ErrProgram) {
				return f, err
			}
			if err != nil || t.Violation == nil || t.Violation.Invariant != f.Invariant || slices.Compare(weight(t.Schedule), weight(f.Schedule)) >= 0 {
				continue
			}
			f = Finding{*t.Violation, t.Schedule}
			better = true
			break
		}
		if !better {
			return f, nil
		}
	}
}

// weight is what Shorten minimizes: faults before switches before steps.
func weight(s Schedule) []int {
	faults, switches := 0, 0
	for i, m := range s {
		if m.Fate != Answered {
			faults++
		}
		if i > 0 && s[i-1].Client != m.Client {
			switches++
		}
	}
	return []int{faults, switches, len(s)}
}

// shorter returns variants of a schedule: without one of the faults, without one
// turn of a client, and with the moves between two of its turns before or after
// both.
func shorter(s Schedule) []Schedule {
	var all []Schedule
	for i, m := range s {
		if m.Fate != Answered {
			without := slices.Clone(s)
			without[i] = Move{Client: m.Client}
			all = append(all, slices.Delete(slices.Clone(s), i, i+1), without)
		}
	}
	turns := turnsOf(s)
	for i := range turns {
		all = append(all, slices.Concat(slices.Concat(turns[:i]...), slices.Concat(turns[i+1:]...)))
		for j := i + 1; j < len(turns); j++ {
			if turns[i][0].Client == turns[j][0].Client {
				between := slices.Concat(turns[i+1 : j]...)
				before, after := slices.Concat(turns[:i]...), slices.Concat(turns[j+1:]...)
				both := slices.Concat(turns[i], turns[j])
				all = append(all, slices.Concat(before, both, between, after), slices.Concat(before, between, both, after))
				break
			}
		}
	}
	return all
}

// turnsOf cuts a schedule where another client moves.
func turnsOf(s Schedule) []Schedule {
	var turns []Schedule
	for i := 0; i < len(s); {
		end := i + 1
		for end < len(s) && s[end].Client == s[i].Client {
			end++
		}
		turns = append(turns, s[i:end])
		i = end
	}
	return turns
}
