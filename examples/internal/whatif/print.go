package whatif

import (
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
)

// result is what -json prints.
type result struct {
	Calico  release          `json:"calico"`
	Cluster figures          `json:"cluster"`
	Skipped map[string]int   `json:"skipped,omitempty"` // objects of kinds that are not read
	LeftOut map[string]int   `json:"leftOut,omitempty"` // objects that are odd
	Deleted int              `json:"deleted,omitempty"` // objects that are marked deleted
	Check   *snapshot.Report `json:"check,omitempty"`
	Handles *handleFigures   `json:"handles,omitempty"` // with a check
	Moves   []progress       `json:"moves,omitempty"`   // pools on their way out, with a check
	Steps   []change         `json:"steps,omitempty"`
	Room    []*room          `json:"summary,omitempty"`
	Below   []shortage       `json:"below,omitempty"`
	Since   *since           `json:"then,omitempty"`
	Ranges  []overlap        `json:"ranges,omitempty"`
	Explain *explanation     `json:"explain,omitempty"`
}

// printer writes what is found as text, unless it is quiet. Errors of out are found
// when it is flushed.
type printer struct {
	out   io.Writer
	quiet bool
}

// most is how many lines of a list are printed; -json has all.
const most = 12

// width is what text keeps to; tables may be wider where names are long.
const width = 80

// text prints a sentence in lines that fit. Of an item of a list, which is indented, all
// but the first line are further in.
func (p *printer) text(indent, format string, args ...any) {
	room := width - len(indent)
	if indent != "" {
		room -= 2
	}
	for i, line := range cli.Wrap(fmt.Sprintf(format, args...), room) {
		if i == 1 && indent != "" {
			indent += "  "
		}
		p.line("%s%s", indent, line)
	}
}

// commandIndent is what [snapshot.Report.WriteText] puts before commands, and before
// nothing else: they stay on one line.
const commandIndent = "      "

// check prints what a check finds, in lines that fit.
func (p *printer) check(r *snapshot.Report) {
	var all strings.Builder
	_ = r.WriteText(&all, most) // to memory
	for line := range strings.Lines(all.String()) {
		line = strings.TrimRight(line, "\n")
		if len([]rune(line)) <= width || strings.HasPrefix(line, commandIndent) {
			p.line("%s", line)
			continue
		}
		text := strings.TrimLeft(line, " ")
		p.text(line[:len(line)-len(text)], "%s", text)
	}
}

