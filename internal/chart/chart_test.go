package chart

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/shoenig/test/must"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// element is an SVG element with its text.
type element struct {
	name, text string
	attr       map[string]string
}

// parse returns the elements in the order in which they begin.
func parse(t *testing.T, svg string) (elements []*element) {
	t.Helper()
	var open []*element
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			must.SliceEmpty(t, open, must.Sprint(open))
			return elements
		}
		must.NoError(t, err)
		switch x := token.(type) {
		case xml.StartElement:
			e := &element{name: x.Name.Local, attr: map[string]string{}}
			for _, a := range x.Attr {
				e.attr[a.Name.Local] = a.Value
			}
			elements, open = append(elements, e), append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				open[len(open)-1].text += string(x)
			}
		}
	}
}

func named(elements []*element, name string) []*element {
	return slices.DeleteFunc(slices.Clone(elements), func(e *element) bool { return e.name != name })
}

func texts(elements []*element) (texts []string) {
	for _, e := range named(elements, "text") {
		texts = append(texts, strings.TrimSpace(e.text))
	}
	return texts
}

var routes = Bars{
	Words:  Words{ID: "routes", Title: "Routes <&> more", Desc: `/26 2,534, "/28" 0`},
	Labels: []string{"/24", "/26", "/28"}, Values: []int{1267, 2534, 0}, Marked: 2,
}

func TestBars(t *testing.T) {
	svg, err := routes.SVG()
	must.NoError(t, err)
	elements := parse(t, svg)

	root := elements[0]
	must.Eq(t, "svg", root.name)
	must.Eq(t, "img", root.attr["role"])
	must.Eq(t, "routes-title routes-desc", root.attr["aria-labelledby"])
	must.MapNotContainsKey(t, root.attr, "width", must.Sprint("it scales with the page"))
	must.Eq(t, "0 0 225 69", root.attr["viewBox"])
	must.Eq(t, "routes-title", elements[1].attr["id"])
	must.Eq(t, "Routes <&> more", elements[1].text)
	must.Eq(t, "routes-desc", elements[2].attr["id"])
	must.Eq(t, `/26 2,534, "/28" 0`, elements[2].text)

	must.SliceContainsAll(t, texts(elements), []string{"/24", "/26", "/28", "1,267", "2,534", "0"})
	// Label and number of a bar are on one line.
	height := map[string]float64{}
	for _, e := range named(elements, "text") {
		y, err := strconv.ParseFloat(e.attr["y"], 64)
		must.NoError(t, err)
		height[strings.TrimSpace(e.text)] = y
	}
	must.InDelta(t, height["/24"], height["1,267"], 0.2)
	must.InDelta(t, height["/28"], height["0"], 0.2)
	must.Eq(t, 1, strings.Count(svg, `class="f-bar"`))
	must.Eq(t, 1, strings.Count(svg, `class="f-mark"`))
	must.StrNotContains(t, svg, "style=", must.Sprint("a strict policy forbids it"))
	must.StrNotContains(t, svg, `="#`, must.Sprint("colours are the page's"))

	again, err := routes.SVG()
	must.NoError(t, err)
	must.Eq(t, svg, again)
}

// TestBarsAreToScale: a bar twice as long is twice as much.
func TestBarsAreToScale(t *testing.T) {
	width := func(values ...int) float64 {
		b := Bars{Labels: make([]string, len(values)), Values: values, Marked: 1}
		svg, err := b.SVG()
		must.NoError(t, err)
		for _, e := range parse(t, svg) {
			if e.attr["class"] == "f-mark" {
				return extent(t, e.attr["d"])
			}
		}
		return 0
	}
	whole := width(1000, 500)
	must.Greater(t, 100.0, whole)
	must.InDelta(t, whole/2, width(500, 1000), 0.1)
	must.InDelta(t, 1, width(1, 100_000), 0.1, must.Sprint("what is not nothing can be seen"))
	must.Zero(t, width(0, 1))
}

// extent returns the width of a path made of moves and lines.
func extent(t *testing.T, d string) float64 {
	t.Helper()
	xs, _ := points(t, d)
	return slices.Max(xs) - slices.Min(xs)
}

func points(t *testing.T, d string) (xs, ys []float64) {
	t.Helper()
	for _, p := range strings.FieldsFunc(d, func(r rune) bool { return strings.ContainsRune("MLZ", r) }) {
		var x, y float64
		_, err := fmt.Sscanf(p, "%g,%g", &x, &y)
		must.NoError(t, err, must.Sprint(p))
		xs, ys = append(xs, x), append(ys, y)
	}
	return xs, ys
}

func TestNothingToDraw(t *testing.T) {
	for _, c := range []interface{ SVG() (string, error) }{&Bars{}, &Lines{}, &Lines{Series: []Series{{}}}, &Lines{Series: []Series{{X: []float64{0}, Y: []float64{0}}}}} {
		svg, err := c.SVG()
		must.NoError(t, err)
		must.StrNotContains(t, svg, "NaN")
		must.StrNotContains(t, svg, "Inf")
		parse(t, svg)
	}
}

