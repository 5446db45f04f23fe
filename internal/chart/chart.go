// Package chart draws charts as SVG for pages: bars and lines.
//
// A chart has no colours of its own: its parts have classes, and [CSS] gives each
// the value of a custom property, so that a page decides, in light and in dark. A
// chart scales with the page and has a title and a description in words. The same
// figures give the same bytes.
package chart

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image/color"
	"io"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Words describes a chart to readers who do not see it.
type Words struct {
	ID    string // of the chart, unique in the page
	Title string
	Desc  string // the figures, in a sentence or several
}

// parts are the parts of a chart, each with the custom property that colours it
// and its default colour. The last eight are series.
var parts = []struct{ class, colour string }{
	{"text", "#5a6475"}, {"strong", "#1c2330"}, {"axis", "#8b94a3"}, {"grid", "#e3e6eb"},
	{"bar", "#9db8d6"}, {"mark", "#2563a8"},
	{"s0", "#2563a8"}, {"s1", "#c8781e"}, {"s2", "#2e8b57"}, {"s3", "#a23b72"},
	{"s4", "#7a5cc0"}, {"s5", "#0e8a98"}, {"s6", "#8a6d1f"}, {"s7", "#5a6475"},
}

// series is how many of the parts are series.
const series = 8

// CSS returns the rules that colour charts, "--chart-mark" and so on.
func CSS() string {
	var b strings.Builder
	for _, p := range parts {
		fmt.Fprintf(&b, ".f-%[1]s{fill:var(--chart-%[1]s,%[2]s)}.l-%[1]s{stroke:var(--chart-%[1]s,%[2]s)}\n", p.class, p.colour)
	}
	return b.String()
}

// paint is the colour that stands for a part while the chart is drawn; a class
// replaces it afterwards.
func paint(class string) color.Color {
	for i, p := range parts {
		if p.class == class {
			return color.NRGBA{R: 1, B: uint8(i), A: 255}
		}
	}
	panic("chart: no part " + class)
}

// class returns the part that a colour in SVG stands for.
func class(colour string) (string, error) {
	var i int
	if _, err := fmt.Sscanf(colour, "#0100%02X", &i); err != nil || i >= len(parts) {
		return "", fmt.Errorf("chart: colour %s is no part's", colour)
	}
	return parts[i].class, nil
}

// dashes are the patterns of series, so that lines of similar colours differ too.
var dashes = [][]vg.Length{nil, {6, 3}, {2, 2}}

// seriesStyle is the line of series number i.
func seriesStyle(i int, strong bool) draw.LineStyle {
	width := vg.Length(1.5)
	if strong {
		width = 3
	}
	return draw.LineStyle{Color: paint(fmt.Sprintf("s%d", i%series)), Width: width, Dashes: dashes[i%len(dashes)]}
}

// letters is a style of text.
func letters(class string, x text.XAlignment, y text.YAlignment) text.Style {
	return text.Style{
		Color: paint(class), Font: font.From(plot.DefaultFont, 11),
		XAlign: x, YAlign: y, Handler: plot.DefaultTextHandler,
	}
}

// empty returns a plot without anything on it.
func empty() *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.LineStyle.Color, a.Tick.LineStyle.Color = paint("axis"), paint("axis")
		a.Tick.Label.Color, a.Tick.Label.Font.Size = paint("text"), 11
		a.Tick.Length, a.Padding = 0, 0
	}
	return p
}

// render draws a plot of that size and gives it classes and words.
func render(p *plot.Plot, w, h vg.Length, words Words) (string, error) {
	c := vgsvg.New(w, h)
	p.Draw(draw.New(c))
	return dress(c, fmt.Sprintf("0 0 %g %g", w.Points(), h.Points()), words)
}

// dress rewrites the SVG that vgsvg draws. Styles become classes and attributes:
// the page could not colour inline styles, and a strict content security policy
// forbids them.
func dress(c io.WriterTo, viewBox string, words Words) (string, error) {
	var raw bytes.Buffer
	if _, err := c.WriteTo(&raw); err != nil {
		return "", err
	}
	var b strings.Builder
	d := xml.NewDecoder(&raw)
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return b.String(), nil
		}
		if err != nil {
			return "", err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if t.Name.Local == "svg" {
				b.WriteString(head(viewBox, words))
				continue
			}
			b.WriteString("<" + t.Name.Local)
			style := ""
			for _, a := range t.Attr {
				if a.Name.Local == "style" {
					style = a.Value
				} else {
					fmt.Fprintf(&b, ` %s="%s"`, a.Name.Local, escape(a.Value))
				}
			}
			if t.Name.Local != "g" {
				if err := attributes(&b, style); err != nil {
					return "", err
				}
			}
			b.WriteString(">")
		case xml.EndElement:
			b.WriteString("</" + t.Name.Local + ">")
			if t.Name.Local != "g" {
				b.WriteString("\n")
			}
		case xml.CharData:
			if s := string(t); strings.TrimSpace(s) != "" {
				b.WriteString(escape(s))
			}
		}
	}
}

// head is how an SVG element with words begins.
func head(viewBox string, w Words) string {
	if w.ID == "" {
		return fmt.Sprintf(`<svg class="chart" viewBox="%s" aria-hidden="true">`, viewBox)
	}
	id := escape(w.ID)
	return fmt.Sprintf(`<svg class="chart" viewBox="%s" role="img" aria-labelledby="%s-title %s-desc"><title id="%s-title">%s</title><desc id="%s-desc">%s</desc>`,
		viewBox, id, id, id, escape(w.Title), id, escape(w.Desc))
}

// attributes writes a style as attributes. Every element needs a fill, if only
// "none": without one it is black.
func attributes(b *strings.Builder, style string) error {
	var classes []string
	filled := false
	for _, property := range strings.Split(style, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(property), ":")
		switch {
		case name == "fill" && value == "none":
			b.WriteString(` fill="none"`)
			filled = true
		case name == "fill", name == "stroke":
			part, err := class(value)
			if err != nil {
				return err
			}
			filled = filled || name == "fill"
			classes = append(classes, map[string]string{"fill": "f-", "stroke": "l-"}[name]+part)
		case strings.HasPrefix(name, "stroke-"), name == "font-size":
			fmt.Fprintf(b, ` %s="%s"`, name, escape(value))
		}
	}
	if !filled {
		return fmt.Errorf("chart: black in %q", style)
	}
	if len(classes) > 0 {
		fmt.Fprintf(b, ` class="%s"`, strings.Join(classes, " "))
	}
	return nil
}

func escape(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // to a buffer
	return b.String()
}
