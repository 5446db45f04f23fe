package workload

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Entry is a scenario as it stands in a file.
type Entry struct {
	Scenario
	File string
	Line int // where it begins, from 1
	// Want are the results that stand beside the scenario, by the keys of [Result]
	// and "datastoreOps"; empty if there are none.
	Want map[string]json.RawMessage
}

// FileError is an error about a place in a file.
type FileError struct {
	File string
	Line int
	Err  error // an [InvalidError], or about the file's syntax
}

// Error implements error.
func (e *FileError) Error() string {
	text := e.Err.Error()
	if invalid, ok := errors.AsType[*InvalidError](e.Err); ok {
		text = invalid.Path + " " + invalid.Reason
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, text)
}

// Unwrap returns Err.
func (e *FileError) Unwrap() error { return e.Err }

// Read reads the scenarios of a file: JSON, one after the other as in plan.jsonl,
// or YAML documents, with the same keys. Errors are [FileError] values, and no
// scenario comes back with one: each has been validated. The name is for errors
// and entries only.
func Read(name string, r io.Reader) ([]Entry, error) { return nil, errors.New("not yet") }

// Differences compares a result with what stands in the file, "datastoreOps"
// aside, and returns a line for each field that differs: "borrowed: 2277, want
// 2278".
func (e *Entry) Differences(got *Result) []string { return nil }