func (p *printer) line(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

// cluster prints the cluster as it stands.
func (p *printer) cluster(w *world, s *snapshot.Snapshot, r *result) {
	if p.quiet {
		return
	}
	f := &r.Cluster
	p.line("== The cluster as it stands (%s)\n", w.Clock().Now().Format("2006-01-02 15:04:05"))
	p.text("", "Calico %s: %s.", r.Calico.Version, r.Calico.Why)
	p.note(r.Calico.Warning)
	p.line("")
	p.pools(f)
	p.line("%s, %s with addresses, strict affinity %s\n", plural(f.Nodes, "node"), plural(f.Pods, "pod"), onOff(f.Strict))
	p.families(f)
	if f.Nodes == 0 {
		p.note("there are no nodes; add nodes to what kubectl gets")
	}
	p.note(derivedText(s))
	p.note(w.unusedText())
	p.note(w.lostText())
	p.loans(f)
	p.note(leftOutText(s))
	if problems := harmful(s); problems > 0 {
		p.note(plural(problems, "thing is not as it should be", "things are not as they should be") + " in the files; -check names them")
	}
	if r.Check == nil { // whose notes have it
		p.note(skippedText(s.Skipped))
		return
	}
	p.line("\n== Check\n")
	p.check(r.Check)
	p.note(r.Handles.text(w.a.Calico()))
	p.progressed(r.Moves)
}

// note prints a note, if there is any.
func (p *printer) note(text string) {
	if text != "" {
		p.line("")
		p.text("", "Note: %s.", strings.TrimSuffix(text, "."))
	}
}

// skippedText counts the objects that were skipped.
func skippedText(skipped map[string]int) string {
	if len(skipped) == 0 {
		return ""
	}
	return "objects of other kinds were skipped: " + kindsText(skipped)
}

// families prints a column for each family.
func (p *printer) families(f *figures) {
	names, rows := f.familyTable()
	p.table(append([]string{""}, names...), rows)
	for _, of := range f.Families {
		if n := len(of.NodesWithoutBlock); n > 0 {
			p.line("")
			p.text("", "Without a block of %s: %s", of.Family, listText(of.NodesWithoutBlock))
		}
	}
}

// familyTable returns the families' names, and a row for each figure: what it is, and
// its value in each family.
func (f *figures) familyTable() (names []string, rows [][]string) {
	for _, of := range f.Families {
		names = append(names, of.Family)
	}
	for _, row := range familyRows {
		cells := []string{row.what}
		for i := range f.Families {
			cells = append(cells, row.value(&f.Families[i]))
		}
		rows = append(rows, cells)
	}
	return names, rows
}

// familyRows are the figures of a family, as they are printed.
var familyRows = []struct {
	what  string
	value func(*familyFigures) string
}{
	{"addresses in use", func(f *familyFigures) string { return strconv.Itoa(f.InUse) }},
	{"cooling down", func(f *familyFigures) string { return strconv.Itoa(f.Cooling) }},
	{"borrowed", func(f *familyFigures) string { return strconv.Itoa(f.Borrowed) }},
	{"stranded: free, but in a block of a node or nobody", func(f *familyFigures) string { return strconv.Itoa(f.Stranded) }},
	{"  of these in blocks that no node owns", func(f *familyFigures) string { return strconv.Itoa(f.LeftBehind) }},
	{"routes: confirmed blocks and borrowed addresses", func(f *familyFigures) string { return strconv.Itoa(f.Routes) }},
	{"nodes without a block", func(f *familyFigures) string { return strconv.Itoa(len(f.NodesWithoutBlock)) }},
	{"headroom: blocks left for more nodes", func(f *familyFigures) string { return f.Headroom.String() }},
}

func (p *printer) pools(f *figures) {
	var rows [][]string
	for _, pf := range f.Pools {
		name := pf.Name
		if pf.Disabled {
			name += " (disabled)"
		}
		rows = append(rows, []string{
			name, pf.CIDR, "/" + strconv.Itoa(pf.BlockSize), pf.Blocks.String(),
			strconv.Itoa(pf.Claimed), strconv.Itoa(pf.Empty), strconv.Itoa(pf.OnePod), pf.Free.String(),
		})
	}
	p.table([]string{"POOL", "CIDR", "SIZE", "BLOCKS", "CLAIMED", "EMPTY", "ONE POD", "FREE"}, rows)
	if f.Orphans > 0 {
		p.line("and %s in no pool", plural(f.Orphans, "block"))
	}
	p.line("")
}

// loans prints who lends to whom.
func (p *printer) loans(f *figures) {
	if len(f.Loans) == 0 {
		return
	}
	var rows [][]string
	for i, l := range f.Loans {
		if i == most {
			rows = append(rows, []string{"…", "", strconv.Itoa(len(f.Loans) - most)})
			break
		}
		lender := l.Lender
		if lender == "" {
			lender = "nobody"
		}
		rows = append(rows, []string{lender, l.Borrower, strconv.Itoa(l.Count)})
	}
	p.line("")
	p.table([]string{"LENDER", "BORROWER", "ADDRESSES"}, rows)
}

// step prints what a change did.
func (p *printer) step(c change) {
	if p.quiet {
		return
	}
	p.line("\n== %s", c.Step)
	for i, s := range c.Says {
		if i == 0 {
			p.line("")
		}
		p.text("", "%s.", strings.ToUpper(s[:1])+s[1:])
	}
	if len(c.Drain) > 0 {
		p.line("\nDrain in this order:")
		for _, line := range cli.Wrap(strings.Join(c.Drain, " "), width-2) {
			p.line("  %s", line)
		}
	}
	p.procedure(c.Procedure)
	p.commands(c.Commands)
	if len(c.Moved) > 0 {
		var rows [][]string
		for i, m := range c.Moved {
			if i == most {
				rows = append(rows, []string{"…", fmt.Sprintf("%d more", len(c.Moved)-most), "", ""})
				break
			}
			whose := "own"
			if m.Borrowed {
				whose = "borrowed"
			}
			rows = append(rows, []string{m.Pod, m.To, m.IP, whose})
		}
		p.line("")
		p.table([]string{"MOVED", "TO", "ADDRESS", "BLOCK"}, rows)
	}
	p.differences(&c.Before, &c.After)
	if len(c.Refused) > 0 {
		p.line("\nREFUSED: %d", len(c.Refused))
		groups := group(c.Refused)
		for i, g := range groups {
			if i == 2*most {
				p.line("  … and more on %s; -json names all", plural(len(groups)-i, "node"))
				break
			}
			p.text("  ", "%s%s: %s", listText(g.who), g.where, g.why)
		}
	}
}

// commands prints what does a change in the real cluster, each in a line of its own.
func (p *printer) commands(all []string) {
	if len(all) == 0 {
		return
	}
	p.line("")
	p.text("", "In the cluster, if all of its blocks are among the resources: first as it stands here, which changes nothing, then without --dry-run. A handle that is only seconds old may be that of a request under way:")
	p.line("")
	for i, command := range all {
		if i == most {
			p.line("  … and %d more; -json has all", len(all)-most)
			break
		}
		p.line("  %s", command)
	}
}

// refusals are those of one node for one reason.
type refusals struct {
	who        []string
	where, why string
}

// group puts refusals together that differ only in who was refused.
func group(all []refusal) []refusals {
	var groups []refusals
	at := make(map[refusal]int)
	for _, r := range all {
		key := refusal{Node: r.Node, Why: r.Why}
		i, seen := at[key]
		if !seen {
			i = len(groups)
			at[key] = i
			where := ""
			if r.Node != "" {
				where = " on " + r.Node
			}
			groups = append(groups, refusals{where: where, why: r.Why})
		}
		groups[i].who = append(groups[i].who, r.Who)
	}
	return groups
}

// differences prints the figures that a change changed.
func (p *printer) differences(before, after *figures) {
	var rows [][]string
	row := func(what, x, y string) {
		if x != y {
			rows = append(rows, []string{what, x, y})
		}
	}
	number := func(what string, x, y int) { row(what, strconv.Itoa(x), strconv.Itoa(y)) }
	row("strict affinity", onOff(before.Strict), onOff(after.Strict))
	row("cooldown", cooldownText(before.Cooldown), cooldownText(after.Cooldown))
	number("most blocks of a node", before.Limit, after.Limit)
	number("nodes", before.Nodes, after.Nodes)
	number("pods with addresses", before.Pods, after.Pods)
	number("blocks in no pool", before.Orphans, after.Orphans)
	for i := range after.Families {
		x := familyFigures{Headroom: new(big.Int)}
		for _, of := range before.Families {
			if of.Family == after.Families[i].Family {
				x = of
			}
		}
		for _, r := range familyRows {
			what, _, _ := strings.Cut(strings.TrimSpace(r.what), ":")
			row(after.Families[i].Family+": "+what, r.value(&x), r.value(&after.Families[i]))
		}
	}
	was := make(map[string]poolFigures)
	for _, pf := range before.Pools {
		was[pf.Name] = pf
	}
	for _, pf := range after.Pools {
		x, existed := was[pf.Name]
		delete(was, pf.Name)
		if !existed {
			row("pool "+pf.Name, "none", pf.CIDR+", blocks of /"+strconv.Itoa(pf.BlockSize))
			continue
		}
		row("pool "+pf.Name+": block size", "/"+strconv.Itoa(x.BlockSize), "/"+strconv.Itoa(pf.BlockSize))
		row("pool "+pf.Name+": disabled", strconv.FormatBool(x.Disabled), strconv.FormatBool(pf.Disabled))
		number("pool "+pf.Name+": blocks claimed", x.Claimed, pf.Claimed)
		number("pool "+pf.Name+": blocks empty", x.Empty, pf.Empty)
		row("pool "+pf.Name+": blocks free", x.Free.String(), pf.Free.String())
	}
	if len(rows) == 0 {
		p.line("\nNo figure changed.")
		return
	}
	p.line("")
	p.table([]string{"FIGURE", "BEFORE", "AFTER"}, rows)
}

func cooldownText(seconds int) string { return cli.Short(time.Duration(seconds) * time.Second) }

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// plural puts a number and a noun together; the plural may be given.
func plural(n int, noun string, many ...string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %s", n, pluralOf(noun, many...))
}

func pluralOf(noun string, many ...string) string {
	switch {
	case len(many) > 0:
		return many[0]
	case strings.Contains(noun, " "):
		first, rest, _ := strings.Cut(noun, " ")
		if rest == "address" || strings.HasSuffix(noun, "affinity") {
			return first + " " + pluralOf(rest)
		}
		return pluralOf(first) + " " + rest
	case strings.HasSuffix(noun, "s"):
		return noun + "es"
	case strings.HasSuffix(noun, "y"):
		return noun[:len(noun)-1] + "ies"
	}
	return noun + "s"
}

func bigPlural(n *big.Int, noun string) string {
	if n.IsInt64() && n.Int64() == 1 {
		return "1 " + noun
	}
	return n.String() + " " + pluralOf(noun)
}

// areText says that so many are.
func areText(n int) string {
	switch n {
	case 0:
		return "none would be"
	case 1:
		return "1 would be"
	}
	return fmt.Sprintf("%d would be", n)
}

// listText names the first few of a list.
func listText(names []string) string {
	switch {
	case len(names) == 0:
		return "none"
	case len(names) > most:
		return strings.Join(names[:most], ", ") + fmt.Sprintf(", … (%d in all)", len(names))
	}
	return strings.Join(names, ", ")
}
