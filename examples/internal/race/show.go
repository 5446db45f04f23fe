package race

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/internal/explore"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/protocol"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// shown is what -json prints of a race.
type shown struct {
	Seed      string       `json:"seed"`
	Calico    string       `json:"calico"`
	Schedule  string       `json:"schedule"` // every step: it leads to the same race
	Steps     []shownStep  `json:"steps"`
	Told      []shownTold  `json:"told"`
	State     *trace.State `json:"state"`
	Violation string       `json:"violation,omitempty"`
}

type shownStep struct {
	Client string          `json:"client"`
	Life   int             `json:"life,omitempty"` // how often its host had come back
	Op     int             `json:"op"`
	Name   string          `json:"name"`
	Call   protocol.Verb   `json:"call,omitempty"`
	Key    protocol.Key    `json:"key,omitempty"`
	Result protocol.Result `json:"result,omitempty"`
	Move   string          `json:"move"`
	Note   string          `json:"note"`
}

type shownTold struct {
	Client string     `json:"client"`
	Life   int        `json:"life,omitempty"`
	Op     int        `json:"op"`
	Name   string     `json:"name"`
	After  int        `json:"after"` // how many steps
	Out    *trace.Out `json:"out,omitempty"`
}

// show carries the race out and shows it. It reports whether an invariant did not
// hold.
func (r *request) show(p *page, s explore.Schedule) (broken bool, err error) {
	t, err := explore.Run(&r.chosen.Program, s, r.options)
	if errors.Is(err, explore.ErrSchedule) && r.other && !r.schedule {
		return false, fmt.Errorf("%w; the schedule of %s is of another release than -calico %s: try another with -schedule", err, r.seed, r.calico)
	}
	if err != nil {
		return false, err
	}
	if r.saved != nil {
		c := &explore.Case{Program: r.chosen.Program, Schedule: t.Schedule}
		if err := r.saved.Write(context.Background(), p.out, c.Write); err != nil || r.saved.IsStandard() {
			return t.Violation != nil, err
		}
	}
	if p.json {
		return t.Violation != nil, json.NewEncoder(p.out).Encode(r.view(t))
	}
	r.about(p)
	p.steps(&r.chosen.Program, t)
	p.say("")
	if t.Violation != nil {
		p.say("%s", p.colour(red, "Violation: "+t.Violation.Error()))
		p.say("")
		p.say("Again:")
		r.again(p, t.Schedule)
		return true, nil
	}
	p.told(t)
	p.say("")
	p.state(trace.StateOf(t.State, ""))
	p.say("")
	conflicts, deaths := 0, 0
	for _, s := range t.Steps {
		if s.Result == protocol.Conflict {
			conflicts++
		}
		if s.Fate == explore.Dies {
			deaths++
		}
	}
	p.say("%s, %s, %s, 0 violations", cli.Count(len(t.Steps), "step"), cli.Count(conflicts, "conflict"), cli.Count(deaths, "death"))
	p.say("")
	p.say("The same again, or change it as you like:")
	r.again(p, t.Schedule)
	return false, nil
}

// about says who takes part.
func (r *request) about(p *page) {
	c := &r.chosen.Program
	var pools []string
	for _, pool := range c.Setting.Pools {
		pools = append(pools, fmt.Sprintf("%s in blocks of /%d", pool.CIDR, pool.BlockSize))
	}
	of := ""
	if c.Setting.Calico != "" {
		of = " of Calico " + c.Setting.Calico
	}
	p.say("Race %s%s: pool %s", r.seed, of, strings.Join(pools, ", "))
	for _, s := range c.Before {
		p.say("  before    %s", strings.TrimSpace(title(s)+" "+s.In.Host))
	}
	for i, client := range c.Clients {
		p.say("  %s on %-4s %s", letter(i), client.Host, strings.Join(titles(client.Steps), ", "))
		if client.Behind > 0 {
			p.say("            its clock is %d s behind", client.Behind)
		}
	}
	p.say("")
}

