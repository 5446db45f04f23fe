package protocol

import (
	"os"
	"strings"
	"testing"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/internal/program"
	"github.com/ipamsim/ipamsim/internal/property"
)

// TestBothEngines: in every program, the allocator and a client that works alone
// have the same outcomes and the same state. They share no allocation code, so
// each checks the other. Half of the programs are of the newest release of Calico,
// the others of any.
//
// A failing program is shrunk and saved as a recording, with the command that
// replays it. IPAMSIM_LONG=1 makes it more than 100,000 operations;
// -rapid.checks=N makes it N programs in each world.
func TestBothEngines(t *testing.T) {
	var seen program.Coverage
	worlds := 0
	for _, w := range program.Worlds {
		t.Run(w.Name, func(t *testing.T) {
			worlds++
			var last *pair
			defer func() {
				if t.Failed() && last != nil {
					t.Log(last.report(t.Name()))
				}
			}()
			property.Check(t, max(1, 20/max(1, w.Slow)), 80, func(rt *rapid.T) {
				src := property.Rapid(rt)
				prog := program.NewOf(program.Release(src), w, src)
				last = pairOf(rt, prog, client, allocator)
				last.play(rt, prog, &seen)
			})
		})
	}
	if t.Failed() {
		return
	}
	t.Logf("%d random operations in %d worlds, and no difference", seen.Total(), worlds)
	if property.Long() && worlds == len(program.Worlds) {
		t.Logf("what they came to:\n%s", &seen)
		must.Greater(t, 100_000, seen.Total())
		must.SliceEmpty(t, seen.Missing())
	}
}

// pairOf returns two engines in the setting of a program.
func pairOf(t must.T, prog *program.Program, ref, other makeEngine) *pair {
	p, err := newPair(prog.Header(), ref, other)
	must.NoError(t, err)
	return p
}

// play runs the program on both engines and fails if they differ. It counts
// outcomes.
func (p *pair) play(rt *rapid.T, prog *program.Program, seen *program.Coverage) {
	rt.Repeat(map[string]func(*rapid.T){"operation": func(rt *rapid.T) {
		op := prog.Next()
		out, err := p.do(op)
		if err == nil {
			err = p.same()
		}
		if err != nil {
			rt.Fatal(err)
		}
		prog.Learn(&op, &out)
		seen.Add(&op, &out)
	}})
}

// report shows the pair's operations as a recording, saves it in a file, and says
// how to replay it and how to run the test again: rapid keeps the choices of a
// failure and tries them first.
func (p *pair) report(test string) string {
	var text strings.Builder
	if err := p.write(&text); err != nil {
		return err.Error()
	}
	f, err := os.CreateTemp("", "ipamsim-"+p.header.Name+"-*.jsonl")
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if _, err := f.WriteString(text.String()); err != nil {
		return err.Error()
	}
	return text.String() + "\nTo replay it:     go run ./examples/replay " + f.Name() +
		"\nTo run it again:  go test ./ipam/protocol -run '^" + test + "$'"
}
