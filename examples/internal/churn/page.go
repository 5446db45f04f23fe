package churn

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam/lifecycle/fleet"
)

// clock writes a moment of the run as hours and minutes.
func clock(at time.Duration) string {
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

// writePage writes everything for people.
func writePage(w io.Writer, o *options, runs []variant) {
	s, r := &o.scenario, &runs[0].result
	sentence(w, "%s of %s in %s (%s); each node lives for %s; %s, grace %s, profile %s",
		cli.Count(s.Nodes, "node"), cli.Count(s.PodsPerNode, "pod"), s.Pool, cli.Count(r.BlocksTotal, "block"),
		cli.Short(o.every), cli.Short(s.For), cli.Short(s.Profile.Policy.GracePeriod), s.Profile.Name)
	fmt.Fprintln(w)
	if r.Suffices() {
		sentence(w, "The pool suffices: %s and %s got their addresses.", cli.Count(r.NodeLives, "node"), cli.Count(r.PodLives, "pod"))
	} else {
		f := r.FirstRefusal
		whom := "the node's tunnel"
		if f.Pod != "" {
			whom = "pod " + f.Pod
		}
		sentence(w, "The pool does NOT suffice: of %s, %d had to wait for an address, %d of them at once (%s), %d at the end.",
			cli.Count(r.PodLives, "pod"), r.RefusedPods, r.PeakWaiting.N, clock(r.PeakWaiting.At), r.WaitingAtEnd)
		sentence(w, "First refusal at %s: %s on %s: %s.", clock(f.At), whom, f.Node, f.Reason)
	}
	sentence(w, "Blocks held by dead nodes: at most %d of %d, at %s.", r.PeakDead.N, r.BlocksTotal, clock(r.PeakDead.At))
	sentence(w, "Addresses held by nobody: at most %d, at %s.", r.PeakUnheld.N, clock(r.PeakUnheld.At))
	sentence(w, "The controller gave back %s and %s in %s (%d of them by its timer).",
		addresses(r.ReleasedIPs), cli.Count(r.ReleasedBlocks, "block"), cli.Count(r.Syncs, "sync"), r.FullSyncs)
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
		suffices, first := "yes", "-"
		if f := r.FirstRefusal; f != nil {
			suffices, first = "NO", clock(f.At)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t\n", runs[i].name, suffices, first, r.RefusedPods, r.WaitingAtEnd, r.PeakDead.N, r.PeakUnheld.N)
	}
	_ = t.Flush() // to a buffer
	fmt.Fprintln(w, "\nWhen the first pod was refused; pods refused, and those waiting at the end;")
	fmt.Fprintln(w, "dead nodes' blocks and nobody's addresses, the most at any moment.")
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

// writeJSON writes everything for programs.
func writeJSON(w io.Writer, o *options, runs []variant) error {
	page := struct {
		Pool         string    `json:"pool"`
		Blocks       int       `json:"blocks"`
		Nodes        int       `json:"nodes"`
		PodsPerNode  int       `json:"podsPerNode"`
		ReplaceEvery float64   `json:"replaceEvery"`
		Grace        float64   `json:"grace"`
		Profile      string    `json:"profile"`
		For          float64   `json:"for"`
		Seed         int64     `json:"seed"`
		Runs         []jsonRun `json:"runs"`
	}{
		o.scenario.Pool.String(), runs[0].result.BlocksTotal, o.scenario.Nodes, o.scenario.PodsPerNode, o.every.Seconds(),
		o.scenario.Profile.Policy.GracePeriod.Seconds(), o.scenario.Profile.Name, o.scenario.For.Seconds(), o.scenario.Seed, nil,
	}
	peak := func(p fleet.Peak) jsonPeak { return jsonPeak{p.N, p.At.Seconds()} }
	for i := range runs {
		r := &runs[i].result
		j := jsonRun{
			runs[i].name, r.Suffices(), nil, r.NodeLives, r.PodLives, r.RefusedPods, r.RefusedTunnels, r.WaitingAtEnd,
			peak(r.PeakWaiting), peak(r.PeakDead), peak(r.PeakUnheld), r.ReleasedIPs, r.ReleasedBlocks, nil,
		}
		if f := r.FirstRefusal; f != nil {
			j.FirstRefusal = &jsonRefusal{f.At.Seconds(), f.Node, f.Pod, f.Reason}
		}
		for _, s := range r.Samples {
			j.Samples = append(j.Samples, jsonSample{s.At.Seconds(), s.Live, s.Dead, s.Empty, s.Free, s.Unheld, s.Waiting})
		}
		page.Runs = append(page.Runs, j)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(page)
}
