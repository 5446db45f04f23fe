package plan

import (
	"fmt"
	"io"
	"math/bits"
	"strings"
	"text/tabwriter"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam/sim"
)

const pageWidth = 80

// section is what the page shows in one table: the plans of one name, which differ in
// their block sizes only, or a single plan.
type section struct {
	plan  *plan // of all rows
	alone bool  // it is as it was made
}

// sections puts plans that follow each other together where they are of the same
// scenario but for the block size.
func sections(plans []*plan) (all []section) {
	for _, p := range plans {
		if n := len(all); n > 0 && sameButSize(all[n-1].plan, p) {
			s := &all[n-1]
			if s.alone {
				merged := *s.plan
				merged.Rows = append([]row(nil), merged.Rows...)
				s.plan, s.alone = &merged, false
			}
			s.plan.Rows = append(s.plan.Rows, p.Rows...)
			if p.Scenario.BlockSize == common(&p.Scenario) { // the one to say what would mend it
				s.plan.Scenario, s.plan.Verdict.Changes = p.Scenario, p.Verdict.Changes
			}
			continue
		}
		all = append(all, section{plan: p, alone: true})
	}
	for i := range all {
		if s := &all[i]; !s.alone {
			changes := s.plan.Verdict.Changes
			s.plan.Verdict = judge(s.plan)
			s.plan.Verdict.Changes = changes
		}
	}
	return all
}

// common returns Calico's default block size for a scenario.
func common(s *sim.Scenario) int { return question(sized(s, 0)) }

// sameButSize reports whether two plans are of the same scenario at different block
// sizes.
func sameButSize(a, b *plan) bool {
	if a.compared() || b.compared() || len(a.Scenario.Pools) > 0 || a.at(b.Scenario.BlockSize) != nil {
		return false
	}
	var x, y strings.Builder
	_ = writeLine(&x, &plan{Scenario: *sized(&a.Scenario, 0)}) // to memory
	_ = writeLine(&y, &plan{Scenario: *sized(&b.Scenario, 0)})
	return x.String() == y.String()
}

// writePage writes plans for people. What cannot be written shows when w is flushed.
func writePage(w io.Writer, o *options, plans []*plan) {
	for i, s := range sections(plans) {
		if i > 0 {
			fmt.Fprintln(w)
		}
		p := s.plan
		paragraph(w, title(&p.Scenario)+": "+cli.Count(p.Rows[0].Result.Requests, "request")+".")
		if p.Scenario.About != "" {
			paragraph(w, p.Scenario.About)
		}
		fmt.Fprintln(w)
		writeTable(w, p)
		if o.wide {
			fmt.Fprintln(w)
			writeWide(w, p)
		}
		if r := &p.Rows[0].Result; len(r.ServiceRequests) > 0 { // of several pools there is one row
			fmt.Fprintln(w)
			paragraph(w, services(&p.Scenario, r))
		}
		r := closest(p)
		if r.Result.Kept > 0 {
			fmt.Fprintln(w)
			paragraph(w, machines(&r.Result))
		}
		if len(r.Result.PerPodGroup) > 0 {
			if len(p.Rows) > 1 {
				fmt.Fprintf(w, "\nWith /%d:\n", r.BlockSize)
			}
			writeGroups(w, &p.Scenario, &r.Result)
		}
		if i == 0 {
			fmt.Fprintln(w)
			paragraph(w, legend)
		}
		writeVerdict(w, p)
	}
}

// legend explains the table's columns.
const legend = "Own are addresses from blocks of their nodes' own, borrowed those from others'; " +
	"no block are nodes in need of one; routes are blocks and borrowed addresses; " +
	"stranded are free addresses in blocks that other nodes own."

// paragraph writes text in lines.
func paragraph(w io.Writer, text string) {
	for _, line := range cli.Wrap(text, pageWidth) {
		fmt.Fprintln(w, line)
	}
}

// item writes text in lines, all but the first of which stand under what comes after
// the mark.
func item(w io.Writer, mark, text string) {
	for i, line := range cli.Wrap(text, pageWidth-len(mark)) {
		if i > 0 {
			mark = strings.Repeat(" ", len(mark))
		}
		fmt.Fprintf(w, "%s%s\n", mark, line)
	}
}

// none writes a number of what should not be.
func none(n int) string {
	if n == 0 {
		return "none"
	}
	return cli.Number(n)
}

// blocks writes how many there is room for: of IPv6 there may be more than fit into a
// column.
func blocks(n int) string {
	if bits.OnesCount(uint(n)) == 1 && n > 999_999_999 {
		return fmt.Sprintf("2^%d", bits.TrailingZeros(uint(n)))
	}
	return cli.Number(n)
}

