package lab

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/ipamsim/ipamsim/examples/internal/course"
	"github.com/ipamsim/ipamsim/internal/cli"
)

// width is what prose keeps to. Tables are as wide as the originals.
const width = 80

// page writes the course for people to read, or keeps it for JSON. Errors of out are
// found when it is flushed.
type page struct {
	out     io.Writer
	bold    bool
	json    bool
	explain bool      // every field
	parts   []section // for JSON
}

// section is a part of the course in JSON.
type section struct {
	Title string `json:"title"`
	Items []item `json:"items"`
}

// item is one piece of a part in JSON. One of its fields is set.
type item struct {
	Says    string `json:"says,omitempty"`    // a paragraph
	Command string `json:"command,omitempty"` // a command line
	Prints  string `json:"prints,omitempty"`  // what it prints, or a table
	Look    string `json:"look,omitempty"`    // what to see in that

	Explains []course.Field `json:"explains,omitempty"` // what its fields mean
}

// add writes a part, or keeps it for JSON.
func (p *page) add(part course.Part) {
	if p.json {
		p.keep(part)
		return
	}
	p.strong("== " + part.Title)
	p.print("\n")
	for _, i := range part.Items {
		p.item(i)
	}
}

// keep keeps a part for JSON.
func (p *page) keep(part course.Part) {
	s := section{Title: part.Title, Items: []item{}}
	for _, i := range part.Items {
		switch i.Kind {
		case course.Says, course.Asks:
			s.Items = append(s.Items, item{Says: i.Text})
		case course.Command:
			s.Items = append(s.Items, item{Command: i.Text})
		case course.Prints:
			s.Items = append(s.Items, item{Prints: i.Text})
		case course.Look:
			s.Items = append(s.Items, item{Look: i.Text})
		case course.Explains:
			if p.explain {
				s.Items = append(s.Items, item{Explains: i.Fields})
			}
		}
	}
	p.parts = append(p.parts, s)
}

// item writes one piece of a part.
func (p *page) item(i course.Item) {
	switch i.Kind {
	case course.Says:
		for _, line := range cli.Wrap(i.Text, width) {
			p.print(line + "\n")
		}
		p.print("\n")
	case course.Asks:
		p.strong(i.Text)
	case course.Command:
		p.strong("$ " + i.Text)
	case course.Prints:
		p.print(i.Text)
	case course.Look:
		mark := "-> "
		for _, line := range cli.Wrap(i.Text, width-len(mark)) {
			p.print(mark + line + "\n")
			mark = "   "
		}
		p.print("\n")
	case course.Explains:
		if p.explain {
			p.fields(i.Fields)
		}
	}
	if i.Gap {
		p.print("\n")
	}
}

// fields writes what fields mean, in two columns.
func (p *page) fields(fields []course.Field) {
	widest := 0
	for _, f := range fields {
		widest = max(widest, len(f.Word))
	}
	for _, f := range fields {
		word := f.Word
		for _, line := range cli.Wrap(f.Says, width-2-widest-3) {
			p.print(fmt.Sprintf("  %-*s   %s\n", widest, word, line))
			word = ""
		}
	}
	p.print("\n")
}

// print writes text.
func (p *page) print(text string) { fmt.Fprint(p.out, text) }

// strong prints a line that stands out.
func (p *page) strong(text string) {
	if p.bold {
		text = "\x1b[1m" + text + "\x1b[0m"
	}
	p.print(text + "\n")
}

// finish writes what was kept for JSON.
func (p *page) finish() error {
	if !p.json {
		return nil
	}
	e := json.NewEncoder(p.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(p.parts)
}
