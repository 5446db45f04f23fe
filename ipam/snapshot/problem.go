package snapshot

import (
	"errors"
	"fmt"
	"strings"
)

// ErrInvalid is matched by every error about resources that cannot be read, or
// that contradict each other; [*InvalidError] has the details.
var ErrInvalid = errors.New("snapshot: invalid resources")

// A Problem is one thing in the resources that is not as it must be.
type Problem struct {
	File string `json:"file"`           // as given
	Line int    `json:"line,omitempty"` // where the object begins, from 1; 0 if it is about no object
	// Object is what it is about, such as "IPAMBlock 10-0-0-0-26"; empty where
	// the text cannot be read so far.
	Object string `json:"object,omitempty"`
	Field  string `json:"field,omitempty"` // such as "spec.cidr"; empty for the whole
	Reason string `json:"reason"`
	Kind   Kind   `json:"kind"`
	// Harmless problems are no contradiction: what they are about has no effect,
	// on Calico neither.
	Harmless bool `json:"harmless,omitempty"`

	order int32 // that of the object's place
}

// Error gives the place, the object, the field and what is wrong, in one line.
func (p *Problem) Error() string {
	var s strings.Builder
	s.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&s, ":%d", p.Line)
	}
	for _, part := range []string{p.Object, p.Field, p.Reason} {
		if part != "" {
			s.WriteString(": " + part)
		}
	}
	return s.String()
}

// Unwrap returns [ErrInvalid].
func (p *Problem) Unwrap() error { return ErrInvalid }

// InvalidError is everything for which resources were refused, in the order of
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

// maxQuoted is how much of a value a problem shows.
const maxQuoted = 64

// quote shows a value, however long, in one line.
func quote(text string) string {
	if len(text) > maxQuoted {
		return fmt.Sprintf("%q… (%d bytes)", text[:maxQuoted], len(text))
	}
	return fmt.Sprintf("%q", text)
}
