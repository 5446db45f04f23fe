package rules

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
)

// root is the module's directory, relative to this package's.
const root = "../.."

// module is the path with which imports of this module begin.
const module = "github.com/ipamsim/ipamsim"

// file is a Go file of the module.
type file struct {
	path string // from the root, with slashes: "ipam/trace/read.go"
	text string
	fset *token.FileSet
	ast  *ast.File
}

// pkg returns the package's directory relative to the root, "." for the root
// itself.
func (f *file) pkg() string { return path.Dir(f.path) }

func (f *file) isTest() bool { return strings.HasSuffix(f.path, "_test.go") }

// at formats a complaint about a place in the file.
func (f *file) at(pos token.Pos, format string, args ...any) string {
	return fmt.Sprintf("%s:%d: %s", f.path, f.fset.Position(pos).Line, fmt.Sprintf(format, args...))
}

// parse parses source text as a file of that path.
func parse(path, text string) (*file, error) {
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, path, text, parser.ParseComments|parser.SkipObjectResolution)
	return &file{path, text, fset, parsed}, err
}

// mustParse is parse for the texts of tests.
func mustParse(t *testing.T, path, text string) *file {
	t.Helper()
	f, err := parse(path, text)
	must.NoError(t, err)
	return f
}

// sources parses the Go files of the module, once, and those of
// internal/peerbench, a module of its own for its dependencies: the same rules
// apply to it.
var sources = sync.OnceValues(func() ([]*file, error) {
	var files []*file
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() {
			// The go command ignores these too.
			if name != root && (base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		f, err := parse(filepath.ToSlash(rel), string(text))
		if err != nil {
			return err
		}
		files = append(files, f)
		return nil
	})
	return files, err
})

// everyFile returns the files of the module. To parse them takes long.
func everyFile(t *testing.T) []*file {
	t.Helper()
	property.Slow(t)
	files, err := sources()
	must.NoError(t, err)
	return files
}

// holds runs a rule over every file of the module and reports all complaints.
func holds(t *testing.T, rule func(*file) []string) {
	t.Helper()
	files := everyFile(t)
	must.Greater(t, 50, len(files), must.Sprint("is that the module's root?"))
	for _, f := range files {
		for _, complaint := range rule(f) {
			t.Error(complaint)
		}
	}
}

// breaks checks that a rule rejects a text, with a complaint that contains all of
// says.
func breaks(t *testing.T, rule func(*file) []string, path, text string, says ...string) {
	t.Helper()
	complaints := strings.Join(rule(mustParse(t, path, text)), "\n")
	must.NotEq(t, "", complaints, must.Sprintf("the rule accepts %s:\n%s", path, text))
	for _, s := range says {
		must.StrContains(t, complaints, s)
	}
}

// keeps checks that a rule accepts a text.
func keeps(t *testing.T, rule func(*file) []string, path, text string) {
	t.Helper()
	must.SliceEmpty(t, rule(mustParse(t, path, text)), must.Sprintf("the rule refuses %s:\n%s", path, text))
}

// TestModulePath: the rules know the module's path.
func TestModulePath(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	must.NoError(t, err)
	must.True(t, strings.HasPrefix(string(text), "module "+module+"\n"))
}
