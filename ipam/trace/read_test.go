package trace

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
)

const (
	someHeader = `{"version":1,"name":"t","start":"2026-01-01T00:00:00Z","pools":[{"name":"p","cidr":"10.0.0.0/24","blockSize":28}],"nodes":[{"name":"n"}]}`
	someOp     = `{"i":1,"op":"AutoAssign","in":{"host":"n","num4":1,"use":"Workload"},"out":{"ips4":["10.0.0.160/28"]}}`
	otherOp    = `{"i":2,"op":"ReleaseIPs","in":{"releases":[{"ip":"10.0.0.160"}]},"out":{"released":["10.0.0.160"]}}`
)

func compressed(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := io.WriteString(z, text)
	must.NoError(t, err)
	must.NoError(t, z.Close())
	return b.String()
}

// TestReadForms: many forms of one recording read the same.
func TestReadForms(t *testing.T) {
	plain := someHeader + "\n" + someOp + "\n" + otherOp + "\n"
	wantHeader, want, err := readAll("t", strings.NewReader(plain))
	must.NoError(t, err)
	must.Eq(t, "t", wantHeader.Name)
	must.Len(t, 2, want)
	must.Eq(t, []int{2, 3}, []int{want[0].Line, want[1].Line})

	for name, text := range map[string]string{
		"no newline at the end":  strings.TrimSuffix(plain, "\n"),
		"CRLF":                   strings.ReplaceAll(plain, "\n", "\r\n"),
		"CRLF, no newline":       strings.TrimSuffix(strings.ReplaceAll(plain, "\n", "\r\n"), "\r\n"),
		"blank lines":            "\n" + strings.ReplaceAll(plain, "\n", "\n\n \t\n\r\n") + "\n\n",
		"blanks around lines":    strings.ReplaceAll("  "+plain, "\n", " \t\n\t "),
		"gzip":                   compressed(t, plain),
		"gzip, no newline":       compressed(t, strings.TrimSuffix(plain, "\n")),
		"gzip in two parts":      compressed(t, plain[:200]) + compressed(t, plain[200:]),
		"blanks inside the JSON": strings.ReplaceAll(plain, `,"`, ` , "`),
		"fields in another order": someHeader + "\n" + `{"out":{"ips4":["10.0.0.160/28"]},"op":"AutoAssign","in":{"use":"Workload","num4":1,"host":"n"},"i":1}` +
			"\n" + otherOp,
		"zero fields written out": strings.Replace(plain, `"num4":1,`, `"num4":1,"num6":0,"handle":"","attrs":null,`, 1),
	} {
		for how, r := range map[string]io.Reader{
			"at once":     strings.NewReader(text),
			"byte wise":   iotest.OneByteReader(strings.NewReader(text)),
			"end at once": iotest.DataErrReader(strings.NewReader(text)),
		} {
			h, ops, err := readAll("t", r)
			must.NoError(t, err, must.Sprintf("%s, %s", name, how))
			must.Eq(t, wantHeader, h, must.Sprintf("%s, %s", name, how))
			for i := range ops {
				if !strings.HasPrefix(name, "blank lines") {
					must.Eq(t, i+2, ops[i].Line)
				}
				ops[i].Line = i + 2
			}
			must.Eq(t, want, ops, must.Sprintf("%s, %s", name, how))
		}
	}
}

func TestReadLongLines(t *testing.T) {
	property.Slow(t)
	name := strings.Repeat("x", 1<<20)
	h, ops, err := readAll("t", strings.NewReader(
		strings.Replace(someHeader, `"t"`, `"`+name+`"`, 1)+"\n"+strings.Repeat(" ", 1<<20)+someOp+"\n"))
	must.NoError(t, err)
	must.Eq(t, name, h.Name)
	must.Len(t, 1, ops)
}

// TestReadEnd: after the end, Next keeps returning the end.
func TestReadEnd(t *testing.T) {
	r, err := NewReader("the name", strings.NewReader(someHeader+"\n"+someOp+"\n"))
	must.NoError(t, err)
	must.Eq(t, "the name", r.Name())
	_, err = r.Next()
	must.NoError(t, err)
	for range 3 {
		_, err = r.Next()
		must.Eq(t, io.EOF, err)
	}
	must.NoError(t, r.Close(), must.Sprint("nothing to close"))
}

