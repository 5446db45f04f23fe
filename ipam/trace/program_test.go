package trace_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"testing"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/internal/program"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// script does a random program through a Recorder, with every method of it.
type script struct {
	*program.Program
	player   *trace.Player
	recorder *trace.Recorder
	text     bytes.Buffer
}

// newScript sets up the cluster of a program and begins to record.
func newScript(src property.Source) (*script, error) {
	s := &script{Program: program.New(program.Worlds[src.Pick("world", 5)], src)}
	h := s.Header()
	clock := ipam.NewClock(h.Start)
	a := ipam.New(ipam.Options{Now: clock.Now})
	if err := trace.PlayOn(a, clock).Set(h); err != nil {
		return nil, err
	}
	var err error
	if s.recorder, err = trace.NewRecorder(&s.text, a, h.Name, h.About); err != nil {
		return nil, err
	}
	s.player = trace.PlayOn(&synonyms{Recorder: s.recorder}, clock)
	return s, nil
}

// step does one operation. Afterwards the allocator's structure must hold; raw
// edits may break its truth.
func (s *script) step() error {
	op := s.Next()
	var out trace.Out
	var err error
	if op.Op == "Show" { // which a player would put together
		out.Shown, err = s.recorder.Show(op.In.State, op.In.IP)
		if errors.Is(err, codes.IPInCooldown) || errors.Is(err, codes.InvalidArgument) {
			out.Err, err = string(codes.Of(err)), nil
		}
	} else {
		out, err = s.player.Do(op)
	}
	if err != nil {
		return err
	}
	s.Learn(&op, &out)
	if err := s.recorder.Check(); errors.Is(err, ipam.ErrStructure) {
		return fmt.Errorf("after %s: %w", op.Op, err)
	}
	return s.recorder.Err()
}

// synonyms calls methods of a Recorder that do the same as others, every other
// time.
type synonyms struct {
	*trace.Recorder
	turn   bool
	v4, v6 ipam.Assignment // used over and over
}

func (s *synonyms) other() bool { s.turn = !s.turn; return s.turn }

func (s *synonyms) AutoAssign(args ipam.AutoAssignArgs) (v4, v6 ipam.Assignment, err error) {
	if s.other() {
		return s.Recorder.AutoAssign(args)
	}
	err = s.AutoAssignInto(&args, &s.v4, &s.v6)
	return s.v4, s.v6, err
}

func (s *synonyms) ReleaseIPs(releases ...ipam.Release) (unallocated, released []netip.Addr, err error) {
	if len(releases) != 1 || s.other() {
		return s.Recorder.ReleaseIPs(releases...)
	}
	allocated, err := s.ReleaseIP(releases[0])
	switch ip := releases[0].IP; {
	case allocated:
		released = []netip.Addr{ip}
	case err == nil:
		unallocated = []netip.Addr{ip}
	}
	return unallocated, released, err
}

func (s *synonyms) SetIPAMConfig(c ipam.Config) error {
	// One that SetIPAMConfig refuses cannot be recorded, which has its own test.
	if refused := !c.StrictAffinity && (!c.AutoAllocateBlocks || c.MaxBlocksPerHost > 0); refused || s.other() {
		return s.Recorder.SetIPAMConfig(c)
	}
	return s.PutIPAMConfig(c)
}

// replays returns an error unless the recording replays without divergence.
func replays(text []byte) error {
	r, err := trace.NewReader("program", bytes.NewReader(text))
	if err != nil {
		return err
	}
	result, err := trace.Replay(r, nil)
	if err != nil {
		return err
	}
	if len(result.Divergences) > 0 {
		return fmt.Errorf("%d divergences, the first: %v", len(result.Divergences), &result.Divergences[0])
	}
	return nil
}

