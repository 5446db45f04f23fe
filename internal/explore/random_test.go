package explore

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/internal/race"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// TestRandom draws schedules for scenarios of many seeds, with every kind of
// fault.
func TestRandom(t *testing.T) {
	seeds, runs := int64(12), 10
	switch {
	case property.Long():
		seeds, runs = 300, 100
	case testing.Short():
		seeds = 1
	}
	var total Report
	for seed := range seeds {
		c, err := Scenario(seed, 0)
		must.NoError(t, err)
		r, err := Random(&c.Program, seed, runs, Bounds{Deaths: 2, Failures: 2, Stale: 2}, Options{}, nil)
		must.NoError(t, err)
		for _, f := range r.Findings {
			t.Errorf("seed %d: %v\n  go run ./examples/race -seed %d -schedule %q", seed, &f.Violation, seed, f.Schedule)
		}
		must.True(t, r.Complete || t.Failed())
		total.Steps += r.Steps
		total.Deaths += r.Deaths
		total.Schedules += r.Schedules
	}
	must.NonZero(t, total.Deaths)
	t.Logf("%.0f schedules, %d steps, %d deaths", total.Schedules, total.Steps, total.Deaths)
}

// drawn runs a program under a schedule drawn from the seed, and returns the
// schedule and the first violation, if any.
func drawn(p *Program, seed int64, length int, o Options) (Schedule, *Violation, error) {
	r, s, err := newDraw(seed, p, length, Bounds{Deaths: 2, Failures: 1, Stale: 1}).run(p, o, new(Report))
	if err != nil {
		return nil, nil, err
	}
	defer r.end()
	if r.broken() == nil {
		r.rest()
	}
	return s, r.broken(), nil
}

// TestRandomReleases: no schedule breaks an invariant of an older release either,
// but schedules of a faulty client do.
func TestRandomReleases(t *testing.T) {
	property.Slow(t)
	f, err := race.Open("../../testdata/races.jsonl.gz")
	must.NoError(t, err)
	defer f.Close()
	runs, every := int64(1), int64(10)
	switch {
	case property.Long():
		runs, every = 30, 1
	case testing.Short():
		every = 60
	}
	carried, faulty := 0, 0
	for n := range int64(600) {
		recorded, err := f.Next()
		must.NoError(t, err)
		if n%every > 0 {
			continue
		}
		for _, v := range []calico.Version{calico.V3(28), calico.V3(30), calico.V3(31), calico.V3(32)} {
			p := FromRace(recorded)
			p.Setting.Calico = v.String()
			length, err := lengthOf(p, Options{})
			if err != nil { // the setting has what the release has not
				must.ErrorIs(t, err, ErrProgram)
				continue
			}
			for run := range runs {
				s, violation, err := drawn(p, n*1000+run, length, Options{})
				must.NoError(t, err)
				must.Nil(t, violation, must.Sprintf("race %d of Calico %v: %s", n, v, s))
				carried++
			}
			_, violation, err := drawn(p, n, length, faults[0].options)
			must.NoError(t, err)
			if violation != nil {
				faulty++
			}
		}
	}
	must.Greater(t, int(1500/every), carried)
	must.Greater(t, int(150/every), faulty, must.Sprintf("of a client with the fault %q", faults[0].name))
}

// TestRandomRaces draws schedules for the clients of recorded races.
func TestRandomRaces(t *testing.T) {
	property.Slow(t)
	f, err := race.Open("../../testdata/races.jsonl.gz")
	must.NoError(t, err)
	defer f.Close()
	for n := 0; ; n++ {
		recorded, err := f.Next()
		if errors.Is(err, io.EOF) {
			must.Eq(t, 600, n)
			return
		}
		must.NoError(t, err)
		if n%20 > 0 && !property.Long() {
			continue
		}
		p := FromRace(recorded)
		r, err := Random(p, int64(n), 5, Bounds{Deaths: 2, Failures: 1, Stale: 1}, Options{}, nil)
		must.NoError(t, err)
		for _, f := range r.Findings {
			t.Errorf("%s: %v\n  by %s", p.Name, &f.Violation, f.Schedule)
		}
	}
}

