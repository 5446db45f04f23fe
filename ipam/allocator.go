// Package ipam is Calico's IP address management in memory: given the same
// pools, nodes and operations in the same order, an [Allocator] hands out the
// same addresses, from the same blocks, with the same errors, as a real
// cluster.
//
// Calico gives each host whole blocks of addresses, so that a pod usually
// costs one write to an object that no other host writes, and so that routers
// need one route a block. A host claims a block when it needs one, takes
// addresses from its own blocks first and, unless affinity is strict, borrows
// from the blocks of others when no block is left to claim.
//
// Its rules:
//
//   - Operations carry Calico's names. A refusal is an [*Error]: its code is one
//     of package codes, and its fields have the details.
//   - There are no hidden inputs: time comes from the caller's clock, and the same
//     calls give the same results, byte for byte, on every machine.
//   - An operation that is refused changes nothing, except where Calico's own
//     does (its documentation says so).
//   - Addresses and CIDRs are netip values. IPv4-mapped IPv6 addresses, zones
//     and CIDRs with host bits are refused with [codes.InvalidArgument].
//
// What it is not: it does not talk to a datastore or a cluster, and hosts do not
// race, as each operation is atomic (package protocol has races).
//
// A section sign cites the description of Calico's behaviour: §6 is section 6 of
// docs/calico.md.
package ipam

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/internal/blocktree"
	"github.com/ipamsim/ipamsim/internal/claimlist"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/pool"
)

// Options are the options of an [Allocator]. With the zero value the clock stands
// still at the beginning of 1970.
type Options struct {
	// Now is the clock. It is called once at the start of each operation, and
	// should not go backwards. [Clock] is a virtual one; use time.Now if the
	// result need not be repeatable. Nil means a clock that stands still at the
	// Unix epoch.
	Now func() time.Time

	// Calico is the release whose behaviour is wanted; the zero value is the
	// newest that this package knows. Releases that are not covered go by the
	// nearest one that is ([calico.Version.Covered]). What a release does not have is
	// refused with [codes.InvalidArgument]. Nobody checks the type of an owner, though:
	// releases before v3.30 have no virtual ones, and operations take them (§16).
	Calico calico.Version

	// Matters, if set, is told of each rule, as a field of [calico.Rules], that makes a
	// difference to the operation under way, or may make one. As long as it was told of
	// none in which two releases differ, the allocator of the other would have given out
	// and released the same addresses and blocks, if the operations are valid in both. It
	// is told of ReleasesLeaksAtOnce where addresses are given out that were released in
	// an order of the controller's. Left out is what is only told, such as TellReleased,
	// and times and numbers. It must not call the allocator.
	Matters func(rule func(*calico.Rules) *bool)
}

// An Allocator is the IPAM of one cluster: pools, nodes, blocks, affinities,
// handles and configuration. Make one with [New]. It is safe for concurrent
// use, each operation being atomic, and must not be copied.
type Allocator struct {
	mu sync.Mutex

	clock func() time.Time
	now   time.Time  // the time of the operation under way
	cold  block.Cold // addresses released at or before this have cooled down

	config           Config
	pools            pool.Set
	poolBlocks       map[string]*poolBlocks      // by pool name
	recent           *poolBlocks                 // the one last found by an address, or nil
	poolsVersion     uint64                      // counts changes of the pools, from 1
	strays           map[netip.Prefix]*ipamBlock // blocks in no pool, or not of their pool's size
	hosts            map[string]*owner           // nodes, and owners of type host, by name
	virtual          map[string]*owner           // owners of type virtual by name
	claims           claimlist.Index
	handles          handleTable
	reservations     *pool.Reservations
	reservationTexts []string // the reservations as they were given

	version calico.Version // the release of Calico
	rules   calico.Rules   // its rules
	matters func(rule func(*calico.Rules) *bool)

	lastSeq uint64 // highest sequence number of any block, ever
	watches []*Watch

	handleWatches []*Watch // those of handles

	// Scratch space of the operation under way.
	ordinals []int
	claimed  []*claimlist.Claim
	chosen   []*poolBlocks
	grouped  []int // for each release, the number of its batch
	lowering []lowering
}

// New returns the allocator of an empty cluster: no pools, no nodes, the
// default configuration.
func New(o Options) *Allocator {
	if o.Now == nil {
		epoch := time.Unix(0, 0).UTC()
		o.Now = func() time.Time { return epoch }
	}
	return &Allocator{
		clock:        o.Now,
		version:      o.Calico,
		rules:        o.Calico.Rules(),
		matters:      o.Matters,
		config:       DefaultConfig(),
		poolBlocks:   make(map[string]*poolBlocks),
		poolsVersion: 1,
		strays:       make(map[netip.Prefix]*ipamBlock),
		hosts:        make(map[string]*owner),
		virtual:      make(map[string]*owner),
		handles:      newHandleTable(),
	}
}

