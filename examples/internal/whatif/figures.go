package whatif

import (
	"cmp"
	"math/big"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// figures are a cluster in numbers.
type figures struct {
	Pools    []poolFigures   `json:"pools"`
	Families []familyFigures `json:"families"` // those that there are pools or blocks of
	Loans    []loan          `json:"loans"`
	Nodes    int             `json:"nodes"`
	Pods     int             `json:"pods"`
	Orphans  int             `json:"blocksInNoPool"`
	Strict   bool            `json:"strictAffinity"`
	Cooldown int             `json:"ipCooldownSeconds"`
	Limit    int             `json:"maxBlocksPerHost"` // as it applies: never 0
}

// poolFigures are a pool in numbers.
type poolFigures struct {
	Name      string   `json:"name"`
	CIDR      string   `json:"cidr"`
	BlockSize int      `json:"blockSize"`
	Disabled  bool     `json:"disabled,omitempty"`
	Blocks    *big.Int `json:"blocks"`  // that it has room for
	Claimed   int      `json:"claimed"` // that somebody owns
	Empty     int      `json:"empty"`   // of those that exist
	OnePod    int      `json:"onePod"`  // held by a single address
	Free      *big.Int `json:"free"`    // that do not exist yet
}

// familyFigures are all that the cluster has of IPv4, or of IPv6.
type familyFigures struct {
	Family  string `json:"family"`
	InUse   int    `json:"inUse"` // addresses that somebody holds
	Cooling int    `json:"cooling"`
	// Stranded addresses are free, in blocks of nodes or of nobody: another node
	// gets them only by borrowing. Of those left behind, no node is the owner.
	Stranded   int `json:"stranded"`
	LeftBehind int `json:"strandedLeftBehind"`
	Borrowed   int `json:"borrowed"`
	// Routes are the blocks with a confirmed affinity and the borrowed addresses.
	Routes            int      `json:"routes"`
	NodesWithoutBlock []string `json:"nodesWithoutBlock"`
	// Headroom is how many blocks are left to claim, in enabled pools that pods may
	// use on some node: as many nodes more could have one of their own.
	Headroom *big.Int `json:"headroom"`

	owns map[string]bool // nodes that own a block
}

// loan is how many addresses one node has borrowed from another.
type loan struct {
	Lender   string `json:"lender"` // empty for nobody
	Borrower string `json:"borrower"`
	Count    int    `json:"count"`
}

// figures counts the cluster as it stands.
func (w *world) figures() figures {
	cidrs, specs, nodes := w.a.Blocks(), w.a.Pools(), w.a.Nodes()
	config := w.a.GetIPAMConfig()
	f := figures{Strict: config.StrictAffinity, Cooldown: config.IPCooldownSeconds, Limit: config.MaxBlocksPerHost, Nodes: len(nodes), Pods: w.CountPods(), Loans: []loan{}}
	if f.Limit == 0 {
		f.Limit = ipam.DefaultMaxBlocksPerHost
	}
	index := make(map[string]int)
	for i, p := range specs {
		index[p.Name] = i
		total := poolBlocks(p)
		f.Pools = append(f.Pools, poolFigures{
			Name: p.Name, CIDR: p.CIDR.String(), BlockSize: p.BlockSize, Disabled: p.Disabled, Blocks: total, Free: new(big.Int).Set(total),
		})
	}
	isNode := make(map[string]bool, len(nodes))
	for _, n := range nodes {
		isNode[n.Name] = true
	}
	if len(nodes) == 0 { // nobody asked for them: whoever owns a block may be one
		for _, cidr := range cidrs {
			if c, _ := w.a.CountBlock(cidr); c.Owner.Type == affinity.Host {
				isNode[c.Owner.Name] = true
			}
		}
	}
	both := [2]familyFigures{
		{Family: "IPv4", Headroom: new(big.Int), NodesWithoutBlock: []string{}, owns: make(map[string]bool)},
		{Family: "IPv6", Headroom: new(big.Int), NodesWithoutBlock: []string{}, owns: make(map[string]bool)},
	}
	loans := make(map[loan]int)
	var there [2]bool
	b := new(ipam.BlockState)
	for _, cidr := range cidrs {
		w.a.ReadBlock(cidr, b)
		k := familyOf(b.CIDR.Addr().Is4())
		there[k] = true
		held := both[k].count(b, isNode, loans)
		if p := poolOf(specs, b.CIDR.Addr()); p != nil {
			f.Pools[index[p.Name]].count(b, held)
		} else {
			f.Orphans++
		}
	}
	for _, a := range w.a.Affinities() {
		if a.State == affinity.Confirmed {
			both[familyOf(a.CIDR.Addr().Is4())].Routes++
		}
	}
	for i, p := range specs {
		k := familyOf(p.CIDR.Addr().Is4())
		there[k] = true
		if w.usable(p, nodes) {
			both[k].Headroom.Add(both[k].Headroom, f.Pools[i].Free)
		}
	}
	for k := range both {
		if !there[k] {
			continue
		}
		for _, n := range nodes {
			if !both[k].owns[n.Name] {
				both[k].NodesWithoutBlock = append(both[k].NodesWithoutBlock, n.Name)
			}
		}
		f.Families = append(f.Families, both[k])
	}
	for l, n := range loans {
		l.Count = n
		f.Loans = append(f.Loans, l)
	}
	slices.SortFunc(f.Loans, func(x, y loan) int {
		return cmp.Or(cmp.Compare(y.Count, x.Count), strings.Compare(x.Lender, y.Lender), strings.Compare(x.Borrower, y.Borrower))
	})
	return f
}

// usable reports whether new pods may get blocks of the pool without asking for it: of
// pools that select nodes or namespaces, some node must be selected, and some pod there
// already (docs/calico.md §3).
func (w *world) usable(spec pool.Spec, nodes []ipam.Node) bool {
	p, err := pool.New(spec)
	if err != nil || p.Disabled() || !p.Automatic() || !p.Allows(pool.Workload) {
		return false
	}
	if len(nodes) > 0 && !slices.ContainsFunc(nodes, func(n ipam.Node) bool { return p.SelectsNode(n.Labels) }) {
		return false
	}
	return p.SelectsNamespace(nil) || w.Uses(spec.CIDR)
}

func familyOf(is4 bool) int {
	if is4 {
		return 0
	}
	return 1
}

// count adds a block of the pool's, which so many addresses hold.
func (f *poolFigures) count(b *ipam.BlockState, held int) {
	if b.CIDR.Bits() == f.BlockSize { // Calico makes its own over blocks of another size
		f.Free.Sub(f.Free, big.NewInt(1))
	}
	if !b.Owner.IsZero() {
		f.Claimed++
	}
	switch held {
	case 0:
		f.Empty++
	case 1:
		f.OnePod++
	}
}

// count adds up a block's addresses, and returns how many of them hold it: all
// but those kept for the host.
func (f *familyFigures) count(b *ipam.BlockState, isNode map[string]bool, loans map[loan]int) (held int) {
	if b.Owner.Type == affinity.Host {
		f.owns[b.Owner.Name] = true
	}
	if b.Owner.Type != affinity.Virtual {
		f.Stranded += len(b.Free)
		if !isNode[b.Owner.Name] {
			f.LeftBehind += len(b.Free)
		}
	}
	for _, al := range b.Allocations {
		if !al.ReleasedAt.IsZero() {
			f.Cooling++
			held++
			continue
		}
		f.InUse++
		if block.IsHostReserved(al.Handle) {
			continue
		}
		held++
		node, _ := al.Active.Get(ipam.AttrNode)
		if node != "" && b.Owner != affinity.HostOwner(node) {
			loans[loan{Lender: b.Owner.Name, Borrower: node}]++
			f.Borrowed++
			f.Routes++
		}
	}
	return held
}
