package sim

import (
	"time"

	"github.com/ipamsim/ipamsim/ipam/calico"
)

// Options is what a run shows beyond totals, and on what it runs. The zero value asks
// for nothing more. None of it changes what becomes of a request.
type Options struct {
	// Engine makes the engine, of an empty cluster, that the scenario runs on; nil for
	// an [ipam.Allocator]. The engine must go by the clock that it is given, and be of
	// the release that [Scenario.Release] says. Headroom makes a second one.
	Engine func(now func() time.Time) Engine

	// Samples is how many samples there are, evenly over the requests; 0 for none, at
	// least 2 otherwise. There is one more after each event, unless there are more
	// events than samples.
	Samples int
	// SampleEvery is the time between samples, the first at the start and before
	// what happens at that moment; 0 for none by time.
	SampleEvery time.Duration
	Map         bool // with the samples: which blocks changed
	Peaks       bool // looks at the blocks after everything that happens
	PerNode     bool
	Handles     bool // counts those without an address in the end

	Headroom        bool // fills what is left of the pools, twice, where it cannot be counted
	HeadroomCounted bool // the same, but none where it cannot be counted
	// HeadroomRequests ends each search for headroom after so many requests; 0 for no
	// end but the pools'.
	HeadroomRequests int

	// Graces are other grace periods of the cleaner. [Result.WithGrace] says what becomes
	// of the scenario with those that make no difference.
	Graces []Duration
	// Apart is told at once of each of Graces, by its place, that makes a difference or
	// may make one.
	Apart func(i int)

	// Releases are other releases of Calico than the scenario's. [Result.WithRelease]
	// says what becomes of the scenario with those that make no difference.
	Releases []calico.Version
	// ReleaseApart is told at once of each of Releases, by its place, that makes a
	// difference or may make one.
	ReleaseApart func(i int)
	others       *releases // which those are; nil for none

	// Each is told of every request, in order, but not of those that look for headroom.
	// It must not keep the pointer.
	Each func(*Moment)
	// Progress is told now and then how many of about how many requests are done;
	// if it returns false, the run ends with [ErrStopped]. Done may end below or above
	// of, which is a guess where nodes come and go.
	Progress func(done, of int) bool
}
