package property

import (
	"flag"
	"maps"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Long reports whether the environment asks for long explorations, by setting
// IPAMSIM_LONG to anything.
func Long() bool { return os.Getenv("IPAMSIM_LONG") != "" }

// Some returns every nth of the items: all of them in a long run, every eighth with
// -short, every third otherwise.
func Some[T any](items []T) []T {
	nth := 3
	switch {
	case Long():
		return items
	case testing.Short():
		nth = 8
	}
	var some []T
	for i := 0; i < len(items); i += nth {
		some = append(some, items[i])
	}
	return some
}

// UnderRace is set where the race detector makes everything ten times slower.
var UnderRace bool

// skipShort ends a test of a broken variant: -short leaves those out.
func skipShort(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("tries a broken variant")
	}
}

// Times returns n, twenty times as many in a long run, a quarter with -short, and a
// sixth under the race detector, which has nothing to find in a single goroutine.
func Times(n int) int {
	switch {
	case Long():
		n *= 20
	case testing.Short():
		n = max(1, n/4)
	}
	if UnderRace {
		n = max(1, n/6)
	}
	return n
}

// Check is [rapid.Check] of so many cases, [Times] that is, in which
// [rapid.T.Repeat] makes so many steps on average; with -short rapid makes fewer of
// both. The command line and the environment win, with -rapid.checks or RAPID_CHECKS
// and the like.
func Check(t rapid.TB, cases, steps int, property func(*rapid.T)) {
	t.Helper()
	if !testing.Short() { // rapid makes a fifth of them itself then
		cases = Times(cases)
	}
	values := map[string]string{"checks": strconv.Itoa(cases), "steps": strconv.Itoa(steps)}
	flag.Visit(func(f *flag.Flag) { delete(values, strings.TrimPrefix(f.Name, "rapid.")) })
	for name := range values {
		if _, set := os.LookupEnv("RAPID_" + strings.ToUpper(name)); set {
			delete(values, name)
		}
	}
	defer set(values)()
	rapid.Check(t, property)
}

// Breaks reports whether the property, which is that of a broken variant, breaks
// within so many cases, always the same. With -short it skips the test. If it does, its last run had the plainest
// choices that break it.
func Breaks(t testing.TB, cases, steps int, property func(*rapid.T)) bool {
	skipShort(t)
	v := &verdict{TB: t}
	done := make(chan struct{})
	go func() { // which the verdict ends
		defer close(done)
		defer set(map[string]string{"checks": strconv.Itoa(cases), "steps": strconv.Itoa(steps), "seed": "1", "nofailfile": "true"})()
		rapid.Check(v, property)
	}()
	<-done
	return v.failed
}

// set gives flags of rapid other values until what it returns is called.
func set(values map[string]string) (restore func()) {
	before := make(map[string]string)
	change := func(values map[string]string) {
		for name, value := range values {
			f := flag.Lookup("rapid." + name)
			before[name] = f.Value.String()
			if err := f.Value.Set(value); err != nil {
				panic(err)
			}
		}
	}
	change(values)
	return func() { change(maps.Clone(before)) }
}

// verdict takes the place of a test that is to fail.
type verdict struct {
	testing.TB
	failed bool
}

// Name is one of which no failure was kept.
func (v *verdict) Name() string          { return v.TB.Name() + " verdict" }
func (v *verdict) Logf(string, ...any)   {}
func (v *verdict) Errorf(string, ...any) { v.failed = true }
func (v *verdict) Failed() bool          { return v.failed }
func (v *verdict) FailNow()              { runtime.Goexit() }
