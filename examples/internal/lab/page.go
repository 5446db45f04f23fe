package lab

import (
	"fmt"
	"io"
	"strings"

	"github.com/ipamsim/ipamsim/internal/cli"
)

// width is what prose keeps to. Tables are as wide as the originals.
const width = 80

// page writes the lab for people to read. Errors of out are found when it is
// flushed.
type page struct {
	out  io.Writer
	bold bool
}

// strong prints a line that stands out.
func (p *page) strong(text string) {
	if p.bold {
		text = "\x1b[1m" + text + "\x1b[0m"
	}
	fmt.Fprintln(p.out, text)
}

// heading begins a part of the lab.
func (p *page) heading(format string, args ...any) {
	p.strong("== " + fmt.Sprintf(format, args...))
	fmt.Fprintln(p.out)
}

// command prints the command that what follows stands for.
func (p *page) command(line string) { p.strong("$ " + line) }

// show prints what a command prints.
func (p *page) show(text string) { fmt.Fprint(p.out, text) }

// say prints a paragraph and a blank line.
func (p *page) say(format string, args ...any) {
	for _, line := range cli.Wrap(fmt.Sprintf(format, args...), width) {
		fmt.Fprintln(p.out, line)
	}
	fmt.Fprintln(p.out)
}

// see prints, under what a command printed, what to see in it.
func (p *page) see(format string, args ...any) {
	for i, line := range cli.Wrap(fmt.Sprintf(format, args...), width-3) {
		mark := "-> "
		if i > 0 {
			mark = "   "
		}
		fmt.Fprintln(p.out, mark+line)
	}
	fmt.Fprintln(p.out)
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
