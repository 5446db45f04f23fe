package pool_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ipamsim/ipamsim/pool"
	"pgregory.net/rapid"
)

// expr is an independent syntax tree. It evaluates itself, and prints itself in
// one of the spellings that the language allows, drawn at random.
type expr struct {
	op, label string
	values    []string
	kids      []expr
}

func (e expr) eval(labels map[string]string) bool {
	var present []string // the label's value, or nothing
	if value, ok := labels[e.label]; ok {
		present = []string{value}
	}
	any := func(test func(have, want string) bool) bool {
		for _, have := range present {
			for _, want := range e.values {
				if test(have, want) {
					return true
				}
			}
		}
		return false
	}
	equal := func(have, want string) bool { return have == want }
	switch e.op {
	case "all", "global":
		return true
	case "has":
		return len(present) == 1
	case "==", "in":
		return any(equal)
	case "!=", "not in":
		return !any(equal)
	case "contains":
		return any(strings.Contains)
	case "starts with":
		return any(func(have, want string) bool { return len(have) >= len(want) && have[:len(want)] == want })
	case "ends with":
		return any(func(have, want string) bool { return len(have) >= len(want) && have[len(have)-len(want):] == want })
	case "!":
		return !e.kids[0].eval(labels)
	}
	count := 0
	for _, kid := range e.kids {
		if kid.eval(labels) {
			count++
		}
	}
	return count == len(e.kids) || e.op == "||" && count > 0
}

// level is how tightly e binds: 0 for ||, 1 for &&, 2 for the rest.
func (e expr) level() int {
	if level := slices.Index([]string{"||", "&&"}, e.op); level >= 0 {
		return level
	}
	return 2
}

func (e expr) print(t *rapid.T, least int) string {
	blank := func() string { return rapid.SampledFrom([]string{"", " ", "\t", "  "}).Draw(t, "blank") }
	gap := func() string { return rapid.SampledFrom([]string{" ", "\t "}).Draw(t, "gap") }
	quote := func(value string) string {
		q := rapid.SampledFrom([]string{"'", `"`}).Draw(t, "quote")
		if strings.Contains(value, q) {
			q = map[string]string{"'": `"`, `"`: "'"}[q]
		}
		return q + value + q
	}
	var text string
	switch e.op {
	case "all", "global":
		text = e.op + "(" + blank() + ")"
	case "has":
		text = "has(" + blank() + e.label + blank() + ")"
	case "==", "!=":
		text = e.label + blank() + e.op + blank() + quote(e.values[0])
	case "contains", "starts with", "ends with":
		text = e.label + gap() + strings.ReplaceAll(e.op, " ", blank()) + blank() + quote(e.values[0])
	case "in", "not in":
		text = e.label + gap() + strings.ReplaceAll(e.op, " ", blank()) + blank() + "{"
		for i, value := range e.values {
			text += blank() + quote(value) + blank()
			if i < len(e.values)-1 || rapid.Bool().Draw(t, "comma") {
				text += ","
			}
		}
		text += blank() + "}"
	case "!":
		text = "!" + blank() + e.kids[0].print(t, 2)
	default:
		for i, kid := range e.kids {
			if i > 0 {
				text += blank() + e.op + blank()
			}
			text += kid.print(t, e.level()+1)
		}
	}
	if e.level() < least || rapid.IntRange(0, 5).Draw(t, "parens") == 0 {
		text = "(" + blank() + text + blank() + ")"
	}
	return text
}

var (
	someLabels = []string{"zone", "role", "in", "a/b.c_-1"}
	someValues = []string{"", "a", "ab", "b", "x y", "it's", `say "x"`}
)

func exprs(depth int) *rapid.Generator[expr] {
	return rapid.Custom(func(t *rapid.T) expr {
		ops := []string{"==", "!=", "in", "not in", "contains", "starts with", "ends with", "has", "all", "global"}
		if depth > 0 {
			ops = append(ops, "!", "&&", "||", "&&", "||", "!", "&&", "||")
		}
		e := expr{op: rapid.SampledFrom(ops).Draw(t, "op")}
		kids := 0
		switch e.op {
		case "all", "global":
			return e
		case "!":
			kids = 1
		case "&&", "||":
			kids = rapid.IntRange(2, 3).Draw(t, "kids")
		case "in", "not in":
			e.values = rapid.SliceOfN(rapid.SampledFrom(someValues), 0, 4).Draw(t, "values")
		case "has":
		default:
			e.values = []string{rapid.SampledFrom(someValues).Draw(t, "value")}
		}
		for range kids {
			e.kids = append(e.kids, exprs(depth-1).Draw(t, "kid"))
		}
		if kids == 0 {
			e.label = rapid.SampledFrom(someLabels).Draw(t, "label")
		}
		return e
	})
}