// malformed are recordings that cannot be read or played, with the error's text
// and line.
var malformed = []struct {
	name, text string
	line       int
	says       string // the offending value, or if there is none the fault
}{
	{"empty", "", 1, "no header"},
	{"blank lines only", "\n\n \r\n", 1, "no header"},
	{"not JSON", "hello\n", 1, `invalid character 'h'`},
	{"null", "null\n", 1, "version 0, want 1"},
	{"a list", "[]\n", 1, "cannot unmarshal array"},
	{"no version", `{"name":"x"}`, 1, "version 0, want 1"},
	{"version 2", strings.Replace(someHeader, `"version":1`, `"version":2`, 1), 1, "version 2, want 1"},
	{"version as text", strings.Replace(someHeader, `"version":1`, `"version":"1"`, 1), 1, "version"},
	{"version 2 below blank lines", "\n\n" + strings.Replace(someHeader, `"version":1`, `"version":2`, 1), 3, "version 2, want 1"},
	{"byte order mark", "\ufeff" + someHeader, 1, "invalid character"},
	{"start is no time", strings.Replace(someHeader, "2026-01-01T00:00:00Z", "yesterday", 1), 1, "yesterday"},
	{"unknown field in the header", strings.Replace(someHeader, `"name":"t"`, `"title":"t"`, 1), 1, `"title"`},
	{"unknown field in a pool", strings.Replace(someHeader, `"blockSize"`, `"blocksize6"`, 1), 1, `"blocksize6"`},
	{"header cut", someHeader[:50], 1, "middle of a JSON value"},
	{"two headers on a line", someHeader + someHeader, 1, "text after the JSON value"},
	{"operation instead of a header", someOp, 1, "unknown field"},

	{"unknown field", someHeader + "\n" + strings.Replace(someOp, `"host"`, `"hots"`, 1), 2, `"hots"`},
	{"unknown field in out", someHeader + "\n" + strings.Replace(someOp, `"ips4"`, `"ips5"`, 1), 2, `"ips5"`},
	{"unknown field beside op", someHeader + "\n" + strings.Replace(someOp, `"i":1`, `"i":1,"j":1`, 1), 2, `"j"`},
	{"wrong type", someHeader + "\n" + strings.Replace(someOp, `"num4":1`, `"num4":"one"`, 1), 2, "in.num4"},
	{"a fraction", someHeader + "\n" + strings.Replace(someOp, `"num4":1`, `"num4":1.5`, 1), 2, "1.5"},
	{"too large a number", someHeader + "\n" + strings.Replace(someOp, `"num4":1`, `"num4":99999999999999999999`, 1), 2, "99999999999999999999"},
	{"no op", someHeader + "\n" + `{"i":1,"in":{},"out":{}}`, 2, `no operation in "op"`},
	{"null as operation", someHeader + "\n" + someOp + "\nnull\n", 3, `no operation in "op"`},
	{"cut in the middle", someHeader + "\n" + someOp + "\n" + otherOp[:40], 3, "middle of a JSON value"},
	{"cut in the middle, CRLF", someHeader + "\r\n" + someOp[:40] + "\r\n", 2, "middle of a JSON value"},
	{"text after the value", someHeader + "\n" + someOp + " x\n", 2, "text after the JSON value, at byte 103"},
	{"a comma after the value", someHeader + "\n" + someOp + ",\n" + otherOp, 2, "text after the JSON value"},
	{"two operations on a line", someHeader + "\n" + someOp + otherOp, 2, "text after the JSON value"},
	{"below blank lines", someHeader + "\n\n\r\n" + someOp + "\n\n}\n", 6, "invalid character '}'"},

	{"unknown operation", someHeader + "\n" + someOp + "\n" + `{"i":2,"op":"Assign","in":{},"out":{}}`, 3, `unknown operation "Assign"`},
	{"operation in lower case", someHeader + "\n" + `{"i":1,"op":"autoAssign","in":{},"out":{}}`, 2, `"autoAssign"`},
	{"address", someHeader + "\n" + `{"i":1,"op":"AssignIP","in":{"ip":"10.0.0.256","host":"n"},"out":{}}`, 2, `AssignIP: ParseAddr("10.0.0.256")`},
	{"no address", someHeader + "\n" + `{"i":1,"op":"GetAssignmentAttributes","in":{},"out":{}}`, 2, `ParseAddr("")`},
	{"address to release", someHeader + "\n" + `{"i":1,"op":"ReleaseIPs","in":{"releases":[{"ip":"10.0.0.1"},{"ip":"x"}]},"out":{}}`, 2, `ParseAddr("x")`},
	{"sequence number", someHeader + "\n" + `{"i":1,"op":"ReleaseIPs","in":{"releases":[{"ip":"10.0.0.1","seq":"7"}]},"out":{}}`, 2, `"7"`},
	{"address of SetOwnerAttributes", someHeader + "\n" + `{"i":1,"op":"SetOwnerAttributes","in":{"ip":"10.0.0"},"out":{}}`, 2, `"10.0.0"`},
	{"CIDR", someHeader + "\n" + `{"i":1,"op":"ClaimAffinity","in":{"host":"n","cidr":"10.0.0.0/33"},"out":{}}`, 2, `"10.0.0.0/33"`},
	{"no CIDR", someHeader + "\n" + `{"i":1,"op":"DropBlock","in":{},"out":{}}`, 2, `DropBlock: netip.ParsePrefix("")`},
	{"requested pool", someHeader + "\n" + `{"i":1,"op":"AutoAssign","in":{"pools4":["10.0.0.0/24","pool"]},"out":{}}`, 2, `"pool"`},
	{"requested pool, IPv6", someHeader + "\n" + `{"i":1,"op":"EnsureBlock","in":{"pools6":["::/129"]},"out":{}}`, 2, `"::/129"`},
	{"requested pool, IPv6, AutoAssign", someHeader + "\n" + `{"i":1,"op":"AutoAssign","in":{"pools6":["::/129"]},"out":{}}`, 2, `"::/129"`},
	{"requested pool, EnsureBlock", someHeader + "\n" + `{"i":1,"op":"EnsureBlock","in":{"pools4":["10/8"]},"out":{}}`, 2, `"10/8"`},
	{"affinity's state", someHeader + "\n" + `{"i":1,"op":"PutAffinity","in":{"host":"n","cidr":"10.0.0.0/28","state":"claimed"},"out":{}}`, 2, `"claimed"`},
	{"affinity's CIDR", someHeader + "\n" + `{"i":1,"op":"PutAffinity","in":{"host":"n","cidr":"10.0.0.0","state":"pending"},"out":{}}`, 2, `"10.0.0.0"`},
	{"what to show", someHeader + "\n" + `{"i":1,"op":"Show","in":{"state":"nodes"},"out":{}}`, 2, `"nodes"`},
	{"address to show", someHeader + "\n" + `{"i":1,"op":"Show","in":{"state":"ip","ip":"n"},"out":{}}`, 2, `"n"`},
	{"no config", someHeader + "\n" + `{"i":1,"op":"SetIPAMConfig","in":{},"out":{}}`, 2, "SetIPAMConfig: no config"},
	{"no pool", someHeader + "\n" + `{"i":1,"op":"SetPool","in":{},"out":{}}`, 2, "SetPool: no pool"},
	{"no pool to delete", someHeader + "\n" + `{"i":1,"op":"DeletePool","in":{},"out":{}}`, 2, "DeletePool: no pool"},
	{"no node", someHeader + "\n" + `{"i":1,"op":"SetNode","in":{},"out":{}}`, 2, "SetNode: no node"},
	{"no node to delete", someHeader + "\n" + `{"i":1,"op":"DeleteNode","in":{},"out":{}}`, 2, "DeleteNode: no node"},
	{"pool's CIDR", someHeader + "\n" + `{"i":1,"op":"SetPool","in":{"pool":{"name":"q","cidr":"10.0.1/24"}},"out":{}}`, 2, `"10.0.1/24"`},
	{"seconds", someHeader + "\n" + `{"i":1,"op":"Advance","in":{"seconds":9223372037},"out":{}}`, 2, "9223372037"},
	{"seconds back", someHeader + "\n" + `{"i":1,"op":"Advance","in":{"seconds":-9223372036854775808},"out":{}}`, 2, "-9223372036854775808"},

	{"header's pool", strings.Replace(someHeader, "10.0.0.0/24", "10.0.0/24", 1), 1, `pool p: netip.ParsePrefix("10.0.0/24")`},
	{"header's pool, below blank lines", "\n\n" + strings.Replace(someHeader, "10.0.0.0/24", "10.0.0/24", 1), 3, `"10.0.0/24"`},
	{"header's pool with host bits", strings.Replace(someHeader, "10.0.0.0/24", "10.0.0.1/24", 1), 1, `10.0.0.1/24`},
	{"header's pools overlap", strings.Replace(someHeader, `"pools":[`, `"pools":[{"name":"a","cidr":"10.0.0.0/25"},`, 1), 1, "overlaps"},
	{"header's node", strings.Replace(someHeader, `{"name":"n"}`, `{}`, 1), 1, `node ""`},
	{"header's config", strings.Replace(someHeader, `"nodes"`, `"config":{"ipCooldownSeconds":1201},"nodes"`, 1), 1, `"1201"`},
}

