package pool_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// A property is a function from an implementation and a random case to an error.
// As the implementation is a parameter, tests can show that the same property
// rejects broken ones.

// holds checks a property of the real implementation; rapid shrinks what fails.
func holds[C any](t *testing.T, cases *rapid.Generator[C], property func(C) error) {
	t.Helper()
	rapid.Check(t, func(t *rapid.T) {
		if err := property(cases.Draw(t, "case")); err != nil {
			t.Fatal(err)
		}
	})
}

// rejects checks that a property fails for a broken implementation within a few hundred seeded cases.
func rejects[C any](t *testing.T, cases *rapid.Generator[C], property func(C) error) {
	t.Helper()
	const tries = 500
	for seed := range tries {
		if err := property(cases.Example(seed)); err != nil {
			t.Logf("rejected by case %d: %v", seed, err)
			return
		}
	}
	t.Fatalf("the property accepts a broken implementation: %d cases", tries)
}

// differs is the error of a property whose two sides differ.
func differs(what string, got, want any) error {
	if fmt.Sprint(got) == fmt.Sprint(want) {
		return nil
	}
	return fmt.Errorf("%s is %v, want %v", what, got, want)
}
