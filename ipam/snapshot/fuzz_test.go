package snapshot

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/ipamsim/ipamsim/ipam"
)

// seeds adds what the readers are for, and what they refuse.
func seeds(f *testing.F) {
	f.Add([]byte(some))
	f.Add([]byte(listOf(some)))
	f.Add([]byte(some + information("calicoVersion: v3.28.2") + daemonSetOf("calico/node:v3.26.1") + nodePod(1, "Running", "calico/node:v3.26.1")))
	f.Add([]byte(plainPool + installationOf("", "calicoVersion: v3.29.1, variant: Calico") + information("calicoVersion: 3, variant: []")))
	for i, c := range malformed {
		if len(c.text) < 4096 && (i%8 == 0 || !testing.Short()) {
			f.Add([]byte(c.text))
		}
	}
	if testing.Short() {
		return
	}
	for _, name := range []string{"multi-pool-0.v1", "cooldown-0.v3"} {
		file, err := os.Open("../../testdata/snapshots/" + name + ".yaml.gz")
		if err != nil {
			f.Fatal(err)
		}
		z, err := gzip.NewReader(file)
		if err != nil {
			f.Fatal(err)
		}
		text, err := io.ReadAll(z)
		if err = errors.Join(err, file.Close()); err != nil {
			f.Fatal(err)
		}
		f.Add(text[:min(len(text), 8<<10)])
		var out bytes.Buffer
		s, err := Load(Options{}, file.Name())
		if err = errors.Join(err, writeJSON(&out, s.Cluster, V3)); err != nil {
			f.Fatal(err)
		}
		f.Add(out.Bytes()[:min(out.Len(), 8<<10)])
	}
}

// FuzzRead: no text makes the reader, the check or the allocator panic. What is
// refused is refused with problems; what is read leniently can be restored, and
// goes out and in again.
func FuzzRead(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := read(Options{}, string(text))
		var invalid *InvalidError
		if err != nil && (!errors.As(err, &invalid) || len(invalid.Problems) == 0) {
			t.Fatalf("an error without a problem: %v", err)
		}
		lenient, lerr := read(Options{Lenient: true}, string(text))
		if lerr != nil {
			t.Fatal(lerr)
		}
		if err == nil && len(harmful(lenient.Problems)) > 0 || err != nil && len(harmful(lenient.Problems)) != len(invalid.Problems) {
			t.Fatalf("%v, but leniently %v", err, lenient.Problems)
		}
		if err == nil && len(s.Problems) != len(lenient.Problems) {
			t.Fatal("harmless problems differ")
		}
		report := Check(lenient)
		if err := report.WriteText(io.Discard, 3); err != nil {
			t.Fatal(err)
		}
		a, err := lenient.Allocator(ipam.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Check(); errors.Is(err, ipam.ErrStructure) {
			t.Fatal(err)
		}
		for _, form := range forms {
			var out, again bytes.Buffer
			if err := form(&out, a.Cluster()); err != nil {
				t.Fatal(err)
			}
			back, err := read(Options{}, out.String())
			if out.Len() > 0 && err != nil {
				t.Fatalf("%v\n%s", err, out.Bytes())
			}
			if err := form(&again, back.Cluster); err != nil || !bytes.Equal(out.Bytes(), again.Bytes()) {
				t.Fatalf("%v\n%s\n%s", err, out.Bytes(), again.Bytes())
			}
		}
	})
}

// FuzzYAMLItems: a document that is taken apart by items says the same as one that
// is parsed whole.
func FuzzYAMLItems(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.Contains(text, []byte("---")) || bytes.Contains(text, []byte("...")) {
			return // several documents, of which the parser reads one
		}
		if trimmed := strings.TrimSpace(strings.TrimPrefix(string(text), "\ufeff")); trimmed == "" || strings.ContainsAny(trimmed[:1], "{[") {
			return // taken for JSON
		}
		split, err := read(Options{}, string(text))
		if err != nil {
			return
		}
		parsed, err := yaml.YAMLToJSONStrict(text)
		if err != nil {
			return // items may be sound though the whole is not
		}
		whole, err := read(Options{}, string(parsed))
		if err != nil {
			t.Fatalf("%v\n%s", err, parsed)
		}
		var one, two bytes.Buffer
		if err := errors.Join(writeJSON(&one, split.Cluster, V1), writeJSON(&two, whole.Cluster, V1)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(one.Bytes(), two.Bytes()) {
			t.Fatalf("%s\n%s", one.Bytes(), two.Bytes())
		}
	})
}
