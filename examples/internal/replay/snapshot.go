package replay

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// goOn replays a recording from the snapshot that it names.
func (o *options) goOn(r *trace.Reader, file, name string) (trace.Result, error) {
	path, err := beside(file, name, o.group)
	if err != nil {
		return trace.Result{}, fmt.Errorf("%s: %w", r.Name(), err)
	}
	s, err := snapshot.Load(snapshot.Options{}, path)
	if err != nil {
		return trace.Result{}, err
	}
	h := r.Header()
	clock := ipam.NewClock(h.Start)
	recorded, err := h.Options(clock)
	if err != nil {
		return trace.Result{}, fmt.Errorf("%s: %w", r.Name(), err)
	}
	a, err := s.Allocator(o.as(recorded))
	if err != nil {
		return trace.Result{}, fmt.Errorf("%s: %w", path, err)
	}
	return trace.PlayOn(a, clock).Replay(r)
}

// beside returns the snapshot of that name in the directory of the recording.
func beside(file, name, group string) (string, error) {
	if name != filepath.Base(name) || strings.Trim(name, ".") == "" {
		return "", fmt.Errorf("snapshot %q is not the name of a file beside the recording", name)
	}
	dir := filepath.Dir(file) // of standard input: where we are
	for _, end := range []string{".yaml.gz", ".yaml", ".json.gz", ".json"} {
		path := filepath.Join(dir, name+"."+group+end)
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return path, nil
		}
	}
	return "", fmt.Errorf("it goes on from snapshot %q, but there is no %s.yaml.gz, .yaml, .json.gz or .json",
		name, filepath.Join(dir, name+"."+group))
}
