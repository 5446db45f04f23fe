package report

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/ipamsim/ipamsim/ipam"
)

// Pools returns what `calicoctl ipam show` prints: a row for each pool, in the
// order given, which [ipam.Allocator.GetUtilization] makes the order of names.
// The entry of [ipam.OrphanedBlocks] has no row.
func Pools(u []ipam.PoolUsage) string { return Style{}.Pools(u) }

// Blocks returns what `calicoctl ipam show --show-blocks` prints: under each
// pool a row for each of its blocks, and at the end the blocks in no pool
// without a pool above them.
func Blocks(u []ipam.PoolUsage) string { return Style{}.Blocks(u) }

// Style is how calicoctl draws its tables of usage. The zero value is how it
// does today.
type Style struct {
	// NoReserved is the form of older releases, which knew no reservations:
	// without the column IPS RESERVED, headings in the middle, numbers with a
	// percentage on the left. Free are all addresses not in use, reserved ones
	// too.
	NoReserved bool
}

// Pools is [Pools] in this style.
func (s Style) Pools(u []ipam.PoolUsage) string { return s.usage(u, false) }

// Blocks is [Blocks] in this style.
func (s Style) Blocks(u []ipam.PoolUsage) string { return s.usage(u, true) }

func (s Style) usage(pools []ipam.PoolUsage, blocks bool) string {
	var rows [][]string
	for _, p := range pools {
		if p.Name != ipam.OrphanedBlocks {
			rows = append(rows, s.row("IP Pool", p.CIDR.String(), p.Usage))
		}
		if !blocks {
			continue
		}
		for _, b := range p.Blocks {
			rows = append(rows, s.row("Block", b.CIDR.String(), b.Usage))
		}
	}
	if s.NoReserved {
		return draw(rows, old, "GROUPING", "CIDR", "IPS TOTAL", "IPS IN USE", "IPS FREE")
	}
	return draw(rows, numbers, "GROUPING", "CIDR", "IPS TOTAL", "IPS IN USE", "IPS RESERVED", "IPS FREE")
}

// row is one line of the table.
func (s Style) row(kind, cidr string, u ipam.Usage) []string {
	total := float(u.Capacity)
	part := func(n float64) string { return fmt.Sprintf("%.5g (%.f%%)", n, 100*n/total) }
	inUse := float(u.InUse)
	if s.NoReserved {
		return []string{kind, cidr, fmt.Sprintf("%.5g", total), part(inUse), part(total - inUse)}
	}
	return []string{kind, cidr, fmt.Sprintf("%.5g", total), part(inUse), part(float(u.Reserved)), part(float(u.Available))}
}

// float returns n as calicoctl counts, 0 for none.
func float(n *big.Int) float64 {
	if n == nil {
		return 0
	}
	f, _ := new(big.Float).SetInt(n).Float64()
	return f
}

// layout says how the columns of a table are aligned.
type layout uint8

const (
	words   layout = iota // everything on the left
	numbers               // what counts, from the third column on, on the right
	old                   // as the table writer of older releases did it
)

// draw returns a table in go-pretty's default style, as calicoctl renders it.
func draw(rows [][]string, l layout, headings ...string) string {
	t := table.NewWriter()
	configs := make([]table.ColumnConfig, len(headings))
	header := make(table.Row, len(headings))
	for i, h := range headings {
		header[i] = h
		configs[i] = table.ColumnConfig{Number: i + 1}
		switch {
		case l == old:
			header[i] = centred(h, column(rows, i))
			if i == 2 { // the only plain number
				configs[i].Align = text.AlignRight
			}
		case l == numbers && i >= 2:
			configs[i].Align = text.AlignRight
		}
	}
	t.SetColumnConfigs(configs)
	t.AppendHeader(header)
	for _, r := range rows {
		cells := make(table.Row, len(r))
		for i, c := range r {
			cells[i] = c
		}
		t.AppendRow(cells)
	}
	return t.Render() + "\n"
}

// column returns the width of the widest cell of column i.
func column(rows [][]string, i int) int {
	width := 0
	for _, r := range rows {
		width = max(width, len(r[i]))
	}
	return width
}

// centred pads a heading to the width, the odd blank on its right.
func centred(heading string, width int) string {
	gap := max(width-len(heading), 0)
	return strings.Repeat(" ", gap/2) + heading + strings.Repeat(" ", gap-gap/2)
}
