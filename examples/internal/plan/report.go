package plan

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/ipamsim/ipamsim/examples/internal/look"
	"github.com/ipamsim/ipamsim/internal/chart"
	"github.com/ipamsim/ipamsim/ipam/sim"
)

var (
	//go:embed report.html
	reportHTML string
	//go:embed report.css
	reportCSS string
	//go:embed report.js
	reportJS string

	reportTemplate = template.Must(template.New("report").Parse(reportHTML))
)

// reportPage is what the template shows.
type reportPage struct {
	Title, About string
	Headline     string
	Fits         bool
	Facts        []reportFact
	Plan         *plan
	Changes      []reportChange
	Columns      []string
	Rows         []reportRow
	Fails        bool       // any row does, in words
	More         [][]string // figures that have no column, a row each, heads first
	Bars, Lines  []reportFigure
	Passes       bool // time does, in the scenario
	Data         *reportData
	First        int // the map that is shown first
	Moments      int // of that, the number of the last
	Scenario     string

	Policy string
	CSS    template.CSS
	JS     template.JS
}

type reportFact struct{ Name, Value string }

// reportChange is a change that was tried, in words.
type reportChange struct {
	What, Then string
	Works      bool
}

// reportRow is a row of the table.
type reportRow struct {
	Size    string
	Fits    bool
	Take    bool
	FailsAt string
	Cells   []reportCell
}

type reportCell struct {
	Text, Note string
	Bad        bool // not as it should be
}

// writeReport writes the plan as one HTML page that needs nothing else: the same
// plan, the same bytes.
func writeReport(w io.Writer, p *plan) error {
	scenario, err := json.MarshalIndent(&p.Scenario, "", "  ")
	if err != nil {
		return err
	}
	page := reportPage{
		Title: p.Scenario.Name, About: p.Scenario.About, Plan: p, Facts: reportFacts(&p.Scenario), Scenario: string(scenario),
		CSS: template.CSS(Style()), JS: template.JS(look.Script() + "\n" + reportJS),
	}
	if page.Title == "" {
		page.Title = "Which block size?"
	}
	page.Headline, page.Fits = reportHeadline(p)
	page.Columns, page.Rows = reportTable(p)
	for i := range page.Rows {
		page.Fails = page.Fails || page.Rows[i].FailsAt != ""
	}
	page.More = reportMore(p)
	for i := range p.Verdict.Changes {
		page.Changes = append(page.Changes, reportTried(&p.Verdict.Changes[i]))
	}
	if page.Bars, err = reportBars(p); err != nil {
		return err
	}
	if page.Lines, err = reportLines(p); err != nil {
		return err
	}
	for i := range p.Rows {
		if n := len(p.Rows[i].Result.Samples); n > 0 {
			page.Passes = page.Passes || p.Rows[i].Result.Samples[n-1].At > 0
		}
	}
	if page.Data, err = reportMaps(p.Rows, reportBytes); err != nil {
		return err
	}
	for i, m := range page.Data.Maps {
		if m.Name == reportSize(p.Verdict.BlockSize) {
			page.First = i
		}
	}
	if len(page.Data.Maps) > 0 {
		page.Moments = len(page.Data.Maps[page.First].At) - 1
	}
	// Nothing but the page's own script and style, and nothing from anywhere else.
	page.Policy = fmt.Sprintf("default-src 'none'; script-src %s; style-src %s; base-uri 'none'; form-action 'none'",
		Hash(string(page.JS)), Hash(string(page.CSS)))
	var out bytes.Buffer // so that nothing is written of a page that fails
	if err := reportTemplate.Execute(&out, &page); err != nil {
		return err
	}
	_, err = w.Write(out.Bytes())
	return err
}

// Hash is how a content security policy names a text.
func Hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// reportSize is a block size in words.
func reportSize(bits int) string {
	if bits == 0 {
		return "as given"
	}
	return fmt.Sprintf("/%d", bits)
}

// reportHeadline is the verdict in a few words.
func reportHeadline(p *plan) (text string, fits bool) {
	for i := range p.Rows {
		fits = fits || p.Rows[i].Fits
	}
	switch {
	case p.Verdict.BlockSize != 0:
		return "Take blocks of " + reportSize(p.Verdict.BlockSize), fits
	case fits:
		return "It fits", true
	case len(p.Rows) > 1:
		return "No block size will do", false
	}
	return "It does not fit", false
}

// reportFacts are what the scenario is, in short.
func reportFacts(s *sim.Scenario) []reportFact {
	var facts []reportFact
	add := func(name, value string) { facts = append(facts, reportFact{name, value}) }
	if len(s.Pools) == 0 {
		add("Pool", s.Pool.String())
	}
	for _, p := range s.Pools {
		value := p.CIDR.String()
		if p.BlockSize != 0 {
			value += " in blocks of " + reportSize(p.BlockSize)
		}
		add("Pool "+p.Name, value)
	}
	nodes := s.Nodes
	for _, g := range s.Groups {
		nodes += g.Nodes
	}
	add("Nodes", chart.Thousands(nodes))
	if len(s.Groups) == 0 && len(s.PodHistogram) == 0 && len(s.PodGroups) == 0 {
		add("Pods on each", chart.Thousands(s.PodsPerNode))
	} else {
		add("Pods on each", "differs")
	}
	if s.TunnelIPPerNode {
		add("Tunnel addresses", "one a node")
	}
	strict := "off"
	if s.StrictAffinity {
		strict = "on"
	}
	add("Strict affinity", strict)
	if s.IPCooldownSeconds > 0 {
		add("Cooldown", fmt.Sprintf("%d s", s.IPCooldownSeconds))
	}
	if s.Churn != nil {
		add("Churn", fmt.Sprintf("%g pods a second for %s", s.Churn.PerSecond, reportDuration(s.Churn.For)))
	}
	if len(s.Events) > 0 {
		add("Events", chart.Thousands(len(s.Events)))
	}
	return facts
}