// The same seed draws the same schedules, whatever the number of runs.
func TestRandomSame(t *testing.T) {
	p := &programs[4]
	b := Bounds{Deaths: 1, Failures: 1, Stale: 1}
	first, err := Random(p, 5, 40, b, Options{}, nil)
	must.NoError(t, err)
	again, err := Random(p, 5, 40, b, Options{}, nil)
	must.NoError(t, err)
	must.Eq(t, first, again)
	must.Eq(t, 40, first.Schedules)
	must.Greater(t, 1, first.Ends)
}

// TestRandomFaults: random schedules find each planted fault too, and report it
// with a short schedule.
func TestRandomFaults(t *testing.T) {
	property.Broken(t)
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			for _, p := range programs {
				r, err := Random(&p, 1, 60, Bounds{Deaths: 1}, fault.options, nil)
				must.NoError(t, err)
				if len(r.Findings) == 0 {
					continue
				}
				f := r.Findings[0]
				must.SliceContains(t, fault.by, f.Invariant)
				must.LessEq(t, 4, weight(f.Schedule)[1], must.Sprintf("few switches: %s", f.Schedule))
				again, err := Run(&p, f.Schedule, fault.options)
				must.NoError(t, err)
				must.Eq(t, &f.Violation, again.Violation)
				return
			}
			t.Error("no schedule finds it")
		})
	}
}

// Shorten removes what does not matter.
func TestShorten(t *testing.T) {
	p := &programs[0]
	s, err := ParseSchedule("a b a b a b b:dies a:fails")
	must.NoError(t, err)
	trail, err := Run(p, s, faults[0].options)
	must.NoError(t, err)
	must.Eq(t, Claim, trail.Violation.Invariant)
	short, err := Shorten(p, Finding{*trail.Violation, trail.Schedule}, faults[0].options)
	must.NoError(t, err)
	must.Eq(t, 0, weight(short.Schedule)[1], must.Sprintf("one client alone does it: %s", short.Schedule))
	must.Eq(t, Claim, short.Invariant)
}

func TestCase(t *testing.T) {
	c, err := Scenario(7, 0)
	must.NoError(t, err)
	again, err := Scenario(7, 0)
	must.NoError(t, err)
	must.Eq(t, c, again)
	var file bytes.Buffer
	must.NoError(t, c.Write(&file))
	read, err := ReadCase("c.json", bytes.NewReader(file.Bytes()))
	must.NoError(t, err)
	must.Eq(t, c, read)

	for want, text := range map[string]string{
		"c.json:1: version 2, want 1":          strings.Replace(file.String(), `"version":1`, `"version":2,"later":true`, 1),
		"c.json:1: version 0, want 1":          `{}`,
		"empty: no case":                       "\n",
		`unknown field "other"`:                strings.Replace(file.String(), `"version":1`, `"version":1,"other":true`, 1),
		"c.json:2: something after the case":   file.String() + file.String(),
		"line ends in the middle":              file.String()[:100],
		`word 1, "?"`:                          strings.Replace(file.String(), `"schedule":"`, `"schedule":"? `, 1),
		"is of client z, and there are only a": strings.Replace(file.String(), `"schedule":"`, `"schedule":"z `, 1),
		"cannot do \"Steal\"":                  strings.Replace(file.String(), `"op":"AutoAssign"`, `"op":"Steal"`, -1),
		"cannot unmarshal":                     `[1]`,
	} {
		_, err := ReadCase("c.json", strings.NewReader(text))
		must.ErrorIs(t, err, trace.ErrMalformed, must.Sprint(want))
		must.ErrorContains(t, err, want)
	}
	_, err = ReadCase("c", iotestErr{})
	must.ErrorIs(t, err, os.ErrClosed)
}

// iotestErr is a reader that fails.
type iotestErr struct{}

func (iotestErr) Read([]byte) (int, error) { return 0, os.ErrClosed }
