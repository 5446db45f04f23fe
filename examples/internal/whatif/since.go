package whatif

import (
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"time"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
)

// A since is what changed between two dumps of one cluster.
type since struct {
	From  time.Time `json:"from"`
	To    time.Time `json:"to"` // the latest moments that the files speak of
	After figures   `json:"after"`

	NodesCame []string `json:"nodesCame"`
	NodesGone []string `json:"nodesGone"`
	// Growth is by family, where the pools are the same in both.
	Growth []growth `json:"growth"`
	// Leaked are the addresses that nobody uses in either, given out once.
	Leaked   []netip.Addr `json:"leakedInBoth"`
	Commands []string     `json:"commands"`
	Notes    []string     `json:"notes,omitempty"`
}

// growth is how many blocks a family used up.
type growth struct {
	Family string   `json:"family"`
	Used   *big.Int `json:"blocksUsed"` // more than before; below 0 for fewer
	Left   *big.Int `json:"blocksLeft"`
	// PerDay and Days are 0 where no time passed or no more blocks are used.
	PerDay float64 `json:"blocksPerDay"`
	Days   float64 `json:"daysLeft"`
}

// compare finds out what changed from one dump to a later one.
func compare(w1, w2 *world, s1, s2 *snapshot.Snapshot) (*since, error) {
	d := &since{From: s1.Latest, To: s2.Latest, After: w2.last, NodesCame: []string{}, NodesGone: []string{}, Leaked: []netip.Addr{}, Commands: []string{}, Growth: []growth{}}
	days := d.To.Sub(d.From).Hours() / 24
	switch {
	case d.From.IsZero() || d.To.IsZero():
		days = 0
		d.Notes = append(d.Notes, "the files do not say when they were taken, so no rate is known: ask kubectl for -o json, which has moments")
	case days < 0:
		return nil, fmt.Errorf("-f-then is the later dump, but %s is before %s: give them the other way round", d.To.Format(time.DateTime), d.From.Format(time.DateTime))
	}
	d.NodesCame, d.NodesGone = differ(w1.a.Nodes(), w2.a.Nodes())
	if samePools(w1, w2) {
		d.grow(w1.last, d.After, days)
	} else {
		d.Notes = append(d.Notes, "the pools are not the same in both, so no growth is told")
	}
	if s1.Unlisted.Pods || s2.Unlisted.Pods {
		d.Notes = append(d.Notes, "what leaked is known only with pods in both: kubectl get pods -A -o json")
		return d, nil
	}
	held, now, before := heldBy(s1), heldBy(s2), unused(w1.Report())
	for ip := range unused(w2.Report()) {
		if before[ip] && held[ip] == now[ip] {
			d.Leaked = append(d.Leaked, ip)
		}
	}
	slices.SortFunc(d.Leaked, netip.Addr.Compare)
	for _, ip := range d.Leaked {
		d.Commands = append(d.Commands, "calicoctl ipam release --ip="+ip.String())
	}
	return d, nil
}

// unused returns the addresses that are allocated, that nobody uses, and that may be
// released: kube-controllers will, or the check says how. A pod that lives may use one
// without reporting it.
func unused(r *snapshot.Report) map[netip.Addr]bool {
	all := make(map[netip.Addr]bool)
	for _, f := range r.Findings {
		if f.Kind != "allocated-not-used" {
			continue
		}
		ip := netip.MustParseAddr(f.Address)
		_, goes := r.Released[ip]
		if goes || slices.ContainsFunc(f.Fixes, func(x snapshot.Fix) bool { return x.Does == "release-address" }) {
			all[ip] = true
		}
	}
	return all
}

// holding is what tells one time that an address is given out from another.
type holding struct {
	handle string
	seq    uint64
}

func heldBy(s *snapshot.Snapshot) map[netip.Addr]holding {
	held := make(map[netip.Addr]holding)
	for i := range s.Cluster.Blocks {
		b := &s.Cluster.Blocks[i]
		for _, al := range b.Allocations {
			held[b.Addr(al.Ordinal)] = holding{al.Handle, al.Seq}
		}
	}
	return held
}

// grow tells of each family how many blocks went, and when none is left at this rate.
func (d *since) grow(before, after figures, days float64) {
	for _, x := range before.Families {
		for _, y := range after.Families {
			if x.Family != y.Family {
				continue
			}
			g := growth{Family: x.Family, Used: new(big.Int).Sub(x.Headroom, y.Headroom), Left: y.Headroom}
			if used, _ := new(big.Float).SetInt(g.Used).Float64(); days > 0 && used > 0 {
				g.PerDay = used / days
				left, _ := new(big.Float).SetInt(g.Left).Float64()
				g.Days = left / g.PerDay
			}
			d.Growth = append(d.Growth, g)
		}
	}
}

// differ returns the names of the nodes that only one list has.
func differ(before, after []ipam.Node) (came, gone []string) {
	came, gone = []string{}, []string{}
	was := make(map[string]bool)
	for _, n := range before {
		was[n.Name] = true
	}
	for _, n := range after {
		if !was[n.Name] {
			came = append(came, n.Name)
		}
		delete(was, n.Name)
	}
	for _, n := range before {
		if was[n.Name] {
			gone = append(gone, n.Name)
		}
	}
	return came, gone
}

func samePools(x, y *world) bool {
	a, b := x.a.Pools(), y.a.Pools()
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Name != b[i].Name || a[i].CIDR != b[i].CIDR || a[i].BlockSize != b[i].BlockSize || a[i].Disabled != b[i].Disabled || a[i].NodeSelector != b[i].NodeSelector {
			return false
		}
	}
	return true
}

// since prints what changed between two dumps.
func (p *printer) since(d *since, before *figures) {
	p.line("\n== Then")
	if !d.From.IsZero() && !d.To.IsZero() {
		p.line("")
		p.text("", "From %s to %s, the latest moments that the files speak of: %s.", d.From.Format(time.DateTime), d.To.Format(time.DateTime), d.To.Sub(d.From).Round(time.Minute))
	}
	if len(d.NodesCame)+len(d.NodesGone) > 0 {
		p.line("")
		p.text("", "Nodes that came: %s. Nodes that are gone: %s.", listText(d.NodesCame), listText(d.NodesGone))
	}
	p.differences(before, &d.After)
	if len(d.Growth) > 0 {
		var rows [][]string
		for _, g := range d.Growth {
			rate, out := "", "not at this rate"
			if g.PerDay > 0 {
				rate, out = fmt.Sprintf("%.3g", g.PerDay), fmt.Sprintf("in %.3g days", g.Days)
			}
			rows = append(rows, []string{g.Family, g.Used.String(), rate, g.Left.String(), out})
		}
		p.line("")
		p.table([]string{"FAMILY", "BLOCKS USED", "A DAY", "LEFT", "RUN OUT"}, rows)
	}
	if len(d.Leaked) > 0 {
		p.line("")
		p.text("", "%s allocated and used by nobody in both, and given out once: safe to release. First calicoctl ipam check, which changes nothing and must name each of them; then", plural(len(d.Leaked), "address is", "addresses are"))
		p.line("")
		for i, command := range d.Commands {
			if i == most {
				p.line("  … and %d more; -json has all", len(d.Commands)-most)
				break
			}
			p.line("  %s", command)
		}
	}
	for _, n := range d.Notes {
		p.note(n)
	}
}
