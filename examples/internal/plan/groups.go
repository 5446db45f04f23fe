package plan

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam/sim"
)

// shownGroups is how many holders of a pool's addresses have room in a line.
const shownGroups = 3

// writeGroups writes what the pod groups got, and who has the addresses of each pool, of
// one row.
func writeGroups(w io.Writer, s *sim.Scenario, r *sim.Result) {
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "pod group\tnamespace\trequests\town\tborrowed\trefused\t")
	for i := range s.PodGroups {
		g := &s.PodGroups[i]
		of := r.PerPodGroup[g.Name]
		requests := sum(of)
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", g.Name, cmp.Or(g.Namespace, "default"), cli.Number(requests),
			cli.Number(of["own"]+of["kept"]), none(of["borrowed"]), none(requests-of["own"]-of["kept"]-of["borrowed"]), why(s, g.Name, of))
	}
	fmt.Fprintln(t)
	fmt.Fprintln(t, "pool\tin use\t")
	for _, name := range slices.Sorted(maps.Keys(r.PerPool)) {
		of := r.PerPool[name]
		fmt.Fprintf(t, "%s\t%s\t%s\n", name, cli.Number(sum(of)), holders(s, of))
	}
	_ = t.Flush() // to a buffer
}

// why says for which reasons a group was refused, after its numbers.
func why(s *sim.Scenario, group string, of map[sim.Outcome]int) string {
	var reasons []string
	for _, o := range slices.Sorted(maps.Keys(of)) {
		if o != "own" && o != "kept" && o != "borrowed" {
			reasons = append(reasons, fmt.Sprintf("%s: %s", cli.Number(of[o]), briefly(s, &sim.Moment{Outcome: o, Group: group})))
		}
	}
	if reasons == nil {
		return ""
	}
	return "  " + strings.Join(reasons, "; ")
}

// sum adds up counts.
func sum[K comparable](of map[K]int) (n int) {
	for _, m := range of {
		n += m
	}
	return n
}

// holders says who has the addresses of a pool.
func holders(s *sim.Scenario, of map[string]int) string {
	var all []string
	add := func(name string) {
		if n := of[name]; n > 0 {
			all = append(all, name+" "+cli.Number(n))
		}
	}
	for i := range s.PodGroups {
		add(s.PodGroups[i].Name)
	}
	if more := len(all) - shownGroups; more > 1 {
		all = append(all[:shownGroups], cli.Count(more, "other group"))
	}
	add("tunnels")
	add("services")
	add("others")
	if all == nil {
		return ""
	}
	return "  " + strings.Join(all, ", ")
}

// services says what the services got.
func services(s *sim.Scenario, r *sim.Result) string {
	text := fmt.Sprintf("Services: %s in %s of their own", addresses(r.ServiceRequests["own"]), cli.Count(r.ServiceBlocks, "block"))
	if r.ServicesRefused() > 0 {
		text += fmt.Sprintf(", and requests are refused, %s", strings.TrimSpace(why(s, "", r.ServiceRequests)))
	}
	return text + "."
}

// machines says how often virtual machines kept their addresses.
func machines(r *sim.Result) string {
	text := fmt.Sprintf("Virtual machines started again %s and kept their addresses", times(r.Kept))
	if r.Moved > 0 {
		text += fmt.Sprintf(", %s in a block of another node, which takes a route for each", times(r.Moved))
	}
	return text + "."
}

// times writes how often something was.
func times(n int) string {
	if n == 1 {
		return "once"
	}
	return cli.Number(n) + " times"
}

// closest returns the row that the verdict is about.
func closest(p *plan) *row {
	if len(p.Rows) == 1 {
		return &p.Rows[0]
	}
	if r := p.at(p.Verdict.BlockSize); r != nil {
		return r
	}
	return choose(p)
}
