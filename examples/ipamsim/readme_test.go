package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/internal/property"
)

// commands returns what a README shows to be run, each with what it prints.
func commands(readme string) (all [][2]string) {
	for _, fence := range strings.Split(readme, "```\n$ ")[1:] {
		shown, _, _ := strings.Cut(fence, "\n```")
		// A fence may have several, each with its output.
		for i, one := range strings.Split(shown, "\n$ ") {
			command, out, _ := strings.Cut(one+"\n", "\n")
			if i > 0 && !ours(command) { // printed by the one before, as lab does
				all[len(all)-1][1] += "$ " + one + "\n"
				continue
			}
			all = append(all, [2]string{command, out})
		}
	}
	return all
}

// ours reports whether a command is one that is run here.
func ours(command string) bool {
	return strings.HasPrefix(command, "ipamsim ") || strings.HasPrefix(command, "go run ./examples/") || strings.HasPrefix(command, "grep -o ")
}

// differs returns the first line that is shown and not printed there, or one that is
// printed and left out without a mark, or "". A line of … stands for any lines; blank lines
// at either end do not count.
func differs(shown, printed string) string {
	lines := strings.Split(strings.Trim(printed, "\n"), "\n")
	at, anywhere := 0, false
	for line := range strings.Lines(shown) {
		line = strings.TrimRight(line, "\n")
		if line == "…" {
			anywhere = true
			continue
		}
		for anywhere && at < len(lines) && lines[at] != line {
			at++
		}
		if at == len(lines) || lines[at] != line {
			return line
		}
		at, anywhere = at+1, false
	}
	if at < len(lines) && !anywhere {
		return "left out without …: " + lines[at]
	}
	return ""
}

// TestReadme: what the README and the pages show is what the programs print.
func TestReadme(t *testing.T) {
	property.Slow(t)
	dir := t.TempDir() // where the commands write
	entries, err := os.ReadDir("../..")
	must.NoError(t, err)
	root, err := filepath.Abs("../..")
	must.NoError(t, err)
	for _, e := range entries {
		must.NoError(t, os.Symlink(filepath.Join(root, e.Name()), filepath.Join(dir, e.Name())))
	}
	t.Chdir(dir)
	for page, least := range map[string]int{"README.md": 1, "docs/whatif.md": 2, "docs/upgrade.md": 1} {
		t.Run(page, func(t *testing.T) {
			if page == "docs/whatif.md" {
				property.Slow(t)
			}
			testPage(t, page, least)
		})
	}
}

// grep reads a command such as grep -o 'PATTERN' FILE.
func grep(command string) (pattern *regexp.Regexp, file string, is bool) {
	rest, is := strings.CutPrefix(command, "grep -o '")
	text, file, found := strings.Cut(rest, "' ")
	if !is || !found {
		return nil, "", false
	}
	return regexp.MustCompile(text), file, true
}

// testPage compares what a page shows; at least so many commands of it are ours.
func testPage(t *testing.T, page string, least int) {
	text, err := os.ReadFile(page)
	must.NoError(t, err)
	tested := 0
	for _, c := range commands(string(text)) {
		args := strings.Fields(c[0])
		if pattern, file, is := grep(c[0]); is { // of what a command above wrote
			text, err := os.ReadFile(file)
			must.NoError(t, err)
			must.Eq(t, "", differs(c[1], strings.Join(pattern.FindAllString(string(text), -1), "\n")), must.Sprint(c[0]))
			continue
		}
		switch {
		case args[0] == "ipamsim":
			args = args[1:]
		case len(args) > 2 && args[0] == "go" && args[1] == "run" && filepath.Dir(args[2]) == "examples":
			args = append([]string{filepath.Base(args[2])}, args[3:]...)
		default:
			continue // not ours
		}
		var out, errs bytes.Buffer
		status := cli.Execute(context.Background(), command(), args, strings.NewReader(""), &out, &errs)
		must.NotEq(t, cli.Bad, status, must.Sprintf("%s: %s", c[0], errs.String()))
		printed := strings.ReplaceAll(out.String(), "  ipamsim ", "  go run ./examples/")
		must.Eq(t, "", differs(c[1], printed), must.Sprintf("%s prints\n%s", c[0], printed))
		tested++
	}
	must.GreaterEq(t, least, tested)
}

func TestReadmeDiffers(t *testing.T) {
	const printed = "a\nb\nc\nd\n"
	for shown, want := range map[string]string{
		"a\nb\nc\nd\n": "", "a\nb\n…\n": "", "…\nb\nc\n…\n": "", "a\n…\nd\n": "", "…\nd\n": "", "a\n…\n": "", "…\n": "",
		"a\nb\n": "left out without …: c", "b\nc\nd\n": "b", "…\nb\nd\n": "d",
		"a\nc\n": "c", "…\nd\ne\n": "e", "a\n…\nb\na\n": "a", "x\n": "x", "…\nx\n": "x",
	} {
		must.Eq(t, want, differs(shown, printed), must.Sprint(shown))
	}
	must.Eq(t, [][2]string{{"a", "b\n$ c\n"}, {"x", "$ y\n"}}, commands("x\n```\n$ a\nb\n$ c\n```\n```go\nx\n```\n```\n$ x\n$ y\n```\n"))
	must.Eq(t, [][2]string{{"ipamsim a", "b\n"}, {"go run ./examples/c", ""}, {"grep -o 'x' y", "z\n"}}, commands("```\n$ ipamsim a\nb\n$ go run ./examples/c\n$ grep -o 'x' y\nz\n```\n"))
}
