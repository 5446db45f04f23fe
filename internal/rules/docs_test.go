package rules

import (
	"go/ast"
	"go/token"
	"strings"
	"testing"

	"github.com/shoenig/test/must"
)

// documented is the rule that everything exported is documented: types, functions
// and methods by a comment that begins with their name; constants and variables by
// their own comment or that of their group.
func documented(f *file) (complaints []string) {
	if f.isTest() {
		return nil
	}
	for _, d := range f.ast.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			name := d.Name.Name
			if !d.Name.IsExported() {
				continue
			}
			if d.Recv != nil {
				typ := receiver(d.Recv.List[0].Type)
				if !ast.IsExported(typ) {
					continue // callers use an interface, which documents it
				}
				if !begins(d.Doc, name) {
					complaints = append(complaints, f.at(d.Pos(), "method %s.%s: %s", typ, name, why(d.Doc, name)))
				}
				continue
			}
			if !begins(d.Doc, name) {
				complaints = append(complaints, f.at(d.Pos(), "func %s: %s", name, why(d.Doc, name)))
			}
		case *ast.GenDecl:
			complaints = append(complaints, documentedGroup(f, d)...)
		}
	}
	return complaints
}

// documentedGroup is documented for a declaration of types, constants or
// variables.
func documentedGroup(f *file, d *ast.GenDecl) (complaints []string) {
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			doc := spec.Doc
			if doc == nil && !d.Lparen.IsValid() {
				doc = d.Doc
			}
			if name := spec.Name.Name; spec.Name.IsExported() && !begins(doc, name) {
				complaints = append(complaints, f.at(spec.Pos(), "type %s: %s", name, why(doc, name)))
			}
		case *ast.ValueSpec:
			for _, name := range spec.Names {
				if name.IsExported() && !says(d.Doc) && !says(spec.Doc) && !says(spec.Comment) {
					complaints = append(complaints, f.at(name.Pos(), "%s %s: no comment, nor has its group", d.Tok, name.Name))
				}
			}
		}
	}
	return complaints
}

// receiver returns the name of a receiver's type.
func receiver(e ast.Expr) string {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x.Name
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return ""
		}
	}
}

// says reports whether a comment has text, not only directives.
func says(doc *ast.CommentGroup) bool { return doc != nil && strings.TrimSpace(doc.Text()) != "" }

// begins reports whether the comment's first sentence begins with the name, an
// article before it or not.
func begins(doc *ast.CommentGroup, name string) bool {
	if !says(doc) {
		return false
	}
	text := doc.Text()
	for _, article := range []string{"A ", "An ", "The "} {
		text = strings.TrimPrefix(text, article)
	}
	rest, ok := strings.CutPrefix(text, name)
	return ok && (rest == "" || !isNameByte(rest[0]))
}

func isNameByte(b byte) bool {
	return b == '_' || '0' <= b && b <= '9' || 'a' <= b|0x20 && b|0x20 <= 'z'
}

func why(doc *ast.CommentGroup, name string) string {
	if !says(doc) {
		return "no documentation"
	}
	return "documentation does not begin with " + name
}

// introduced returns complaints about packages that no file introduces.
func introduced(files []*file) (complaints []string) {
	type pkg struct {
		first *file
		docs  int
		right bool
	}
	pkgs := make(map[string]*pkg)
	var order []string
	for _, f := range files {
		if f.isTest() {
			continue
		}
		p := pkgs[f.pkg()]
		if p == nil {
			p = &pkg{first: f}
			pkgs[f.pkg()] = p
			order = append(order, f.pkg())
		}
		if says(f.ast.Doc) {
			p.docs++
			p.right = f.ast.Name.Name == "main" || strings.HasPrefix(f.ast.Doc.Text(), "Package "+f.ast.Name.Name+" ")
		}
	}
	for _, dir := range order {
		switch p := pkgs[dir]; {
		case p.docs == 0:
			complaints = append(complaints, p.first.at(p.first.ast.Package, "no file of %s says what the package is", dir))
		case p.docs > 1:
			complaints = append(complaints, p.first.at(p.first.ast.Package, "%d files of %s say what the package is", p.docs, dir))
		case !p.right:
			complaints = append(complaints, p.first.at(p.first.ast.Package, "the documentation of %s does not begin with Package and its name", dir))
		}
	}
	return complaints
}

