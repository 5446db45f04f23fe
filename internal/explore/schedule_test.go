package explore

import (
	"encoding/json"
	"testing"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/internal/property"
)

func TestSchedule(t *testing.T) {
	s, err := ParseSchedule("  a*3 b a:dies\tb:fails\nb:lost a:stale a:stale2 z* a*1")
	must.NoError(t, err)
	must.Eq(t, Schedule{
		{}, {}, {}, {Client: 1}, {Fate: Dies}, {Client: 1, Fate: Fails}, {Client: 1, Fate: Lost},
		{Fate: Stale, Back: 1}, {Fate: Stale, Back: 2}, {Client: 25, Fate: ToTheEnd}, {},
	}, s)
	must.Eq(t, "a*3 b a:dies b:fails b:lost a:stale a:stale2 z* a", s.String())
	empty, err := ParseSchedule(" ")
	must.NoError(t, err)
	must.SliceEmpty(t, empty, must.Sprint(empty))
	must.Eq(t, "", empty.String())
}

func TestScheduleRefused(t *testing.T) {
	refused := map[string]string{
		"A":                        `word 1, "A"`,
		"a 7":                      `word 2, "7"`,
		"aa":                       "want a client from a to z",
		"a:":                       "want a client",
		"a:sleeps":                 ":dies, :fails, :lost",
		"a:diesnow":                "want a client",
		"a:stale0":                 "want a number from 1",
		"a:stale-1":                "want a number from 1",
		"a*0":                      "want a number from 1",
		"a*03":                     "want a client",
		"a*+3":                     "want a client",
		"a**":                      "want a client",
		"a*1048577":                "to 1048576",
		"a*1048576 b":              "more than 1048576 moves",
		"a*99999999999999999999":   "want a client",
		"a:dies*2":                 "want a client",
		"\x00":                     "want a client",
		"é":                        "want a client",
		"a:stale99999999999999999": "want a number",
	}
	if testing.Short() {
		delete(refused, "a*1048576 b") // it reads a million moves first
	}
	for text, want := range refused {
		_, err := ParseSchedule(text)
		must.ErrorIs(t, err, ErrSchedule, must.Sprint(text))
		must.ErrorContains(t, err, want, must.Sprint(text))
	}
}

// inverse is the property that the text of a schedule is read as that schedule.
func inverse(src property.Source, write func(Schedule) string) error {
	var s Schedule
	for range src.Pick("length", 12) {
		m := Move{Client: src.Pick("client", 3), Fate: Fate(src.Pick("fate", int(Stale)+1))}
		if m.Fate == Stale {
			m.Back = 1 + src.Pick("back", 12)
		}
		s = append(s, m)
	}
	read, err := ParseSchedule(write(s))
	if err != nil {
		return err
	}
	if len(read) != len(s) {
		return &Violation{Text: write(s)}
	}
	for i := range s {
		if s[i] != read[i] {
			return &Violation{Text: write(s)}
		}
	}
	return nil
}

func TestScheduleInverse(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		if err := inverse(property.Rapid(rt), Schedule.String); err != nil {
			rt.Fatal(err)
		}
	})
	property.Rejects(t, func(src property.Source) error {
		return inverse(src, func(s Schedule) string { // forgets how old an answer is
			for i := range s {
				s[i].Back = min(s[i].Back, 1)
			}
			text := s.String()
			for i := range s {
				s[i].Back *= 2
			}
			return text
		})
	})
}

func TestScheduleJSON(t *testing.T) {
	s, err := ParseSchedule("a*3 b:lost")
	must.NoError(t, err)
	text, err := json.Marshal(s)
	must.NoError(t, err)
	must.Eq(t, `"a*3 b:lost"`, string(text))
	var back Schedule
	must.NoError(t, json.Unmarshal(text, &back))
	must.Eq(t, s, back)
	must.ErrorIs(t, json.Unmarshal([]byte(`"a b?"`), &back), ErrSchedule)
}

// FuzzSchedule: whatever parses is written so that it is read again.
func FuzzSchedule(f *testing.F) {
	f.Add("a*3 b a:dies b:fails b:lost a:stale2 c*")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSchedule(text)
		if err != nil || len(s) > 1000 {
			return
		}
		again, err := ParseSchedule(s.String())
		must.NoError(t, err)
		must.Eq(t, s, again)
	})
}
