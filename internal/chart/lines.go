package chart

import (
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Lines is a chart of values that change. The zero value is an empty chart.
type Lines struct {
	Words
	Series []Series
	Top    float64 // the largest possible value; 0 for the largest in the data
	Unit   string  // after the numbers at the side: " %"
	Ticks  []Tick  // below
}

// Series is one line. Its number among the others decides its colour and dashes,
// as for [Key].
type Series struct {
	X, Y   []float64 // of the same length, X not descending, none below 0
	Strong bool      // drawn thicker, below the others
}

// Tick is a label on the horizontal axis; lines of text are separated by \n.
type Tick struct {
	At    float64
	Label string
}

const (
	linesWidth  vg.Length = 380
	linesHeight vg.Length = 190
)

// SVG draws the chart.
func (l *Lines) SVG() (string, error) {
	p := empty()
	p.X.Min, p.X.Max, p.Y.Max = 0, 0, l.Top
	for _, s := range l.Series {
		for i := range s.X {
			p.X.Max = max(p.X.Max, s.X[i])
			p.Y.Max = max(p.Y.Max, s.Y[i])
		}
	}
	if p.X.Max == 0 {
		p.X.Max = 1
	}
	ticks := upTo(p.Y.Max, l.Unit == "")
	p.Y.Min, p.Y.Max = 0, max(p.Y.Max, ticks[len(ticks)-1])
	side := make(plot.ConstantTicks, len(ticks))
	for i, v := range ticks {
		side[i] = plot.Tick{Value: v, Label: number(v) + l.Unit + " "}
	}
	p.Y.Tick.Marker, p.Y.LineStyle.Width, p.Y.Tick.LineStyle.Width = side, 0, 0
	below := make(plot.ConstantTicks, len(l.Ticks))
	for i, t := range l.Ticks {
		below[i] = plot.Tick{Value: t.At, Label: t.Label}
	}
	p.X.Tick.Marker, p.X.Tick.Length = below, 4
	grid := plotter.NewGrid()
	grid.Vertical.Color = nil
	grid.Horizontal = draw.LineStyle{Color: paint("grid"), Width: 1}
	p.Add(grid)
	// A line keeps its number. Strong ones are drawn first, so that others stay
	// visible on top of them.
	for _, strong := range []bool{true, false} {
		for i, s := range l.Series {
			if s.Strong != strong || len(s.X) == 0 {
				continue
			}
			line := &plotter.Line{LineStyle: seriesStyle(i, strong)}
			for j := range s.X {
				line.XYs = append(line.XYs, plotter.XY{X: s.X[j], Y: s.Y[j]})
			}
			p.Add(line)
		}
	}
	// Room for half of the last tick's label, and of the topmost one at the side.
	p.Add(margin{})
	return render(p, linesWidth, linesHeight, l.Words)
}

// Key draws a piece of the line of series number i, for a legend. It has no words:
// the text beside it describes it.
func Key(i int, strong bool) (string, error) {
	c := vgsvg.New(26, 8)
	style := seriesStyle(i, strong)
	c.SetColor(style.Color)
	c.SetLineWidth(style.Width)
	c.SetLineDash(style.Dashes, 0)
	var line vg.Path
	line.Move(vg.Point{X: 0, Y: 4})
	line.Line(vg.Point{X: 26, Y: 4})
	c.Stroke(line)
	return dress(c, "0 0 26 8", Words{})
}

// margin draws nothing and keeps room at the right and above.
type margin struct{}

// Plot implements [plot.Plotter].
func (margin) Plot(draw.Canvas, *plot.Plot) {}

// GlyphBoxes implements [plot.GlyphBoxer].
func (margin) GlyphBoxes(*plot.Plot) []plot.GlyphBox {
	return []plot.GlyphBox{{X: 1, Y: 1, Rectangle: vg.Rectangle{Max: vg.Point{X: 24, Y: 7}}}}
}

// upTo returns round numbers from 0 to about top, at most seven; whole ones if the
// values have no unit and so are counts.
func upTo(top float64, counts bool) []float64 {
	if top <= 0 {
		return []float64{0, 1}
	}
	step, unit := 0.0, math.Pow(10, math.Floor(math.Log10(top))-1)
	for _, m := range []float64{1, 2, 5, 10, 20, 50} {
		if step = m * unit; top/step <= 5 {
			break
		}
	}
	if counts {
		step = max(step, 1)
	}
	ticks := []float64{0}
	for i := 1; float64(i-1)*step < top*(1-1e-9); i++ {
		ticks = append(ticks, float64(i)*step)
	}
	return ticks
}

// number writes a value that is not negative, its thousands set apart, without
// digits that no reader needs.
func number(v float64) string {
	s := strconv.FormatFloat(v, 'f', -1, 64)
	if len(s) > 6 {
		s = strconv.FormatFloat(v, 'g', 3, 64)
		if !strings.Contains(s, "e") {
			return s
		}
		s = strconv.FormatFloat(v, 'f', 0, 64)
	}
	whole, rest, found := strings.Cut(s, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if found {
		whole += "." + rest
	}
	return whole
}
