// Package rules checks the rules of the project that no linter knows: which
// package may import which, that everything exported is documented, how large a
// recording may be. What the library must not call and how long a file may be is
// in .golangci.yml.
//
// It has tests only. Each rule is a function of a parsed file. A test shows that
// it rejects source text that breaks it, another applies it to the module.
//
// The rules come from the project's design and style. Change the tables at the
// head of the tests when the design changes, not to make a change pass.
package rules