// TestMalformed: every fault of a recording is found, plain and compressed, and
// named with file and line.
func TestMalformed(t *testing.T) {
	for _, c := range malformed {
		for file, text := range map[string]string{"the/file.jsonl": c.text, "the/file.jsonl.gz": compressed(t, c.text)} {
			t.Run(c.name, func(t *testing.T) {
				_, err := replayText(file, []byte(text))
				must.ErrorIs(t, err, ErrMalformed)
				var syntax *SyntaxError
				must.ErrorAs[*SyntaxError](t, err, &syntax)
				must.Eq(t, file, syntax.File)
				must.Eq(t, c.line, syntax.Line, must.Sprintf("%v", err))
				must.ErrorContains(t, err, c.says)
				must.ErrorContains(t, err, file+":")
				must.StrNotContains(t, err.Error(), "\n", must.Sprint("one line"))
				unknown := strings.Contains(c.name, "operation") && strings.Contains(c.text, `"op":"`) && strings.Contains(strings.ToLower(c.text), `assign","in":{},`)
				must.Eq(t, unknown, errors.Is(err, ErrUnknownOperation))
			})
		}
	}
}

// TestMalformedAfterwards: operations before a fault are replayed.
func TestMalformedAfterwards(t *testing.T) {
	result, err := replayText("f", []byte(someHeader+"\n"+someOp+"\n"+otherOp+"\nx\n"))
	must.ErrorIs(t, err, ErrMalformed)
	must.Eq(t, 2, result.Operations)
	must.SliceEmpty(t, result.Divergences, must.Sprint(result.Divergences))
}

