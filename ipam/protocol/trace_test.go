package protocol

import (
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

var _ trace.Engine = (*Client)(nil)

// replayed replays recordings on clients that work alone.
func replayed(t *testing.T, pattern string, engine func(now func() time.Time) trace.Engine) (files, operations int, divergences []trace.Divergence) {
	t.Helper()
	names, err := filepath.Glob("../../testdata/traces/" + pattern + ".jsonl.gz")
	require.NoError(t, err)
	for _, name := range names {
		r, err := trace.Open(name)
		require.NoError(t, err)
		result, err := trace.ReplayOn(r, engine)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		operations += result.Operations
		divergences = append(divergences, result.Divergences...)
	}
	return len(names), operations, divergences
}

// TestRecordings replays every recording of the real allocator: run alone, a
// client does what the fast allocator does.
func TestRecordings(t *testing.T) {
	files, operations, divergences := replayed(t, "*", func(now func() time.Time) trace.Engine {
		return NewCluster().Client(nil, now)
	})
	for i := range min(3, len(divergences)) {
		t.Errorf("%v", &divergences[i])
	}
	require.Empty(t, divergences[min(3, len(divergences)):])
	require.Equal(t, 73, files)
	require.Equal(t, 45207, operations)
}

// tamper is a datastore whose requests are tampered with.
type tamper struct {
	*Store
	with func(s *Store, r *Request)
}

func (x tamper) Do(r Request) Response {
	x.with(x.Store, &r)
	return x.Store.Do(r)
}

// tampered returns a client whose datastore has that fault.
func tampered(now func() time.Time, with func(s *Store, r *Request)) *Client {
	cluster := NewCluster()
	return cluster.Client(tamper{cluster.Store(), with}, now)
}

// TestStates plays recordings on both engines and compares everything that they
// keep, also what recordings do not hold: sequence numbers, moments, the order of
// attribute records.
func TestStates(t *testing.T) {
	names, err := filepath.Glob("../../testdata/traces/*-0.jsonl.gz")
	require.NoError(t, err)
	require.Len(t, names, 25)
	for _, name := range names {
		require.NoError(t, sameStates(t, name, func(*Store, *Request) {}), name)
	}
	require.Error(t, sameStates(t, names[0], func(_ *Store, r *Request) {
		if b, ok := r.Object.(*Block); ok && r.Verb == Update {
			b.Sequence--
		}
	}), "a sequence number that is used again")
}

// sameStates compares the engines' states now and then during a recording. The
// client's datastore is tampered with.
func sameStates(t *testing.T, name string, with func(s *Store, r *Request)) error {
	t.Helper()
	r, err := trace.Open(name)
	require.NoError(t, err)
	defer r.Close()
	var players []*trace.Player
	for _, engine := range []func(now func() time.Time) trace.Engine{
		func(now func() time.Time) trace.Engine { return ipam.New(ipam.Options{Now: now}) },
		func(now func() time.Time) trace.Engine { return tampered(now, with) },
	} {
		clock := ipam.NewClock(r.Header().Start)
		p := trace.PlayOn(engine(clock.Now), clock)
		require.NoError(t, p.Set(r.Header()))
		players = append(players, p)
	}
	for i := 1; ; i++ {
		op, err := r.Next()
		if err != nil {
			require.ErrorIs(t, err, io.EOF)
			return nil
		}
		for _, p := range players {
			_, err := p.Do(op)
			require.NoError(t, err)
		}
		if i%50 > 0 {
			continue
		}
		want, got := players[0].Engine().State(), players[1].Engine().State()
		if !reflect.DeepEqual(want, got) {
			return fmt.Errorf("after operation %d (%s):\nfast     %+v\nprotocol %+v", i, op.Op, want, got)
		}
	}
}

// TestFaults: the recordings catch each planted fault, with the operations that
// are about it.
func TestFaults(t *testing.T) {
	for name, fault := range map[string]struct {
		recordings string
		with       func(s *Store, r *Request)
	}{
		"the queue loses its order": {"churn-0", func(_ *Store, r *Request) {
			if b, ok := r.Object.(*Block); ok {
				slices.Sort(b.Queue)
			}
		}},
		"claims stay pending": {"crash-0", func(_ *Store, r *Request) {
			if a, ok := r.Object.(*Affinity); ok {
				a.State = affinity.Pending
			}
		}},
		"claim times are lost": {"small-pool-*", func(_ *Store, r *Request) {
			if b, ok := r.Object.(*Block); ok {
				b.Claimed = time.Time{}
			}
		}},
		"attributes are not shared": {"owners-0", func(_ *Store, r *Request) {
			b, ok := r.Object.(*Block)
			if !ok {
				return
			}
			var own []Record
			for ord, i := range b.Index {
				if i != free {
					own = append(own, b.Records[i])
					b.Index[ord] = len(own) - 1
				}
			}
			b.Records = own
		}},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, divergences := replayed(t, fault.recordings, func(now func() time.Time) trace.Engine {
				return tampered(now, fault.with)
			})
			require.NotEmpty(t, divergences)
			t.Logf("%d divergences, first %v", len(divergences), &divergences[0])
		})
	}
}
