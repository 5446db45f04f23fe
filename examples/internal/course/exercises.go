package course

import (
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam/report"
)

// Steps is how many exercises there are.
const Steps = 7

// exercises are those of the course, in its order.
var exercises = [Steps]struct {
	title   string
	command string
	show    func(*lab)
	fields  []Field
}{
	{"the machines", "containerlab inspect", (*lab).inspect, machineFields},
	{"is Calico well?", "kubectl get tigerastatus", (*lab).tigerastatus, healthFields},
	{"the nodes", "kubectl get nodes", (*lab).getNodes, nodeFields},
	{"the pool", "calicoctl ipam show", (*lab).ipamShow, poolFields},
	{"the claims on blocks", "kubectl get blockaffinities", (*lab).getAffinities, claimFields},
	{"the claims in full", "kubectl get blockaffinities -o yaml", (*lab).affinitiesYAML, objectFields},
	{"which block is whose", "kubectl get blockaffinities " + `\` + "\n    -o custom-columns=NAME:.metadata.name,NODE:.spec.node,CIDR:.spec.cidr", (*lab).listAffinities, columnFields},
}

// kubectl prints what kubectl does at this moment.
func (l *lab) kubectl() report.Kubectl { return report.Kubectl{Now: l.clock.Now()} }

// inspect is exercise 1.
func (l *lab) inspect() {
	t := table.NewWriter()
	t.SetStyle(table.StyleRounded)
	t.Style().Format.Header = text.FormatDefault
	t.Style().Options.SeparateRows = true
	header := table.Row{"Name", "Kind/Image", "State", "IPv4/6 Address"}
	configs := make([]table.ColumnConfig, len(header))
	for i := range configs {
		configs[i] = table.ColumnConfig{Number: i + 1, AlignHeader: text.AlignCenter}
	}
	t.SetColumnConfigs(configs)
	t.AppendHeader(header)
	for _, n := range l.nodes {
		state := "exited"
		if n.running {
			state = "running"
		}
		t.AppendRow(table.Row{n.name, n.kind + "\n" + n.image, state, n.v4.String() + "\n" + n.v6.String()})
	}
	l.show(t.Render() + "\n")
	l.see("%s for as many machines. These addresses are Docker's; pods get theirs from %s.",
		plural(len(l.nodes), "container"), l.pool().CIDR())
}

// tigerastatus is exercise 2.
func (l *lab) tigerastatus() {
	l.observe()
	word := func(b bool) string { return strings.ToUpper(fmt.Sprint(b)[:1]) + fmt.Sprint(b)[1:] }
	var rows [][]string
	available := 0
	for _, c := range l.components {
		h := c.health
		rows = append(rows, []string{c.name, word(h.available), word(h.progressing), word(h.degraded), l.kubectl().Age(c.since)})
		if h.available {
			available++
		}
	}
	l.show(report.Columns([]string{"NAME", "AVAILABLE", "PROGRESSING", "DEGRADED", "SINCE"}, rows))
	switch err := l.ipam.Check(); {
	case err != nil:
		l.see("The allocator's own check finds: %v", err)
	case available < len(l.components):
		l.see("The allocator's own check finds nothing wrong, but not everybody has an address: %s.", l.inUse())
	default:
		l.see("All available: the allocator's own check finds nothing wrong.")
	}
}

// getNodes is exercise 3.
func (l *lab) getNodes() {
	nodes := make([]report.Node, len(l.nodes))
	for i, n := range l.nodes {
		nodes[i] = n.reported()
	}
	l.show(l.kubectl().Nodes(nodes))
	l.see("The names matter: name and pool alone decide where a node looks for a block.")
}

// ipamShow is exercise 4.
func (l *lab) ipamShow() {
	u := l.ipam.GetUtilization()
	l.show(report.Calicoctl(l.ipam.Calico()).Pools(u))
	blocks := len(u[0].Blocks)
	end := "The blocks run out first."
	switch free := u[0].Available; {
	case free.Sign() < 0:
		end = "calicoctl counts in 64 bits: in a pool this large IPS FREE overflows."
	case free.Sign() == 0:
		end = "Every address is taken."
	case u[0].CIDR.Addr().BitLen() == l.pool().BlockSize():
		end = "Every block is a single address."
	case !l.unclaimed(blocks):
		end = fmt.Sprintf("No block is left to claim, though %v addresses are free.", free)
	}
	l.see("%s, in %d of the pool's blocks (%s). %s", l.inUse(), blocks, blocksIn(l.pool()), end)
	l.see("So calicoctl %s prints it; -calico has the other releases.", l.ipam.Calico())
}

// getAffinities is exercise 5.
func (l *lab) getAffinities() {
	s := l.ipam.State()
	l.show(l.kubectl().Affinities(s))
	cidr := s.Affinities[0].CIDR
	l.see("One claim a block, named NODE-CIDR. The course calls the first ipam-block-affinity-%s.", affinity.CIDRName(cidr))
}

// affinitiesYAML is exercise 6.
func (l *lab) affinitiesYAML() {
	s := l.ipam.State()
	l.show(l.kubectl().AffinitiesYAML(s))
	confirmed := 0
	for _, a := range s.Affinities {
		if a.State == affinity.Confirmed {
			confirmed++
		}
	}
	l.see("spec.state: %d of %d confirmed, which makes the block the node's.", confirmed, len(s.Affinities))
}

// listAffinities is exercise 7.
func (l *lab) listAffinities() {
	s := l.ipam.State()
	l.show(l.kubectl().AffinityColumns(s))
	owners := make(map[affinity.Owner]bool)
	for _, a := range s.Affinities {
		owners[a.Owner] = true
	}
	text := fmt.Sprintf("Nodes with a block: %d of %d", len(owners), len(l.nodes))
	if len(owners) < len(l.nodes) {
		l.see("%s. The others found none left and can only borrow.", text)
		return
	}
	l.see("%s. Each name starts its search somewhere else in the pool.", text)
}
