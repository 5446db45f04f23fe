package trace

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/internal/property"
)

// oddTexts are strings that JSON could change.
var oddTexts = []string{
	"", "a", "10.0.0.0/26", `"`, `\`, "\n", "\r\n", "\x00", "\t ", "<&>", "\u2028", "\ufffd", `\ufffd`, `\\ufffd`, "ünïcödé", "\U0001f600",
	"null", "0", "{}", strings.Repeat("x", 5000),
}

// fill sets a value of any type of the format to a random value. Empty slices and
// maps are nil, as a reader leaves them.
func fill(src property.Source, v reflect.Value) {
	if v.Type() == reflect.TypeFor[*big.Int]() {
		n, _ := new(big.Int).SetString([]string{"0", "1", "-1", "1208925819614629174706176"}[src.Pick("big", 4)], 10)
		v.Set(reflect.ValueOf(n))
		return
	}
	if v.Type() == reflect.TypeFor[time.Time]() {
		at := []time.Time{{}, time.Unix(1767225600, 123_456_789).UTC(), time.Unix(0, 0).UTC()}
		v.Set(reflect.ValueOf(at[src.Pick("moment", len(at))]))
		return
	}
	if v.Type() == reflect.TypeFor[netip.Prefix]() {
		cidr := []netip.Prefix{{}, netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("10.0.0.64/26"), netip.MustParsePrefix("fd00::/122")}
		v.Set(reflect.ValueOf(cidr[src.Pick("cidr", len(cidr))]))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(oddTexts[src.Pick("text", len(oddTexts))])
	case reflect.Bool:
		v.SetBool(src.Pick("bool", 2) == 1)
	case reflect.Int, reflect.Int64:
		v.SetInt([]int64{0, 1, -1, 64, math.MaxInt32, math.MaxInt64, math.MinInt64}[src.Pick("int", 7)])
	case reflect.Uint64:
		v.SetUint([]uint64{0, 1, math.MaxUint64}[src.Pick("uint", 3)])
	case reflect.Pointer:
		if src.Pick("pointer", 2) == 1 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(src, v.Elem())
		}
	case reflect.Slice:
		for range src.Pick("length", 3) {
			e := reflect.New(v.Type().Elem()).Elem()
			fill(src, e)
			v.Set(reflect.Append(v, e))
		}
	case reflect.Map:
		for range src.Pick("length", 3) {
			if v.IsNil() {
				v.Set(reflect.MakeMap(v.Type()))
			}
			key, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(src, key)
			fill(src, e)
			v.SetMapIndex(key, e)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("json") == "-" {
				continue
			}
			// Most fields are zero in one operation.
			if v.NumField() < 10 || src.Pick("field", 4) == 0 {
				fill(src, v.Field(i))
			}
		}
	default:
		panic(v.Kind())
	}
}

// keeps is the property of a writer: reading returns what was written.
func keeps(src property.Source, write func(Header, []Op) ([]byte, error)) error {
	h := Header{Start: time.Unix(int64(src.Pick("start", math.MaxInt32)), int64(src.Pick("nanos", 2))*123).UTC()}
	fill(src, reflect.ValueOf(&h.Name).Elem())
	fill(src, reflect.ValueOf(&h.About).Elem())
	fill(src, reflect.ValueOf(&h.Pools).Elem())
	fill(src, reflect.ValueOf(&h.Reservations).Elem())
	fill(src, reflect.ValueOf(&h.Nodes).Elem())
	fill(src, reflect.ValueOf(&h.Config).Elem())
	ops := make([]Op, src.Pick("ops", 4))
	for i := range ops {
		fill(src, reflect.ValueOf(&ops[i].In).Elem())
		fill(src, reflect.ValueOf(&ops[i].Out).Elem())
		ops[i].Op = "x" + oddTexts[src.Pick("op", len(oddTexts))]
	}
	text, err := write(h, ops)
	if err != nil {
		return err
	}
	if lines := bytes.Count(text, []byte("\n")); lines != 1+len(ops) {
		return fmt.Errorf("%d lines for %d operations", lines, len(ops))
	}
	gotHeader, got, err := readAll("f", bytes.NewReader(text))
	if err != nil {
		return err
	}
	h.Version = Version
	if !reflect.DeepEqual(gotHeader, h) {
		return fmt.Errorf("header is %+v, want %+v", gotHeader, h)
	}
	for i := range ops {
		ops[i].I, ops[i].Line = i+1, i+2
	}
	if len(got) != len(ops) {
		return fmt.Errorf("%d operations, want %d", len(got), len(ops))
	}
	for i := range ops {
		if !reflect.DeepEqual(got[i], ops[i]) {
			return fmt.Errorf("operation %d is %s, want %s", i+1, compact(got[i]), compact(ops[i]))
		}
	}
	return nil
}

// TestWriteThenRead: reading returns what was written, in plain text.
func TestWriteThenRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if err := keeps(property.Rapid(t), write); err != nil {
			t.Fatal(err)
		}
	})
}

func TestWriteThenReadRejects(t *testing.T) {
	for name, broken := range map[string]func(Header, []Op) ([]byte, error){
		"loses the last operation": func(h Header, ops []Op) ([]byte, error) { return write(h, ops[:max(len(ops), 1)-1]) },
		"loses a flag": func(h Header, ops []Op) ([]byte, error) {
			ops = slices.Clone(ops)
			for i := range ops {
				ops[i].In.ClearActive = false
			}
			return write(h, ops)
		},
		"trims what is shown": func(h Header, ops []Op) ([]byte, error) {
			ops = slices.Clone(ops)
			for i := range ops {
				ops[i].Out.Shown = strings.TrimSpace(ops[i].Out.Shown)
			}
			return write(h, ops)
		},
		"escapes twice": func(h Header, ops []Op) ([]byte, error) {
			text, err := write(h, ops)
			return bytes.ReplaceAll(text, []byte(`\n`), []byte(`\\n`)), err
		},
		"cuts lines": func(h Header, ops []Op) ([]byte, error) {
			text, err := write(h, ops)
			return bytes.ReplaceAll(text, []byte(`},"out"`), []byte("},\n\"out\"")), err
		},
		"cuts the start to seconds": func(h Header, ops []Op) ([]byte, error) {
			h.Start = h.Start.Truncate(time.Second)
			return write(h, ops)
		},
	} {
		t.Run(name, func(t *testing.T) {
			property.Rejects(t, func(src property.Source) error { return keeps(src, broken) })
		})
	}
	must.NoError(t, keeps(property.Seeded(1), write))
}

// TestWrittenForm pins the text: others read it.
func TestWrittenForm(t *testing.T) {
	text, err := write(Header{Name: "n", Start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}, []Op{
		{Op: "AutoAssign", In: In{Host: "a<b>", Num4: 1}, Out: Out{IPs4: []string{"10.0.0.0/26"}}},
		{I: 17, Op: "State", Out: Out{State: &State{Blocks: []Block{{CIDR: "10.0.0.0/26"}}}}, Line: 9},
	})
	must.NoError(t, err)
	must.Eq(t, `{"version":1,"name":"n","start":"2026-01-01T00:00:00Z"}
{"i":1,"op":"AutoAssign","in":{"host":"a<b>","num4":1},"out":{"ips4":["10.0.0.0/26"]}}
{"i":2,"op":"State","in":{},"out":{"state":{"blocks":[{"cidr":"10.0.0.0/26","free":""}]}}}
`, string(text))
}

// TestRealRecordingsWritten: a recording of the real allocator, read and written
// again, reads the same.
func TestRealRecordingsWritten(t *testing.T) {
	property.Slow(t)
	for _, name := range []string{"mixed-0", "owners-0", "windows-dual-0", "crash-0"} {
		h, ops := load(t, name)
		text, err := write(h, ops)
		must.NoError(t, err)
		gotHeader, got, err := readAll(name, bytes.NewReader(text))
		must.NoError(t, err)
		must.Eq(t, h, gotHeader)
		must.Eq(t, len(ops), len(got))
		for i := range ops {
			must.Eq(t, compact(ops[i]), compact(got[i]))
		}
	}
}

// TestWriteNotUTF8: bytes that JSON would replace are refused.
func TestWriteNotUTF8(t *testing.T) {
	var out bytes.Buffer
	_, err := NewWriter(&out, Header{Name: "a\xffb"})
	must.ErrorIs(t, err, ErrNotRecordable)
	must.Zero(t, out.Len())

	w, err := NewWriter(&out, Header{Name: "\ufffd"})
	must.NoError(t, err, must.Sprint("the rune itself is text"))
	header := out.Len()
	for _, in := range []In{
		{Handle: "\xff"}, {Handle: `\` + "\xff"}, {Handle: `\\` + "\xff"}, {Handle: `\ufffd` + "\xff"},
		{Attrs: map[string]string{"\xc3": "x"}}, {Attrs: map[string]string{"x": "\xed\xa0\x80"}}, {Pools4: []string{"a", "\x80"}},
	} {
		must.ErrorIs(t, w.Write(Op{Op: "x", In: in}), ErrNotRecordable, must.Sprintf("%q", in.Handle))
		must.Eq(t, header, out.Len())
	}
	for _, in := range []In{{Handle: "\ufffd"}, {Handle: `\ufffd`}, {Handle: `\\ufffd`}, {Handle: `\\\ufffd`}, {Handle: `ufffd`}} {
		must.NoError(t, w.Write(Op{Op: "x", In: in}), must.Sprintf("%q", in.Handle))
	}
}

// errFull is the error of a full disk.
var errFull = errors.New("no space left")

// full accepts n writes, then fails.
type full struct {
	bytes.Buffer
	left int
}

func (f *full) Write(p []byte) (int, error) {
	if f.left == 0 {
		return 0, errFull
	}
	f.left--
	return f.Buffer.Write(p)
}

func TestWriteErrors(t *testing.T) {
	_, err := NewWriter(&full{}, Header{})
	must.ErrorIs(t, err, errFull)
	w, err := NewWriter(&full{left: 2}, Header{})
	must.NoError(t, err)
	must.NoError(t, w.Write(Op{Op: "x"}))
	must.ErrorIs(t, w.Write(Op{Op: "x"}), errFull)

	_, err = NewWriter(&full{left: 1}, Header{Start: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)})
	must.Error(t, err, must.Sprint("a year that JSON does not have"))
}
