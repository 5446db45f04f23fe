package report

import (
	"strings"
	"text/tabwriter"
)

// Columns lays out a table as kubectl does: a line of headings, a line a row,
// columns as wide as their widest cell and three blanks apart, nothing after the
// last cell of a line. Without rows it returns only the headings. Rows have as
// many cells as there are headings; cells hold neither tabs nor newlines. Headings
// are printed as they are; kubectl's are in upper case.
func Columns(headings []string, rows [][]string) string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 6, 4, 3, ' ', 0)
	// A strings.Builder never fails.
	_, _ = w.Write([]byte(strings.Join(headings, "\t") + "\n"))
	for _, r := range rows {
		_, _ = w.Write([]byte(strings.Join(r, "\t") + "\n"))
	}
	_ = w.Flush()
	return out.String()
}

// noResources is kubectl's message instead of an empty table.
const noResources = "No resources found\n"
