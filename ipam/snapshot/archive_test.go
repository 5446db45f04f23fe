package snapshot

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
)

// mustGather is a folder such as support asks for: resources one by one and in Lists,
// some of them twice, beside logs, reports and other kinds.
func mustGather() map[string]string {
	parts := strings.Split(some, "---\n")
	return map[string]string{
		"must-gather/cluster-scoped-resources/core/nodes/a.yaml": "---\n" + parts[4],
		"must-gather/cluster-scoped-resources/core/nodes.yaml":   listOf(parts[4]),
		"must-gather/crd.projectcalico.org/ippools/p.yaml":       parts[0],
		"must-gather/crd.projectcalico.org/ipamblocks.json.gz":   zipped(listOf(parts[1])),
		"must-gather/crd.projectcalico.org/affinities.yml":       parts[2] + "---\n" + parts[3],
		"must-gather/namespaces/x/apps/deployments.yaml":         "apiVersion: apps/v1\nkind: DeploymentList\nitems:\n- metadata: {name: d}\n",
		"must-gather/namespaces/x/pods/p/logs/current.log":       "2026-01-01 {]",
		"must-gather/version.json":                               `"4.17"`,
		"must-gather/pods.yaml":                                  "NAME   READY\nx   1/1\n",
		"must-gather/one.yaml":                                   "",
		"must-gather/two.json":                                   "{}",
		"must-gather/event-filter.html":                          "<html>",
	}
}

func tarOf(t *testing.T, files map[string]string) string {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	must.NoError(t, w.WriteHeader(&tar.Header{Name: "must-gather/", Typeflag: tar.TypeDir, Mode: 0o755}))
	must.NoError(t, w.WriteHeader(&tar.Header{Name: "must-gather/link.yaml", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}))
	for _, name := range sortedKeys(files) {
		must.NoError(t, w.WriteHeader(&tar.Header{Name: name, Size: int64(len(files[name])), Mode: 0o600}))
		_, err := w.Write([]byte(files[name]))
		must.NoError(t, err)
	}
	must.NoError(t, w.Close())
	return out.String()
}

// TestFolders: a folder and an archive of it say the same as one file of all.
func TestFolders(t *testing.T) {
	property.Slow(t)
	want, err := read(Options{}, some)
	must.NoError(t, err)
	dir := t.TempDir()
	files := mustGather()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		must.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		must.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	archive := tarOf(t, files)
	inFolder := t.TempDir()
	for name, text := range map[string]string{"plain.tar": archive, "x/packed.tar.gz": zipped(archive), "notes.txt": "no resource"} {
		path := filepath.Join(inFolder, filepath.FromSlash(name))
		must.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		must.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	for _, path := range []string{dir, inFolder, filepath.Join(inFolder, "plain.tar"), filepath.Join(inFolder, "x", "packed.tar.gz")} {
		s, err := Load(Options{SkipOdd: true}, path)
		must.NoError(t, err)
		must.Eq(t, want.Cluster, s.Cluster, must.Sprint(path))
		must.SliceNotEmpty(t, s.Problems)
		must.Positive(t, s.Skipped["Deployment"])
		var all strings.Builder
		for _, p := range s.Problems {
			must.True(t, p.Harmless, must.Sprintf("%v", p))
			all.WriteString(p.Error() + "\n")
		}
		must.StrContains(t, all.String(), "must-gather/one.yaml:1: holds no resources, and is passed over: holds no objects")
		must.StrContains(t, all.String(), "must-gather/pods.yaml:1: holds no resources, and is passed over: is a table")
		must.StrContains(t, all.String(), "1 more files hold no resources, and are passed over")
		must.StrNotContains(t, all.String(), "current.log")
	}

	// A file of resources is still refused for its faults, under its own name.
	files["must-gather/broken.yaml"] = someNodeB + "---\na: [\n"
	_, err = read(Options{SkipOdd: true}, zipped(tarOf(t, files)))
	must.ErrorContains(t, err, "a.yaml/must-gather/broken.yaml:")

	// So is one that is cut off before anything of it is known, and what cannot be read
	// is no answer that there are no pods.
	for cut, text := range map[string]string{
		"cut.json": `{"apiVersion":"v1","kind":"Pod","metadata":{"na`, "cut.json.gz": zipped(`{"apiVersion":"v1"}`)[:20], "cut.yaml": "apiVersion: v1\nkind: PodList\nitems:\n- metadata: {na",
	} {
		_, err = read(Options{SkipOdd: true}, tarOf(t, map[string]string{"a.yaml": someNodeB, cut: text}))
		must.ErrorContains(t, err, "a.yaml/"+cut+":", must.Sprint(cut))
		must.ErrorContains(t, err, "the file is cut off", must.Sprint(cut))
	}
	s, err := read(Options{SkipOdd: true}, tarOf(t, map[string]string{"a.yaml": someNodeB, "pods.yaml": "kind: PodList\nitems:\n- 7\n"}))
	must.NoError(t, err)
	must.True(t, s.Unlisted.Pods)

	_, err = read(Options{}, tarOf(t, map[string]string{"a.log": "x", "b.yaml": "hello"}))
	must.ErrorContains(t, err, "a.yaml: holds no file with resources: looked for .yaml")
	_, err = read(Options{}, archive[:1500])
	must.ErrorContains(t, err, "the file is cut off")
	_, err = Load(Options{}, t.TempDir())
	must.ErrorContains(t, err, "holds no file with resources")
}

// TestBounds: a folder or archive is read up to a number of files and bytes.
func TestBounds(t *testing.T) {
	property.Slow(t)
	files := make(map[string]string)
	dir := t.TempDir()
	for i := range 9 {
		name := fmt.Sprintf("n%d.yaml", i)
		files[name] = fmt.Sprintf("apiVersion: v1\nkind: Node\nmetadata: {name: n%d}\n", i)
		must.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(files[name]), 0o600))
	}
	bomb := map[string]string{"n.yaml.gz": zipped("# " + strings.Repeat("x", 1<<20) + "\n" + someNode)}
	for _, c := range []struct {
		bounds bounds
		files  map[string]string
		folder bool
		want   string
	}{
		{bounds{11, 1 << 20}, files, false, ""},
		{bounds{10, 1 << 20}, files, false, "holds more than 10 files"},
		{bounds{20, 4096}, files, false, "holds more than 4096 bytes"},
		{bounds{20, 1 << 19}, bomb, false, "holds more than 524288 bytes"},
		{bounds{20, 1 << 21}, bomb, false, ""},
		{bounds{10, 1 << 20}, files, true, ""},
		{bounds{9, 1 << 20}, files, true, "holds more than 9 files"},
		{bounds{20, 100}, files, true, "holds more than 100 bytes"},
	} {
		l := NewLoader(Options{})
		l.bounds = c.bounds
		var err error
		if c.folder {
			err = l.AddFile(dir)
		} else {
			err = l.Add("x.tar.gz", strings.NewReader(zipped(tarOf(t, c.files))))
		}
		if c.want == "" {
			must.NoError(t, err, must.Sprint(c))
			continue
		}
		must.ErrorContains(t, err, c.want)
		must.ErrorContains(t, err, "give the files that have resources with -f")
	}
}