func TestMalformedGzip(t *testing.T) {
	property.Slow(t)
	// Many lines that do not compress to nothing, so that a cut leaves some.
	var text strings.Builder
	text.WriteString(someHeader + "\n")
	src := property.Seeded(1)
	for range 2000 {
		text.WriteString(strings.Replace(someOp, `"n"`, `"`+string(rune('a'+src.Pick("", 26)))+string(rune('a'+src.Pick("", 26)))+string(rune('a'+src.Pick("", 26)))+`"`, 1) + "\n")
	}
	whole := compressed(t, text.String())
	corrupt := func(at int) string {
		b := []byte(whole)
		b[at] ^= 0xff
		return string(b)
	}
	for _, c := range []struct {
		name, text string
		early      bool // already in the header
		cause      error
	}{
		{"magic only", whole[:2], true, io.ErrUnexpectedEOF},
		{"header cut", whole[:9], true, io.ErrUnexpectedEOF},
		{"no data", whole[:10], true, io.ErrUnexpectedEOF},
		{"cut", whole[:len(whole)/2], false, io.ErrUnexpectedEOF},
		{"trailer cut", whole[:len(whole)-1], false, io.ErrUnexpectedEOF},
		{"wrong checksum", corrupt(len(whole) - 8), false, gzip.ErrChecksum},
		{"unknown method", corrupt(2), true, gzip.ErrHeader},
		{"garbage afterwards", whole + "garbage", false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, ops, err := readAll("f.gz", strings.NewReader(c.text))
			must.ErrorIs(t, err, ErrMalformed)
			var syntax *SyntaxError
			must.ErrorAs[*SyntaxError](t, err, &syntax)
			must.Eq(t, "f.gz", syntax.File)
			if c.cause != nil {
				must.ErrorIs(t, err, c.cause)
			}
			if c.early {
				must.Eq(t, 1, syntax.Line)
				return
			}
			must.Greater(t, 500, len(ops), must.Sprint("what could be read was"))
			must.Eq(t, len(ops)+2, syntax.Line, must.Sprint("the line that could not be"))
		})
	}
}