// begin locks the allocator for one operation and reads the clock.
func (a *Allocator) begin() {
	a.mu.Lock()
	a.now = a.clock()
	a.cold = block.ColdAt(a.now, time.Duration(a.config.IPCooldownSeconds)*time.Second)
}

// Now returns the time of the allocator's clock.
func (a *Allocator) Now() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.clock()
}

// Calico returns the release that the allocator follows.
func (a *Allocator) Calico() calico.Version { return a.version.Known() }

// SetPool adds a pool or replaces the one of its name. It refuses a pool that
// is invalid ([pool.ErrInvalid]), overlaps another ([pool.ErrOverlap]), changes
// its CIDR or block size ([pool.ErrImmutable]). A new pool is also refused where
// its block size differs from that of blocks lying in its CIDR already
// ([pool.ErrBlockSize]) (§1). A field that the release of Calico does not have
// matches [codes.InvalidArgument].
func (a *Allocator) SetPool(spec pool.Spec) error {
	p, err := a.newPool(spec)
	if err != nil {
		return err
	}
	a.begin()
	defer a.mu.Unlock()
	if a.poolBlocks[p.Name()] == nil {
		if err := a.checkStrays(p); err != nil {
			return err
		}
	}
	return a.putPool(p)
}

// newPool returns a pool of the spec, unless it is invalid or the release of Calico does
// not have all its fields.
func (a *Allocator) newPool(spec pool.Spec) (*pool.Pool, error) {
	p, err := pool.New(spec)
	if err == nil {
		err = a.supportsPool(spec)
	}
	return p, err
}

// putPool adds a pool, which adopts the strays that fit, or replaces the one of its
// name.
func (a *Allocator) putPool(p *pool.Pool) error {
	if err := a.pools.Put(p); err != nil {
		return err
	}
	a.poolsVersion++
	if pb := a.poolBlocks[p.Name()]; pb != nil {
		pb.pool = p
		return nil
	}
	a.poolBlocks[p.Name()] = &poolBlocks{pool: p, tree: blocktree.New[*ipamBlock](p.BlockBits())}
	for _, b := range a.straysInOrder() {
		if p.Contains(b.CIDR().Addr()) && p.CheckBlock(b.CIDR()) == nil {
			delete(a.strays, b.CIDR())
			a.add(b)
		}
	}
	return nil
}

// checkStrays returns an error that names the strays of another size in a new pool.
func (a *Allocator) checkStrays(p *pool.Pool) error {
	var errs []error
	for _, b := range a.straysInOrder() {
		errs = append(errs, p.CheckBlock(b.CIDR()))
	}
	return errors.Join(errs...)
}

// DeletePool deletes the pool called name and reports whether there was one. Its
// blocks and their allocations stay, in no pool.
func (a *Allocator) DeletePool(name string) bool {
	a.begin()
	defer a.mu.Unlock()
	return a.deletePool(name)
}

func (a *Allocator) deletePool(name string) bool {
	pb := a.poolBlocks[name]
	if pb == nil {
		return false
	}
	delete(a.poolBlocks, name)
	a.pools.Delete(name)
	a.poolsVersion++
	a.recent = nil
	for _, b := range pb.appendBlocks(nil) {
		b.pool, b.leaf.At = nil, pool.Index{}
		a.strays[b.CIDR()] = b
	}
	a.dropPlans()
	return true
}

// straysInOrder returns the strays by name.
func (a *Allocator) straysInOrder() []*ipamBlock {
	return slices.SortedFunc(maps.Values(a.strays), compareNames)
}

// Node is a node of the cluster, with the fields that IPAM uses.
type Node struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels,omitempty"` // that node selectors match
}

// SetNode adds a node or replaces the one of its name. A node without a name
// is refused with [codes.InvalidArgument]. The labels are copied.
func (a *Allocator) SetNode(n Node) error {
	if err := checkName("node", n.Name); err != nil {
		return err
	}
	a.begin()
	defer a.mu.Unlock()
	a.putNode(n)
	return nil
}

func (a *Allocator) putNode(n Node) {
	o := a.openOwner(affinity.HostOwner(n.Name))
	o.setNode(true, maps.Clone(n.Labels))
}

// DeleteNode deletes the node called name and reports whether there was one.
// Its blocks and affinities stay until they are released.
func (a *Allocator) DeleteNode(name string) bool {
	a.begin()
	defer a.mu.Unlock()
	o := a.known(affinity.HostOwner(name))
	if o == nil || !o.node {
		return false
	}
	o.setNode(false, nil)
	a.forget(o)
	return true
}

// Nodes returns the nodes in the byte order of their names. The slice and the
// labels are the caller's.
func (a *Allocator) Nodes() []Node {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.nodes()
}

