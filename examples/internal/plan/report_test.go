package plan

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/ipam/sim"
)

// planOf is a plan of a pool at several block sizes, with samples and maps.
func planOf(t testing.TB, f filled, sizes ...int) *plan {
	t.Helper()
	p := &plan{Warnings: []string{"the pool touches the service CIDR 10.96.0.0/12"}}
	p.Scenario.Name = "300 nodes in a /18"
	p.Scenario.About = "Three hundred nodes, forty pods on each, in a pool of 16,384 addresses."
	p.Scenario.Pool = f.pools[0]
	p.Scenario.Nodes, p.Scenario.PodsPerNode = f.nodes, f.pods
	for _, size := range sizes {
		f.blockSize = size
		r := f.row(t)
		if !r.Fits {
			r.FailsAt = fmt.Sprintf("request %d: node-7 borrows, no block is left", r.Result.Requests/2)
		}
		if r.Fits && p.Verdict.BlockSize == 0 {
			p.Verdict.BlockSize = size
		}
		p.Rows = append(p.Rows, r)
	}
	p.Verdict.Text = []string{"With blocks of /28 nobody borrows, and nobody is refused.", "Calico's default, /26, leaves 44 nodes without a block."}
	p.Verdict.Changes = []change{
		{What: "a larger pool: 10.0.0.0/17", Works: true, Result: &sim.Totals{Requests: 12000, Routes: 300}},
		{What: "36 pods a node", Result: &sim.Totals{Requests: 12000, Routes: 300, Borrowed: 400, NodesWithoutBlock: 44}},
	}
	return p
}

