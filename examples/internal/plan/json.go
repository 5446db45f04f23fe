package plan

import (
	"encoding/json"
	"io"
)

// writeDocument writes a plan for people who read JSON.
func writeDocument(w io.Writer, p *plan) error {
	e := encoder(w)
	e.SetIndent("", " ")
	return e.Encode(p)
}

// writeLine writes a plan as one line.
func writeLine(w io.Writer, p *plan) error { return encoder(w).Encode(p) }

func encoder(w io.Writer) *json.Encoder {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e
}
