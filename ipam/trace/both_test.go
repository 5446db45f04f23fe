package trace

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam/protocol"
)

// agrees replays what the program has done so far on a client of package
// protocol, which reaches its datastore through what access makes of it: outcomes
// and, at the end, all that is kept must be the same.
func (p *program) agrees(access func(*protocol.Store) protocol.Access) error {
	if err := p.Err(); err != nil {
		return err
	}
	r, err := NewReader("program", bytes.NewReader(p.text.Bytes()))
	if err != nil {
		return err
	}
	var client *protocol.Client
	result, err := ReplayOn(r, func(now func() time.Time) Engine {
		cluster := protocol.NewCluster()
		client = cluster.Client(access(cluster.Store()), now)
		return client
	})
	if err != nil {
		return err
	}
	if len(result.Divergences) > 0 {
		return fmt.Errorf("the client diverges: %v", &result.Divergences[0])
	}
	if want, got := p.Allocator.State(), client.State(); !reflect.DeepEqual(want, got) {
		return fmt.Errorf("the client ends with\n%+v\nthe allocator with\n%+v", got, want)
	}
	return nil
}

// TestBothEngines: whatever is done, the allocator and a client that works alone
// say and keep the same.
func TestBothEngines(t *testing.T) {
	tries, steps := uint64(60), 300
	if long() {
		tries = 3000
	}
	for seed := range tries {
		p, err := newProgram(property.Seeded(seed))
		require.NoError(t, err)
		for range steps {
			require.NoError(t, p.step(p.src.Pick("action", len(programActions))), "seed %d", seed)
		}
		require.NoError(t, p.agrees(func(s *protocol.Store) protocol.Access { return s }), "seed %d", seed)
	}
}

// tampered is a datastore whose requests are tampered with.
type tampered struct {
	*protocol.Store
	with func(*protocol.Request)
}

func (x tampered) Do(r protocol.Request) protocol.Response {
	x.with(&r)
	return x.Store.Do(r)
}

// TestBothEnginesReject: a client whose writes are not what they should be is
// found out.
func TestBothEnginesReject(t *testing.T) {
	for name, with := range map[string]func(*protocol.Request){
		"the queue loses its order": func(r *protocol.Request) {
			if b, ok := r.Object.(*protocol.Block); ok {
				slices.Sort(b.Queue)
			}
		},
		"a sequence number is used again": func(r *protocol.Request) {
			if b, ok := r.Object.(*protocol.Block); ok && r.Verb == protocol.Update {
				b.Sequence--
			}
		},
		"claims are confirmed at once": func(r *protocol.Request) {
			if a, ok := r.Object.(*protocol.Affinity); ok {
				a.State = affinity.Confirmed
			}
		},
		"claim times are lost": func(r *protocol.Request) {
			if b, ok := r.Object.(*protocol.Block); ok {
				b.Claimed = time.Time{}
			}
		},
		"handles stay when they count nothing": func(r *protocol.Request) {
			if h, ok := r.Object.(*protocol.Handle); ok && r.Verb == protocol.Delete {
				*r = protocol.Request{Verb: protocol.Update, Key: r.Key, Object: h}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			property.Rejects(t, func(src property.Source) error {
				p, err := newProgram(src)
				if err != nil {
					return nil // only the client is to fail
				}
				for range 200 {
					if p.step(src.Pick("action", len(programActions))) != nil {
						return nil
					}
				}
				return p.agrees(func(s *protocol.Store) protocol.Access { return tampered{s, with} })
			})
		})
	}
}
