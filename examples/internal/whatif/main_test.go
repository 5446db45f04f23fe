package whatif

import (
	"bytes"
	"os"
	"sync"
	"testing"

	"github.com/shoenig/test/must"
	"sigs.k8s.io/yaml"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
)

func TestMain(m *testing.M) { property.Main(m, 0) }

// sampleAsJSON is the sample in a form that takes a tenth of the time to read.
var sampleAsJSON = sync.OnceValue(func() []byte {
	text, err := os.ReadFile(sample)
	if err != nil {
		panic(err)
	}
	var out []byte
	for _, document := range bytes.Split(text, []byte("\n---\n")) {
		object, err := yaml.YAMLToJSON(document)
		if err != nil {
			panic(err)
		}
		out = append(append(out, object...), '\n')
	}
	return out
})

// loadSample returns the sample as it is loaded.
func loadSample(t *testing.T) *snapshot.Snapshot {
	t.Helper()
	l := snapshot.NewLoader(snapshot.Options{})
	must.NoError(t, l.Add("sample", bytes.NewReader(sampleAsJSON())))
	s, err := l.Snapshot()
	must.NoError(t, err)
	return s
}
