package rules

import (
	"go/ast"
	"path"
	"slices"
	"testing"
)

// hidden are inputs that a caller cannot see: what the library must not touch,
// by package. The library's clock, seeds and host names are arguments.
var hidden = map[string][]string{
	"time": {"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer", "Sleep", "Local"},
	"os":   {"Getenv", "LookupEnv", "Environ", "ExpandEnv", "Hostname", "Getpid", "Getwd", "UserHomeDir"},
	// What draws from the package's own generator; New and NewSource are seeded.
	"math/rand": {
		"Int", "Intn", "Int31", "Int31n", "Int63", "Int63n", "Uint32", "Uint64", "Float32", "Float64", "ExpFloat64", "NormFloat64", "Perm", "Read", "Seed", "Shuffle",
	},
}

// forbidden are packages that have nothing for the library: Calico's order of
// blocks is that of math/rand, and no other generator is wanted. hash/maphash is
// not among them: it hides as much as a Go map does, if nothing is listed in its
// order.
var forbidden = []string{"math/rand/v2", "crypto/rand", "net/http", "os/exec", "os/user"}

// visible is the rule that the library has no hidden inputs.
func visible(f *file) (complaints []string) {
	if f.isTest() || !library(f.pkg()) {
		return nil
	}
	names := make(map[string][]string) // of an imported package: what must not be used of it
	for _, i := range importsOf(f) {
		if slices.Contains(forbidden, i.path) {
			complaints = append(complaints, i.complain("the library does without %s", i.path))
		}
		uses, watched := hidden[i.path]
		name := path.Base(i.path)
		switch {
		case !watched:
			continue
		case i.name == ".":
			complaints = append(complaints, i.complain("%s as . hides what is used of it", i.path))
		case i.name != "":
			name = i.name
		}
		names[name] = uses
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if id, ok := sel.X.(*ast.Ident); ok && slices.Contains(names[id.Name], sel.Sel.Name) {
			complaints = append(complaints, f.at(sel.Pos(), "%s.%s is a hidden input", id.Name, sel.Sel.Name))
		}
		return true
	})
	return complaints
}

func TestNoHiddenInputs(t *testing.T) { holds(t, visible) }

func TestNoHiddenInputsRejects(t *testing.T) {
	for text, says := range map[string]string{
		"package x\nimport \"time\"\nvar t = time.Now()":                                     "x.go:3: time.Now is a hidden input",
		"package x\nimport \"time\"\nvar now = time.Now":                                     "time.Now", // as a value
		"package x\nimport \"time\"\nfunc f(t time.Time) { _ = time.Since(t) }":              "time.Since",
		"package x\nimport clock \"time\"\nvar t = clock.Now()":                              "clock.Now",
		"package x\nimport . \"time\"\nvar t = Now()":                                        "time as .",
		"package x\nimport \"os\"\nvar h, _ = os.Hostname()":                                 "os.Hostname",
		"package x\nimport \"os\"\nvar h = os.Getenv(\"HOSTNAME\")":                          "os.Getenv",
		"package x\nimport \"os\"\nfunc f() []string { return append(os.Environ(), \"a\") }": "os.Environ",
		"package x\nimport \"math/rand\"\nvar n = rand.Intn(5)":                              "rand.Intn",
		"package x\nimport r \"math/rand\"\nfunc f() { r.Shuffle(2, nil) }":                  "r.Shuffle",
		"package x\nimport \"math/rand/v2\"":                                                 "math/rand/v2",
		"package x\nimport _ \"crypto/rand\"":                                                "crypto/rand",
		"package x\nimport (\n\"os\"\n\"time\"\n)\nvar a = [...]any{os.Getenv, time.Until}":  "time.Until",
	} {
		for _, at := range []string{"ipam/x.go", "ipam/trace/x.go", "pool/x.go"} {
			breaks(t, visible, at, text, at[:len(at)-len("x.go")], says)
		}
		for _, at := range []string{"ipam/x_test.go", "examples/lab/x.go", "internal/y/x.go", "bench_test.go"} {
			keeps(t, visible, at, text)
		}
	}
	for _, text := range []string{
		"package x\nimport \"time\"\n// time.Now is for callers.\nvar t = time.Unix(0, 0)",
		"package x\nimport \"math/rand\"\nfunc f(seed int64) int { return rand.New(rand.NewSource(seed)).Intn(5) }",
		"package x\ntype clock struct{}\nfunc (clock) Now() int { return 0 }\nvar time clock\nvar t = time.Now()", // not the package
		"package x\nimport \"os\"\nfunc f() (*os.File, error) { return os.Open(\"x\") }",
	} {
		keeps(t, visible, "ipam/x.go", text)
	}
}
