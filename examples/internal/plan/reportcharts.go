package plan

import (
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/internal/chart"
	"github.com/ipamsim/ipamsim/ipam/sim"
)

// reportFigure is a chart and what stands around it.
type reportFigure struct {
	Title, Note string
	SVG         template.HTML
	Keys        []reportKey // of lines, if there are several
	Table       [][]string  // the figures behind lines, heads first
}

// reportKey is a line of a legend.
type reportKey struct {
	SVG  template.HTML
	Name string
}

// reportBars are the charts by block size. The one to take stands out.
func reportBars(p *plan) ([]reportFigure, error) {
	var figures []reportFigure
	for _, c := range []struct {
		id, title, note string
		of              func(r *sim.Result) int
	}{
		{"routes", "Routes", "blocks claimed and addresses borrowed", func(r *sim.Result) int { return r.Routes }},
		{"borrowed", "Borrowed", "addresses from another node's block, a route each", func(r *sim.Result) int { return r.Borrowed }},
		{"refused", "Refused", "requests that got no address", func(r *sim.Result) int { return r.Refused() }},
		{"without", "Nodes without a block", "on borrowed addresses, or on none", func(r *sim.Result) int { return r.NodesWithoutBlock }},
	} {
		bars := chart.Bars{Words: chart.Words{ID: "chart-" + c.id, Title: c.title + " by block size"}}
		var figuresInWords []string
		for i := range p.Rows {
			r := &p.Rows[i]
			n := c.of(&r.Result)
			bars.Labels, bars.Values = append(bars.Labels, reportSize(r.BlockSize)), append(bars.Values, n)
			figuresInWords = append(figuresInWords, reportSize(r.BlockSize)+" "+chart.Thousands(n))
			if r.BlockSize != 0 && r.BlockSize == p.Verdict.BlockSize {
				bars.Marked = i + 1
			}
		}
		bars.Desc = bars.Title + ": " + strings.Join(figuresInWords, ", ") + "."
		svg, err := bars.SVG()
		if err != nil {
			return nil, err
		}
		figures = append(figures, reportFigure{Title: c.title, Note: c.note, SVG: template.HTML(svg)})
	}
	return figures, nil
}

// reportTimeline is one chart over time.
type reportTimeline struct {
	id, title, note string
	unit            string
	top             float64 // as of [chart.Lines]
	value           func(r *sim.Result, s *sim.Sample) float64
}

// reportLines are the charts over time, of the rows that were sampled.
func reportLines(p *plan) ([]reportFigure, error) {
	size, most := reportAddresses(&p.Scenario), 0.0
	for i := range p.Rows {
		for _, s := range p.Rows[i].Result.Samples {
			most = max(most, float64(s.InUse))
		}
	}
	use := reportTimeline{"use", "Addresses in use", "of the pool's " + reportFloat(size), " %", 100,
		func(_ *sim.Result, s *sim.Sample) float64 { return 100 * float64(s.InUse) / size }}
	if most < size/100 { // a line at the bottom would say nothing
		use.unit, use.top = "", 0
		use.value = func(_ *sim.Result, s *sim.Sample) float64 { return float64(s.InUse) }
	}
	free := reportTimeline{"free", "Free blocks", "that a node can still claim, of all", " %", 100,
		func(r *sim.Result, s *sim.Sample) float64 {
			return 100 * float64(s.Free) / math.Max(float64(r.BlocksTotal), 1)
		}}
	var figures []reportFigure
	for _, t := range []reportTimeline{use, free} {
		f, err := t.figure(p)
		if err != nil || f.SVG == "" {
			return nil, err
		}
		figures = append(figures, f)
	}
	return figures, nil
}

