package rules

import (
	"fmt"
	"go/ast"
	"maps"
	"slices"
	"testing"

	"github.com/shoenig/test/must"
)

// A package's page is read from top to bottom, so it has a limit of names: constants,
// variables, types and functions that are exported. Methods and fields do not count.
const (
	maxNames    = 40
	maxAllNames = 320 // of all packages that others can import
)

// namesOf are the limits of packages with another one.
var namesOf = map[string]int{
	"ipam": 60, // the arguments and answers of all operations
}

// exported returns the exported package-level names of a file.
func exported(f *file) (names []string) {
	add := func(ids ...*ast.Ident) {
		for _, id := range ids {
			if id.IsExported() {
				names = append(names, id.Name)
			}
		}
	}
	for _, decl := range f.ast.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				add(d.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					add(s.Name)
				case *ast.ValueSpec:
					add(s.Names...)
				}
			}
		}
	}
	return names
}

// fewNames is the rule about how many names packages export.
func fewNames(files []*file) (complaints []string) {
	count, all := make(map[string]int), 0
	for _, f := range files {
		dir := f.pkg()
		if f.isTest() || dir == "." || under(dir, "internal") || under(dir, "examples") {
			continue
		}
		n := len(exported(f))
		if count[dir] += n; !under(dir, "calicofake") { // a module of its own
			all += n
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(count)) {
		limit, ok := namesOf[dir]
		if !ok {
			limit = maxNames
		}
		if count[dir] > limit {
			complaints = append(complaints, fmt.Sprintf("%s exports %d names, at most %d", dir, count[dir], limit))
		}
	}
	if all > maxAllNames {
		complaints = append(complaints, fmt.Sprintf("all packages export %d names, at most %d", all, maxAllNames))
	}
	return complaints
}

func TestFewNames(t *testing.T) {
	files := everyFile(t)
	for _, complaint := range fewNames(files) {
		t.Error(complaint)
	}
}

func TestFewNamesRejects(t *testing.T) {
	// source is a file with n exported names, and others that do not count.
	source := func(path string, n int) *file {
		text := "package x\n\ntype T struct{ Field int }\n\nconst own = 1\n\nfunc (T) Method() {}\n"
		for i := 1; i < n; i++ {
			text += []string{"const C%d = 1\n", "var V%d, own%[1]d int\n", "type T%d int\n", "func F%d() {}\n"}[i%4]
			text = fmt.Sprintf(text, i)
		}
		return mustParse(t, path, text)
	}
	must.SliceEmpty(t, fewNames([]*file{source("pool/x.go", maxNames)}))
	must.Eq(t, []string{"pool exports 41 names, at most 40"}, fewNames([]*file{source("pool/x.go", 40), source("pool/y.go", 1)}))
	must.SliceEmpty(t, fewNames([]*file{source("ipam/x.go", 60), source("pool/x.go", 1)}))
	must.Eq(t, []string{"ipam exports 61 names, at most 60"}, fewNames([]*file{source("ipam/x.go", 61)}))
	must.SliceEmpty(t, fewNames([]*file{source("ipam/x_test.go", 99), source("internal/cli/x.go", 99), source("examples/internal/plan/x.go", 99)}))
	var many []*file
	for i := range maxAllNames/maxNames + 1 {
		many = append(many, source(fmt.Sprintf("ipam/p%d/x.go", i), maxNames))
	}
	must.Eq(t, []string{fmt.Sprintf("all packages export %d names, at most %d", len(many)*maxNames, maxAllNames)}, fewNames(many))
}
