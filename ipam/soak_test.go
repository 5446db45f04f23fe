package ipam_test

import (
	"flag"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
)

var soakFor = flag.Duration("soak", 0, "let TestSoak run for so long")

// TestSoak runs a load for as long as it is told:
//
//	go test -v ./ipam -run '^TestSoak$' -soak 10m -timeout 0
//
// It reports its work every ten seconds, and fails if an answer cannot be
// explained, an invariant is broken, or memory grows.
func TestSoak(t *testing.T) {
	if *soakFor <= 0 {
		t.Skip("-soak DURATION runs it, such as 10m")
	}
	if deadline, limited := t.Deadline(); limited && time.Until(deadline) < *soakFor {
		t.Fatalf("-soak %v does not end before -timeout does: add -timeout 0", *soakFor)
	}
	s, err := newSoak(realAllocator)
	must.NoError(t, err)
	every := min(10*time.Second, *soakFor/4)
	began := time.Now()
	for reported, over := began, false; !over; {
		must.NoError(t, s.round())
		over = time.Since(began) >= *soakFor
		if over || time.Since(reported) >= every {
			reported = time.Now()
			report, err := s.report()
			t.Logf("%8v: %s", time.Since(began).Round(time.Second), report)
			must.NoError(t, err)
		}
	}
}

// A soak is loads without and with a cooldown, in turns, with counts of their
// work.
type soak struct {
	loads      []*load
	rounds     int // each a history that was checked, with the invariants after it
	operations int
	answers    int
	memory     memory
}

// soakWorkers is the number of goroutines, soakOps the number of operations of
// each in a round.
const (
	soakWorkers = 32
	soakOps     = 100
)

func newSoak(make makeSubject) (*soak, error) {
	s := new(soak)
	for _, cooldown := range []time.Duration{0, 3 * time.Second} {
		l, err := newLoad(make, soakWorkers, cooldown)
		if err != nil {
			return nil, err
		}
		s.loads = append(s.loads, l)
	}
	return s, nil
}

func (s *soak) round() error {
	answers, err := s.loads[s.rounds%len(s.loads)].round(uint64(s.rounds), soakOps)
	s.rounds++
	s.operations += soakWorkers * soakOps
	s.answers += answers
	return err
}

// report reports the work so far, and measures the memory.
func (s *soak) report() (string, error) {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	report := fmt.Sprintf("%d operations, %d histories and states checked, %d answers explained, %.1f MiB of heap in use",
		s.operations, s.rounds, s.answers, float64(stats.HeapInuse)/(1<<20))
	return report, s.memory.grows(stats.HeapInuse)
}

// A memory checks the memory in use after each of many equal rounds.
type memory struct{ least uint64 }

// grows returns an error if more is in use than by chance: twice the least ever,
// and 16 MiB. The work is the same all the time, on a fixed number of names and
// addresses.
func (m *memory) grows(inUse uint64) error {
	if m.least == 0 || inUse < m.least {
		m.least = inUse
	}
	if inUse > 2*m.least+16<<20 {
		return fmt.Errorf("memory grows: %d bytes are in use, and were %d", inUse, m.least)
	}
	return nil
}

// TestSoakReports: the report of a soak counts its rounds and answers.
func TestSoakReports(t *testing.T) {
	property.Slow(t)
	s, err := newSoak(realAllocator)
	must.NoError(t, err)
	for range 2 {
		must.NoError(t, s.round())
	}
	report, err := s.report()
	must.NoError(t, err)
	must.StrContains(t, report, "6400 operations, 2 histories and states checked, ")
	must.Greater(t, s.operations/2, s.answers)
}

// TestSoakRejects: a soak stops if a history cannot be explained, and if memory
// grows.
func TestSoakRejects(t *testing.T) {
	property.Broken(t)
	s, err := newSoak(breaking(brokenUnderLoad["loses a release"]))
	must.NoError(t, err)
	for range 20 {
		if err = s.round(); err != nil {
			break
		}
	}
	must.Error(t, err)

	var m memory
	for _, inUse := range []uint64{9 << 20, 4 << 20, 8 << 20, 24 << 20} {
		must.NoError(t, m.grows(inUse))
	}
	must.Error(t, m.grows(24<<20+1))
}
