package rules

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// base are the packages that import no package of this module; their tests import
// the package that property tests share.
var base = []string{"block", "pool", "affinity", "ipam/codes"}

// core are the packages that someone who imports ipam compiles.
var core = append(slices.Clone(base), "ipam/calico", "ipam")

// structures are the data structures that ipam is built with. They import the base
// only, and keep the rules of the library.
var structures = []string{"internal/blocktree", "internal/claimlist"}

// more lists what packages under ipam/ may import beside ipam and the base.
var more = map[string][]string{
	"ipam/trace":    {"ipam/report", "ipam/lifecycle"}, // Show is what calicoctl prints, Sync what kube-controllers does
	"ipam/sim":      {"ipam/lifecycle"},                // clusters need somebody to clean up
	"ipam/snapshot": {"ipam/lifecycle"},                // only the controller's rules say what leaks
}

// races are the packages under internal/ that let clients race. They keep the rules
// of the library, and the map lists what they may import beside ipam and the base.
var races = map[string][]string{
	"internal/race":    {"ipam/protocol", "ipam/trace"}, // replays recorded races as explorations
	"internal/explore": {"ipam/protocol", "ipam/trace", "internal/race"},
	"internal/storm":   {"ipam/protocol"}, // its clients, many at once
}

// forTests are packages for tests only: nothing else compiles them and what they
// import. They may import each other.
var forTests = []string{"internal/property", "internal/history", "internal/program", "internal/chromium"}

// under reports whether the package dir is, or lies under, the package at.
func under(dir, at string) bool { return dir == at || strings.HasPrefix(dir, at+"/") }

// library reports whether the rules of the library apply to the package: to all
// but the examples, the root, which has only tests and a comment, and internal
// packages other than structures and races.
func library(dir string) bool {
	_, race := races[dir]
	return race || slices.Contains(structures, dir) || dir != "." && !under(dir, "examples") && !under(dir, "internal") && !under(dir, "calicofake/example")
}

// importsOf returns the imports of a file with their positions; those of this
// module are relative to its root ("ipam").
func importsOf(f *file) (imports []imported) {
	for _, spec := range f.ast.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // does not compile
		}
		i := imported{path: p, complain: func(format string, args ...any) string { return f.at(spec.Pos(), format, args...) }}
		if spec.Name != nil {
			i.name = spec.Name.Name
		}
		if p == module || strings.HasPrefix(p, module+"/") {
			i.ours, i.dir = true, strings.TrimPrefix(strings.TrimPrefix(p, module), "/")
		}
		imports = append(imports, i)
	}
	return imports
}

type imported struct {
	path     string
	name     string // as imported, or empty
	ours     bool
	dir      string // of ours
	complain func(format string, args ...any) string
}

// standard reports whether the package is of the standard library.
func (i imported) standard() bool {
	first, _, _ := strings.Cut(i.path, "/")
	return !strings.Contains(first, ".")
}

// direction is the rule about which package may import which.
func direction(f *file) (complaints []string) {
	dir := f.pkg()
	for _, i := range importsOf(f) {
		if !i.ours {
			continue
		}
		switch {
		case under(i.dir, "examples/internal") && under(dir, "examples"): // the programs' commands
		case under(i.dir, "examples"):
			complaints = append(complaints, i.complain("nothing imports examples, %s does", dir))
		case slices.Contains(forTests, i.dir) && !f.isTest() && !slices.Contains(forTests, dir):
			complaints = append(complaints, i.complain("%s is for tests, not for %s", i.dir, dir))
		case slices.Contains(base, dir):
			// An external test may import its own package.
			if !f.isTest() || i.dir != dir && i.dir != "internal/property" {
				complaints = append(complaints, i.complain("%s imports nothing of ours, and now %s", dir, i.dir))
			}
		case f.isTest():
		case slices.Contains(structures, dir):
			if !slices.Contains(base, i.dir) {
				complaints = append(complaints, i.complain("%s imports %v, not %s", dir, base, i.dir))
			}
		case dir == "ipam/calico":
			if i.dir != "ipam/codes" {
				complaints = append(complaints, i.complain("ipam/calico imports ipam/codes, not %s", i.dir))
			}
		case dir == "ipam":
			if !slices.Contains(core, i.dir) && !slices.Contains(structures, i.dir) {
				complaints = append(complaints, i.complain("ipam imports %v and %v, not %s", core, structures, i.dir))
			}
		case races[dir] != nil:
			if !slices.Contains(core, i.dir) && !slices.Contains(races[dir], i.dir) {
				complaints = append(complaints, i.complain("%s imports ipam, what ipam imports and %v, not %s", dir, races[dir], i.dir))
			}
		case under(dir, "ipam"):
			if !slices.Contains(core, i.dir) && !slices.Contains(more[dir], i.dir) {
				complaints = append(complaints, i.complain("%s imports ipam and what ipam imports, not %s", dir, i.dir))
			}
		}
	}
	return complaints
}

