package pool_test

import (
	"bufio"
	"encoding/json"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/ipamsim/ipamsim/pool"
	"github.com/shoenig/test"
	"github.com/shoenig/test/must"
)

// The verdicts of the real parser on 300 selectors.
func TestSelectorsRecorded(t *testing.T) {
	file, err := os.Open("testdata/selectors.jsonl")
	must.NoError(t, err)
	defer file.Close()
	n := 0
	for lines := bufio.NewScanner(file); lines.Scan(); n++ {
		var c struct {
			Selector        string
			Valid           bool
			Matches, Misses []map[string]string
		}
		must.NoError(t, json.Unmarshal(lines.Bytes(), &c))
		s, err := pool.Parse(c.Selector)
		must.Eq(t, c.Valid, err == nil, must.Sprintf("%q: %v", c.Selector, err))
		if err != nil {
			continue
		}
		again, err := pool.Parse(s.String())
		must.NoError(t, err, must.Sprintf("%q", s))
		for _, labels := range c.Matches {
			test.True(t, s.Matches(labels) && again.Matches(labels), test.Sprintf("%q %v", c.Selector, labels))
		}
		for _, labels := range c.Misses {
			test.False(t, s.Matches(labels) || again.Matches(labels), test.Sprintf("%q %v", c.Selector, labels))
		}
	}
	must.Eq(t, 300, n)
}

func TestParseValid(t *testing.T) {
	for text, want := range map[string]string{
		"": "all()", " \t ": "all()",
		"all()": "all()", "all(\t )": "all()", "global( )": "global()", "has(\ta )": "has(a)",
		"a == 'b'": `a == "b"`, "\ta\t==\t'b'\t": `a == "b"`, "a=='b'": `a == "b"`, `a!="b"`: `a != "b"`,
		"a in{'b'}": `a in {"b"}`, "a in { }": "a in {}", "a not in {}": "a not in {}", "a notin{'c' , 'b','c',}": `a not in {"b", "c"}`,
		"a not\t in {'b',\t}": `a not in {"b"}`,
		"a contains'b'":       `a contains "b"`, "a startswith'b'": `a starts with "b"`, "a starts \twith 'b'": `a starts with "b"`,
		"a endswith\"b\"": `a ends with "b"`, "a ends  with ''": `a ends with ""`,
		// Only an operator may follow a name, so any word may be a name.
		"in in {'in'}": `in in {"in"}`, "not not in {}": "not not in {}", "all == 'x'": `all == "x"`, "has=='x'": `has == "x"`,
		"global contains 'x'": `global contains "x"`, "contains contains 'contains'": `contains contains "contains"`,
		"starts startswith 'x'": `starts starts with "x"`, "has(has)": "has(has)", "has(in)&&has(all)": "has(in) && has(all)",
		"- == 'x'": `- == "x"`, "/./_-9 == 'x'": `/./_-9 == "x"`, "9 == '9'": `9 == "9"`, "has(-)": "has(-)",
		// Quotes have no escapes, and keep everything.
		`a == 'say "x"'`: `a == 'say "x"'`, `a == "it's"`: `a == "it's"`, `a == 'b\'`: `a == "b\"`, "a == '\n\t && {'": "a == \"\n\t && {\"",
		"a == '日本'": `a == "日本"`, "a == '\xff\x00'": "a == \"\xff\x00\"",
		`a in {'"', "'"}`: `a in {'"', "'"}`,
		// Precedence and parentheses.
		"!a == 'b'": `!a == "b"`, "!!a == 'b'": `a == "b"`, "! ! !has(a)": "!has(a)", "!(!(!(has(a))))": "!has(a)", "!(!has(a))": "has(a)",
		"!a != 'b'":                             `!a != "b"`,
		"((all()))":                             "all()",
		"has(a)||has(b)&&!has(c)":               "has(a) || has(b) && !has(c)",
		"(has(a)||has(b))&&has(c)":              "(has(a) || has(b)) && has(c)",
		"!(has(a)&&has(b))":                     "!(has(a) && has(b))",
		"has(a)&&(has(b)&&has(c))":              "has(a) && has(b) && has(c)",
		"(has(a) && has(b)) || has(c)":          "has(a) && has(b) || has(c)",
		"has(" + strings.Repeat("l", 512) + ")": "has(" + strings.Repeat("l", 512) + ")",
		strings.Repeat("l", 512) + " notin {}":  strings.Repeat("l", 512) + " not in {}",
		strings.Repeat("!", 1<<16) + "has(a)":   "has(a)",
		strings.Repeat("(", 1000) + "all()" + strings.Repeat(")", 1000):              "all()",
		strings.Repeat("!(", 1000) + "has(a)" + strings.Repeat(" )", 1000):           "has(a)",
		strings.Repeat("(", 999) + "(has(a)) && (has(b))" + strings.Repeat(")", 999): "has(a) && has(b)",
	} {
		s, err := pool.Parse(text)
		test.NoError(t, err, test.Sprintf("%.80q", text))
		if err == nil {
			test.Eq(t, want, s.String(), test.Sprintf("%.80q", text))
		}
	}
}