func TestLines(t *testing.T) {
	l := Lines{
		Words: Words{ID: "free", Title: "Free", Desc: "falls"},
		Series: []Series{
			{X: []float64{0, 10, 20}, Y: []float64{100, 90, 80}},
			{X: []float64{0, 10, 20}, Y: []float64{100, 50, 0}, Strong: true},
		},
		Top: 100, Unit: " %",
		Ticks: []Tick{{0, "0\n0s"}, {20, "1,200\n1h"}},
	}
	svg, err := l.SVG()
	must.NoError(t, err)
	elements := parse(t, svg)
	must.SliceContainsSubset(t, texts(elements), []string{"0 %", "20 %", "100 %", "0", "0s", "1,200", "1h"})
	var lines [][2][]float64
	var classes []string
	for _, e := range named(elements, "path") {
		if strings.HasPrefix(e.attr["class"], "l-s") {
			xs, ys := points(t, e.attr["d"])
			lines = append(lines, [2][]float64{xs, ys})
			classes = append(classes, e.attr["class"])
		}
	}
	must.Eq(t, []string{"l-s1", "l-s0"}, classes, must.Sprint("the strong one below, in its own colour"))
	xs, ys := lines[0][0], lines[0][1]
	must.InDelta(t, xs[2]-xs[1], xs[1]-xs[0], 0.01)
	must.InDelta(t, ys[2]-ys[1], ys[1]-ys[0], 0.01)
	must.Greater(t, ys[2], ys[0], must.Sprint("y points up: the drawing is turned over"))
	must.Eq(t, lines[1][1][0], ys[0], must.Sprint("the same value is at the same height"))
	must.StrNotContains(t, svg, `="#`)
}

// TestInside: whatever the figures, nothing is drawn outside.
func TestInside(t *testing.T) {
	inside := func(svg string) bool {
		for _, e := range named(parse(t, svg), "path") {
			xs, ys := points(t, e.attr["d"])
			if slices.Min(xs) < -1 || slices.Max(xs) > 381 || slices.Min(ys) < -1 || slices.Max(ys) > 191 {
				return false
			}
		}
		return true
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		top := 1.0
		for range r.IntN(20) {
			top *= 3
		}
		l := Lines{Unit: " %"}
		for range r.IntN(4) {
			s := Series{}
			for x := range r.IntN(5) + 1 {
				s.X, s.Y = append(s.X, float64(x)), append(s.Y, r.Float64()*top)
			}
			l.Series = append(l.Series, s)
		}
		svg, err := l.SVG()
		must.NoError(t, err)
		must.True(t, inside(svg), must.Sprint(svg))
	}
	must.False(t, inside(`<svg><path d="M10,10L500,10"/></svg>`))
}

func TestUpTo(t *testing.T) {
	for _, c := range []struct {
		top    float64
		counts bool
		want   []float64
	}{
		{100, false, []float64{0, 20, 40, 60, 80, 100}},
		{64, true, []float64{0, 20, 40, 60, 80}},
		{3, true, []float64{0, 1, 2, 3}},
		{1, true, []float64{0, 1}},
		{0, true, []float64{0, 1}},
		{1016, true, []float64{0, 500, 1000, 1500}},
		{0.9, false, []float64{0, 0.2, 0.4, 0.6, 0.8, 1}},
	} {
		must.InDeltaSlice(t, c.want, upTo(c.top, c.counts), 1e-9, must.Sprintf("%v", c.top))
	}
	for top := 0.001; top < 1e12; top *= 1.07 {
		ticks := upTo(top, false)
		must.GreaterEq(t, top*(1-1e-6), ticks[len(ticks)-1])
		must.GreaterEq(t, 3, len(ticks), must.Sprintf("%v", top))
		must.LessEq(t, 7, len(ticks), must.Sprintf("%v", top))
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1: "-1", -100: "-100", -1000: "-1,000"} {
		must.Eq(t, want, Thousands(n))
	}
	for v, want := range map[float64]string{0: "0", 0.2: "0.2", 0.1 + 0.2: "0.3", 1500: "1,500", 2e6: "2,000,000", 65536: "65,536"} {
		must.Eq(t, want, number(v))
	}
}

func TestKey(t *testing.T) {
	seen := map[string]bool{}
	for i := range 24 {
		svg, err := Key(i, false)
		must.NoError(t, err)
		must.StrContains(t, svg, `aria-hidden="true"`)
		must.False(t, seen[svg], must.Sprintf("series %d looks like another", i))
		seen[svg] = true
		strong, err := Key(i, true)
		must.NoError(t, err)
		must.NotEq(t, svg, strong)
	}
}

// TestEveryColourIsAPart: drawing in a colour that no page can change is an error,
// also in black, which SVG does not write down.
func TestEveryColourIsAPart(t *testing.T) {
	draw := func(paint func(c *vgsvg.Canvas)) error {
		c := vgsvg.New(10, 10)
		paint(c)
		_, err := dress(c, "0 0 10 10", Words{})
		return err
	}
	square := vg.Rectangle{Max: vg.Point{X: 5, Y: 5}}.Path()
	must.NoError(t, draw(func(c *vgsvg.Canvas) { c.SetColor(paint("s7")); c.Fill(square) }))
	must.ErrorContains(t, draw(func(c *vgsvg.Canvas) { c.SetColor(red{}); c.Fill(square) }), "#FF0000")
	must.ErrorContains(t, draw(func(c *vgsvg.Canvas) { c.SetColor(black{}); c.SetLineWidth(1); c.Fill(square) }), "black")
	must.Panic(t, func() { paint("s8") })
	for _, p := range parts {
		must.True(t, strings.Contains(CSS(), ".f-"+p.class+"{") && strings.Contains(CSS(), ".l-"+p.class+"{"))
	}
	_, err := dress(bytes.NewBufferString("<svg><g></svg>"), "", Words{})
	must.Error(t, err)
}

type red struct{}

func (red) RGBA() (r, g, b, a uint32) { return 0xffff, 0, 0, 0xffff }

type black struct{}

func (black) RGBA() (r, g, b, a uint32) { return 0, 0, 0, 0xffff }
