package churn

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/ipam/sim"
)

// layers are what a block can be, from the bottom of the chart to its top.
var layers = []struct {
	name   string
	mark   byte
	colour string
	count  func(s *sim.Sample, total int) int
}{
	{"live", '#', "#3b7a57", func(s *sim.Sample, _ int) int { return s.Live }},
	{"dead", 'x', "#b03a2e", func(s *sim.Sample, _ int) int { return s.Dead }},
	{"empty", 'o', "#d4a017", func(s *sim.Sample, _ int) int { return s.Empty }},
	{"free", '.', "#d5dbdb", free},
}

// free returns how many of all blocks nobody has, those that are reserved among them.
func free(s *sim.Sample, total int) int { return max(0, total-s.Live-s.Dead-s.Empty) }

const (
	columns = 70
	rows    = 16
)

// chart draws the pool's blocks over the day, one column a moment, as text. A layer
// that is not empty has at least a mark, as far as there is room.
func chart(r *sim.Result) string {
	var text strings.Builder
	grid := make([][]byte, columns)
	for x := range grid {
		grid[x] = column(&r.Samples[x*(len(r.Samples)-1)/(columns-1)], r.BlocksTotal)
	}
	fmt.Fprintf(&text, "blocks\n")
	for y := rows - 1; y >= 0; y-- {
		label := ""
		if y == rows-1 || y == rows/2-1 {
			label = fmt.Sprint((y + 1) * r.BlocksTotal / rows)
		}
		fmt.Fprintf(&text, "%8s |", label)
		for x := range grid {
			text.WriteByte(grid[x][y])
		}
		text.WriteByte('\n')
	}
	end := clock(time.Duration(r.Samples[len(r.Samples)-1].At))
	fmt.Fprintf(&text, "%8s +%s\n%8s  %-*s%s\n", "0", strings.Repeat("-", columns), "", columns-len(end), "00:00", end)
	text.WriteString("          ")
	for _, l := range layers {
		fmt.Fprintf(&text, "%c %s   ", l.mark, l.name)
	}
	return strings.TrimRight(text.String(), " ") + "\n"
}

// column draws one moment, from the bottom up.
func column(s *sim.Sample, total int) []byte {
	col := make([]byte, 0, rows)
	sum := 0
	for _, l := range layers {
		n := l.count(s, total)
		sum += n
		upTo := (sum*rows + total/2) / total
		if n > 0 && upTo <= len(col) {
			upTo = len(col) + 1
		}
		for len(col) < min(upTo, rows) {
			col = append(col, l.mark)
		}
	}
	return col
}

// svg draws the same as a picture.
func svg(r *sim.Result) []byte {
	const left, top, width, height = 60, 20, 800, 360
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", left+width+20, top+height+60)
	last := time.Duration(r.Samples[len(r.Samples)-1].At)
	x := func(i int) float64 {
		return left + width*time.Duration(r.Samples[i].At).Seconds()/max(last.Seconds(), 1)
	}
	y := func(blocks int) float64 { return top + height*(1-float64(blocks)/float64(r.BlocksTotal)) }
	below := make([]int, len(r.Samples))
	for i, l := range layers {
		fmt.Fprintf(&b, `<polygon fill="%s" points="`, l.colour)
		for j := range r.Samples {
			fmt.Fprintf(&b, "%.1f,%.1f ", x(j), y(below[j]))
		}
		for j := len(r.Samples) - 1; j >= 0; j-- {
			below[j] += l.count(&r.Samples[j], r.BlocksTotal)
			fmt.Fprintf(&b, "%.1f,%.1f ", x(j), y(below[j]))
		}
		fmt.Fprintf(&b, `"><title>%s</title></polygon>`+"\n", l.name)
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="12" height="12" fill="%s"/><text x="%d" y="%d">%s</text>`+"\n",
			left+i*90, top+height+35, l.colour, left+i*90+18, top+height+45, l.name)
	}
	for _, n := range []int{0, r.BlocksTotal / 2, r.BlocksTotal} {
		fmt.Fprintf(&b, `<text x="%d" y="%.1f" text-anchor="end">%d</text>`+"\n", left-6, y(n)+4, n)
	}
	for i := range 5 {
		at := last * time.Duration(i) / 4
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", left+width*i/4, top+height+16, clock(at))
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}
