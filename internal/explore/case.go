package explore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/ipamsim/ipamsim/ipam/trace"
)

// Version is the version of the files that this package reads and writes.
const Version = 1

// A Case is a program and a schedule for it: enough to repeat a run. Its file is
// one line of JSON.
type Case struct {
	Version  int      `json:"version"`
	Program  Program  `json:"program"`
	Schedule Schedule `json:"schedule"`
}

// ReadCase reads a case, plain or gzip. The name is for errors, which match
// [trace.ErrMalformed] unless they come from r.
func ReadCase(name string, r io.Reader) (*Case, error) {
	lines, err := trace.NewLines(name, r)
	if err != nil {
		return nil, err
	}
	// The version comes first: the rest depends on it.
	var text json.RawMessage
	if err := lines.Next(&text); errors.Is(err, io.EOF) {
		return nil, lines.Fail(errors.New("empty: no case"))
	} else if err != nil {
		return nil, err
	}
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, lines.Fail(err)
	}
	if head.Version != Version {
		return nil, lines.Fail(fmt.Errorf("version %d, want %d", head.Version, Version))
	}
	c := new(Case)
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(c); err != nil {
		return nil, lines.Fail(err)
	}
	if err := lines.Next(&text); !errors.Is(err, io.EOF) {
		return nil, lines.Fail(errors.New("something after the case"))
	}
	if err := errors.Join(c.Program.validate(), c.Schedule.validate(&c.Program)); err != nil {
		return nil, lines.Fail(err)
	}
	return c, nil
}

// Write writes the case, with the version of this package.
func (c *Case) Write(w io.Writer) error {
	out := *c
	out.Version = Version
	return json.NewEncoder(w).Encode(out)
}