type selectorCase struct {
	expr   expr
	text   string
	labels []map[string]string
}

var selectorCases = rapid.Custom(func(t *rapid.T) selectorCase {
	e := exprs(3).Draw(t, "expr")
	labels := rapid.MapOf(rapid.SampledFrom(someLabels), rapid.SampledFrom(someValues))
	return selectorCase{e, e.print(t, 0), rapid.SliceOfN(labels, 8, 8).Draw(t, "labels")}
})

type selectorLike interface {
	Matches(map[string]string) bool
	String() string
}

// selectorProperty compares a parser with the tree from which the text was
// printed.
func selectorProperty(parse func(string) (selectorLike, error)) func(selectorCase) error {
	return func(c selectorCase) error {
		s, err := parse(c.text)
		if err != nil {
			return fmt.Errorf("%q: %w", c.text, err)
		}
		again, err := parse(s.String())
		if err != nil {
			return fmt.Errorf("%q of %q: %w", s, c.text, err)
		}
		errs := []error{differs("the normal form of the normal form", again.String(), s.String())}
		for _, labels := range c.labels {
			before := maps.Clone(labels)
			what := fmt.Sprintf("%q of %q", c.text, labels)
			errs = append(errs,
				differs(what, s.Matches(labels), c.expr.eval(labels)),
				differs("normal form "+what, again.Matches(labels), c.expr.eval(labels)),
				differs("labels afterwards", labels, before))
		}
		return errors.Join(errs...)
	}
}

func parseSelector(text string) (selectorLike, error) {
	s, err := pool.Parse(text)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func TestSelectorIsTree(t *testing.T) { holds(t, selectorCases, selectorProperty(parseSelector)) }

type (
	absentIsEmpty struct{ selectorLike }
	noParens      struct{ selectorLike }
)

func (s absentIsEmpty) Matches(labels map[string]string) bool {
	full := map[string]string{}
	for _, label := range someLabels {
		full[label] = labels[label]
	}
	return s.selectorLike.Matches(full)
}

func (s noParens) String() string {
	text := s.selectorLike.String()
	if strings.Contains(text, "has(") || strings.Contains(text, "l()") {
		return text
	}
	return strings.NewReplacer("(", "", ")", "").Replace(text)
}

func TestSelectorCatchesBroken(t *testing.T) {
	rewritten := func(rewrite func(string) string) func(string) (selectorLike, error) {
		return func(text string) (selectorLike, error) { return parseSelector(rewrite(text)) }
	}
	wrapped := func(wrap func(selectorLike) selectorLike) func(string) (selectorLike, error) {
		return func(text string) (selectorLike, error) {
			s, err := parseSelector(text)
			if err != nil {
				return nil, err
			}
			return wrap(s), nil
		}
	}
	for name, parse := range map[string]func(string) (selectorLike, error){
		"|| binds tighter than &&": rewritten(func(text string) string {
			// The parentheses of calls are hidden while the others are doubled.
			loose := strings.NewReplacer("(", "((", ")", "))", "&&", ")&&(")
			for _, call := range []string{"has", "all", "global"} {
				text = hideCalls(text, call)
			}
			return strings.NewReplacer("\x01", "(", "\x02", ")").Replace("(" + loose.Replace(text) + ")")
		}),
		"! is ignored": rewritten(func(text string) string {
			return strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(text, "!=", "\x01"), "!", ""), "\x01", "!=")
		}),
		"tab is no white space": rewritten(func(text string) string { return strings.ReplaceAll(text, "\t", "\n") }),
		"no trailing comma": func(text string) (selectorLike, error) {
			if strings.Contains(strings.NewReplacer(" ", "", "\t", "").Replace(text), ",}") {
				return nil, errors.New("comma")
			}
			return parseSelector(text)
		},
		"starts with is ends with": rewritten(func(text string) string { return strings.ReplaceAll(text, "starts", "ends") }),
		"absent is empty":          wrapped(func(s selectorLike) selectorLike { return absentIsEmpty{s} }),
		"printed without parens":   wrapped(func(s selectorLike) selectorLike { return noParens{s} }),
	} {
		t.Run(name, func(t *testing.T) { rejects(t, selectorCases, selectorProperty(parse)) })
	}
}

// hideCalls replaces the parentheses of calls of a name by \x01 and \x02.
func hideCalls(text, name string) string {
	for {
		before, after, found := strings.Cut(text, name+"(")
		if !found {
			return text
		}
		inside, rest, _ := strings.Cut(after, ")")
		text = before + name + "\x01" + inside + "\x02" + rest
	}
}
