package cli

import (
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Printable returns a line that sends no commands to a terminal: it escapes what
// cannot be printed, such as a control character, as Go does.
func Printable(line string) string {
	if !strings.ContainsFunc(line, func(r rune) bool { return !strconv.IsPrint(r) || r == utf8.RuneError }) {
		return line
	}
	quoted := strconv.Quote(line)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// PrintableLines returns a writer to w that makes each line [Printable]. Every write
// must hold whole characters.
func PrintableLines(w io.Writer) io.Writer { return printableLines{w} }

type printableLines struct{ w io.Writer }

func (p printableLines) Write(text []byte) (int, error) {
	lines := strings.Split(string(text), "\n")
	for i := range lines {
		lines[i] = Printable(lines[i])
	}
	if _, err := io.WriteString(p.w, strings.Join(lines, "\n")); err != nil {
		return 0, err
	}
	return len(text), nil
}
