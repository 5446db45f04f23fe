package snapshot

import (
	"fmt"
	"io"
	"strings"
)

// WriteText writes the report for people to read: the findings by kind, and each kind
// by remedy. Commands are indented by 6 blanks, a line each; nothing else is. It writes
// at most so many findings of a kind and remedy, or all if most is 0. Nothing that is
// written steers a terminal. Errors are w's.
func (r *Report) WriteText(w io.Writer, most int) error {
	var out strings.Builder
	fmt.Fprintf(&out, "Looked at %s with %s in use and %d cooling, %s, %s.\n",
		plural(r.Blocks, "block", "blocks"), plural(r.Allocated, "address", "addresses"), r.Cooling,
		plural(r.Handles, "handle", "handles"), plural(r.Pods, "pod", "pods"))
	for _, k := range kinds {
		groups := r.byRemedy(k.kind)
		if len(groups) == 0 {
			continue
		}
		fmt.Fprintf(&out, "\n%s: %s (%s)\n", strings.ToUpper(k.title[:1])+k.title[1:], plural(r.Count(k.kind), "finding", "findings"), k.kind)
		for _, group := range groups {
			writeGroup(&out, group, most)
		}
	}
	if len(r.Findings) == 0 {
		out.WriteString("\nNothing was found.\n")
	}
	for _, notes := range [][]string{r.Unjudged, r.Notes} {
		for _, n := range notes {
			fmt.Fprintf(&out, "\nNote: %s.\n", printable(n))
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// commandIndent is how far commands are indented in the text of a report. Nothing else
// is.
const commandIndent = 6

// writeGroup writes findings that have one remedy, and the remedy.
func writeGroup(out *strings.Builder, group []*Finding, most int) {
	for i, f := range group {
		if most > 0 && i == most {
			fmt.Fprintf(out, "  … and %d more\n", len(group)-most)
			break
		}
		fmt.Fprintf(out, "  %s\n    %s\n", printable(f.What), printable(strings.Join(f.Objects, ", ")))
		for _, fix := range f.Fixes {
			fmt.Fprintf(out, "%*s%s\n", commandIndent, "", fix.Command)
		}
	}
	fmt.Fprintf(out, "  -> %s\n", group[0].Mend)
}

// byRemedy returns the findings of a kind, those of one remedy together.
func (r *Report) byRemedy(k Kind) (groups [][]*Finding) {
	at := make(map[string]int)
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Kind != k {
			continue
		}
		g, seen := at[f.Mend]
		if !seen {
			g = len(groups)
			at[f.Mend] = g
			groups = append(groups, nil)
		}
		groups[g] = append(groups[g], f)
	}
	return groups
}

// Count returns how many findings of a kind there are.
func (r *Report) Count(k Kind) int {
	n := 0
	for i := range r.Findings {
		if r.Findings[i].Kind == k {
			n++
		}
	}
	return n
}
