package chart

import (
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Bars is a chart of counts, a bar each, from the top down. The zero value is an
// empty chart.
type Bars struct {
	Words
	Labels []string
	Values []int // as many as Labels, none negative
	Marked int   // the bar that stands out, from 1; 0 for none
}

const (
	barsWidth vg.Length = 225
	barPitch  vg.Length = 21
	barHeight vg.Length = 13
)

// numerals is the middle of a line of digits: they have no descent.
const numerals text.YAlignment = -0.4

// SVG draws the chart.
func (b *Bars) SVG() (string, error) {
	p := empty()
	n := len(b.Labels)
	p.Y.Min, p.Y.Max = -0.5, max(float64(n), 1)-0.5
	p.X.Min, p.X.Max = 0, 1
	ticks := make(plot.ConstantTicks, n)
	ends := plotter.Labels{Offset: vg.Point{X: 5}}
	for i, label := range b.Labels {
		ticks[i] = plot.Tick{Value: float64(n - 1 - i), Label: label + " "}
		p.X.Max = max(p.X.Max, float64(b.Values[i]))
		ends.XYs = append(ends.XYs, plotter.XY{X: float64(b.Values[i]), Y: float64(n - 1 - i)})
		ends.Labels = append(ends.Labels, Thousands(b.Values[i]))
		style := letters("text", draw.XLeft, numerals)
		if i+1 == b.Marked {
			style = letters("strong", draw.XLeft, numerals)
		}
		ends.TextStyle = append(ends.TextStyle, style)
	}
	p.Y.Tick.Marker = ticks
	p.Y.Tick.Label.YAlign = numerals - 0.2 // an axis raises its labels by their descent
	p.Y.Tick.LineStyle.Width = 0
	p.X.Tick.Marker = plot.ConstantTicks{}
	p.X.LineStyle.Width = 0
	p.Add(bars{b}, &ends)
	return render(p, barsWidth, barPitch*vg.Length(max(n, 1))+6, b.Words)
}

// bars draws the bars themselves; nothing for 0, not even a line.
type bars struct{ *Bars }

// Plot implements [plot.Plotter].
func (b bars) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for i, v := range b.Values {
		if v == 0 {
			continue
		}
		colour := "bar"
		if i+1 == b.Marked {
			colour = "mark"
		}
		middle := y(float64(len(b.Values) - 1 - i))
		bar := vg.Rectangle{
			Min: vg.Point{X: x(0), Y: middle - barHeight/2},
			Max: vg.Point{X: max(x(float64(v)), x(0)+1), Y: middle + barHeight/2},
		}
		c.SetColor(paint(colour))
		c.Fill(bar.Path())
	}
}

// Thousands writes a number with its thousands set apart.
func Thousands[N int | int64](n N) string {
	digits := strconv.FormatInt(int64(n), 10)
	first := 0
	if n < 0 {
		first = 1
	}
	for i := len(digits) - 3; i > first; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
