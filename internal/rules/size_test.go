package rules

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/shoenig/test/must"
)

const (
	maxFile     = 1 << 20 // bytes of any file
	maxTestdata = 8 << 20 // bytes of all testdata directories together
)

// size is a file of the tree with its size.
type size struct {
	path  string // from the root, with slashes
	bytes int64
}

// small is the rule about the sizes of checked-in files.
func small(sizes []size) (complaints []string) {
	var testdata int64
	for _, s := range sizes {
		if s.bytes > maxFile {
			complaints = append(complaints, fmt.Sprintf("%s: %d bytes, at most %d", s.path, s.bytes, maxFile))
		}
		if slices.Contains(strings.Split(path.Dir(s.path), "/"), "testdata") {
			testdata += s.bytes
		}
	}
	if testdata > maxTestdata {
		complaints = append(complaints, fmt.Sprintf("testdata: %d bytes in all, at most %d", testdata, maxTestdata))
	}
	return complaints
}

// ignored reports whether a line of .gitignore matches the path. It knows the
// forms that this module uses: "*.out", "/bin/", "name".
func ignored(patterns []string, file string) bool {
	for _, p := range patterns {
		dir := strings.HasSuffix(p, "/")
		p = strings.TrimSuffix(p, "/")
		parts := strings.Split(file, "/")
		if anchored, ok := strings.CutPrefix(p, "/"); ok {
			if file == anchored && !dir || strings.HasPrefix(file, anchored+"/") {
				return true
			}
			continue
		}
		for i, part := range parts {
			if i == len(parts)-1 && dir {
				continue
			}
			if match, _ := path.Match(p, part); match {
				return true
			}
		}
	}
	return false
}

// tree returns the files of the module that git would track: all but git's own
// and those ignored.
func tree() (sizes []size, err error) {
	var patterns []string
	if f, err := os.Open(filepath.Join(root, ".gitignore")); err == nil {
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if line := strings.TrimSpace(lines.Text()); line != "" && !strings.HasPrefix(line, "#") {
				patterns = append(patterns, line)
			}
		}
	}
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.Name() == ".git" {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || ignored(patterns, rel) {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		sizes = append(sizes, size{rel, info.Size()})
		return nil
	})
	return sizes, err
}

func TestTreeIsSmall(t *testing.T) {
	sizes, err := tree()
	must.NoError(t, err)
	must.Greater(t, 100, len(sizes), must.Sprint("is that the module's root?"))
	for _, complaint := range small(sizes) {
		t.Error(complaint)
	}
}

func TestTreeIsSmallRejects(t *testing.T) {
	must.StrContains(t, small([]size{{"lab.svg", maxFile + 1}})[0], "lab.svg: 1048577 bytes")
	must.SliceEmpty(t, small([]size{{"lab.svg", maxFile}}))
	var many []size
	for i := range 9 {
		many = append(many, size{fmt.Sprintf("ipam/x/testdata/%d.gz", i), maxFile})
	}
	must.StrContains(t, small(many)[0], "9437184 bytes in all")
	must.SliceEmpty(t, small(many[:8]))
	for i := range many {
		many[i].path = strings.Replace(many[i].path, "testdata", "data", 1)
	}
	must.SliceEmpty(t, small(many), must.Sprint("that is not testdata"))

	patterns := []string{"*.test", "/bin/", "cover", "tmp/"}
	for _, file := range []string{"x.test", "ipam/ipam.test", "bin/lab", "cover", "ipam/cover", "cover/x", "a/tmp/b"} {
		must.True(t, ignored(patterns, file), must.Sprint(file))
	}
	for _, file := range []string{"x.test.go", "ipam/bin/lab", "bin", "bind/x", "tmp", "covers"} {
		must.False(t, ignored(patterns, file), must.Sprint(file))
	}
}