// figure draws the chart. Its horizontal axis counts requests: all pods of a
// scenario may ask at the same moment, and nothing would be seen of that over time.
// Where time passes, it stands below.
func (t *reportTimeline) figure(p *plan) (f reportFigure, err error) {
	lines := chart.Lines{Words: chart.Words{ID: "chart-" + t.id, Title: t.title + " over time"}, Top: t.top, Unit: t.unit}
	var longest []sim.Sample
	var words []string
	f = reportFigure{Title: t.title, Note: t.note, Table: [][]string{{"Request"}}}
	for i := range p.Rows {
		r := &p.Rows[i]
		samples := r.Result.Samples
		if len(samples) == 0 {
			continue
		}
		if longest == nil {
			longest = samples
			if samples[len(samples)-1].At > 0 {
				f.Table[0][0] = "Request, time"
			}
		}
		strong := r.BlockSize != 0 && r.BlockSize == p.Verdict.BlockSize
		line := chart.Series{Strong: strong}
		least, most := math.Inf(1), math.Inf(-1)
		for j := range samples {
			y := t.value(&r.Result, &samples[j])
			line.X, line.Y = append(line.X, float64(samples[j].Request)), append(line.Y, y)
			least, most = min(least, y), max(most, y)
		}
		key, err := chart.Key(len(lines.Series), strong)
		if err != nil {
			return f, err
		}
		name := reportSize(r.BlockSize)
		f.Keys = append(f.Keys, reportKey{template.HTML(key), name})
		f.Table[0] = append(f.Table[0], name)
		words = append(words, fmt.Sprintf("%s from %s to %s, at least %s and at most %s", name,
			t.text(line.Y[0]), t.text(line.Y[len(line.Y)-1]), t.text(least), t.text(most)))
		lines.Series = append(lines.Series, line)
	}
	if longest == nil {
		return reportFigure{}, nil
	}
	lines.Desc = lines.Title + ": " + strings.Join(words, "; ") + "."
	lines.Ticks = reportTicks(longest)
	if f.rows(t, p, longest); len(f.Keys) == 1 {
		f.Keys = nil
	}
	svg, err := lines.SVG()
	f.SVG = template.HTML(svg)
	return f, err
}

// rows fills in the table: some moments of the first line, and what the others
// were at, then.
func (f *reportFigure) rows(t *reportTimeline, p *plan, moments []sim.Sample) {
	const most = 11
	n := min(len(moments), most)
	for k := range n {
		at := &moments[0]
		if n > 1 {
			at = &moments[k*(len(moments)-1)/(n-1)]
		}
		cells := []string{reportMoment(at, moments)}
		for i := range p.Rows {
			samples := p.Rows[i].Result.Samples
			if len(samples) == 0 {
				continue
			}
			then := &samples[0]
			for j := range samples {
				if samples[j].Request <= at.Request && samples[j].At <= at.At {
					then = &samples[j]
				}
			}
			cells = append(cells, t.text(t.value(&p.Rows[i].Result, then)))
		}
		f.Table = append(f.Table, cells)
	}
}

func (t *reportTimeline) text(v float64) string {
	if t.unit == "" {
		return reportFloat(v)
	}
	return fmt.Sprintf("%.1f%s", v, t.unit)
}

// reportMoment is a sample's place among others: the request, and the time where
// that passes.
func reportMoment(s *sim.Sample, samples []sim.Sample) string {
	text := chart.Thousands(s.Request)
	if samples[len(samples)-1].At > 0 {
		text += ", " + reportDuration(s.At)
	}
	return text
}

// reportTicks are five moments, evenly over the requests.
func reportTicks(samples []sim.Sample) (ticks []chart.Tick) {
	last := samples[len(samples)-1]
	const gaps = 4
	for i := range gaps + 1 {
		request := last.Request * i / gaps
		if i > 0 && float64(request) == ticks[len(ticks)-1].At {
			continue
		}
		tick := chart.Tick{At: float64(request), Label: chart.Thousands(request)}
		if last.At > 0 {
			at := samples[0].At
			for j := range samples {
				if samples[j].Request <= request {
					at = samples[j].At
				}
			}
			tick.Label += "\n" + reportDuration(at)
		}
		ticks = append(ticks, tick)
	}
	return ticks
}

// reportDuration writes a duration to three digits or so, without zeros at its end.
func reportDuration(d sim.Duration) string {
	v := time.Duration(d)
	switch {
	case v >= time.Hour:
		v = v.Round(time.Minute)
	case v >= time.Minute:
		v = v.Round(time.Second)
	default:
		v = v.Round(10 * time.Millisecond)
	}
	return short(sim.Duration(v))
}

// reportAddresses is how many addresses a scenario's pools have.
func reportAddresses(s *sim.Scenario) float64 {
	count := func(bits, of int) float64 { return math.Ldexp(1, of-bits) }
	if len(s.Pools) == 0 {
		return count(s.Pool.Bits(), s.Pool.Addr().BitLen())
	}
	sum := 0.0
	for _, p := range s.Pools {
		sum += count(p.CIDR.Bits(), p.CIDR.Addr().BitLen())
	}
	return sum
}

// reportFloat writes a number of things, as a power of two where it is beyond
// counting.
func reportFloat(v float64) string {
	if v < 1e12 {
		return chart.Thousands(int64(v))
	}
	return fmt.Sprintf("2^%.0f", math.Log2(v))
}
