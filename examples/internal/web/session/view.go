package session

import (
	"cmp"
	"maps"
	"math/big"
	"net/netip"
	"slices"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/pool"
)

// View is what the page shows of a state. Every list is there, if empty.
type View struct {
	At      int      `json:"at"`     // how many operations are in force
	Length  int      `json:"length"` // how many there are, those undone too
	Ops     []doneOp `json:"ops"`
	Now     string   `json:"now"`
	Says    []string `json:"says"` // what the last operation in force did
	Changed Changed  `json:"changed"`

	Figures Figures     `json:"figures"`
	Config  ConfigView  `json:"config"`
	Pools   []PoolView  `json:"pools"`
	Nodes   []NodeView  `json:"nodes"`
	Unowned []BlockView `json:"unowned"`
	Source  string      `json:"source"`
	Slow    bool        `json:"slow"` // a slow act is under way
}

// mostChanged is how many of each kind the page is told: it marks what is in view.
const mostChanged = 1000

// Changed is what the last operation changed, the first of each up to [mostChanged].
type Changed struct {
	Blocks    []string `json:"blocks"`
	Addresses []string `json:"addresses"`
	Nodes     []string `json:"nodes"`
}

// Figures count the cluster. Those that IPv6 makes larger than a number of JavaScript,
// which is exact up to 2^53, are texts of digits.
type Figures struct {
	Addresses  string `json:"addresses"` // of all pools
	InUse      int    `json:"inUse"`
	Cooling    int    `json:"cooling"`
	Reserved   string `json:"reserved"`
	Blocks     int    `json:"blocks"`
	BlocksLeft string `json:"blocksLeft"` // of enabled pools, that do not exist yet
	Borrowed   int    `json:"borrowed"`
	Routes     int    `json:"routes"` // one a block, one a borrowed address
	Pods       int    `json:"pods"`
	Waiting    int    `json:"waiting"` // pods without an address
}

// ConfigView is the configuration.
type ConfigView struct {
	Strict    bool   `json:"strict"`
	MaxBlocks int    `json:"maxBlocks"` // in force: 20 if none is set
	Cooldown  string `json:"cooldown"`
	Calico    string `json:"calico"`
	// Reserved are the addresses and ranges that nobody gets unasked, of all pools.
	Reserved []string `json:"reserved"`
}

// PoolView is a pool.
type PoolView struct {
	Name         string `json:"name"`
	CIDR         string `json:"cidr"`
	BlockSize    int    `json:"blockSize"`
	Blocks       string `json:"blocks"`  // that it has room for, in digits
	Claimed      int    `json:"claimed"` // that exist
	NodeSelector string `json:"nodeSelector"`
	Disabled     bool   `json:"disabled"`
}

// NodeView is a node with its blocks.
type NodeView struct {
	Name     string            `json:"name"`
	Labels   map[string]string `json:"labels"`
	Cordoned bool              `json:"cordoned"`
	Gone     bool              `json:"gone"`
	Pods     int               `json:"pods"`
	Waiting  int               `json:"waiting"`
	Borrows  int               `json:"borrows"` // addresses that its pods have from others' blocks
	Blocks   []BlockView       `json:"blocks"`

	of *node
}

// BlockView is a block, or a claim on one that does not exist.
type BlockView struct {
	CIDR    string `json:"cidr"`
	State   string `json:"state"` // of the claim: confirmed, pending, pendingDeletion or empty
	Exists  bool   `json:"exists"`
	InUse   int    `json:"inUse"`
	Free    int    `json:"free"`
	Cooling int    `json:"cooling"`
	Lent    int    `json:"lent"` // addresses in use by others than its owner
}

// View returns the view of the state.
func (s *Session) View() *View {
	w := s.world
	v := &View{
		At: s.at, Length: len(s.ops), Ops: s.done, Now: w.clock.Now().UTC().Format(time.RFC3339), Says: notNil(w.says),
		Changed: Changed{Blocks: []string{}, Addresses: []string{}, Nodes: []string{}},
		Source:  "setup", Pools: []PoolView{}, Nodes: []NodeView{}, Unowned: []BlockView{}, Slow: s.slow != nil,
	}
	if s.dump != nil {
		v.Source = "load"
	}
	w.view(v)
	return v
}

// first is the beginning of a long list.
func first[T any](list []T) []T { return list[:min(len(list), mostChanged)] }

