package report

import (
	"fmt"
	"math/big"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
)

// Calicoctl is the calicoctl of a release of Calico:
// report.Calicoctl(calico.V3(28)) prints tables as that of v3.28 does. The zero
// value is the newest known.
type Calicoctl calico.Version

// rules returns what the release does differently.
func (c Calicoctl) rules() calico.Rules { return calico.Version(c).Rules() }

// Pools returns what `calicoctl ipam show` prints: a row for each pool, in the
// order given, which [ipam.Allocator.GetUtilization] makes the order of names.
// The entry of [ipam.OrphanedBlocks] has no row.
func (c Calicoctl) Pools(u []ipam.PoolUsage) string { return c.usage(u, false) }

// Blocks returns what `calicoctl ipam show --show-blocks` prints: under each
// pool a row for each of its blocks, and at the end the blocks in no pool
// without a pool above them.
func (c Calicoctl) Blocks(u []ipam.PoolUsage) string { return c.usage(u, true) }

func (c Calicoctl) usage(pools []ipam.PoolUsage, blocks bool) string {
	reserved := c.rules().ReservedColumn
	var rows [][]string
	for _, p := range pools {
		if p.Name != ipam.OrphanedBlocks {
			rows = append(rows, usageRow("IP Pool", p.CIDR.String(), p.Usage, reserved))
		}
		if !blocks {
			continue
		}
		for _, b := range p.Blocks {
			rows = append(rows, usageRow("Block", b.CIDR.String(), b.Usage, reserved))
		}
	}
	headings := []string{"GROUPING", "CIDR", "IPS TOTAL", "IPS IN USE", "IPS RESERVED", "IPS FREE"}
	if !reserved {
		headings = slices.Delete(headings, 4, 5)
	}
	return c.draw(rows, 2, headings...)
}

// usageRow is one line of the table. Without the column for reserved addresses,
// all addresses that are not in use count as free.
func usageRow(kind, cidr string, u ipam.Usage, reserved bool) []string {
	total := float(u.Capacity)
	part := func(n float64) string { return fmt.Sprintf("%.5g (%.f%%)", n, 100*n/total) }
	inUse := float(u.InUse)
	row := []string{kind, cidr, fmt.Sprintf("%.5g", total), part(inUse)}
	if !reserved {
		return append(row, part(total-inUse))
	}
	return append(row, part(float(u.Reserved)), part(float(u.Available)))
}

// float returns n as calicoctl counts, 0 for none.
func float(n *big.Int) float64 {
	if n == nil {
		return 0
	}
	f, _ := new(big.Float).SetInt(n).Float64()
	return f
}

// draw returns a table as the release draws it. The columns from number on are
// counts, which newer releases align right.
func (c Calicoctl) draw(rows [][]string, number int, headings ...string) string {
	if c.rules().GoPrettyTables {
		return drawGoPretty(rows, number, headings)
	}
	return drawTablewriter(rows, headings)
}

// drawGoPretty draws a table in go-pretty's default style.
func drawGoPretty(rows [][]string, number int, headings []string) string {
	t := table.NewWriter()
	configs := make([]table.ColumnConfig, len(headings))
	for i := range headings {
		configs[i] = table.ColumnConfig{Number: i + 1}
		if i >= number {
			configs[i].Align = text.AlignRight
		}
	}
	t.SetColumnConfigs(configs)
	t.AppendHeader(cells(headings))
	for _, r := range rows {
		t.AppendRow(cells(r))
	}
	return t.Render() + "\n"
}

func cells(texts []string) table.Row {
	row := make(table.Row, len(texts))
	for i, text := range texts {
		row[i] = text
	}
	return row
}