// TestRecordRandomPrograms: any program through a Recorder replays without
// divergence.
func TestRecordRandomPrograms(t *testing.T) {
	property.Check(t, 150, 60, func(t *rapid.T) {
		s, err := newScript(property.Rapid(t))
		must.NoError(t, err)
		t.Repeat(map[string]func(*rapid.T){"operation": func(t *rapid.T) {
			if err := s.step(); err != nil {
				t.Fatal(err)
			}
		}})
		s.recorder.State()
		must.NoError(t, s.recorder.Err())
		if err := replays(s.text.Bytes()); err != nil {
			t.Fatal(err)
		}
	})
}

// TestReadOnlyMethods: those that need no recording change nothing.
func TestReadOnlyMethods(t *testing.T) {
	s, err := newScript(property.Seeded(7))
	must.NoError(t, err)
	for range 300 {
		must.NoError(t, s.step())
		a := s.recorder.Allocator
		before := a.State()
		for _, ip := range []string{"10.0.0.0", "10.0.0.112", "fd00::", "192.0.2.1"} {
			a.BlockOf(netip.MustParseAddr(ip))
			a.SequenceNumber(netip.MustParseAddr(ip))
		}
		_ = a.Check()
		a.GetIPAMConfig()
		a.Nodes()
		a.Now()
		a.Pools()
		a.Reservations()
		a.Summary()
		must.Eq(t, before, a.State())
	}
	s.recorder.State()
	must.NoError(t, replays(s.text.Bytes()), must.Sprint("nor what comes afterwards"))
}

// TestProgramsRejectBrokenRecorders: a recording that differs from the operations
// diverges.
func TestProgramsRejectBrokenRecorders(t *testing.T) {
	each := func(change func(op *trace.Op)) func([]trace.Op) []trace.Op {
		return func(ops []trace.Op) []trace.Op {
			for i := range ops {
				change(&ops[i])
			}
			return ops
		}
	}
	without := func(lost func(op trace.Op) bool) func([]trace.Op) []trace.Op {
		return func(ops []trace.Op) []trace.Op { return slices.DeleteFunc(ops, lost) }
	}
	for name, spoil := range map[string]func([]trace.Op) []trace.Op{
		"loses advances": without(func(op trace.Op) bool { return op.Op == "Advance" }),
		"loses refused operations that claimed a block": without(func(op trace.Op) bool { return op.Op == "AssignIP" && op.Out.Err != "" }),
		"loses raw edits": without(func(op trace.Op) bool { return op.Op == "PutAffinity" }),
		"writes every release as current": each(func(op *trace.Op) {
			for k := range op.In.Releases {
				if r := &op.In.Releases[k]; r.Seq != "" {
					r.Seq = "current"
				}
			}
		}),
		"takes virtual owners for hosts": each(func(op *trace.Op) { op.In.Type = "" }),
		"forgets limits of handles":      each(func(op *trace.Op) { op.In.MaxAllocPerHandle = 0 }),
		"forgets labels of namespaces":   each(func(op *trace.Op) { op.In.NamespaceLabels = nil }),
		"swaps two operations": func(ops []trace.Op) []trace.Op {
			if k := len(ops) / 2; k > 0 {
				ops[k], ops[k-1] = ops[k-1], ops[k]
			}
			return ops
		},
	} {
		t.Run(name, func(t *testing.T) {
			property.Rejects(t, func(src property.Source) error {
				s, err := newScript(src)
				if err != nil {
					return nil // only the replay is to fail
				}
				for range 200 {
					if s.step() != nil {
						return nil
					}
				}
				s.recorder.State()
				text, err := respelt(s.text.Bytes(), spoil)
				if err != nil {
					return nil
				}
				return replays(text)
			})
		})
	}
}

// respelt reads a recording, changes its operations and writes it again.
func respelt(text []byte, change func([]trace.Op) []trace.Op) ([]byte, error) {
	r, err := trace.NewReader("program", bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	var ops []trace.Op
	for {
		op, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	var out bytes.Buffer
	w, err := trace.NewWriter(&out, r.Header())
	if err != nil {
		return nil, err
	}
	for _, op := range change(ops) {
		if err := w.Write(op); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}