// typicalPlan is what most plans look like.
func typicalPlan(t testing.TB) *plan {
	return planOf(t, filled{pools: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/22")}, nodes: 18, pods: 40, moments: 12}, 24, 26, 28, 29)
}

var pageTags = regexp.MustCompile(`<(script|style)[^>]*>[^<]*</(script|style)>|<[^>]*>`)

// pageWords are the texts of a page, a space between any two, as somebody reads them.
func pageWords(page []byte) string {
	return strings.Join(strings.Fields(html.UnescapeString(pageTags.ReplaceAllString(string(page), " "))), " ")
}

func TestReportSaysWhatThePlanSays(t *testing.T) {
	p := typicalPlan(t)
	p.Rows[1].Result.Headroom = &sim.Headroom{Nodes: 3456, PodsPerNode: sim.NoEnd}
	p.Rows[1].Result.RefusedStrict, p.Rows[1].Result.RefusedNoPool, p.Rows[1].Result.RefusedPoolEmpty = 1500, 2, 0
	p.Rows[1].Result.RefusedPoolEmptyOrStrict = 1502
	gap := sim.Duration(90 * time.Second)
	p.Rows[1].Result.ReuseGap = &gap
	p.Rows[1].Result.FirstBorrow = &sim.Moment{Request: 1234, Node: "node-7", Tunnel: true, At: sim.Duration(time.Hour)}
	p.Rows[0].Result.FirstRefusalRequest = 99
	text := pageWords(writtenReport(t, p))
	for _, says := range []string{
		"300 nodes in a /18 Three hundred nodes", "Pool 10.0.0.0/22 Nodes 18 Pods on each 40 Strict affinity off",
		fmt.Sprintf("Take blocks of /%d With blocks of /28 nobody borrows", p.Verdict.BlockSize),
		"What else was tried works a larger pool: 10.0.0.0/17 300 routes does not 36 pods a node 400 borrowed, 44 nodes without a block, 300 routes",
		"Warnings the pool touches the service CIDR 10.96.0.0/12",
		"1,502 1,500 strict affinity, 2 no pool", "Room for nodes or pods on each", "3,456 no end",
		"What fails first /24 no ", "request 360: node-7 borrows, no block is left",
		"after 1m30s", "request 1,234, by node-7 for its tunnel, after 1h", "First refused request 99 – – –",
		"Requests 720 720 720 720",
		`"podsPerNode": 40`,
	} {
		must.StrContains(t, text, says)
	}
	for i := range p.Rows {
		r := &p.Rows[i].Result
		must.StrContains(t, text, fmt.Sprintf("of %d ", r.BlocksTotal))
	}
	must.StrNotContains(t, text, "Addresses given back – – – –")
	must.StrNotContains(t, text, "Evicted pods", must.Sprint("of which there were none"))
}

// TestReportIsTheSame: the same plan, the same bytes.
func TestReportIsTheSame(t *testing.T) {
	p := typicalPlan(t)
	page := writtenReport(t, p)
	must.Eq(t, string(page), string(writtenReport(t, typicalPlan(t))))
	p.Rows[0].Result.Samples[3].InUse++
	must.NotEq(t, string(page), string(writtenReport(t, p)))
}

// elsewhere matches what a browser would fetch.
var elsewhere = regexp.MustCompile(`(?i)(src|href|srcset|action|poster|data|background)=|url\(|@import|https?:|<link|<base|<iframe|fetch\(|XMLHttp|WebSocket`)

// TestReportNeedsNoNetwork: nothing in the page is anywhere else.
func TestReportNeedsNoNetwork(t *testing.T) {
	page := writtenReport(t, typicalPlan(t))
	must.SliceEmpty(t, elsewhere.FindAllString(string(page), -1))
	for _, bad := range []string{`<img src="x">`, `<a href="x">`, `url(x)`, "https://example.com", `<link rel="x">`} {
		must.RegexMatch(t, elsewhere, bad)
	}
	must.StrContains(t, string(page), `content="default-src &#39;none&#39;; script-src &#39;sha256-`)
}

// TestReportEscapes: names are text, wherever they stand.
func TestReportEscapes(t *testing.T) {
	const evil = `</script></style><b onclick="x">&amp;'`
	p := typicalPlan(t)
	tame := writtenReport(t, p)
	p.Scenario.Name, p.Scenario.About, p.Warnings, p.Verdict.Text = evil, evil, []string{evil}, []string{evil}
	p.Verdict.Changes[0].What = evil
	p.Scenario.NodeFormat = evil
	p.Scenario.Pools = []sim.Pool{{Name: evil, CIDR: p.Scenario.Pool}}
	for i := range p.Rows {
		r := &p.Rows[i]
		r.FailsAt = evil
		r.Result.FirstBorrow = &sim.Moment{Node: evil}
		r.Result.Map.Owners[0], r.Result.Map.Pools[0].Name = evil, evil
	}
	page := string(writtenReport(t, p))
	for _, tag := range []string{"</script>", "</style>", "<b ", "<b>"} {
		must.Eq(t, strings.Count(string(tame), tag), strings.Count(page, tag), must.Sprint(tag))
	}
	must.GreaterEq(t, 9, strings.Count(pageWords([]byte(page)), evil))
}

func TestReportHeadline(t *testing.T) {
	for _, c := range []struct {
		rows []row
		take int
		says string
		fits bool
	}{
		{[]row{{BlockSize: 26}, {BlockSize: 28, Fits: true}}, 28, "Take blocks of /28", true},
		{[]row{{BlockSize: 26}, {BlockSize: 28}}, 28, "Take blocks of /28", false}, // the least bad
		{[]row{{BlockSize: 26}, {BlockSize: 28}}, 0, "No block size will do", false},
		{[]row{{}}, 0, "It does not fit", false},
		{[]row{{Fits: true}}, 0, "It fits", true},
	} {
		says, fits := reportHeadline(&plan{Rows: c.rows, Verdict: verdict{BlockSize: c.take}})
		must.Eq(t, c.says, says)
		must.Eq(t, c.fits, fits)
	}
}

func TestReportFacts(t *testing.T) {
	s := sim.Scenario{
		Pools:           []sim.Pool{{Name: "blue", CIDR: netip.MustParsePrefix("10.0.0.0/24"), BlockSize: 29}, {Name: "six", CIDR: netip.MustParsePrefix("fd00::/64")}},
		Group:           sim.Group{Nodes: 1000, PodHistogram: []sim.Bucket{{Pods: 1, Nodes: 1}}},
		Groups:          []sim.Group{{Nodes: 500}},
		TunnelIPPerNode: true, StrictAffinity: true, IPCooldownSeconds: 60,
		Churn:  &sim.Churn{PerSecond: 0.5, For: sim.Duration(time.Hour)},
		Events: make([]sim.Event, 2),
	}
	var facts []string
	for _, f := range reportFacts(&s) {
		facts = append(facts, f.Name+": "+f.Value)
	}
	must.Eq(t, []string{
		"Pool blue: 10.0.0.0/24 in blocks of /29", "Pool six: fd00::/64", "Nodes: 1,500", "Pods on each: differs", "Tunnel addresses: one a node",
		"Strict affinity: on", "Cooldown: 60 s", "Churn: 0.5 pods a second for 1h", "Events: 2",
	}, facts)
}

// TestReportChartsInWords: what the charts show can be read out.
func TestReportChartsInWords(t *testing.T) {
	p := &plan{Rows: []row{{BlockSize: 26}, {BlockSize: 28}}}
	p.Scenario.Pool = netip.MustParsePrefix("10.0.0.0/22")
	for i := range p.Rows {
		r := &p.Rows[i].Result
		r.Routes, r.BlocksTotal = 2534/(1+2*i), 16<<(2*i)
		for j := range 5 {
			r.Samples = append(r.Samples, sim.Sample{At: sim.Duration(j) * sim.Duration(time.Minute), Request: 1000 * j, InUse: 128 * j, Blocks: sim.Blocks{Free: r.BlocksTotal * (4 - j) / 4}})
		}
	}
	page := string(writtenReport(t, p))
	must.StrContains(t, page, `<title id="chart-routes-title">Routes by block size</title><desc id="chart-routes-desc">Routes by block size: /26 2,534, /28 844.</desc>`)
	must.StrContains(t, page, `Addresses in use over time: /26 from 0.0 % to 50.0 %, at least 0.0 % and at most 50.0 %; /28 from`)
	must.StrContains(t, page, `Free blocks over time: /26 from 100.0 % to 0.0 %`)
	must.Eq(t, 6, strings.Count(page, `role="img"`))
	must.StrContains(t, pageWords([]byte(page)), "Request, time /26 /28 0, 0s 100.0 % 100.0 % 1,000, 1m 75.0 % 75.0 %")
	must.StrContains(t, pageWords([]byte(page)), "below, the time since the start")
	must.StrContains(t, page, ">3,000</text>")
	must.StrContains(t, page, ">4m</text>")

	// In a pool that is beyond counting addresses are counted, not a share of it.
	p.Scenario.Pool = netip.MustParsePrefix("fd00::/64")
	page = string(writtenReport(t, p))
	must.StrContains(t, page, "of the pool&#39;s 2^64")
	must.StrContains(t, page, "Addresses in use over time: /26 from 0 to 512, at least")

	// Rows without samples have no line, and without any there is no chart.
	p.Rows[0].Result.Samples = nil
	must.StrContains(t, string(writtenReport(t, p)), "Addresses in use over time: /28 from")
	p.Rows[1].Result.Samples = nil
	must.StrNotContains(t, string(writtenReport(t, p)), "over time")
}

func TestReportDurations(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", time.Minute: "1m", time.Hour: "1h", 90 * time.Minute: "1h30m", 90*time.Minute + 7*time.Second: "1h30m",
		12345678 * time.Microsecond: "12.35s", 61*time.Second + 1: "1m1s", 10 * time.Minute: "10m", 20 * time.Hour: "20h",
	} {
		must.Eq(t, want, reportDuration(sim.Duration(d)))
	}
}

// TestReportFirstMap: the page begins with the map of the size to take, if it has one.
func TestReportFirstMap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 9))
	p := mappedPlan(randomMap(r, poolsOf([]int{28}, "10.0.0.0/24"), 3, 2), randomMap(r, poolsOf([]int{28}, "10.0.0.0/24"), 6, 2))
	must.StrContains(t, string(writtenReport(t, p)), `<option value="0" selected>/26`)
	p.Verdict.BlockSize = 27
	page := string(writtenReport(t, p))
	must.StrContains(t, page, `<option value="1" selected>/27`)
	must.StrContains(t, page, `max="5" value="5"`)
	p.Rows = p.Rows[:1]
	must.StrContains(t, string(writtenReport(t, p)), `<label class="field" hidden>`, must.Sprint("nothing to choose"))
	p.Rows[0].Result.Map = nil
	must.StrNotContains(t, string(writtenReport(t, p)), `id="map-card"`)
}

type failingReport struct{}

func (failingReport) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestReportThatCannotBeWritten(t *testing.T) {
	must.EqError(t, writeReport(failingReport{}, &plan{}), "no space left")
	var b bytes.Buffer
	must.NoError(t, writeReport(&b, &plan{}))
}