// most writes how much more there is room for.
func most(n int) string {
	if n == sim.NoEnd {
		return "no end"
	}
	return cli.Number(n)
}

// size writes a row's block size, marked if it is the one to take.
func size(p *plan, r *row) string {
	text := fmt.Sprintf("/%d", r.BlockSize)
	if r.BlockSize == 0 {
		text = "all"
	}
	if r.Fits && len(p.Rows) > 1 && r.BlockSize == p.Verdict.BlockSize {
		return "> " + text
	}
	return text
}

func writeTable(w io.Writer, p *plan) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	line(t, "block", "in pool", "claimed", "own", "borrowed", "refused", "no block", "routes", "stranded")
	for i := range p.Rows {
		r := &p.Rows[i].Result
		line(t, size(p, &p.Rows[i]), blocks(r.BlocksTotal), cli.Number(r.BlocksClaimed), cli.Number(r.Own), none(r.Borrowed),
			none(r.Refused()), none(r.NodesInNeed), cli.Number(r.Routes), cli.Number(r.Blocks.Stranded))
	}
	_ = t.Flush() // to a buffer
}

// writeWide writes what has no room in the first table: why requests were refused, and
// how much room is left.
func writeWide(w io.Writer, p *plan) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	line(t, "", "blocks", "of one", "strict", "limit", "no", "no", "first", "first")
	line(t, "block", "empty", "pod", "refuses", "refuses", "address", "pool", "borrows", "refused")
	for i := range p.Rows {
		r := &p.Rows[i].Result
		line(t, size(p, &p.Rows[i]), cli.Number(r.Blocks.Empty), cli.Number(r.Blocks.OnePod), none(r.RefusedStrict), none(r.RefusedBlockLimit),
			none(r.RefusedPoolEmpty), none(r.RefusedNoPool), none(r.FirstBorrowRequest), none(r.FirstRefusalRequest))
	}
	_ = t.Flush() // to a buffer
	fmt.Fprintln(w)
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	line(t, "", "nodes with", "nodes", "pods of", "pods")
	line(t, "block", "own blocks", "in all", "own blocks", "in all")
	for i := range p.Rows {
		ownNodes, nodes, ownPods, pods := "-", "-", "-", "-"
		if h := p.Rows[i].Result.Headroom; h != nil {
			ownNodes, nodes = most(h.NodesFit), most(h.Nodes)
			ownPods, pods = most(h.PodsFit), most(h.PodsPerNode)
			if h.NodesAtLeast {
				nodes += "+"
			}
			if h.PodsAtLeast {
				pods += "+"
			}
		}
		line(t, size(p, &p.Rows[i]), ownNodes, nodes, ownPods, pods)
	}
	_ = t.Flush() // to a buffer
	fmt.Fprintln(w)
	paragraph(w, roomLegend)
}

// roomLegend explains the table of how much more there is room for.
const roomLegend = "How many more nodes like these there is room for, or more pods on every node: with blocks of their own, and until a request is refused."

// line writes cells. The writer takes lines without a last tab for other tables.
func line(w io.Writer, cells ...string) { fmt.Fprintln(w, strings.Join(cells, "\t")+"\t") }

// writeVerdict writes what to do, and why.
func writeVerdict(w io.Writer, p *plan) {
	for _, text := range p.Verdict.Text {
		fmt.Fprintln(w)
		paragraph(w, text)
	}
	if len(p.Rows) > 1 {
		fmt.Fprintln(w, "\nWhat fails first:")
		for i := range p.Rows {
			r := &p.Rows[i]
			text := r.FailsAt
			if r.Fits {
				text = "nothing"
				if r.BlockSize != p.Verdict.BlockSize {
					text += "; " + routes(&r.Result.Totals)
				}
			}
			item(w, fmt.Sprintf("  %-4s ", fmt.Sprintf("/%d", r.BlockSize)), text)
		}
	}
	if len(p.Verdict.Changes) > 0 {
		fmt.Fprintf(w, "\n%s, the cheapest first, each of them tried:\n", mends(p))
	}
	for _, c := range p.Verdict.Changes {
		mark := "  no   "
		if c.Works {
			mark = "  yes  "
		}
		item(w, mark, c.What+"; "+c.Why)
	}
}

// mends introduces the changes.
func mends(p *plan) string {
	asked := question(&p.Scenario)
	switch {
	case asked == 0 || len(p.Scenario.Pools) > 0 || p.at(asked) == nil:
		return "What would make it fit"
	case asked == common(&p.Scenario):
		return fmt.Sprintf("What would make the default, /%d, fit", asked)
	}
	return fmt.Sprintf("What would make /%d fit", asked)
}