func TestParseInvalid(t *testing.T) {
	for _, c := range []struct {
		text string
		pos  int
	}{
		// White space.
		{"\n", 0}, {"a\n== 'b'", 1}, {"a ==\r'b'", 4}, {"a == 'b'\n", 8}, {"a\u00a0== 'b'", 1}, {"all(\n)", 4}, {"not\vin", 3},
		// Words that stand alone, or in capitals, or in the wrong place.
		{"a", 1}, {"a ", 2}, {"all", 3}, {"has", 3}, {"zone zone", 5}, {"a all()", 2}, {"a has(b)", 2}, {"a in", 4}, {"a not", 2}, {"a not {'b'}", 2},
		{"a starts 'b'", 2}, {"a with 'b'", 2}, {"a IN {'b'}", 2}, {"ALL()", 3}, {"Has(a)", 3}, {"a Contains 'b'", 2}, {"a n ot in {}", 2},
		{"a containsx 'b'", 10}, {"a inx {'b'}", 4}, {"a notinx {}", 7}, {"a inin {}", 4}, {"a starts withx 'b'", 13},
		// Calls.
		{"all ()", 4}, {"global\t()", 7}, {"has (a)", 4}, {"has(", 4}, {"has()", 4}, {"has(a", 5}, {"has(a b)", 6}, {"has('a')", 4}, {"has((a))", 4},
		{"has(a,b)", 5}, {"all(a)", 4}, {"all(", 4}, {"all(()", 4}, {"hasx(a)", 4}, {"xall()", 4}, {"-has(a)", 4}, {"global)", 6}, {"all())", 5},
		{"all()all()", 5}, {"all()a == 'b'", 5}, {"has(a) has(b)", 7}, {"all() == 'x'", 6},
		// Operators and values.
		{"a = 'b'", 2}, {"a === 'b'", 4}, {"a ! = 'b'", 2}, {"a <> 'b'", 2}, {"a > 'b'", 2}, {"== 'b'", 0}, {"!= 'b'", 1}, {"a ==", 4}, {"a == b", 5},
		{"'a' == 'b'", 0}, {"a == 'b' 'c'", 9}, {"a == 'b", 5}, {"a == 'b\"", 5}, {"a == '", 5}, {`a == 'it\'s'`, 10}, {"a == `b`", 5},
		{"a contains {'b'}", 11}, {"a == {'b'}", 5}, {"a in 'b'", 5}, {"a in ('b')", 5}, {"a not == 'b'", 2}, {"a not contains 'b'", 2}, {"a ! in {'b'}", 2},
		// Sets.
		{"a in {", 6}, {"a in {'b'", 9}, {"a in {,}", 6}, {"a in {,'b'}", 6}, {"a in {'b',,}", 10}, {"a in {'b' 'c'}", 10}, {"a in {b}", 6}, {"a in {'b'}}", 10},
		{"a in {'b',", 10}, {"a in {{}}", 6},
		// Connectives.
		{"&&", 0}, {"all() &&", 8}, {"|| all()", 0}, {"all() & all()", 6}, {"all() | all()", 6}, {"all() &&& all()", 8}, {"all() && && all()", 9},
		{"all() ||| all()", 8}, {"all() and all()", 6}, {"all() ! all()", 6}, {"!", 1}, {"!!", 2}, {"all()!", 5}, {"all(), all()", 5},
		// Parentheses.
		{"()", 1}, {"(", 1}, {")", 0}, {"(all()", 6}, {"(all()))", 7}, {"(a) == 'b'", 2}, {"(a ==) 'b'", 5}, {"(all()}", 6},
		// Characters.
		{"日本 == 'a'", 0}, {"a日 == 'b'", 1}, {"a:b == 'c'", 1}, {"a@b == 'c'", 1}, {"a == 'b' # comment", 9}, {"*", 0}, {"\x00", 0}, {"a+b == 'c'", 1},
		// Limits.
		{strings.Repeat("l", 513) + " == 'a'", 0}, {"has( " + strings.Repeat("l", 513) + ")", 5},
		{strings.Repeat("(", 1001) + "all()" + strings.Repeat(")", 1001), 1000},
		{strings.Repeat("!(", 1<<20), 2001}, {strings.Repeat("(", 1<<20), 1000},
	} {
		s, err := pool.Parse(c.text)
		test.Nil(t, s, test.Sprintf("%.80q", c.text))
		var syntax *pool.SyntaxError
		test.ErrorAs[*pool.SyntaxError](t, err, &syntax, test.Sprintf("%.80q", c.text))
		if syntax != nil {
			test.Eq(t, c.pos, syntax.Pos, test.Sprintf("%.80q: %v", c.text, err))
			test.Eq(t, c.text, syntax.Selector)
			test.NotEq(t, "", syntax.Msg)
			test.Less(t, 1000, len(err.Error()), test.Sprint("the text is not repeated"))
		}
	}
}