// notNil makes an empty list of none.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// view fills in what the world knows.
func (w *world) view(v *View) {
	for _, cidr := range first(slices.SortedFunc(maps.Keys(w.changed), comparePrefixes)) {
		v.Changed.Blocks = append(v.Changed.Blocks, cidr.String())
	}
	for _, ip := range first(slices.SortedFunc(maps.Keys(w.addresses), netip.Addr.Compare)) {
		v.Changed.Addresses = append(v.Changed.Addresses, ip.String())
	}
	v.Changed.Nodes = append(v.Changed.Nodes, first(slices.Sorted(maps.Keys(w.affected)))...)

	c := w.ipam.GetIPAMConfig()
	v.Config = ConfigView{c.StrictAffinity, limit(c), w.cooldown(), w.ipam.Calico().String(), notNil(w.ipam.Reservations())}

	claimed := make([]int, len(w.pools))
	borrows := make(map[*node]int)
	var unowned []netip.Prefix
	for cidr, b := range w.blocks {
		v.Figures.Blocks++
		v.Figures.InUse += b.count.InUse
		v.Figures.Cooling += b.count.Cooling
		v.Figures.Borrowed += b.count.Borrowed
		for i, p := range w.pools {
			if p.Contains(cidr.Addr()) {
				claimed[i]++
			}
		}
		for n, k := range b.holders {
			if n.name != b.owner.Name || b.owner.Type != affinity.Host {
				borrows[n] += k
			}
		}
		if b.owner.Type != affinity.Host || w.nodes[b.owner.Name] == nil {
			unowned = append(unowned, cidr)
		}
	}
	slices.SortFunc(unowned, comparePrefixes)
	for _, cidr := range unowned {
		v.Unowned = append(v.Unowned, w.block(cidr, w.blocks[cidr].owner))
	}
	for _, state := range w.claimed {
		if state == affinity.Confirmed {
			v.Figures.Routes++
		}
	}
	v.Figures.Routes += v.Figures.Borrowed
	v.Figures.Pods = len(w.pods)
	w.viewPools(v, claimed)
	v.Nodes = make([]NodeView, 0, len(w.order))
	for _, n := range w.order {
		nv := NodeView{of: n, Name: n.name, Labels: n.labels, Cordoned: n.cordoned, Gone: n.gone, Pods: len(n.pods), Waiting: n.waiting, Borrows: borrows[n], Blocks: make([]BlockView, 0, len(n.blocks))}
		v.Figures.Waiting += n.waiting
		for _, cidr := range n.claims() {
			nv.Blocks = append(nv.Blocks, w.block(cidr, n.owner()))
		}
		v.Nodes = append(v.Nodes, nv)
	}
}

// viewPools fills in the pools, of each of which so many blocks exist.
func (w *world) viewPools(v *View, claimed []int) {
	reserved, _ := pool.ParseReservations(w.ipam.Reservations())
	var addresses, left, set big.Int
	for i, p := range w.pools {
		blocks := power(p.BlockBits())
		v.Pools = append(v.Pools, PoolView{p.Name(), p.CIDR().String(), p.BlockSize(), blocks.String(), claimed[i], p.Spec().NodeSelector, p.Disabled()})
		addresses.Add(&addresses, power(p.CIDR().Addr().BitLen()-p.CIDR().Bits()))
		if free := blocks.Sub(blocks, big.NewInt(int64(claimed[i]))); !p.Disabled() && free.Sign() > 0 {
			left.Add(&left, free)
		}
		set.Add(&set, reserved.CountIn(p.CIDR()))
	}
	v.Figures.Addresses, v.Figures.BlocksLeft, v.Figures.Reserved = addresses.String(), left.String(), set.String()
}

// power is 2 to the power of bits, at most 128 of them.
func power(bits int) *big.Int { return new(big.Int).Lsh(big.NewInt(1), uint(bits)) }

// block is a block as its owner, or who claims it, has it.
func (w *world) block(cidr netip.Prefix, o affinity.Owner) BlockView {
	v := BlockView{CIDR: cidr.String(), State: w.claimed[claim{o, cidr}].String()}
	if b := w.blocks[cidr]; b != nil && b.owner == o {
		v.Exists, v.InUse, v.Free, v.Cooling, v.Lent = true, b.count.InUse, b.count.Free, b.count.Cooling, b.count.Borrowed
	}
	return v
}

// comparePrefixes orders by address, then size.
func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}
