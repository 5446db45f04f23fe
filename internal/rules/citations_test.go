package rules

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/shoenig/test/must"
)

// specification is the file that a section sign cites.
const specification = "docs/calico.md"

var (
	heading  = regexp.MustCompile(`(?m)^## (\d+)\. `)
	citation = regexp.MustCompile(`(docs/calico\.md )?§(\d*)`)
	oldName  = regexp.MustCompile(`\bCALICO\.md`)
)

// sections returns the numbers of a specification's sections.
func sections(text string) map[string]bool {
	found := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		found[m[1]] = true
	}
	return found
}

// cited returns the rule that a citation names a section that exists. A short
// citation, §6, needs a package that introduces it: introduced has the
// directories whose package comment names the specification.
func cited(exists, introduced map[string]bool) func(*file) []string {
	return func(f *file) (complaints []string) {
		for i, line := range strings.Split(f.text, "\n") {
			say := func(format string, args ...any) {
				complaints = append(complaints, fmt.Sprintf("%s:%d: %s", f.path, i+1, fmt.Sprintf(format, args...)))
			}
			if oldName.MatchString(line) {
				say("cite %s", specification)
			}
			for _, m := range citation.FindAllStringSubmatch(line, -1) {
				if !exists[m[2]] {
					say("%s has no section §%s", specification, m[2])
				}
				if m[1] == "" && !introduced[f.pkg()] {
					say("§%s: the package comment does not say that § cites %s", m[2], specification)
				}
			}
		}
		return complaints
	}
}

// introducing returns the directories whose package comment names the
// specification.
func introducing(files []*file) map[string]bool {
	dirs := map[string]bool{}
	for _, f := range files {
		if !f.isTest() && strings.Contains(f.ast.Doc.Text(), specification) {
			dirs[f.pkg()] = true
		}
	}
	return dirs
}

func TestCitationsExist(t *testing.T) {
	files := everyFile(t)
	text, err := os.ReadFile(filepath.Join(root, specification))
	must.NoError(t, err)
	exists := sections(string(text))
	must.MapLen(t, 16, exists, must.Sprintf("the sections of %s", specification))

	var others []*file // this package writes wrong citations on purpose
	for _, f := range files {
		if f.pkg() != "internal/rules" {
			others = append(others, f)
		}
	}
	rule, citations := cited(exists, introducing(others)), 0
	for _, f := range others {
		citations += strings.Count(f.text, "§")
		for _, complaint := range rule(f) {
			t.Error(complaint)
		}
	}
	must.Greater(t, 200, citations, must.Sprint("where did the citations go?"))
}

// TestDocumentsCiteSections: documents cite sections too, always in full but
// for the specification itself.
func TestDocumentsCiteSections(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, specification))
	must.NoError(t, err)
	exists := sections(string(text))
	for _, pattern := range []string{"*.md", "docs/*.md", "examples/*/*.md"} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		must.NoError(t, err)
		for _, path := range paths {
			text, err := os.ReadFile(path)
			must.NoError(t, err)
			for _, m := range citation.FindAllStringSubmatch(string(text), -1) {
				if !exists[m[2]] {
					t.Errorf("%s: %s has no section §%s", path, specification, m[2])
				}
			}
		}
	}
}

func TestCitationsExistRejects(t *testing.T) {
	exists := sections("# Title\n## 1. Stored\n### 2. No\n## 12. Cleaning\ntext\n")
	must.Eq(t, map[string]bool{"1": true, "12": true}, exists)
	introduces := mustParse(t, "ipam/doc.go", "// Package x is. §1 is section 1 of docs/calico.md.\npackage x\n")
	known := introducing([]*file{introduces, mustParse(t, "pool/doc.go", "// Package y is.\npackage y\n")})
	rule := cited(exists, known)

	breaks(t, rule, "ipam/x.go", "package x\n// f does (§2).\n", "ipam/x.go:2: docs/calico.md has no section §2")
	breaks(t, rule, "ipam/x_test.go", "package x\n// docs/calico.md §123.\n", "has no section §123")
	breaks(t, rule, "ipam/x.go", "package x\n// f does (§).\n", "has no section §")
	breaks(t, rule, "ipam/x.go", "package x\n// CALICO.md says so.\n", "cite docs/calico.md")
	breaks(t, rule, "pool/y.go", "package y\n// f does (§1).\n", "§1: the package comment does not say")
	keeps(t, rule, "ipam/x.go", "package x\n// f does (§1), as in docs/calico.md §12, \"A scan\".\n")
	keeps(t, rule, "pool/y.go", "package y\n// f does (docs/calico.md §1).\n")
}