// dependencies is the rule about packages of other modules.
func dependencies(f *file) (complaints []string) {
	dir := f.pkg()
	for _, i := range importsOf(f) {
		switch {
		case i.path == "C":
			complaints = append(complaints, i.complain("pure Go: no cgo"))
		case i.path == "unsafe" && library(dir) && !f.isTest():
			complaints = append(complaints, i.complain("the library does without unsafe"))
		case i.ours || i.standard() || f.isTest():
		case (slices.Contains(core, dir) || slices.Contains(structures, dir)) && i.path != "go4.org/netipx":
			complaints = append(complaints, i.complain("%s imports the standard library and netipx, not %s", dir, i.path))
		}
	}
	return complaints
}

// layout is the rule about the places and names of packages.
func layout(f *file) (complaints []string) {
	dir := f.pkg()
	if name := strings.TrimSuffix(f.ast.Name.Name, "_test"); slices.Contains([]string{"util", "utils", "common", "types", "helpers", "helper", "misc"}, name) {
		complaints = append(complaints, f.at(f.ast.Package, "a package is a noun, not %q", name))
	}
	for _, part := range strings.Split(dir, "/") {
		if slices.Contains([]string{"util", "utils", "common", "types", "helpers", "helper", "misc"}, part) {
			complaints = append(complaints, f.at(f.ast.Package, "a package is a noun, not %q", part))
		}
	}
	top, _, _ := strings.Cut(dir, "/")
	if !slices.Contains(append(slices.Clone(core), "examples", "internal", "calicofake", "."), top) {
		complaints = append(complaints, f.at(f.ast.Package, "what is new goes under ipam/ or internal/, not %s", dir))
	}
	// doc.go is the module's page on pkg.go.dev; it declares nothing.
	if dir == "." && !f.isTest() && (f.path != "doc.go" || len(f.ast.Decls) > 0) {
		complaints = append(complaints, f.at(f.ast.Package, "the root has only tests, and a doc.go that declares nothing"))
	}
	if slices.Contains(base, top) && dir != top {
		complaints = append(complaints, f.at(f.ast.Package, "%s has no packages below it", top))
	}
	if name := f.ast.Name.Name; library(dir) && strings.TrimSuffix(name, "_test") != path.Base(dir) {
		complaints = append(complaints, f.at(f.ast.Package, "package %s in the directory %s", name, dir))
	}
	return complaints
}

func TestImportDirection(t *testing.T) { holds(t, direction) }
func TestDependencies(t *testing.T)    { holds(t, dependencies) }
func TestLayout(t *testing.T)          { holds(t, layout) }

func importing(pkg string, paths ...string) string {
	text := "package " + pkg + "\n"
	for _, p := range paths {
		text += "import _ " + strconv.Quote(p) + "\n"
	}
	return text
}

