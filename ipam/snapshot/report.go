package snapshot

import (
	"fmt"
	"io"
	"strings"
)

// WriteText writes the report for people to read: the findings by kind, each kind
// with its remedy. It writes at most so many findings of a kind, or all if most is
// 0. Errors are w's.
func (r *Report) WriteText(w io.Writer, most int) error {
	var out strings.Builder
	fmt.Fprintf(&out, "Looked at %s with %s in use and %d cooling, %s, %s.\n",
		plural(r.Blocks, "block", "blocks"), plural(r.Allocated, "address", "addresses"), r.Cooling,
		plural(r.Handles, "handle", "handles"), plural(r.Pods, "pod", "pods"))
	for _, k := range kinds {
		var of []*Finding
		for i := range r.Findings {
			if r.Findings[i].Kind == k.kind {
				of = append(of, &r.Findings[i])
			}
		}
		if len(of) == 0 {
			continue
		}
		fmt.Fprintf(&out, "\n%s: %s (%s)\n", strings.ToUpper(k.title[:1])+k.title[1:], plural(len(of), "finding", "findings"), k.kind)
		for i, f := range of {
			if most > 0 && i == most {
				fmt.Fprintf(&out, "  … and %d more\n", len(of)-most)
				break
			}
			fmt.Fprintf(&out, "  %s\n    %s\n", f.What, strings.Join(f.Objects, ", "))
			if f.Mend != k.mend {
				fmt.Fprintf(&out, "    -> %s\n", f.Mend)
			}
		}
		fmt.Fprintf(&out, "  -> %s\n", k.mend)
	}
	if len(r.Findings) == 0 {
		out.WriteString("\nNothing was found.\n")
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&out, "\nNote: %s.\n", n)
	}
	_, err := io.WriteString(w, out.String())
	return err
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
