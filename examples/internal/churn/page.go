package churn

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam/sim"
)

// clock writes a moment of the run as hours and minutes.
func clock[T ~int64](moment T) string {
	at := time.Duration(moment)
	return fmt.Sprintf("%02d:%02d", int(at.Hours()), int(at.Minutes())%60)
}

// addresses is [cli.Count] for a noun that has its plural otherwise.
func addresses(n int) string {
	if n == 1 {
		return "1 address"
	}
	return cli.Count(n, "addresse")
}

// sentence writes text in lines of at most 80 columns.
func sentence(w io.Writer, format string, args ...any) {
	for _, line := range cli.Wrap(fmt.Sprintf(format, args...), 80) {
		fmt.Fprintln(w, line)
	}
}

// suffices reports whether nobody was refused an address, services too.
func suffices(r *sim.Result) bool { return r.Refused()+r.ServicesRefused() == 0 }

// describe says in a line what the cluster is.
func (o *options) describe(r *sim.Result) string {
	s := &o.scenario
	if o.file == "" {
		return fmt.Sprintf("%s of %s in %s (%s); each node lives for %s", cli.Count(s.Nodes, "node"), cli.Count(s.PodsPerNode, "pod"),
			s.Pool, cli.Count(r.BlocksTotal, "block"), cli.Short(o.every))
	}
	nodes := s.Nodes
	for _, g := range s.Groups {
		nodes += g.Nodes
	}
	where := s.Pool.String()
	if len(s.Pools) > 0 {
		where = cli.Count(len(s.Pools), "pool")
	}
	return fmt.Sprintf("%s: %s in %s (%s)", cmp.Or(s.Name, o.file), cli.Count(nodes, "node"), where, cli.Count(r.BlocksTotal, "block"))
}

// patience says how patient the controller is.
func patience(s *sim.Scenario) string {
	if s.Cleaner == nil || s.Cleaner.Off {
		return "no controller"
	}
	return "grace " + cli.Short(grace(s))
}

// reason says why a request was refused.
func reason(m *sim.Moment, s *sim.Scenario) string {
	switch m.Outcome {
	case "taken":
		return "somebody has the address that it wants"
	case "block-limit":
		return "its node has as many blocks as it may have"
	case "no-pool":
		if m.Group != "" {
			return "no pool selects its namespace and its node"
		}
		return "no pool is for it"
	case "strict":
		return "no block left in the pool"
	}
	if s.StrictAffinity {
		return "no block left in the pool"
	}
	return "no address left in the pool"
}

