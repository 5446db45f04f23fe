package whatif

import (
	"io"
	"math/big"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/ipamsim/ipamsim/internal/cli"
)

// table prints a table in lines that fit, if any of its layouts does: columns three blanks
// apart, or two, or the first cell of each row in a line of its own, or that with long
// numbers rounded.
func (p *printer) table(headings []string, rows [][]string) {
	all := [][]string{headings}
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = cli.Printable(cell) // names may hold anything, such as newlines
		}
		all = append(all, cells)
	}
	_, _ = io.WriteString(p.out, tableText(all)) // errors show when it is flushed
}

// tableText returns the first layout of the rows that fits; if none does, names are too
// long, and the first cells stand in lines of their own.
func tableText(rows [][]string) string {
	short := make([][]string, len(rows))
	for i, row := range rows {
		short[i] = slices.Clone(row)
		for k := range row {
			short[i][k] = rounded(row[k])
		}
	}
	apart := firstApart(rows, 3)
	for _, text := range []string{columns(rows, 3), columns(rows, 2), apart, firstApart(rows, 2), firstApart(short, 3), firstApart(short, 2)} {
		if fits(text) {
			return text
		}
	}
	return apart
}

// fits reports whether no line of a text is wider than it should be.
func fits(text string) bool {
	for line := range strings.Lines(text) {
		if len([]rune(strings.TrimRight(line, "\n"))) > width {
			return false
		}
	}
	return true
}

// columns lays out rows with so many blanks between columns.
func columns(rows [][]string, gap int) string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 3+gap, 0, gap, ' ', 0)
	for _, row := range rows {
		_, _ = io.WriteString(w, strings.Join(row, "\t")+"\n") // to memory
	}
	_ = w.Flush()
	return out.String()
}

// firstApart lays out rows with their first cells in lines of their own.
func firstApart(rows [][]string, gap int) string {
	rest := make([][]string, len(rows))
	for i, row := range rows {
		rest[i] = row[1:]
	}
	var out strings.Builder
	i := 0
	for line := range strings.Lines(columns(rest, gap)) {
		out.WriteString(rows[i][0] + "\n")
		if line = strings.TrimRight(line, " \n"); line != "" {
			out.WriteString("  " + line + "\n")
		}
		i++
	}
	return out.String()
}

// maxDigits is how many digits a number keeps that must be short.
const maxDigits = 6

// rounded returns a longer whole number as 2.9e17, and anything else as it is.
func rounded(cell string) string {
	if len(cell) <= maxDigits || strings.Trim(cell, "0123456789") != "" {
		return cell
	}
	n, _ := new(big.Float).SetString(cell)
	return strings.Replace(n.Text('e', 1), "e+", "e", 1)
}
