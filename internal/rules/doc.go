// Package rules keeps the rules of the house: which package may import which,
// what the library must not call, that everything exported is documented, how
// long a file and how large a recording may be.
//
// It has tests only. Each rule is a function of a parsed file, and is held
// against source text that breaks it before it is held against the module.
//
// The rules come from the project's design and style. Change the tables at the
// head of the tests with the design, not to make a change pass.
package rules