// reportTable is the table of block sizes.
func reportTable(p *plan) (columns []string, rows []reportRow) {
	columns = []string{"Routes", "Own", "Borrowed", "Refused", "Nodes without a block", "Blocks claimed", "Stranded"}
	headroom := false
	for i := range p.Rows {
		headroom = headroom || p.Rows[i].Result.Headroom != nil
	}
	if headroom {
		columns = append(columns, "Room for nodes", "or pods on each")
	}
	for i := range p.Rows {
		r := &p.Rows[i]
		res := &r.Result
		number := func(n int) reportCell { return reportCell{Text: chart.Thousands(n)} }
		none := func(n int) reportCell { return reportCell{Text: chart.Thousands(n), Bad: n > 0} }
		refused := none(res.Refused())
		refused.Note = reportWhy(res)
		claimed := number(res.BlocksClaimed)
		claimed.Note = "of " + chart.Thousands(res.BlocksTotal)
		cells := []reportCell{number(res.Routes), number(res.Own), none(res.Borrowed), refused, none(res.NodesWithoutBlock), claimed, number(res.Blocks.Stranded)}
		if h := res.Headroom; h != nil {
			cells = append(cells, reportCell{Text: most(h.Nodes)}, reportCell{Text: most(h.PodsPerNode)})
		} else if headroom {
			cells = append(cells, reportCell{}, reportCell{})
		}
		rows = append(rows, reportRow{
			Size: reportSize(r.BlockSize), Fits: r.Fits, FailsAt: r.FailsAt, Cells: cells,
			Take: r.BlockSize != 0 && r.BlockSize == p.Verdict.BlockSize,
		})
	}
	return columns, rows
}

// reportWhy says why requests were refused, if any were.
func reportWhy(r *sim.Result) string {
	var why []string
	for _, c := range []struct {
		n    int
		what string
	}{
		{r.RefusedStrict, "strict affinity"},
		{r.RefusedBlockLimit, "block limit"},
		{r.RefusedPoolEmpty, "pool empty"},
		{r.RefusedNoPool, "no pool"},
		{r.RefusedTaken, "address taken"},
	} {
		if c.n == r.Refused() && c.n > 0 {
			return c.what
		}
		if c.n > 0 {
			why = append(why, chart.Thousands(c.n)+" "+c.what)
		}
	}
	return strings.Join(why, ", ")
}

// reportMore are the figures that the table has no column for: those that any row
// has, with the block sizes as columns.
func reportMore(p *plan) [][]string {
	heads := []string{""}
	for i := range p.Rows {
		heads = append(heads, reportSize(p.Rows[i].BlockSize))
	}
	table := [][]string{heads}
	for _, f := range []struct {
		name string
		of   func(r *sim.Result) string // empty if there is nothing to say
	}{
		{"Requests", func(r *sim.Result) string { return chart.Thousands(r.Requests) }},
		{"Addresses given", func(r *sim.Result) string { return chart.Thousands(r.Assigned) }},
		{"Blocks claimed but empty", func(r *sim.Result) string { return chart.Thousands(r.Blocks.Empty) }},
		{"Blocks held by one address", func(r *sim.Result) string { return chart.Thousands(r.Blocks.OnePod) }},
		{"Blocks left to claim", func(r *sim.Result) string { return chart.Thousands(r.Blocks.Free) }},
		{"First borrowed", func(r *sim.Result) string { return reportFirst(r.FirstBorrow, r.FirstBorrowRequest) }},
		{"First refused", func(r *sim.Result) string { return reportFirst(r.FirstRefusal, r.FirstRefusalRequest) }},
		{"Addresses given back", func(r *sim.Result) string { return reportIfAny(r.Released) }},
		{"Soonest reuse of an address", func(r *sim.Result) string {
			if r.ReuseGap == nil {
				return ""
			}
			return "after " + reportDuration(*r.ReuseGap)
		}},
		{"Evicted pods that no node took", func(r *sim.Result) string { return reportIfAny(r.Unscheduled) }},
	} {
		row, said := []string{f.name}, false
		for i := range p.Rows {
			text := f.of(&p.Rows[i].Result)
			if said = said || text != ""; text == "" {
				text = "–"
			}
			row = append(row, text)
		}
		if said {
			table = append(table, row)
		}
	}
	return table
}

func reportIfAny(n int) string {
	if n == 0 {
		return ""
	}
	return chart.Thousands(n)
}

// reportFirst describes a request, as far as it is known.
func reportFirst(m *sim.Moment, request int) string {
	if m == nil {
		if request == 0 {
			return ""
		}
		return "request " + chart.Thousands(request)
	}
	text := fmt.Sprintf("request %s, by %s", chart.Thousands(m.Request), m.Node)
	if m.Tunnel {
		text += " for its tunnel"
	}
	if m.At > 0 {
		text += ", after " + reportDuration(m.At)
	}
	return text
}

// reportTried says what came of a change.
func reportTried(c *change) reportChange {
	t := c.Result
	if t == nil {
		return reportChange{What: c.What, Works: c.Works, Then: c.Why}
	}
	var parts []string
	for _, f := range []struct {
		n    int
		what string
	}{
		{t.Refused(), "refused"}, {t.Borrowed, "borrowed"},
		{t.NodesWithoutBlock, "nodes without a block"}, {t.Routes, "routes"},
	} {
		if f.n > 0 {
			parts = append(parts, chart.Thousands(f.n)+" "+f.what)
		}
	}
	return reportChange{What: c.What, Works: c.Works, Then: strings.Join(parts, ", ")}
}
