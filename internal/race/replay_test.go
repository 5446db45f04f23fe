package race

import (
	"errors"
	"io"
	"math"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/ipam/protocol"
)

// recorded reads the first races of the real allocator, once: 600, or 30 with -short.
var recorded = sync.OnceValues(func() ([]*Race, error) {
	const name = "../../testdata/races.jsonl.gz"
	if testing.Short() {
		return readSome(name, 30)
	}
	return readAll(name)
})

// readAll reads the races of a file.
func readAll(name string) ([]*Race, error) { return readSome(name, math.MaxInt) }

// readSome reads so many races of a file, or all if there are fewer.
func readSome(name string, most int) ([]*Race, error) {
	r, err := Open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var races []*Race
	for len(races) < most {
		race, err := r.Next()
		if errors.Is(err, io.EOF) {
			return races, nil
		}
		if err != nil {
			return nil, err
		}
		races = append(races, race)
	}
	return races, nil
}

// TestRecorded replays every race of the real allocator, call by call.
func TestRecorded(t *testing.T) {
	races, err := recorded()
	must.NoError(t, err)
	different, calls, deaths := 0, 0, 0
	for _, race := range races {
		calls += len(race.Calls)
		for _, c := range race.Clients {
			if c.DiesAfter != nil {
				deaths++
			}
		}
		d, err := Replay(race)
		must.NoError(t, err)
		if d == nil {
			continue
		}
		if different++; different <= 5 {
			t.Errorf("%v", d)
		}
	}
	must.Zero(t, different)
	if testing.Short() {
		must.Len(t, 30, races)
		return
	}
	must.Len(t, 600, races)
	must.Eq(t, 24339, calls)
	must.Eq(t, 337, deaths)
}

// TestMoreRecorded replays the later races of the real allocator: races that show
// one cause each, and fourteen kinds of random ones, with up to five clients.
func TestMoreRecorded(t *testing.T) {
	for pattern, files := range map[string]int{"minimal/races/*.jsonl": 26, "races-2/*.jsonl.gz": 14} {
		names, err := filepath.Glob("../../testdata/" + pattern)
		must.NoError(t, err)
		must.Len(t, files, names)
		if testing.Short() {
			names = property.Some(names)
		}
		for _, name := range names {
			t.Run(filepath.Base(name), func(t *testing.T) {
				races, err := readAll(name)
				must.NoError(t, err)
				for _, race := range races {
					d, err := Replay(race)
					must.NoError(t, err)
					must.Nil(t, d, must.Sprintf("%v", d))
				}
			})
		}
	}
}

// TestReleaseOfRace: the clients are of the release that the setting names, which
// makes other calls. There is no recorded race of an older release.
func TestReleaseOfRace(t *testing.T) {
	races, err := recorded()
	must.NoError(t, err)
	old := *races[slices.IndexFunc(races, func(r *Race) bool { return r.Clients[r.Schedule[0]].Steps[0].Op == "AutoAssign" })]
	must.Eq(t, "config", string(old.Calls[0].Key))
	for version, first := range map[string]string{"": "", "v3.33": "", "v3.32": "node/"} {
		old.Setting.Calico = version
		d, err := Replay(&old)
		must.NoError(t, err)
		must.Eq(t, first != "", d != nil, must.Sprintf("%v", d))
		if d != nil {
			must.StrContains(t, d.String(), first)
		}
	}
	old.Setting.Calico = "v2.6"
	_, err = Replay(&old)
	must.ErrorIs(t, err, codes.InvalidArgument)
}

// broken is a datastore with a fault, or a client with a faulty view of it: it
// tampers with requests and answers.
type broken struct {
	store   *protocol.Store
	ask     func(s *protocol.Store, r *protocol.Request)
	receive func(r *protocol.Request, a *protocol.Response)
}

func (b broken) Do(r protocol.Request) protocol.Response {
	if b.ask != nil {
		b.ask(b.store, &r)
	}
	a := b.store.Do(r)
	if b.receive != nil {
		b.receive(&r, &a)
	}
	return a
}

// faults are the faults that the replay of the recorded races must catch. A number
// used twice shows only in releases: package protocol's tests catch that.
var faults = map[string]broken{
	"no revision is checked": {ask: func(s *protocol.Store, r *protocol.Request) {
		now := s.Do(protocol.Request{Verb: protocol.Get, Key: r.Key})
		if now.Result == protocol.OK && (r.Verb == protocol.Update || r.Verb == protocol.Delete) {
			r.Object.Metadata().Revision = now.Object.Metadata().Revision
		}
	}},
	"confirmed before the block is created": {ask: func(_ *protocol.Store, r *protocol.Request) {
		if a, ok := r.Object.(*protocol.Affinity); ok && r.Verb == protocol.Create {
			a.State = affinity.Confirmed
		}
	}},
	"pending counts as owned": {receive: func(_ *protocol.Request, a *protocol.Response) {
		if a, ok := a.Object.(*protocol.Affinity); ok && a.State == affinity.Pending {
			a.State = affinity.Confirmed
		}
	}},
	"the queue loses its order": {ask: func(_ *protocol.Store, r *protocol.Request) {
		if b, ok := r.Object.(*protocol.Block); ok {
			slices.Sort(b.Queue)
		}
	}},
	"a create overwrites": {ask: func(_ *protocol.Store, r *protocol.Request) {
		if r.Verb == protocol.Create {
			r.Verb = protocol.Apply
		}
	}},
	"what is missing looks written since": {receive: func(r *protocol.Request, a *protocol.Response) {
		if r.Verb == protocol.Update && a.Result == protocol.Missing {
			a.Result = protocol.Conflict
		}
	}},
	"no revision of a handle is checked": {ask: func(s *protocol.Store, r *protocol.Request) {
		if h, ok := r.Object.(*protocol.Handle); ok && r.Verb != protocol.Create {
			if now, ok := s.Look(r.Key).(*protocol.Handle); ok {
				h.Revision = now.Revision
			}
		}
	}},
	"handles are never lowered": {ask: func(_ *protocol.Store, r *protocol.Request) {
		if _, ok := r.Object.(*protocol.Handle); ok && r.Verb == protocol.Delete {
			*r = protocol.Request{Verb: protocol.Get, Key: r.Key}
		}
	}},
}

// TestFaults: the replay catches each planted fault in some race.
func TestFaults(t *testing.T) {
	property.Broken(t)
	races, err := recorded()
	must.NoError(t, err)
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			for _, race := range races {
				d, err := replay(race, func(s *protocol.Store) protocol.Access { fault.store = s; return fault })
				must.NoError(t, err)
				if d != nil {
					t.Log(d)
					return
				}
			}
			t.Error("the replay accepts it")
		})
	}
}

// TestHalfDeleted: a deletion of which only the first step happened counts as a
// deletion.
func TestHalfDeleted(t *testing.T) {
	races, err := recorded()
	must.NoError(t, err)
	half := broken{ask: func(_ *protocol.Store, r *protocol.Request) {
		if r.Verb == protocol.Delete {
			r.Verb = protocol.Mark
		}
	}}
	for _, race := range races {
		d, err := replay(race, func(s *protocol.Store) protocol.Access { half.store = s; return half })
		must.NoError(t, err)
		must.Nil(t, d, must.Sprintf("%v", d))
	}
}
