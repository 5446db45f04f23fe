package property

import (
	"errors"
	"flag"
	"fmt"
	"testing"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"
)

func TestSources(t *testing.T) {
	a, b := Seeded(3), Seeded(3)
	for range 100 {
		x := a.Pick("", 7)
		must.Less(t, 7, x)
		must.Eq(t, x, b.Pick("", 7))
	}
	bytes := Bytes([]byte{9, 1, 2, 255})
	must.Eq(t, 2, bytes.Pick("", 7))
	must.Eq(t, 0x102, bytes.Pick("", 1000))
	must.Eq(t, 1, bytes.Len())
	must.Eq(t, 255, bytes.Pick("", 1000), must.Sprint("the second byte is missing"))
	must.Eq(t, 0, bytes.Pick("", 1000))
}

// judge stands in for a test.
type judge struct {
	testing.TB
	failed string
}

func (j *judge) Helper()                           {}
func (j *judge) Logf(string, ...any)               {}
func (j *judge) Errorf(format string, args ...any) { j.failed = fmt.Sprintf(format, args...) }

func TestRejects(t *testing.T) {
	Broken(t)
	var j judge
	Rejects(&j, func(src Source) error {
		if src.Pick("", 50) == 0 {
			return errors.New("caught")
		}
		return nil
	})
	must.Eq(t, "", j.failed)
	Rejects(&j, func(Source) error { return nil })
	must.Eq(t, "the property accepts a broken variant, 200 times", j.failed)
}

// TestBreaks: a broken property is found, shrinks to the plainest choices, and the
// flags are as before.
func TestBreaks(t *testing.T) {
	Broken(t)
	var last []int
	long := func(most int) func(rt *rapid.T) {
		return func(rt *rapid.T) {
			last = nil
			src := Rapid(rt)
			rt.Repeat(map[string]func(*rapid.T){"pick": func(rt *rapid.T) {
				if last = append(last, src.Pick("", 100)); len(last) > most {
					rt.Fatal("too many")
				}
			}})
		}
	}
	before := flag.Lookup("rapid.steps").Value.String()
	must.True(t, Breaks(t, 100, 10, long(3)))
	must.True(t, Shrinks(t, 100, 10, long(3)))
	must.Eq(t, []int{0, 0, 0, 0}, last)
	must.False(t, Breaks(t, 100, 10, long(1000)))
	Check(t, 10, 3, long(1000))
	must.Eq(t, before, flag.Lookup("rapid.steps").Value.String())
}
