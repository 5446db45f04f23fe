package snapshot

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrInvalid matches every error about resources that cannot be read or that
// contradict each other; [*InvalidError] has the details.
var ErrInvalid = errors.New("snapshot: invalid resources")

// A Problem is one fault of the resources.
type Problem struct {
	File string `json:"file"` // as given
	// Line is where the object begins or, for a fault of the text, the line of
	// the fault. Lines count from 1; 0 is no line.
	Line int `json:"line,omitempty"`
	// Object is such as "IPAMBlock 10-0-0-0-26"; empty for a fault of the text.
	Object string `json:"object,omitempty"`
	Field  string `json:"field,omitempty"` // such as "spec.cidr"; empty for the whole
	Reason string `json:"reason"`
	Kind   Kind   `json:"kind"`
	// Harmless problems have no effect on this package or on Calico.
	Harmless bool `json:"harmless,omitempty"`

	order  int32 // that of the object's place
	cutOff bool  // the file is cut off there
}

// Error returns the place, the object, the field and the reason in one line.
func (p *Problem) Error() string {
	var s strings.Builder
	s.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&s, ":%d", p.Line)
	}
	for _, part := range []string{p.Object, p.Field, p.Reason} {
		if part != "" {
			s.WriteString(": " + printable(part))
		}
	}
	return s.String()
}

// Unwrap returns [ErrInvalid].
func (p *Problem) Unwrap() error { return ErrInvalid }

// anyHarmful reports whether one of the problems is not harmless.
func anyHarmful(problems []*Problem) bool {
	return slices.ContainsFunc(problems, func(p *Problem) bool { return !p.Harmless })
}

// InvalidError has all problems for which resources were refused, in the order of
// files and lines.
type InvalidError struct{ Problems []*Problem }

// Error has a line for each problem.
func (e *InvalidError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the problems.
func (e *InvalidError) Unwrap() []error {
	errs := make([]error, len(e.Problems))
	for i, p := range e.Problems {
		errs[i] = p
	}
	return errs
}

// maxQuoted is how many bytes of a value a problem shows.
const maxQuoted = 64

// quote shows a value in one line. It cuts off a long one.
func quote(text string) string {
	if len(text) > maxQuoted {
		return fmt.Sprintf("%q… (%d bytes)", text[:maxQuoted], len(text))
	}
	return fmt.Sprintf("%q", text)
}
