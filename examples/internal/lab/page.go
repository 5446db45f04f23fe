package lab

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/ipamsim/ipamsim/internal/cli"
)

// width is what prose keeps to. Tables are as wide as the originals.
const width = 80

// page writes the lab for people to read, or keeps it for JSON. Errors of out are
// found when it is flushed.
type page struct {
	out    io.Writer
	bold   bool
	hidden bool // what comes now is left out
	json   bool
	parts  []section
}

// section is what a heading stands above, for JSON.
type section struct {
	Title string `json:"title"`
	Items []item `json:"items"`
}

// item is one piece of a part. One of its fields is set.
type item struct {
	Says    string `json:"says,omitempty"`    // a paragraph
	Command string `json:"command,omitempty"` // a command line
	Prints  string `json:"prints,omitempty"`  // what it prints, or a table
	Look    string `json:"look,omitempty"`    // what to see in that
}

// print writes text for people.
func (p *page) print(text string) {
	if !p.hidden && !p.json {
		fmt.Fprint(p.out, text)
	}
}

// keep keeps an item for JSON.
func (p *page) keep(i item) {
	if !p.hidden && p.json {
		last := &p.parts[len(p.parts)-1]
		last.Items = append(last.Items, i)
	}
}

// strong prints a line that stands out.
func (p *page) strong(text string) {
	if p.bold {
		text = "\x1b[1m" + text + "\x1b[0m"
	}
	p.print(text + "\n")
}

// question prints what the next command is asked for.
func (p *page) question(text string) {
	p.keep(item{Says: text})
	p.strong(text)
}

// blank prints an empty line.
func (p *page) blank() { p.print("\n") }

// heading begins a part of the lab.
func (p *page) heading(format string, args ...any) {
	title := fmt.Sprintf(format, args...)
	if !p.hidden && p.json {
		p.parts = append(p.parts, section{Title: title, Items: []item{}})
	}
	p.strong("== " + title)
	p.blank()
}

// command prints the command that what follows stands for.
func (p *page) command(line string) {
	p.keep(item{Command: line})
	p.strong("$ " + line)
}

// show prints what a command prints.
func (p *page) show(text string) {
	p.keep(item{Prints: text})
	p.print(text)
}

// say prints a paragraph and a blank line.
func (p *page) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	p.keep(item{Says: text})
	for _, line := range cli.Wrap(text, width) {
		p.print(line + "\n")
	}
	p.blank()
}

// see prints, under what a command printed, what to see in it.
func (p *page) see(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	p.keep(item{Look: text})
	for i, line := range cli.Wrap(text, width-3) {
		mark := "-> "
		if i > 0 {
			mark = "   "
		}
		p.print(mark + line + "\n")
	}
	p.blank()
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

// plural puts a number and a noun together.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if strings.HasSuffix(noun, "s") {
		return fmt.Sprintf("%d %ses", n, noun)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