// TestUnreadable: an error of the underlying reader is no fault of the recording.
func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing.jsonl")
	_, err := Open(missing)
	must.ErrorIs(t, err, fs.ErrNotExist)
	must.ErrorContains(t, err, missing)
	must.False(t, errors.Is(err, ErrMalformed), must.Sprint(err))

	_, err = Open(dir)
	must.Error(t, err, must.Sprint("a directory"))
	must.ErrorContains(t, err, dir)
	must.False(t, errors.Is(err, ErrMalformed), must.Sprint(err))

	broken := errors.New("the cable is out")
	for name, text := range map[string]string{
		"at once":       "",
		"in the header": someHeader[:20],
		"in a line":     someHeader + "\n" + someOp[:20],
		"at the end":    someHeader + "\n" + someOp + "\n",
		"gzip header":   compressed(t, someHeader)[:5],
		"in the gzip":   compressed(t, someHeader+"\n"+someOp+"\n")[:80],
		"gzip trailer":  strings.TrimSuffix(compressed(t, someHeader), "\x00"),
	} {
		_, _, err := readAll("f", io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken)))
		must.ErrorIs(t, err, broken, must.Sprint(name))
		must.False(t, errors.Is(err, ErrMalformed), must.Sprint(name))
		must.ErrorContains(t, err, "f:", must.Sprint(name))
	}

	// A fault before the failure is the recording's.
	r, err := NewReader("f", io.MultiReader(strings.NewReader(someHeader+"\nx\n"), iotest.ErrReader(broken)))
	must.NoError(t, err)
	_, err = r.Next()
	must.ErrorIs(t, err, ErrMalformed)
	_, err = r.Next()
	must.ErrorIs(t, err, broken)
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"plain.jsonl":    someHeader + "\n" + someOp + "\n",
		"named.gz":       someHeader + "\n" + someOp + "\n", // the content counts, not the name
		"recording.json": compressed(t, someHeader+"\n"+someOp+"\n"),
	} {
		path := filepath.Join(dir, name)
		must.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		r, err := Open(path)
		must.NoError(t, err)
		must.Eq(t, path, r.Name())
		result, err := Replay(r, nil)
		must.NoError(t, err)
		must.Eq(t, Result{Operations: 1}, result)
		must.NoError(t, r.Close())
		must.Error(t, r.Close(), must.Sprint("closed already"))
	}
	path := filepath.Join(dir, "bad")
	must.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
	_, err := Open(path)
	var syntax *SyntaxError
	must.ErrorAs[*SyntaxError](t, err, &syntax)
	must.Eq(t, path, syntax.File)
}

// TestLineTooLong reads a line that does not end, of a quarter of a gigabyte.
func TestLineTooLong(t *testing.T) {
	if !property.Long() {
		t.Skip("needs memory; set IPAMSIM_LONG")
	}
	r, err := NewReader("f", io.MultiReader(strings.NewReader(someHeader+"\n"), endless{}))
	must.NoError(t, err)
	_, err = r.Next()
	must.ErrorIs(t, err, ErrMalformed)
	must.ErrorContains(t, err, "f:2: line is longer")
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}
