// Package race replays recorded races: clients of one cluster that work at once,
// some of them dying half-way, call by call.
//
// A recording is JSON Lines, plain or gzip, one [Race] for each line. It has the
// cluster at the beginning, what each client does, the order of their calls to the
// datastore, and all results: of each call, of each operation, and the final
// state. [Replay] runs the clients of package protocol under the recorded schedule
// and reports the first [Difference].
//
// The package does not judge whether a race ended well: it only compares two runs.
package race

import (
	"errors"
	"fmt"
	"io"

	"github.com/ipamsim/ipamsim/ipam/protocol"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// Version is the version of the format that this package reads.
const Version = 1

// A Race is a recorded race.
type Race struct {
	Version int          `json:"version"`
	Name    string       `json:"name"`
	Setting trace.Header `json:"setting"`
	// Before are the operations that set up the cluster, one at a time.
	Before  []Step   `json:"before,omitempty"`
	Clients []Client `json:"clients"`
	// Schedule has the client of each call, by its number from 0: as many entries
	// as there are Calls.
	Schedule []int  `json:"schedule,omitempty"`
	Calls    []Call `json:"calls,omitempty"`
	// After are the operations after all clients had finished, one at a time.
	After []Step      `json:"after,omitempty"`
	State trace.State `json:"state"` // at the end
}

// A Step is one operation of a client.
type Step struct {
	Op string   `json:"op"`
	In trace.In `json:"in"`
	// Out is the outcome, nil if the client died before there was one.
	Out *trace.Out `json:"out,omitempty"`
}

// A Client of a race does its steps in their order.
type Client struct {
	Host  string `json:"host"`
	Steps []Step `json:"steps"`
	// DiesAfter is the number of calls that the client makes before it dies; nil
	// for a client that lives.
	DiesAfter *int `json:"diesAfter,omitempty"`
}

// A Call is one call of a client to the datastore.
type Call struct {
	Client int             `json:"c"`  // its number, from 0
	Step   int             `json:"op"` // the number of its operation, from 0
	Verb   protocol.Verb   `json:"call"`
	Key    protocol.Key    `json:"key"`
	Result protocol.Result `json:"result"`
}

// String returns the call in a line: client 0, operation 1: get config, missing.
func (c Call) String() string {
	return fmt.Sprintf("client %d, operation %d: %s %s, %s", c.Client, c.Step, c.Verb, c.Key, c.Result)
}

// A Reader reads recorded races. Make one with [Open] or [NewReader].
type Reader struct{ lines *trace.Lines }

// Open opens a file of races, plain or gzip. The caller closes it.
func Open(path string) (*Reader, error) {
	l, err := trace.OpenLines(path)
	if err != nil {
		return nil, err
	}
	return &Reader{l}, nil
}

// NewReader reads races, plain or gzip, from r. The name is for errors, which
// match [trace.ErrMalformed] unless they come from r.
func NewReader(name string, r io.Reader) (*Reader, error) {
	l, err := trace.NewLines(name, r)
	if err != nil {
		return nil, err
	}
	return &Reader{l}, nil
}

// Next returns the next race, and [io.EOF] after the last. The error of a race
// that cannot be replayed matches [trace.ErrMalformed].
func (r *Reader) Next() (*Race, error) {
	race := new(Race)
	if err := r.lines.Next(race); err != nil {
		return nil, err
	}
	if err := race.validate(); err != nil {
		return nil, r.lines.Fail(err)
	}
	return race, nil
}

// Fail returns the error err about the race read last.
func (r *Reader) Fail(err error) error { return r.lines.Fail(err) }

// Close closes the file that [Open] opened.
func (r *Reader) Close() error { return r.lines.Close() }

// validate returns everything that is invalid in the race.
func (r *Race) validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if r.Version != Version {
		return fmt.Errorf("version %d, want %d", r.Version, Version)
	}
	if r.Setting.Version != trace.Version {
		return fmt.Errorf("setting has version %d, want %d", r.Setting.Version, trace.Version)
	}
	if len(r.Schedule) != len(r.Calls) {
		wrong("schedule has %d entries for %d calls", len(r.Schedule), len(r.Calls))
	}
	for i, c := range r.Schedule {
		if c < 0 || c >= len(r.Clients) {
			wrong("schedule entry %d names client %d of %d", i, c, len(r.Clients))
		} else if i < len(r.Calls) && r.Calls[i].Client != c {
			wrong("schedule entry %d names client %d, the call is of client %d", i, c, r.Calls[i].Client)
		}
	}
	for i, c := range r.Clients {
		if c.DiesAfter != nil && *c.DiesAfter < 0 {
			wrong("client %d dies after %d calls", i, *c.DiesAfter)
		}
	}
	for _, steps := range [][]Step{r.Before, r.After} {
		for i, s := range steps {
			if s.Out == nil {
				wrong("operation %d (%s), done alone, has no outcome", i, s.Op)
			}
		}
	}
	return errors.Join(errs...)
}