// writePage writes everything for people.
func writePage(w io.Writer, o *options, runs []variant) {
	s, r := &o.scenario, &runs[0].result
	sentence(w, "%s; %s, %s, Calico %s", o.describe(r), cli.Short(time.Duration(s.For)), patience(s), o.calico)
	fmt.Fprintln(w)
	if suffices(r) {
		sentence(w, "The pool suffices: %s and %s got their addresses.", cli.Count(r.NodesStarted, "node"), cli.Count(r.PodsStarted, "pod"))
	} else if f := r.FirstRefusal; f == nil {
		sentence(w, "The pools of services do NOT suffice.")
	} else {
		whom := "the node's tunnel"
		if f.Pod != "" {
			whom = "pod " + f.Pod
		}
		sentence(w, "The pool does NOT suffice: of %s, %d had to wait for an address, %d of them at once (%s), %d at the end.",
			cli.Count(r.PodsStarted, "pod"), r.PodsRefused, r.Peaks.Waiting.N, clock(r.Peaks.Waiting.At), r.Waiting)
		sentence(w, "First refusal at %s: %s on %s: %s.", clock(f.At), whom, f.Node, reason(f, s))
	}
	sentence(w, "Blocks held by dead nodes: at most %d of %d, at %s.", r.Peaks.Dead.N, r.BlocksTotal, clock(r.Peaks.Dead.At))
	sentence(w, "Addresses held by nobody: at most %d, at %s.", r.Peaks.Unheld.N, clock(r.Peaks.Unheld.At))
	if c := r.Cleaned; c != nil {
		sentence(w, "The controller gave back %s and %s in %s (%d of them by its timer).",
			addresses(c.Addresses), cli.Count(c.Blocks, "block"), cli.Count(c.Syncs, "sync"), c.FullSyncs)
	} else {
		sentence(w, "There is no controller to give anything back.")
	}
	writeGroups(w, s, r)
	if left := r.EmptyHandles; left != nil {
		sentence(w, "%s", handlesLeft(*left, time.Duration(s.For)))
	}
	fmt.Fprintln(w)
	io.WriteString(w, chart(r))
	if len(runs) == 1 {
		return
	}
	fmt.Fprintf(w, "\nHow the answer changes:\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tsuffices\trefusal\trefused\twaiting\tdead\tnobody's\t")
	for i := range runs {
		r := &runs[i].result
		answer, first := "yes", "-"
		if !suffices(r) {
			answer = "NO"
		}
		if f := r.FirstRefusal; f != nil {
			first = clock(f.At)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t\n", runs[i].name, answer, first, r.PodsRefused, r.Waiting, r.Peaks.Dead.N, r.Peaks.Unheld.N)
	}
	_ = t.Flush() // to a buffer
	fmt.Fprintln(w, "\nWhen the first pod was refused; pods refused, and those waiting at the end;")
	fmt.Fprintln(w, "dead nodes' blocks and nobody's addresses, the most at any moment.")
}

// handlesLeft says what releases before v3.33 leave behind: one release of several
// addresses in a block lowers each handle by one (docs/calico.md §16).
func handlesLeft(n int, of time.Duration) string {
	if n == 0 {
		return "No handle is left without an address: before v3.33 that happens to pods with several addresses in one block, and these have one each."
	}
	return fmt.Sprintf("Handles left without an address: %d a day; an upgrade to v3.33 stops it, and whatif -gc prints what clears them.",
		int(float64(n)*24*float64(time.Hour)/float64(of)+0.5))
}

// jsonRun is what -json prints of a variant. Times are in seconds since the start.
type jsonRun struct {
	Name           string       `json:"name"`
	Suffices       bool         `json:"suffices"`
	FirstRefusal   *jsonRefusal `json:"firstRefusal,omitempty"`
	NodeLives      int          `json:"nodeLives"`
	PodLives       int          `json:"podLives"`
	RefusedPods    int          `json:"refusedPods"`
	RefusedTunnels int          `json:"refusedTunnels"`
	WaitingAtEnd   int          `json:"waitingAtEnd"`
	PeakWaiting    jsonPeak     `json:"peakWaiting"`
	PeakDeadBlocks jsonPeak     `json:"peakDeadBlocks"`
	PeakUnheld     jsonPeak     `json:"peakUnheldAddresses"`
	ReleasedIPs    int          `json:"releasedAddresses"`
	ReleasedBlocks int          `json:"releasedBlocks"`
	Samples        []jsonSample `json:"samples"`

	PerPodGroup map[string]map[sim.Outcome]int `json:"perPodGroup,omitempty"`
	PerPool     map[string]map[string]int      `json:"perPool,omitempty"`
}

type jsonRefusal struct {
	At     float64 `json:"at"`
	Node   string  `json:"node"`
	Pod    string  `json:"pod,omitempty"`
	Reason string  `json:"reason"`
}

type jsonPeak struct {
	N  int     `json:"n"`
	At float64 `json:"at"`
}

type jsonSample struct {
	At      float64 `json:"at"`
	Live    int     `json:"live"`
	Dead    int     `json:"dead"`
	Empty   int     `json:"empty"`
	Free    int     `json:"free"`
	Unheld  int     `json:"unheldAddresses"`
	Waiting int     `json:"waitingPods"`
}

// seconds returns how many a duration of a scenario or a result has.
func seconds(d sim.Duration) float64 { return time.Duration(d).Seconds() }

// poolsOf returns the CIDRs of the pools, a comma between two.
func poolsOf(s *sim.Scenario) string {
	if len(s.Pools) == 0 {
		return s.Pool.String()
	}
	var all []string
	for _, p := range s.Pools {
		all = append(all, p.CIDR.String())
	}
	return strings.Join(all, ",")
}

// writeJSON writes everything for programs.
func writeJSON(w io.Writer, o *options, runs []variant) error {
	page := struct {
		Pool         string    `json:"pool"`
		Blocks       int       `json:"blocks"`
		Nodes        int       `json:"nodes"`
		PodsPerNode  int       `json:"podsPerNode"`
		ReplaceEvery float64   `json:"replaceEvery"`
		Grace        float64   `json:"grace"`
		Calico       string    `json:"calico"`
		For          float64   `json:"for"`
		Seed         int64     `json:"seed"`
		Runs         []jsonRun `json:"runs"`
	}{
		poolsOf(&o.scenario), runs[0].result.BlocksTotal, o.scenario.Nodes, o.scenario.PodsPerNode, o.every.Seconds(),
		grace(&o.scenario).Seconds(), o.calico.String(), seconds(o.scenario.For), o.scenario.Seed, nil,
	}
	peak := func(p sim.Peak) jsonPeak { return jsonPeak{p.N, seconds(p.At)} }
	for i := range runs {
		r := &runs[i].result
		var cleaned sim.Cleaned
		if r.Cleaned != nil {
			cleaned = *r.Cleaned
		}
		j := jsonRun{
			runs[i].name, suffices(r), nil, r.NodesStarted, r.PodsStarted, r.PodsRefused, r.TunnelsRefused, r.Waiting,
			peak(r.Peaks.Waiting), peak(r.Peaks.Dead), peak(r.Peaks.Unheld), cleaned.Addresses, cleaned.Blocks, nil,
			r.PerPodGroup, r.PerPool,
		}
		if f := r.FirstRefusal; f != nil {
			j.FirstRefusal = &jsonRefusal{seconds(f.At), f.Node, f.Pod, reason(f, &runs[i].scenario)}
		}
		for k := range r.Samples {
			s := &r.Samples[k]
			j.Samples = append(j.Samples, jsonSample{seconds(s.At), s.Live, s.Dead, s.Empty, free(s, r.BlocksTotal), s.Unheld, s.Waiting})
		}
		page.Runs = append(page.Runs, j)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(page)
}
