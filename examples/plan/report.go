package main

import (
	"encoding/json"
	"io"
)

// writeReport writes the report.
func writeReport(w io.Writer, p *plan) error { return json.NewEncoder(w).Encode(p) }
