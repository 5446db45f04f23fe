package race

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/ipamsim/ipamsim/internal/explore"
	"github.com/ipamsim/ipamsim/internal/race"
	"github.com/ipamsim/ipamsim/ipam/protocol"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// page writes for people to read, or as JSON. Errors of out are found when it is
// flushed.
type page struct {
	out     io.Writer
	colours bool
	json    bool
	program string // how it is called
}

func (p *page) say(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

// The colours of a terminal.
const (
	bold   = "1"
	red    = "31"
	yellow = "33"
)

// colour colours a text that is not to be broken into lines.
func (p *page) colour(code, s string) string {
	if !p.colours || code == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// width is what tables of two and three clients keep to.
const width = 80

// letter is what client number i is called.
func letter(i int) string { return string(rune('a' + i)) }

// steps draws the table: a line a step, a column a client. The first step of an
// operation says which it is.
func (p *page) steps(c *explore.Program, t *explore.Trail) {
	w := table.NewWriter()
	header := table.Row{"#"}
	for i, client := range c.Clients {
		header = append(header, letter(i)+" on "+client.Host)
	}
	w.AppendHeader(header)
	// Of the width, the column of numbers and the lines between take some.
	room := max(16, (width-2-max(2, len(fmt.Sprint(len(t.Steps))))-3*(len(c.Clients)+1))/len(c.Clients))
	for i, s := range t.Steps {
		row := table.Row{i + 1}
		for range c.Clients {
			row = append(row, "")
		}
		row[1+s.Client] = p.cell(c, t.Steps[:i], s, room)
		w.AppendRow(row)
	}
	w.SetColumnConfigs(columns(len(c.Clients), room))
	w.Style().Format.Header = text.FormatDefault
	p.say("%s", w.Render())
}

func columns(clients, room int) []table.ColumnConfig {
	configs := []table.ColumnConfig{{Number: 1, Align: text.AlignRight, AlignHeader: text.AlignRight}}
	for i := range clients {
		configs = append(configs, table.ColumnConfig{Number: i + 2, WidthMin: min(room, 20)})
	}
	return configs
}

// cell is a step in a few words, in lines of so many characters.
func (p *page) cell(c *explore.Program, before []explore.Step, s explore.Step, room int) string {
	var lines []string
	if first(before, s) && s.Fate != explore.Dies {
		lines = wrap(title(stepOf(c, s)), room, "  ")
		for i := range lines {
			lines[i] = p.colour(bold, lines[i])
		}
		if s.Fate == explore.Answered && (s.Note == "reads config") {
			return strings.Join(lines, "\n")
		}
	}
	code := ""
	switch {
	case s.Fate != explore.Answered:
		code = red
	case s.Result == protocol.Conflict, s.Result == protocol.Exists:
		code = yellow
	}
	for _, line := range wrap(s.Note, room, "  ") {
		lines = append(lines, p.colour(code, line))
	}
	return strings.Join(lines, "\n")
}

// first reports whether an operation begins with the step.
func first(before []explore.Step, s explore.Step) bool {
	for i := len(before) - 1; i >= 0; i-- {
		if b := before[i]; b.Client == s.Client {
			return b.Life != s.Life || b.Operation != s.Operation
		}
	}
	return true
}

// stepOf returns the operation that a step is of.
func stepOf(c *explore.Program, s explore.Step) race.Step {
	client := c.Clients[s.Client]
	if s.Life > 0 {
		return client.Back[s.Operation]
	}
	return client.Steps[s.Operation]
}

// title is an operation in a few words: AutoAssign 2 for h1.
func title(s race.Step) string {
	words := []string{s.Op}
	in := s.In
	if n := in.Num4 + in.Num6; n > 0 {
		words = append(words, fmt.Sprint(n))
	}
	for _, word := range []string{in.IP, in.CIDR} {
		if word != "" {
			words = append(words, word)
		}
	}
	for _, r := range in.Releases {
		words = append(words, r.IP)
	}
	if in.Handle != "" && len(words) > 1 {
		words = append(words, "for")
	}
	if in.Handle != "" {
		words = append(words, in.Handle)
	}
	if in.Seconds != 0 {
		words = append(words, fmt.Sprintf("%d s", in.Seconds))
	}
	return strings.Join(words, " ")
}

// wrap breaks text into lines of at most n characters, where its words allow, all
// but the first indented.
func wrap(s string, n int, indent string) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > n:
			lines = append(lines, line)
			line = indent + word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

func titles(steps []race.Step) (all []string) {
	for _, s := range steps {
		all = append(all, title(s))
	}
	return all
}

// told draws what each client was told.
func (p *page) told(t *explore.Trail) {
	w := table.NewWriter()
	w.AppendHeader(table.Row{"client", "asked for", "and was told", "after step"})
	for i := range t.Told {
		told := &t.Told[i]
		row := table.Row{letter(told.Client), title(told.Step), outcome(told), told.After}
		if told.Out == nil {
			row[3] = ""
		}
		w.AppendRow(row)
	}
	w.SetColumnConfigs([]table.ColumnConfig{{Number: 3, WidthMax: 34, WidthMaxEnforcer: text.WrapSoft}, {Number: 4, Align: text.AlignRight}})
	w.Style().Format.Header = text.FormatDefault
	p.say("%s", w.Render())
}

// outcome is what a client was told, in a few words.
func outcome(t *explore.Told) string {
	if t.Out == nil {
		return "nothing: it died"
	}
	var words []string
	add := func(before string, list []string) {
		if len(list) > 0 {
			words = append(words, strings.TrimSpace(before+" "+strings.Join(list, " ")))
		}
	}
	o := t.Out
	if o.Err != "" {
		words = append(words, o.Err)
	}
	add("", o.IPs4)
	add("", o.IPs6)
	add("", o.Msgs4)
	add("", o.Msgs6)
	add("", o.IPs)
	add("claimed", o.Claimed)
	add("failed", o.Failed)
	add("released", o.Released)
	add("unallocated", o.Unallocated)
	add("", nonEmpty(o.Block4, o.Block6, o.Handle))
	if len(words) == 0 {
		return "ok"
	}
	return strings.Join(words, ", ")
}

func nonEmpty(list ...string) (some []string) {
	for _, s := range list {
		if s != "" {
			some = append(some, s)
		}
	}
	return some
}

// state draws how the cluster ended.
func (p *page) state(s *trace.State) {
	w := table.NewWriter()
	w.AppendHeader(table.Row{"block", "owner", "queue", "held"})
	for _, b := range s.Blocks {
		var held []string
		for _, a := range b.Allocs {
			handle := a.Handle
			if a.Cooldown {
				handle = "(cooling)"
			}
			held = append(held, fmt.Sprintf("%d %s", a.Ordinal, handle))
		}
		w.AppendRow(table.Row{b.CIDR, orNone(b.Affinity), orNone(b.Free), orNone(strings.Join(held, ", "))})
	}
	w.SetColumnConfigs([]table.ColumnConfig{{Number: 4, WidthMax: 34, WidthMaxEnforcer: text.WrapSoft}})
	w.Style().Format.Header = text.FormatDefault
	p.say("%s", w.Render())
	for _, a := range s.Affinities {
		p.say("%s:%s has %s, %s", a.Type, a.Host, a.CIDR, a.State)
	}
	for _, id := range sortedKeys(s.Handles) {
		for _, cidr := range sortedKeys(s.Handles[id]) {
			p.say("handle %s counts %d in %s", id, s.Handles[id][cidr], cidr)
		}
	}
}

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