// If a label is absent, only the negative operators hold. An empty value is not an
// absent label.
func TestSelectorAbsentLabel(t *testing.T) {
	for text, want := range map[string][3]bool{ // absent, empty, "v"
		"a == ''": {false, true, false}, "a == 'v'": {false, false, true},
		"a != ''": {true, false, true}, "a != 'v'": {true, true, false},
		"a in {}": {false, false, false}, "a in {'','v'}": {false, true, true}, "a in {'v'}": {false, false, true},
		"a not in {}": {true, true, true}, "a not in {'','v'}": {true, false, false}, "a not in {'v'}": {true, true, false},
		"a contains ''": {false, true, true}, "a contains 'v'": {false, false, true},
		"a starts with ''": {false, true, true}, "a starts with 'v'": {false, false, true},
		"a ends with ''": {false, true, true}, "a ends with 'v'": {false, false, true},
		"has(a)": {false, true, true}, "!has(a)": {true, false, false},
		"!a == 'v'": {true, true, false}, "!a != 'v'": {false, false, true},
		"": {true, true, true}, "all()": {true, true, true}, "global()": {true, true, true}, "!global()": {false, false, false},
	} {
		s, err := pool.Parse(text)
		must.NoError(t, err, must.Sprint(text))
		for i, labels := range []map[string]string{nil, {"a": ""}, {"a": "v"}} {
			test.Eq(t, want[i], s.Matches(labels), test.Sprintf("%q of %v", text, labels))
		}
	}
	test.True(t, (*pool.Selector)(nil).Matches(nil))
	test.Eq(t, "all()", (*pool.Selector)(nil).String())
	test.True(t, new(pool.Selector).Matches(nil))
}

// Long texts take memory in proportion: a parser that copies the rest of the text at
// every word would need gigabytes here, and minutes.
func TestParseLong(t *testing.T) {
	n := 200_000
	if testing.Short() {
		n = 20_000
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	read := 0
	for _, text := range []string{
		strings.Repeat("has(a) && ", n) + "has(b)",
		strings.Repeat("(has(a) || ", 1000) + "has(b)" + strings.Repeat(")", 1000),
		"a in {" + strings.Repeat("'x', ", n) + "}",
		strings.Repeat("! ", n) + "has(a)",
		"a == '" + strings.Repeat("\"", n) + "'",
	} {
		read += len(text)
		s, err := pool.Parse(text)
		must.NoError(t, err)
		s.Matches(map[string]string{"a": "x"})
		must.NotEq(t, "", s.String())
	}
	for _, text := range []string{strings.Repeat("'", n), strings.Repeat("a starts ", n), strings.Repeat("(", n), strings.Repeat("x", n), strings.Repeat("has(", n)} {
		read += len(text)
		_, err := pool.Parse(text)
		must.Error(t, err)
	}
	runtime.ReadMemStats(&after)
	test.Less(t, 100, (after.TotalAlloc-before.TotalAlloc)/uint64(read), test.Sprint("bytes for each byte"))
}

func FuzzParseSelector(f *testing.F) {
	for _, text := range []string{
		"", "all()", "!(has(a) || b not in {'x',\"y\",}) && c starts with 'z'", "in notin{}", "((a=='b'))", "a != 'it\"s'", "global( ) &&\tall()",
		"a contains 'b' || !!has( c )", "a endswith ''", "has (a)", "a in {,}", "!(", "日本 == 'a'",
	} {
		f.Add(text, "a", "b")
	}
	f.Fuzz(func(t *testing.T, text, label, value string) {
		s, err := pool.Parse(text)
		if err != nil {
			var syntax *pool.SyntaxError
			must.ErrorAs[*pool.SyntaxError](t, err, &syntax)
			must.True(t, 0 <= syntax.Pos && syntax.Pos <= len(text))
			must.Eq(t, text, syntax.Selector)
			return
		}
		again, err := pool.Parse(s.String())
		must.NoError(t, err, must.Sprintf("%q", s))
		must.Eq(t, s.String(), again.String())
		for _, labels := range []map[string]string{nil, {label: value}, {"a": value, label: "x"}} {
			must.Eq(t, s.Matches(labels), again.Matches(labels), must.Sprintf("%q", text))
		}
	})
}

func BenchmarkSelectorMatches(b *testing.B) {
	s, err := pool.Parse("zone in {'a', 'b'} && !has(gpu) || role starts with 'edge'")
	must.NoError(b, err)
	labels := map[string]string{"zone": "b", "kubernetes.io/os": "linux"}
	b.ReportAllocs()
	for b.Loop() {
		s.Matches(labels)
	}
}
