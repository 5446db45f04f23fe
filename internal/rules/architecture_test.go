package rules

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/shoenig/test/must"
)

// named matches a function as docs/architecture.md names it: package and name.
var named = regexp.MustCompile("`(ipam|block|pool|affinity|internal/claimlist)\\.(\\w+)`")

// unknownFunctions returns the functions that a text names and no file declares.
func unknownFunctions(text string, files []*file) (unknown []string) {
	declared := map[string]bool{}
	for _, f := range files {
		for _, d := range f.ast.Decls {
			if d, ok := d.(*ast.FuncDecl); ok && !f.isTest() {
				declared[f.pkg()+"."+d.Name.Name] = true
			}
		}
	}
	for _, m := range named.FindAllStringSubmatch(text, -1) {
		if name := m[1] + "." + m[2]; !declared[name] {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// TestArchitectureNamesFunctions: every function that the document names exists.
func TestArchitectureNamesFunctions(t *testing.T) {
	files := everyFile(t)
	text, err := os.ReadFile(filepath.Join(root, "docs/architecture.md"))
	must.NoError(t, err)
	must.Greater(t, 20, len(named.FindAllString(string(text), -1)), must.Sprint("docs/architecture.md names functions as `ipam.take`"))
	must.SliceEmpty(t, unknownFunctions(string(text), files))
}

func TestArchitectureNamesFunctionsRejects(t *testing.T) {
	files := []*file{
		mustParse(t, "ipam/x.go", "package ipam\nfunc f() {}\nfunc (a A) g() {}\n"),
		mustParse(t, "ipam/x_test.go", "package ipam\nfunc inTest() {}\n"),
	}
	must.SliceEmpty(t, unknownFunctions("`ipam.f` calls `ipam.g`, and `ipam/trace` is a package", files))
	must.Eq(t, []string{"ipam.h", "block.f", "ipam.inTest"},
		unknownFunctions("`ipam.h`, `block.f`, `ipam.inTest`", files))
}
