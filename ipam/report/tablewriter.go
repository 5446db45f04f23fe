package report

import (
	"regexp"
	"strings"
)

// plainNumber matches a cell that older tables align right: 32, but not 9 (28%).
var plainNumber = regexp.MustCompile(`^-?(\d{1,3}(,\d{3})*|\d+)(\.\d+)?$`)

// drawTablewriter draws a table as tablewriter did for the releases until v3.32
// (§16): headings centred, plain numbers aligned right, all else left. No cell is
// long enough to be wrapped.
func drawTablewriter(rows [][]string, headings []string) string {
	widths := make([]int, len(headings))
	for _, r := range append(rows, headings) {
		for i, cell := range r {
			widths[i] = max(widths[i], len(cell))
		}
	}
	var out, rule strings.Builder
	for _, w := range widths {
		rule.WriteString("+" + strings.Repeat("-", w+2))
	}
	rule.WriteString("+\n")
	line := func(cells []string, left func(cell string, gap int) int) {
		for i, cell := range cells {
			gap := widths[i] - len(cell)
			before := left(cell, gap)
			out.WriteString("| " + strings.Repeat(" ", before) + cell + strings.Repeat(" ", gap-before+1))
		}
		out.WriteString("|\n")
	}
	out.WriteString(rule.String())
	line(headings, func(_ string, gap int) int { return gap / 2 })
	out.WriteString(rule.String())
	for _, r := range rows {
		line(r, func(cell string, gap int) int {
			if plainNumber.MatchString(cell) {
				return gap
			}
			return 0
		})
	}
	out.WriteString(rule.String())
	return out.String()
}