func TestImportDirectionRejects(t *testing.T) {
	for _, c := range []struct{ file, imports string }{
		{"block/x.go", "pool"},
		{"block/x.go", "affinity"},
		{"block/x.go", "ipam"},
		{"block/x_test.go", "pool"},
		{"block/x_test.go", "ipam/trace"},
		{"block/x.go", "internal/property"},
		{"block/x_test.go", "internal/other"},
		{"block/x.go", "block"}, // does not compile, anyway
		{"pool/x.go", "block"},
		{"pool/x.go", "internal/bits"},
		{"affinity/x.go", "block"},
		{"affinity/x.go", "ipam/codes"},
		{"ipam/codes/x.go", "ipam"},
		{"ipam/codes/x.go", "block"},
		{"ipam/calico/x.go", "ipam"},
		{"ipam/calico/x.go", "pool"},
		{"affinity/x_test.go", "ipam"},
		{"ipam/x.go", "ipam/report"},
		{"ipam/x.go", "ipam/trace"},
		{"ipam/x.go", "internal/x"},
		{"ipam/trace/x.go", "internal/blocktree"},
		{"pool/x.go", "internal/blocktree"},
		{"internal/blocktree/x.go", "ipam"},
		{"internal/blocktree/x.go", "internal/x"},
		{"internal/blocktree/x.go", "internal/claimlist"},
		{"internal/claimlist/x.go", "ipam"},
		{"ipam/protocol/x.go", "internal/claimlist"},
		{"affinity/x.go", "internal/claimlist"},
		{"internal/race/x.go", "internal/explore"},
		{"internal/race/x.go", "internal/cli"},
		{"internal/race/x.go", "internal/blocktree"},
		{"internal/explore/x.go", "internal/storm"},
		{"internal/explore/x.go", "ipam/report"},
		{"internal/storm/x.go", "ipam/trace"},
		{"internal/storm/x.go", "examples/internal/race"},
		{"ipam/protocol/x.go", "internal/race"},
		{"ipam/x.go", "internal/storm"},
		{"ipam/report/x.go", "ipam/trace"},
		{"ipam/trace/x.go", "ipam/sim"},
		{"ipam/sim/x.go", "ipam/report"},
		{"ipam/protocol/x.go", "ipam/lifecycle"},
		{"ipam/trace/deeper/x.go", "ipam/report"},
		{"ipam/trace/x.go", "examples/lab"},
		{"ipam/trace/x.go", "examples/internal/lab"},
		{"internal/cli/x.go", "examples/internal/lab"},
		{"examples/ipamsim/x.go", "examples/lab"},
		{"ipam/trace/x_test.go", "examples/lab"},
		{"examples/replay/x.go", "examples/lab"},
		{"internal/rules/x_test.go", "examples"},
		{"bench_test.go", "examples/lab"},
		{"ipam/x.go", "internal/history"},
		{"ipam/protocol/x.go", "internal/history"},
		{"examples/lab/x.go", "internal/property"},
		{"internal/cli/x.go", "internal/history"},
		{"block/x_test.go", "internal/history"},
	} {
		breaks(t, direction, c.file, importing("x", "fmt", module+"/"+c.imports), c.file+":3: ")
	}
	for _, c := range []struct{ file, imports string }{
		{"block/x_test.go", "block"},
		{"block/x_test.go", "internal/property"},
		{"ipam/x.go", "block"},
		{"ipam/x.go", "pool"},
		{"ipam/x.go", "ipam/codes"},
		{"ipam/trace/x.go", "ipam/codes"},
		{"ipam/calico/x.go", "ipam/codes"},
		{"ipam/x.go", "ipam/calico"},
		{"ipam/lifecycle/x.go", "ipam/calico"},
		{"ipam/x.go", "internal/blocktree"},
		{"ipam/x.go", "internal/claimlist"},
		{"internal/claimlist/x.go", "affinity"},
		{"internal/blocktree/x.go", "pool"},
		{"ipam/x_test.go", "ipam/trace"},
		{"ipam/trace/x.go", "ipam"},
		{"ipam/trace/x.go", "affinity"},
		{"ipam/trace/x.go", "ipam/report"},
		{"ipam/sim/x.go", "pool"},
		{"ipam/sim/x_test.go", "ipam/trace"},
		{"examples/lab/x.go", "ipam/report"},
		{"examples/lab/x.go", "examples/internal/lab"},
		{"internal/rules/x_test.go", "ipam"},
		{"bench_test.go", "ipam"},
		{"ipam/x_test.go", "internal/history"},
		{"ipam/protocol/x_test.go", "internal/history"},
		{"internal/history/x.go", "internal/property"},
		{"internal/history/x.go", "ipam"},
		{"internal/explore/x.go", "internal/race"},
		{"internal/explore/x.go", "ipam/protocol"},
		{"internal/storm/x.go", "block"},
		{"internal/storm/x_test.go", "internal/property"},
		{"examples/internal/race/x.go", "internal/storm"},
		{"examples/lab/x.go", "internal/cli"},
	} {
		keeps(t, direction, c.file, importing("x", "fmt", module+"/"+c.imports))
	}
	keeps(t, direction, "block/x.go", importing("x", "github.com/ipamsim/ipamsimple/pool"))
}

