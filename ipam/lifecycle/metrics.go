package lifecycle

import (
	"bufio"
	"cmp"
	"io"
	"maps"
	"math/big"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/ipamsim/ipamsim/pool"
)

// series has the labels of one value of a metric.
type series struct{ pool, node string }

// metric is one metric of kube-controllers.
type metric struct {
	name, kind, help string
	values           map[series]float64
}

// WriteMetrics writes the controller's counters, as of its last sync, under the
// names that kube-controllers exports and in Prometheus' text format, sorted: by
// pool (label ippool, empty for blocks in no pool) and node (label node, empty
// where there is none). It visits every allocation. Errors are w's.
//
//	ipam_allocations_in_use            addresses that a handle holds, by the node they were given out for
//	ipam_allocations_borrowed          those in a block of another node, or of none
//	ipam_allocations_gc_candidates     those that are suspect or confirmed to have leaked
//	ipam_allocations_gc_reclamations   leaks released by this controller
//	ipam_blocks                        blocks, by owner
//	ipam_ippool_size                   addresses of a pool
func (k *Controller) WriteMetrics(w io.Writer) error {
	out := bufio.NewWriter(w)
	for _, m := range k.metrics() {
		out.WriteString("# HELP " + m.name + " " + escapeHelp.Replace(m.help) + "\n")
		out.WriteString("# TYPE " + m.name + " " + m.kind + "\n")
		for _, s := range slices.SortedFunc(maps.Keys(m.values), compareSeries) {
			out.WriteString(m.name + `{ippool="` + escapeLabel.Replace(s.pool) + `"`)
			if m.name != poolSize {
				out.WriteString(`,node="` + escapeLabel.Replace(s.node) + `"`)
			}
			out.WriteString("} " + number(m.values[s]) + "\n")
		}
	}
	return out.Flush() // the first error of any write
}

// What Prometheus' text format escapes.
var (
	escapeHelp  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	escapeLabel = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

// number writes a value in full as long as it can be told from its neighbours.
func number(v float64) string {
	if v < 1<<53 {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

func compareSeries(x, y series) int {
	return cmp.Or(cmp.Compare(x.pool, y.pool), cmp.Compare(x.node, y.node))
}

// poolSize has no node.
const poolSize = "ipam_ippool_size"

// metrics counts.
func (k *Controller) metrics() []metric {
	inUse, borrowed, candidates := make(map[series]float64), make(map[series]float64), make(map[series]float64)
	blocks, sizes, reclaimed := make(map[series]float64), make(map[series]float64), make(map[series]float64)
	pools := k.allocator.Pools()
	for _, p := range pools {
		size := new(big.Float).SetInt(new(big.Int).Lsh(big.NewInt(1), uint(p.CIDR.Addr().BitLen()-p.CIDR.Bits())))
		sizes[series{pool: p.Name}], _ = size.Float64()
	}
	for _, b := range k.memory.blocks {
		name, owner := poolOf(pools, b.cidr), ""
		if b.node != nil {
			owner = b.node.name
		}
		blocks[series{name, owner}]++
		for _, al := range b.allocations {
			s := series{name, al.holder.node}
			inUse[s]++
			if al.holder.node != owner {
				borrowed[s]++
			}
			if al.suspect || al.confirmed {
				candidates[s]++
			}
		}
	}
	for s, n := range k.reclaimed {
		reclaimed[s] = float64(n)
	}
	return []metric{
		{"ipam_allocations_borrowed", "gauge", "Addresses in use in a block of another node.", borrowed},
		{"ipam_allocations_gc_candidates", "gauge", "Addresses that may have leaked.", candidates},
		{"ipam_allocations_gc_reclamations", "counter", "Leaked addresses released.", reclaimed},
		{"ipam_allocations_in_use", "gauge", "Addresses in use.", inUse},
		{"ipam_blocks", "gauge", "Blocks by the node that owns them.", blocks},
		{poolSize, "gauge", "Addresses of a pool.", sizes},
	}
}

// poolOf returns the name of the pool in which the block lies, empty for none.
func poolOf(pools []pool.Spec, block netip.Prefix) string {
	for _, p := range pools {
		if p.CIDR.Bits() <= block.Bits() && p.CIDR.Contains(block.Addr()) {
			return p.Name
		}
	}
	return ""
}