// view is the race as JSON shows it.
func (r *request) view(t *explore.Trail) shown {
	v := shown{Seed: r.seed, Calico: cmp.Or(r.chosen.Program.Setting.Calico, calico.Version(0).String()), Schedule: t.Schedule.String(), State: trace.StateOf(t.State, "")}
	for _, s := range t.Steps {
		v.Steps = append(v.Steps, shownStep{letter(s.Client), s.Life, s.Operation, s.Op, s.Verb, s.Key, s.Result, s.Move.String(), s.Note})
	}
	for _, s := range t.Told {
		v.Told = append(v.Told, shownTold{letter(s.Client), s.Life, s.Operation, s.Op, s.After, s.Out})
	}
	if t.Violation != nil {
		v.Violation = t.Violation.Error()
	}
	return v
}

// again prints the command that shows the race under the schedule.
func (r *request) again(p *page, s explore.Schedule) {
	seed := r.seed
	if _, err := strconv.Atoi(seed); err != nil {
		seed = "'" + strings.ReplaceAll(seed, "'", `'\''`) + "'"
	}
	if r.given {
		seed += " -calico " + r.calico.String()
	}
	p.say("  %s -seed %s -schedule %q", p.program, seed, s)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// tried is what -json prints of an exploration.
type tried struct {
	Seed       string       `json:"seed"`
	States     int          `json:"states"`
	Steps      int          `json:"steps"`
	Deaths     int          `json:"deaths"`
	Ends       int          `json:"ends"`
	Schedules  float64      `json:"schedules"`
	Cut        int          `json:"cut"`
	Complete   bool         `json:"complete"`
	Violations []triedBreak `json:"violations"`
}

type triedBreak struct {
	Text     string `json:"text"`
	Schedule string `json:"schedule"`
}

// tryAll explores the race and shows what came of it. It reports whether an
// invariant did not hold.
func (r *request) tryAll(p *page, stderr io.Writer) (broken bool, err error) {
	var progress func(explore.Report)
	most := r.bounds.States
	if r.random > 0 {
		most = r.random
	}
	if bar := cli.NewCount(stderr, doing(r), int64(most)); bar != nil {
		progress = func(now explore.Report) {
			if r.random > 0 {
				bar.Set(int64(now.Schedules))
			} else {
				bar.Set(int64(now.States))
			}
		}
		defer bar.Stop()
	}
	var report explore.Report
	c := &r.chosen.Program
	if r.explore {
		report, err = explore.Exhaustive(c, r.bounds, r.options, progress)
	} else {
		report, err = explore.Random(c, 1, r.random, r.bounds, r.options, progress)
	}
	if err != nil {
		return false, err
	}
	for i, f := range report.Findings {
		if report.Findings[i], err = explore.Shorten(c, f, r.options); err != nil {
			return false, err
		}
	}
	broken = len(report.Findings) > 0
	if p.json {
		v := tried{r.seed, report.States, report.Steps, report.Deaths, report.Ends, report.Schedules, report.Cut, report.Complete, []triedBreak{}}
		for _, f := range report.Findings {
			v.Violations = append(v.Violations, triedBreak{f.Error(), f.Schedule.String()})
		}
		return broken, json.NewEncoder(p.out).Encode(v)
	}
	r.about(p)
	if r.explore {
		p.say("Every schedule with at most %s and %s in an operation:", cli.Count(r.bounds.Deaths, "death"), cli.Count(r.bounds.Conflicts, "conflict"))
		p.say("  %s, %s between them, %s", cli.Count(report.States, "state"), cli.Count(report.Steps, "step"), cli.Count(report.Deaths, "death"))
		p.say("  %s, to which %.4g schedules lead", cli.Count(report.Ends, "end"), report.Schedules)
		if report.Cut > 0 {
			p.say("  %s led to more conflicts and were not followed", cli.Count(report.Cut, "step"))
		}
		switch {
		case !report.Complete && !broken:
			p.say("  stopped at the bound: there are more states")
		case report.Complete:
			p.say("  complete: there is nothing else")
		}
	} else {
		p.say("%.0f schedules: %s, %s, %s", report.Schedules, cli.Count(report.Steps, "step"), cli.Count(report.Deaths, "death"), cli.Count(report.Ends, "different end"))
	}
	p.say("%s", cli.Count(len(report.Findings), "violation"))
	for _, f := range report.Findings {
		p.say("")
		p.say("%s", p.colour(red, f.Error()))
		r.again(p, f.Schedule)
	}
	return broken, nil
}

// doing is what the bar counts.
func doing(r *request) string {
	if r.random > 0 {
		return "schedules"
	}
	return "states, at most"
}
