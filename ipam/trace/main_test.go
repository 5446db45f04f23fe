package trace

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
)

// TestMain makes more checks in a long run: IPAMSIM_LONG=1 go test ./ipam/trace
func TestMain(m *testing.M) { property.Main(m, 3000) }

// readAll reads a whole recording.
func readAll(name string, from io.Reader) (Header, []Op, error) {
	r, err := NewReader(name, from)
	if err != nil {
		return Header{}, nil, err
	}
	var ops []Op
	for {
		op, err := r.Next()
		if errors.Is(err, io.EOF) {
			return r.Header(), ops, nil
		}
		if err != nil {
			return r.Header(), ops, err
		}
		ops = append(ops, op)
	}
}

// load reads one of the recordings of the real allocator.
func load(t testing.TB, name string) (Header, []Op) {
	t.Helper()
	f, err := os.Open("../../testdata/traces/" + name + ".jsonl.gz")
	must.NoError(t, err)
	defer f.Close()
	h, ops, err := readAll(name, f)
	must.NoError(t, err)
	return h, ops
}

// write returns the recording as text.
func write(h Header, ops []Op) ([]byte, error) {
	var text bytes.Buffer
	w, err := NewWriter(&text, h)
	for _, op := range ops {
		if err == nil {
			err = w.Write(op)
		}
	}
	return text.Bytes(), err
}

// replayText replays a recording, which must be valid.
func replayText(name string, text []byte) (Result, error) {
	r, err := NewReader(name, bytes.NewReader(text))
	if err != nil {
		return Result{}, err
	}
	return Replay(r, nil)
}

// replays returns an error unless the recording replays without divergence.
func replays(name string, text []byte) error {
	result, err := replayText(name, text)
	if err != nil {
		return err
	}
	if len(result.Divergences) > 0 {
		return fmt.Errorf("%d divergences, the first: %v", len(result.Divergences), &result.Divergences[0])
	}
	return nil
}

// allocator returns what a player plays on.
func allocator(p *Player) *ipam.Allocator { return p.Engine().(*ipam.Allocator) }

// structure returns the violations of structure, which nothing may cause, without
// those of truth, which raw edits cause.
func structure(a *ipam.Allocator) error {
	if err := a.Check(); errors.Is(err, ipam.ErrStructure) {
		return err
	}
	return nil
}