func TestExportedNamesAreDocumented(t *testing.T) { holds(t, documented) }

func TestPackagesAreIntroduced(t *testing.T) {
	files := everyFile(t)
	for _, complaint := range introduced(files) {
		t.Error(complaint)
	}
}

func TestExportedNamesAreDocumentedRejects(t *testing.T) {
	for text, says := range map[string]string{
		"func F() {}":                                                 "ipam/x.go:3: func F: no documentation",
		"// Does things.\nfunc F() {}":                                "func F: documentation does not begin with F",
		"// Fetch does things.\nfunc F() {}":                          "func F: documentation does not begin",
		"// F does things.\n\nfunc F() {}":                            "func F: no documentation", // cut off
		"//go:noinline\nfunc F() {}":                                  "func F: no documentation",
		"type T int":                                                  "type T: no documentation",
		"// Is a type.\ntype T int":                                   "type T: documentation does not begin with T",
		"// Types of things.\ntype (\n\tT int\n\tu int\n)":            "type T: no documentation",
		"// T is.\ntype T int\nfunc (T) M() {}":                       "method T.M: no documentation",
		"// T is.\ntype T int\n// Returns.\nfunc (t *T) M() {}":       "method T.M: documentation does not begin with M",
		"// T is.\ntype T[A, B any] int\nfunc (t *T[A, B]) M() {}":    "method T.M: no documentation",
		"// T is.\ntype T[A any] int\n// N is.\nfunc (t T[A]) M() {}": "method T.M: documentation does not begin",
		"const C = 1":                  "const C: no comment",
		"const (\n\ta = 1\n\tC = 2\n)": "ipam/x.go:5: const C: no comment",
		"var V, w = 1, 2":              "var V: no comment",
		"var (\n\t// ErrA is one.\n\tErrA = 1\n\tErrB = 2\n)":             "var ErrB: no comment",
		"// a is one.\ntype a int\n\n// N is.\ntype N = a\n\nvar E int\n": "var E: no comment",
	} {
		breaks(t, documented, "ipam/x.go", "package x\n\n"+text, says)
		keeps(t, documented, "ipam/x_test.go", "package x\n\n"+text)
	}
	for _, text := range []string{
		"// F does things.\nfunc F() {}",
		"// F.\nfunc F() {}",
		"// F\nfunc F() {}",
		"// F, and only F, does things.\n//\n//go:noinline\nfunc F() {}",
		"func f() {}",
		"// A T is a type.\ntype T int\n\n// An Old is.\ntype Old int\n\n// The New is.\ntype New int",
		"// Things.\ntype (\n\t// T is one.\n\tT int\n)",
		"type t int\nfunc (t) String() string { return \"\" }",
		"// The constants.\nconst (\n\tA = 1\n\tB = 2\n)",
		"const (\n\tA = 1 // one\n\t// B is two.\n\tB = 2\n)",
		"// T is.\ntype T struct{ Field int }", // the type's comment covers its fields
	} {
		keeps(t, documented, "ipam/x.go", "package x\n\n"+text)
	}
}

func TestPackagesAreIntroducedRejects(t *testing.T) {
	no := mustParse(t, "ipam/x/a.go", "package x")
	cutOff := mustParse(t, "ipam/x/b.go", "// Package x is.\n\npackage x")
	yes := mustParse(t, "ipam/x/c.go", "// Package x is.\npackage x")
	wrong := mustParse(t, "ipam/x/d.go", "// X is.\npackage x")
	test := mustParse(t, "ipam/x/e_test.go", "// Package x is.\npackage x")
	must.StrContains(t, introduced([]*file{no, cutOff, test})[0], "no file of ipam/x says")
	must.StrContains(t, introduced([]*file{no, wrong})[0], "does not begin with Package")
	must.StrContains(t, introduced([]*file{yes, mustParse(t, "ipam/x/f.go", yes.text)})[0], "2 files of ipam/x")
	must.SliceEmpty(t, introduced([]*file{no, cutOff, yes, test}))
	must.SliceEmpty(t, introduced([]*file{mustParse(t, "examples/x/main.go", "// X does.\npackage main")}))
	must.Eq(t, token.Pos(1), no.ast.Package)
}