func TestDependenciesRejects(t *testing.T) {
	breaks(t, dependencies, "block/x.go", importing("block", "github.com/shoenig/test/must"), "block/x.go:2", "shoenig")
	breaks(t, dependencies, "ipam/x.go", importing("ipam", "sigs.k8s.io/yaml"), "sigs.k8s.io/yaml")
	breaks(t, dependencies, "pool/x.go", importing("pool", "go4.org/netipx", "go4.org/mem"), "pool/x.go:3")
	breaks(t, dependencies, "affinity/x.go", importing("affinity", "golang.org/x/exp/slices"))
	breaks(t, dependencies, "ipam/trace/x.go", importing("trace", "C"), "cgo")
	breaks(t, dependencies, "examples/lab/x.go", importing("main", "C"), "cgo")
	breaks(t, dependencies, "block/x.go", importing("block", "unsafe"), "unsafe")
	breaks(t, dependencies, "ipam/codes/x.go", importing("codes", "sigs.k8s.io/yaml"), "sigs.k8s.io/yaml")
	breaks(t, dependencies, "internal/blocktree/x.go", importing("blocktree", "unsafe"), "unsafe")
	breaks(t, dependencies, "internal/storm/x.go", importing("storm", "unsafe"), "unsafe")
	breaks(t, dependencies, "internal/blocktree/x.go", importing("blocktree", "sigs.k8s.io/yaml"), "sigs.k8s.io/yaml")
	keeps(t, dependencies, "ipam/x.go", importing("ipam", "go4.org/netipx", "encoding/json", "math/bits"))
	keeps(t, dependencies, "ipam/x_test.go", importing("ipam", "pgregory.net/rapid"))
	keeps(t, dependencies, "ipam/report/x.go", importing("report", "github.com/jedib0t/go-pretty/v6/table"))
}

func TestLayoutRejects(t *testing.T) {
	breaks(t, layout, "ipam/util/x.go", "package util", `"util"`)
	breaks(t, layout, "ipam/common/x.go", "package ipamcommon", `"common"`)
	breaks(t, layout, "internal/x/x.go", "package types", `"types"`)
	breaks(t, layout, "internal/helpers/x_test.go", "package helpers_test", `"helpers"`)
	breaks(t, layout, "simulator/x.go", "package simulator", "under ipam/")
	breaks(t, layout, "block/bitset/x.go", "package bitset", "no packages below")
	breaks(t, layout, "ipam/trace/x.go", "package traces", "package traces in the directory ipam/trace")
	breaks(t, layout, "ipamsim.go", "package ipamsim", "only tests")
	breaks(t, layout, "other.go", "// Package ipamsim is.\npackage ipamsim", "only tests")
	breaks(t, layout, "doc.go", "package ipamsim\nconst C = 1", "declares nothing")
	breaks(t, layout, "doc.go", "package ipamsim\nimport _ \"fmt\"", "declares nothing")
	keeps(t, layout, "doc.go", "// Package ipamsim is.\npackage ipamsim")
	keeps(t, layout, "ipam/trace/x_test.go", "package trace_test")
	keeps(t, layout, "examples/lab/x.go", "package main")
	keeps(t, layout, "bench_test.go", "package ipamsim_test")
	keeps(t, layout, "internal/rules/x.go", "package rules")
}
