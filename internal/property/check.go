package property

import (
	"flag"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Long reports whether the environment asks for long explorations, by setting
// IPAMSIM_LONG to anything.
func Long() bool { return os.Getenv("IPAMSIM_LONG") != "" }

// Main is the TestMain of a package whose rapid tests make so many checks in a long
// run, or as many as ever if checks is 0. Tests make much garbage and keep little of
// it, so it is collected less often, which saves a third of their time. Benchmarks
// run as in a program, and so does everything if GOGC is set.
func Main(m *testing.M, checks int) {
	if Long() && checks > 0 {
		// Flags on the command line are parsed later and take precedence.
		if err := flag.Set("rapid.checks", strconv.Itoa(checks)); err != nil {
			panic(err)
		}
	}
	flag.Parse()
	if os.Getenv("GOGC") == "" && flag.Lookup("test.bench").Value.String() == "" {
		debug.SetGCPercent(400)
	}
	os.Exit(m.Run())
}

// Some returns every nth of the items: all of them in a long run, every sixty-fourth
// with -short, every fifth otherwise.
func Some[T any](items []T) []T {
	nth := 5
	switch {
	case Long():
		return items
	case testing.Short():
		nth = 64
	}
	var some []T
	for i := 0; i < len(items); i += nth {
		some = append(some, items[i])
	}
	return some
}

// UnderRace is true under the race detector, which makes everything ten times
// slower.
var UnderRace bool

// Slow marks a test that takes longer than a twentieth of a second: -short skips it. A test
// of code that runs in several goroutines asks only if it is not [UnderRace].
func Slow(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes longer than a twentieth of a second")
	}
}

// Broken marks a test of broken variants: -short skips it.
func Broken(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("tries a broken variant")
	}
}

// Times returns half of n: twenty times n in a long run, a thirtieth with -short, and
// a sixth under the race detector, which finds nothing in a single goroutine.
func Times(n int) int {
	switch {
	case Long():
		n *= 20
	case testing.Short():
		n /= 30
	default:
		n /= 2
	}
	if UnderRace {
		n /= 3
	}
	return max(1, n)
}

// Check is [rapid.Check] with [Times] of that many cases, in which
// [rapid.T.Repeat] makes that many steps on average, half of them with -short.
// Flags such as -rapid.checks and variables such as RAPID_CHECKS take
// precedence.
func Check(t rapid.TB, cases, steps int, property func(*rapid.T)) {
	t.Helper()
	cases = Times(cases)
	if testing.Short() {
		cases *= 5 // of which rapid makes a fifth
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

// Breaks reports whether the property of a broken variant fails within that many
// cases, which are always the same. With -short Breaks skips the test.
func Breaks(t testing.TB, cases, steps int, property func(*rapid.T)) bool {
	return breaks(t, cases, steps, "0s", property)
}

// Shrinks is Breaks that takes its time: if the property fails, its last run has the
// plainest choices that break it.
func Shrinks(t testing.TB, cases, steps int, property func(*rapid.T)) bool {
	return breaks(t, cases, steps, "30s", property)
}

func breaks(t testing.TB, cases, steps int, shrink string, property func(*rapid.T)) bool {
	Broken(t)
	v := &verdict{TB: t}
	done := make(chan struct{})
	go func() { // the verdict ends it
		defer close(done)
		defer set(map[string]string{"checks": strconv.Itoa(cases), "steps": strconv.Itoa(steps), "seed": "1", "nofailfile": "true", "shrinktime": shrink})()
		rapid.Check(v, property)
	}()
	<-done
	return v.failed
}

// set sets flags of rapid. The function that it returns restores them.
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

// verdict stands in for a test that is expected to fail.
type verdict struct {
	testing.TB
	failed bool
}

// Name returns a name without a saved failure.
func (v *verdict) Name() string          { return v.TB.Name() + " verdict" }
func (v *verdict) Logf(string, ...any)   {}
func (v *verdict) Errorf(string, ...any) { v.failed = true }
func (v *verdict) Failed() bool          { return v.failed }
func (v *verdict) FailNow()              { runtime.Goexit() }
