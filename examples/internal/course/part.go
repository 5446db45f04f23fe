package course

import (
	"fmt"
	"strings"
)

// A Part of the course is a heading and what stands under it.
type Part struct {
	Title string
	Step  int // the number of the exercise, or 0 where the part is none
	Items []Item
}

// An Item is one piece of a part.
type Item struct {
	Kind Kind
	Text string // empty for Explains

	// Fields tells what the fields printed above mean; of kind Explains only.
	Fields []Field
	// Gap is set where a blank line sets a table apart from what follows.
	Gap bool
}

// Kind says what an item is.
type Kind int

// The kinds of items.
const (
	Says     Kind = iota // a paragraph
	Asks                 // a question, which the next command answers
	Command              // a command line
	Prints               // what the command prints, or a table; ends with a newline
	Look                 // what to see in that
	Explains             // what each field of that means
)

// add appends an item to the part.
func (p *Part) add(kind Kind, text string) { p.Items = append(p.Items, Item{Kind: kind, Text: text}) }

// heading begins the part.
func (p *Part) heading(format string, args ...any) { *p = Part{Title: fmt.Sprintf(format, args...)} }

// question asks what the next command is for.
func (p *Part) question(text string) { p.add(Asks, text) }

// command names the command that what follows stands for.
func (p *Part) command(line string) { p.add(Command, line) }

// show is what a command prints.
func (p *Part) show(text string) { p.add(Prints, text) }

// gap sets the table above apart from what follows.
func (p *Part) gap() { p.Items[len(p.Items)-1].Gap = true }

// say is a paragraph.
func (p *Part) say(format string, args ...any) { p.add(Says, fmt.Sprintf(format, args...)) }

// see tells what to see in what was printed.
func (p *Part) see(format string, args ...any) { p.add(Look, fmt.Sprintf(format, args...)) }

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