func (a *Allocator) nodes() []Node {
	var nodes []Node
	for _, name := range slices.Sorted(maps.Keys(a.hosts)) {
		if labels, exists := a.nodeLabels(name); exists {
			nodes = append(nodes, Node{name, maps.Clone(labels)})
		}
	}
	return nodes
}

// SetReservations replaces the IPReservations: CIDRs and single addresses that
// AutoAssign must not hand out. Entries are trimmed and empty ones skipped;
// malformed ones are ignored, each with a warning (§1).
func (a *Allocator) SetReservations(entries []string) []pool.Warning {
	r, warnings := pool.ParseReservations(entries)
	a.begin()
	defer a.mu.Unlock()
	a.reservations = r
	a.reservationTexts = slices.Clone(entries)
	for _, b := range a.allBlocks() {
		a.reserve(b)
		b.refresh()
	}
	return warnings
}

// Reservations returns the entries last given to [Allocator.SetReservations],
// malformed ones too, in a slice that is the caller's.
func (a *Allocator) Reservations() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.reservationTexts)
}

// eachBlock yields every block, those of the pools in the order of pools and
// addresses, then the strays by name.
func (a *Allocator) eachBlock(yield func(*ipamBlock) bool) {
	for _, p := range a.pools.All() {
		for l := range a.poolBlocks[p.Name()].tree.All {
			if !yield(l.Value) {
				return
			}
		}
	}
	for _, b := range a.straysInOrder() {
		if !yield(b) {
			return
		}
	}
}

// allBlocks returns what eachBlock yields.
func (a *Allocator) allBlocks() []*ipamBlock {
	return slices.AppendSeq(make([]*ipamBlock, 0, a.countBlocks()), a.eachBlock)
}

// countBlocks returns how many blocks there are.
func (a *Allocator) countBlocks() int {
	n := len(a.strays)
	for _, pb := range a.poolBlocks {
		n += pb.tree.Len()
	}
	return n
}

// appendBlocks appends the pool's blocks to dst in address order.
func (pb *poolBlocks) appendBlocks(dst []*ipamBlock) []*ipamBlock {
	for l := range pb.tree.All {
		dst = append(dst, l.Value)
	}
	return dst
}

// byName sorts blocks as Kubernetes lists them.
func byName(blocks []*ipamBlock) []*ipamBlock {
	slices.SortFunc(blocks, compareNames)
	return blocks
}

// compareNames orders blocks by name.
func compareNames(x, y *ipamBlock) int { return affinity.CompareCIDRNames(x.CIDR(), y.CIDR()) }

// checkName refuses a name that no Kubernetes object can have.
func checkName(what, name string) error {
	if name == "" {
		return invalid(what, name, "must not be empty")
	}
	if len(name) > 253 {
		return invalid(what, name[:32]+"…", "must be at most 253 bytes")
	}
	if i := strings.IndexFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f }); i >= 0 {
		return invalid(what, name, fmt.Sprintf("must not contain blanks or control characters (byte %d)", i))
	}
	return nil
}

// checkCount refuses a number that is out of range for addresses or blocks.
func checkCount(what string, n int) error {
	if n < 0 || n > math.MaxInt32 {
		return invalid(what, strconv.Itoa(n), "must be 0 to 2147483647")
	}
	return nil
}

// checkAddr refuses an address that cannot be allocated.
func checkAddr(ip netip.Addr) error {
	if ip.Is4() {
		return nil // inlined where a pod goes
	}
	return checkAddr6(ip)
}

func checkAddr6(ip netip.Addr) error {
	if why := strange(ip); why != "" {
		return invalid("address", ip.String(), why)
	}
	return nil
}

// checkCIDR refuses a prefix that is not strictly masked.
func checkCIDR(cidr netip.Prefix) error {
	why := strange(cidr.Addr())
	if cidr.Addr().Is4In6() && cidr.Bits() >= 96 {
		why = "is an IPv4-mapped IPv6 CIDR; use " + netip.PrefixFrom(cidr.Addr().Unmap(), cidr.Bits()-96).String()
	}
	if why == "" && !cidr.IsValid() {
		why = "prefix length is out of range"
	}
	if why == "" && cidr != cidr.Masked() {
		why = "has host bits; use " + cidr.Masked().String()
	}
	if why != "" {
		return invalid("cidr", cidr.String(), why)
	}
	return nil
}

// strange says why ip is no plain IPv4 or IPv6 address, if so.
func strange(ip netip.Addr) string {
	switch {
	case !ip.IsValid():
		return "is not an IP address"
	case ip.Is4In6():
		return "is an IPv4-mapped IPv6 address; use " + ip.Unmap().String()
	case ip.Zone() != "":
		return "has a zone"
	}
	return ""
}
