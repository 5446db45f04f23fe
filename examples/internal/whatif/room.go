package whatif

import (
	"maps"
	"math/big"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// A room is a pool in one line: what is left of it.
type room struct {
	Pool     string   `json:"pool"`
	CIDR     string   `json:"cidr"`
	Blocks   *big.Int `json:"blocks"`
	Left     *big.Int `json:"left"`              // blocks that nobody has made yet
	Nodes    int      `json:"nodes"`             // that the pool selects
	Without  int      `json:"nodesWithoutBlock"` // of these, that own no block of the family
	Borrowed int      `json:"borrowed"`          // addresses that another node than the owner has
	More     *big.Int `json:"roomForNodes"`      // with as many blocks as a node has on average
	Out      string   `json:"out,omitempty"`     // why pods of the nodes get nothing of it unasked

	family int
	cidr   netip.Prefix
	nodes  map[string]bool // that it selects
	asked  bool            // pods that ask for it get addresses of it
	// namespaced pools are only for some namespaces: pods of others cannot use them, and
	// those that have an address of one count as asking for it.
	namespaced bool
}

// serves reports whether a pod on the node that requests pools may use this one.
func (r *room) serves(by request, node string) bool {
	if by.automatic() {
		return r.Out == "" && !r.namespaced && (node == "" || r.nodes[node])
	}
	return r.asked && slices.Contains(by, r.cidr)
}

// room says what is left of each pool.
func (w *world) room() []*room {
	s, nodes := w.a.State(), w.a.Nodes()
	rooms := make([]*room, 0, 4)
	at := make(map[string]*room)
	specs := w.a.Pools()
	for _, p := range specs {
		r := &room{Pool: p.Name, CIDR: p.CIDR.String(), Blocks: poolBlocks(p), Left: poolBlocks(p), More: new(big.Int), family: familyOf(p.CIDR.Addr().Is4()), cidr: p.CIDR, nodes: make(map[string]bool)}
		forPods := len(p.AllowedUses) == 0 || slices.Contains(p.AllowedUses, pool.Workload)
		r.asked = !p.Disabled && forPods
		switch {
		case p.Disabled:
			r.Out = "disabled"
		case p.AssignmentMode == pool.Manual:
			r.Out = "manual: only for pods that ask for it"
		case !forPods:
			r.Out = "not for pods"
		}
		if sel, err := pool.Parse(p.NodeSelector); err == nil {
			for _, n := range nodes {
				r.nodes[n.Name] = sel.Matches(n.Labels)
				if r.nodes[n.Name] {
					r.Nodes++
				}
			}
		}
		if len(nodes) > 0 && r.Nodes == 0 && r.Out == "" {
			r.Out = "selects no node"
		}
		if made, err := pool.New(p); err == nil && !made.SelectsNamespace(nil) {
			r.namespaced = true
			if r.Out == "" && !w.usable(p, nodes) {
				r.Out = "selects no namespace that has pods here"
			}
		}
		rooms, at[p.Name] = append(rooms, r), r
	}
	owns := [2]map[string]bool{make(map[string]bool), make(map[string]bool)}
	claimed, owners := make(map[*room]int), make(map[*room]map[string]bool)
	for i := range s.Blocks {
		b := &s.Blocks[i]
		if b.Owner.Type == affinity.Host {
			owns[familyOf(b.CIDR.Addr().Is4())][b.Owner.Name] = true
		}
		p := poolOf(specs, b.CIDR.Addr())
		if p == nil {
			continue
		}
		r := at[p.Name]
		if b.CIDR.Bits() == p.BlockSize {
			r.Left.Sub(r.Left, big.NewInt(1))
		}
		if b.Owner.Type == affinity.Host {
			if owners[r] == nil {
				owners[r] = make(map[string]bool)
			}
			claimed[r]++
			owners[r][b.Owner.Name] = true
		}
		r.Borrowed += borrowedIn(b)
	}
	for _, r := range rooms {
		for _, n := range nodes {
			if r.nodes[n.Name] && !owns[r.family][n.Name] {
				r.Without++
			}
		}
		if r.Out == "" {
			each := 1
			if n := len(owners[r]); n > 0 {
				each = (claimed[r] + n - 1) / n
			}
			r.More.Div(r.Left, big.NewInt(int64(each)))
		}
	}
	return rooms
}

// borrowedIn counts the addresses of a block that another node than its owner has.
func borrowedIn(b *ipam.BlockState) (n int) {
	for _, al := range b.Allocations {
		node, _ := al.Active.Get(ipam.AttrNode)
		if al.ReleasedAt.IsZero() && node != "" && b.Owner != affinity.HostOwner(node) {
			n++
		}
	}
	return n
}

// A shortage is nodes that have fewer blocks left than wanted, of one family.
type shortage struct {
	Family string   `json:"family"`
	Left   *big.Int `json:"left"`            // the fewest of all nodes
	Nodes  []string `json:"nodes,omitempty"` // none where the files have no nodes
}

// below finds the nodes that have fewer than so many blocks left in all pools that
// their pods may get addresses of.
func (w *world) below(rooms []*room, least int) []shortage {
	var short []shortage
	want := big.NewInt(int64(least))
	nodes := w.a.Nodes()
	for family, name := range []string{"IPv4", "IPv6"} {
		requests := w.requests(family == 0)
		// The fewest that a pod of the node has left: each by the pools that it may use.
		left := func(node string) (fewest *big.Int) {
			asked := requests[node]
			if len(asked) == 0 {
				asked = []request{nil} // the next pod asks for nothing
			}
			for _, by := range asked {
				sum := new(big.Int)
				for _, r := range rooms {
					if r.family == family && r.serves(by, node) {
						sum.Add(sum, r.Left)
					}
				}
				if fewest == nil || sum.Cmp(fewest) < 0 {
					fewest = sum
				}
			}
			return fewest
		}
		if !slices.ContainsFunc(rooms, func(r *room) bool { return r.family == family && !strings.HasPrefix(r.Out, "not") }) {
			continue
		}
		of := shortage{Family: name}
		if n := left(""); len(nodes) == 0 && n.Cmp(want) < 0 {
			of.Left = n
		}
		for _, node := range nodes {
			if n := left(node.Name); n.Cmp(want) < 0 {
				of.Nodes = append(of.Nodes, node.Name)
				if of.Left == nil || n.Cmp(of.Left) < 0 {
					of.Left = n
				}
			}
		}
		if of.Left != nil {
			short = append(short, of)
		}
	}
	return short
}

// rooms prints a line for each pool.
func (p *printer) rooms(rooms []*room) {
	var rows [][]string
	for _, r := range rooms {
		name := r.Pool
		if r.Out != "" {
			name += " (" + r.Out + ")"
		}
		rows = append(rows, []string{name, r.CIDR, r.Blocks.String(), r.Left.String(), strconv.Itoa(r.Without), strconv.Itoa(r.Borrowed), r.More.String()})
	}
	p.table([]string{"POOL", "CIDR", "BLOCKS", "LEFT", "NODES WITHOUT", "BORROWED", "MORE NODES"}, rows)
}

// shortages prints which nodes have fewer blocks left than wanted.
func (p *printer) shortages(all []shortage, least int) {
	for _, s := range all {
		who := "in all pools for pods"
		if len(s.Nodes) > 0 {
			who = "for " + plural(len(s.Nodes), "node") + ": " + listText(s.Nodes)
		}
		p.text("", "Fewer than %s of %s left, %s at least, %s", plural(least, "block"), s.Family, s.Left, who)
	}
}

// metric is one metric, with a line for each of its label texts.
type metric struct {
	name, help string
	values     map[string]float64
}

var escapeLabel = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

// metrics prints the cluster in Prometheus' text format, under the names of
// kube-controllers where it has them.
func (p *printer) metrics(w *world, rooms []*room) {
	label := func(pairs ...string) string {
		var parts []string
		for i := 0; i < len(pairs); i += 2 {
			parts = append(parts, pairs[i]+`="`+escapeLabel.Replace(pairs[i+1])+`"`)
		}
		return strings.Join(parts, ",")
	}
	inUse, borrowed, candidates, blocks := make(map[string]float64), make(map[string]float64), make(map[string]float64), make(map[string]float64)
	sizes, left, without, more := make(map[string]float64), make(map[string]float64), make(map[string]float64), make(map[string]float64)
	specs, s := w.a.Pools(), w.a.State()
	leaked := unused(w.Report())
	for i := range s.Blocks {
		b := &s.Blocks[i]
		of, owner := "", ""
		if p := poolOf(specs, b.CIDR.Addr()); p != nil {
			of = p.Name
		}
		if b.Owner.Type == affinity.Host {
			owner = b.Owner.Name
		}
		blocks[label("ippool", of, "node", owner)]++
		for _, al := range b.Allocations {
			if !al.ReleasedAt.IsZero() || al.Handle == "" {
				continue
			}
			node, _ := al.Active.Get(ipam.AttrNode)
			key := label("ippool", of, "node", node)
			inUse[key]++
			if node != owner {
				borrowed[key]++
			}
			if leaked[b.Addr(al.Ordinal)] {
				candidates[key]++
			}
		}
	}
	for i, spec := range specs {
		key := label("ippool", spec.Name)
		size := new(big.Float).SetInt(new(big.Int).Lsh(big.NewInt(1), uint(spec.CIDR.Addr().BitLen()-spec.CIDR.Bits())))
		sizes[key], _ = size.Float64()
		left[key], _ = new(big.Float).SetInt(rooms[i].Left).Float64()
		more[key], _ = new(big.Float).SetInt(rooms[i].More).Float64()
		without[key] = float64(rooms[i].Without)
	}
	all := []metric{
		{"ipam_allocations_borrowed", "Addresses in use in a block of another node.", borrowed},
		{"ipam_allocations_gc_candidates", "Addresses that may have leaked.", candidates},
		{"ipam_allocations_in_use", "Addresses in use.", inUse},
		{"ipam_blocks", "Blocks by the node that owns them.", blocks},
		{"ipam_ippool_size", "Addresses of a pool.", sizes},
		{"ipamsim_blocks_left", "Blocks of a pool that nobody has made yet.", left},
		{"ipamsim_nodes_without_block", "Nodes that a pool selects and that own no block of its family.", without},
		{"ipamsim_room_for_nodes", "Nodes that a pool has room for, with as many blocks as its nodes have on average.", more},
	}
	for _, m := range all {
		p.line("# HELP %s %s\n# TYPE %s gauge", m.name, m.help, m.name)
		for _, key := range slices.Sorted(maps.Keys(m.values)) {
			p.line("%s{%s} %s", m.name, key, strconv.FormatFloat(m.values[key], 'f', -1, 64))
		}
	}
}
