package ipam_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"math/bits"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// A model knows what users of an allocator rely on: who holds which address, and
// what pools, nodes, reservations and configuration allow. It does not know which
// block or address comes next: the recordings test that.
type model struct {
	pools        map[string]pool.Spec // defaults written out
	nodes        map[string]map[string]string
	config       ipam.Config
	reservations *pool.Reservations
	now          time.Time

	held     map[netip.Addr]holding
	cooling  map[netip.Addr]cooling
	hostHeld map[netip.Addr]string // set aside for Windows hosts, with the handle

	numbers map[netip.Addr]uint64   // the last sequence number of each address
	blocks  map[netip.Prefix]uint64 // the highest of each block
	left    map[netip.Prefix]bool   // blocks without an owner that a collection may have left empty
}

// holding is the holder of an address.
type holding struct {
	handle            string
	active, alternate block.Attrs
}

func (h holding) String() string { return fmt.Sprintf("%q %s %s", h.handle, h.active, h.alternate) }

// cooling is an address that was released.
type cooling struct {
	at    int64 // Unix seconds
	ended bool  // the cooldown was over in some operation since
}

func newModel(now time.Time) *model {
	return &model{
		pools:    make(map[string]pool.Spec),
		nodes:    make(map[string]map[string]string),
		config:   ipam.DefaultConfig(),
		now:      now,
		held:     make(map[netip.Addr]holding),
		cooling:  make(map[netip.Addr]cooling),
		hostHeld: make(map[netip.Addr]string),
		numbers:  make(map[netip.Addr]uint64),
		blocks:   make(map[netip.Prefix]uint64),
		left:     make(map[netip.Prefix]bool),
	}
}

// tick begins an operation at the time now.
func (w *model) tick(now time.Time) {
	w.now = now
	for ip, c := range w.cooling {
		c.ended = c.ended || w.cold(c)
		w.cooling[ip] = c
	}
}

// cold reports whether the cooldown is over.
func (w *model) cold(c cooling) bool {
	return w.now.Unix()-c.at >= int64(w.config.IPCooldownSeconds)
}

// release releases the address.
func (w *model) release(ip netip.Addr) {
	delete(w.held, ip)
	delete(w.hostHeld, ip)
	if w.config.IPCooldownSeconds > 0 {
		w.cooling[ip] = cooling{at: w.now.Unix()}
	}
}

// isHost reports whether an address is set aside for a Windows host.
func (w *model) isHost(ip netip.Addr) bool { _, set := w.hostHeld[ip]; return set }

// leavesEmpty reports whether an address in use leaves its block empty: §10.
func (w *model) leavesEmpty(ip netip.Addr) bool {
	return w.isHost(ip) && strings.ToLower(w.hostHeld[ip]) == block.HostReservedHandle
}

// inUse lists the addresses that are in no queue, in order.
func (w *model) inUse() []netip.Addr {
	all := slices.Collect(maps.Keys(w.held))
	all = slices.AppendSeq(all, maps.Keys(w.cooling))
	all = slices.AppendSeq(all, maps.Keys(w.hostHeld))
	slices.SortFunc(all, netip.Addr.Compare)
	return all
}

// names returns the names of the pools in order.
func (w *model) names() []string { return slices.Sorted(maps.Keys(w.pools)) }

// poolOf returns the pool that contains the address.
func (w *model) poolOf(ip netip.Addr) (pool.Spec, bool) {
	for _, s := range w.pools {
		if s.CIDR.Contains(ip) {
			return s, true
		}
	}
	return pool.Spec{}, false
}

// enabledPoolOf returns the enabled pool that contains the address.
func (w *model) enabledPoolOf(ip netip.Addr) (pool.Spec, bool) {
	s, ok := w.poolOf(ip)
	return s, ok && !s.Disabled
}

// selects reports whether a selector matches the labels.
func selects(selector string, labels map[string]string) bool {
	s, err := pool.Parse(selector)
	if err != nil {
		panic(err) // the pool was accepted
	}
	return s.Matches(labels)
}

// allows reports whether the pool may be used for that.
func allows(s pool.Spec, u pool.Use) bool {
	if len(s.AllowedUses) == 0 {
		return u == pool.Workload || u == pool.Tunnel
	}
	return slices.Contains(s.AllowedUses, u)
}

// setPool says whether a pool is acceptable.
func (w *model) setPool(s pool.Spec, blocks []ipam.BlockState) error {
	p, err := pool.New(s)
	if err != nil {
		return pool.ErrInvalid
	}
	for _, b := range blocks {
		if _, ok := w.poolOf(b.CIDR.Addr()); !ok && b.CIDR.Overlaps(s.CIDR) && b.CIDR.Bits() != p.BlockSize() {
			return pool.ErrBlockSize
		}
	}
	if old, known := w.pools[s.Name]; known && (old.CIDR != p.CIDR() || old.BlockSize != p.BlockSize()) {
		return pool.ErrImmutable
	}
	for name, other := range w.pools {
		if name != s.Name && other.CIDR.Overlaps(s.CIDR) {
			return pool.ErrOverlap
		}
	}
	return nil
}

// A demand is one family of a request for addresses or a block.
type demand struct {
	host      string
	use       pool.Use
	is4       bool
	pools     []netip.Prefix
	reserve   *ipam.HostReservation
	namespace map[string]string
}

func (d *demand) owner() affinity.Owner {
	if d.use == pool.LoadBalancer {
		return affinity.VirtualOwner(d.host)
	}
	return affinity.HostOwner(d.host)
}

// choose returns the pools that the demand may use, in order, or why there are
// none: §3 and §10 word for word.
func (w *model) choose(d *demand) ([]pool.Spec, error) {
	for _, cidr := range d.pools {
		if cidr.Addr().Is4() != d.is4 {
			return nil, codes.WrongFamily
		}
	}
	labels, exists := w.nodes[d.host]
	switch d.use {
	case pool.Workload, pool.Tunnel:
		if !exists {
			return nil, codes.DoesNotExist
		}
	case pool.LoadBalancer:
		labels = nil
	default:
		return nil, codes.UseRequired
	}
	longest := 128
	if d.is4 {
		longest = 32
	}
	if d.reserve != nil {
		s, e := d.reserve.StartOfBlock, d.reserve.EndOfBlock
		if s < 0 || e < 0 || s+e == 0 || bits.Len(uint(s+e)) >= longest {
			return nil, codes.BadHostReservation
		}
		longest -= bits.Len(uint(s + e))
	}
	var enabled, large []pool.Spec
	for _, name := range w.names() {
		if s := w.pools[name]; !s.Disabled && s.CIDR.Addr().Is4() == d.is4 {
			enabled = append(enabled, s)
			if s.BlockSize <= longest {
				large = append(large, s)
			}
		}
	}
	if len(large) == 0 {
		return nil, codes.NoQualifiedPool
	}
	var chosen []pool.Spec
	for _, cidr := range d.pools {
		i := slices.IndexFunc(large, func(s pool.Spec) bool { return s.CIDR == cidr.Masked() })
		if i < 0 {
			return nil, codes.PoolNotEnabled
		}
		chosen = append(chosen, large[i])
	}
	if len(d.pools) == 0 {
		for _, s := range enabled {
			if s.AssignmentMode == pool.Automatic && selects(s.NodeSelector, labels) && selects(s.NamespaceSelector, d.namespace) {
				chosen = append(chosen, s)
			}
		}
		if len(chosen) == 0 {
			return nil, codes.NoPoolsForNode
		}
	}
	chosen = slices.DeleteFunc(chosen, func(s pool.Spec) bool { return !allows(s, d.use) })
	if len(chosen) == 0 {
		return nil, codes.NoQualifiedPool
	}
	return chosen, nil
}

// in returns the one of the pools that contains the address.
func in(pools []pool.Spec, ip netip.Addr) (pool.Spec, bool) {
	i := slices.IndexFunc(pools, func(s pool.Spec) bool { return s.CIDR.Contains(ip) })
	if i < 0 {
		return pool.Spec{}, false
	}
	return pools[i], true
}

// blockIn returns the block of the state that contains the address.
func blockIn(s *ipam.State, ip netip.Addr) *ipam.BlockState {
	for i := range s.Blocks {
		if s.Blocks[i].CIDR.Contains(ip) {
			return &s.Blocks[i]
		}
	}
	return nil
}

// size returns how many addresses a block has.
func size(cidr netip.Prefix) int { return 1 << (cidr.Addr().BitLen() - cidr.Bits()) }

// reservedFor returns the addresses of a new block that are set aside for the
// host.
func reservedFor(b *ipam.BlockState, r *ipam.HostReservation) []netip.Addr {
	var ips []netip.Addr
	if r != nil {
		n := size(b.CIDR)
		for ord := range n {
			if ord < r.StartOfBlock || ord >= n-r.EndOfBlock {
				ips = append(ips, b.Addr(ord))
			}
		}
	}
	return ips
}

// absorb notes the blocks that came and went in one operation. compare checks
// their addresses.
func (w *model) absorb(before, after *ipam.State, reserve4, reserve6 *ipam.HostReservation) {
	old := make(map[netip.Prefix]*ipam.BlockState)
	for i := range before.Blocks {
		old[before.Blocks[i].CIDR] = &before.Blocks[i]
	}
	forget := func(cidr netip.Prefix) {
		maps.DeleteFunc(w.hostHeld, func(ip netip.Addr, _ string) bool { return cidr.Contains(ip) })
	}
	for i := range after.Blocks {
		b := &after.Blocks[i]
		was := old[b.CIDR]
		delete(old, b.CIDR)
		// A block never changes hands: it is deleted and made again.
		if was == nil || b.Owner != was.Owner && !b.Owner.IsZero() {
			forget(b.CIDR)
			reserve := reserve6
			if b.CIDR.Addr().Is4() {
				reserve = reserve4
			}
			for _, ip := range reservedFor(b, reserve) {
				w.hostHeld[ip] = reserve.Handle
			}
		}
	}
	for cidr := range old {
		forget(cidr)
		delete(w.left, cidr)
	}
}

// compare compares a state with the model: exactly the model's addresses are
// allocated; objects are in order; numbers do not repeat.
func (w *model) compare(s *ipam.State) error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	stillCooling := make(map[netip.Addr]bool)
	seen := make(map[netip.Addr]bool)
	lastName := ""
	for i := range s.Blocks {
		b := &s.Blocks[i]
		if name := affinity.CIDRName(b.CIDR); name <= lastName {
			wrong("block %s stands after %s", name, lastName)
		} else {
			lastName = name
		}
		if b.Sequence < w.blocks[b.CIDR] {
			wrong("block %s has number %d after %d", b.CIDR, b.Sequence, w.blocks[b.CIDR])
		}
		w.blocks[b.CIDR] = b.Sequence
		if len(b.Free)+len(b.Allocations) != size(b.CIDR) {
			wrong("block %s has %d free and %d allocated", b.CIDR, len(b.Free), len(b.Allocations))
		}
		unused := b.Owner.IsZero() && !slices.ContainsFunc(b.Allocations, func(al block.Allocation) bool { return !w.leavesEmpty(b.Addr(al.Ordinal)) })
		if !unused {
			delete(w.left, b.CIDR)
		} else if !w.left[b.CIDR] {
			wrong("block %s is empty and nobody's", b.CIDR)
		}
		for _, al := range b.Allocations {
			ip := b.Addr(al.Ordinal)
			if seen[ip] {
				wrong("%s is in two blocks", ip)
			}
			seen[ip] = true
			h, held := w.held[ip]
			c, cooling := w.cooling[ip]
			switch {
			case !al.ReleasedAt.IsZero():
				stillCooling[ip] = true
				if !cooling || c.at != al.ReleasedAt.Unix() {
					wrong("%s cools since %s, the model says %v", ip, al.ReleasedAt, c)
				}
				continue
			case w.isHost(ip):
				if al.Handle != w.hostHeld[ip] || al.Seq != 0 {
					wrong("host-reserved %s is held by %q with number %d", ip, al.Handle, al.Seq)
				}
				continue
			case !held:
				wrong("%s is held by %q, the model says by nobody", ip, al.Handle)
			case h != holding{al.Handle, al.Active, al.Alternate}:
				wrong("%s is held by %q %v %v, the model says %v", ip, al.Handle, al.Active, al.Alternate, h)
			}
			if al.Seq == 0 || al.Seq > b.Sequence {
				wrong("%s has number %d, its block %d", ip, al.Seq, b.Sequence)
			}
			if last, known := w.numbers[ip]; known && al.Seq != last {
				wrong("%s had number %d and has %d, with the same holder", ip, last, al.Seq)
			}
			w.numbers[ip] = al.Seq
		}
	}
	for ip := range w.held {
		if !seen[ip] {
			wrong("%s is not allocated, the model says to %q", ip, w.held[ip].handle)
		}
	}
	for ip := range w.hostHeld {
		if !seen[ip] {
			wrong("%s is not reserved for the host", ip)
		}
	}
	for ip, c := range w.cooling {
		if stillCooling[ip] {
			continue
		}
		if !c.ended {
			wrong("%s did not cool long enough", ip)
		}
		delete(w.cooling, ip)
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// newHolder notes that an address was given out. Its number must be new.
func (w *model) newHolder(ip netip.Addr, h holding, s *ipam.State) error {
	delete(w.cooling, ip)
	w.held[ip] = h
	last := w.numbers[ip]
	delete(w.numbers, ip)
	if b := blockIn(s, ip); b != nil {
		for _, al := range b.Allocations {
			if b.Addr(al.Ordinal) == ip && al.Seq <= last {
				return fmt.Errorf("%s was given out with number %d after %d", ip, al.Seq, last)
			}
		}
	}
	return nil
}

// utilization compares the result of GetUtilization with the model.
func (w *model) utilization(got []ipam.PoolUsage, s *ipam.State) error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	names := append(w.names(), ipam.OrphanedBlocks)
	if len(got) != len(names) {
		return fmt.Errorf("utilization of %d pools, want %d", len(got), len(names))
	}
	inUse := w.inUse()
	// usage counts the addresses in a CIDR.
	usage := func(cidr netip.Prefix) ipam.Usage {
		used, both := 0, 0
		for _, ip := range inUse {
			if cidr.Contains(ip) {
				used++
				if w.reservations.Contains(ip) {
					both++
				}
			}
		}
		u := ipam.Usage{
			Capacity: new(big.Int).Lsh(big.NewInt(1), uint(cidr.Addr().BitLen()-cidr.Bits())),
			InUse:    big.NewInt(int64(used)),
			Reserved: w.reservations.CountIn(cidr),
		}
		u.Available = new(big.Int).Sub(u.Capacity, u.InUse)
		u.Available.Sub(u.Available, u.Reserved)
		u.Available.Add(u.Available, big.NewInt(int64(both)))
		return u
	}
	same := func(what string, got, want ipam.Usage) {
		if got.Capacity.Cmp(want.Capacity)|got.InUse.Cmp(want.InUse)|got.Reserved.Cmp(want.Reserved)|got.Available.Cmp(want.Available) != 0 {
			wrong("utilization of %s is %v, want %v", what, got, want)
		}
	}
	for i, name := range names {
		u := got[i]
		spec, isPool := w.pools[name]
		want := ipam.Usage{Capacity: new(big.Int), InUse: new(big.Int), Reserved: new(big.Int), Available: new(big.Int)}
		cidr := netip.MustParsePrefix("0.0.0.0/0")
		if isPool {
			cidr, want = spec.CIDR, usage(spec.CIDR)
			want = w.in64Bits(want, s, cidr)
		}
		if u.Name != name || u.CIDR != cidr {
			wrong("utilization of %s %s, want %s %s", u.Name, u.CIDR, name, cidr)
		}
		same(name, u.Usage, want)
		var blocks []netip.Prefix
		for _, b := range s.Blocks {
			p, ok := w.poolOf(b.CIDR.Addr())
			if ok && p.Name == name || !ok && !isPool && b.CIDR.Addr().Is4() {
				blocks = append(blocks, b.CIDR)
			}
		}
		var listed []netip.Prefix
		for _, b := range u.Blocks {
			listed = append(listed, b.CIDR)
			same(b.CIDR.String(), b.Usage, usage(b.CIDR))
		}
		if !slices.Equal(listed, blocks) {
			wrong("utilization of %s lists %v, want %v", name, listed, blocks)
		}
	}
	return errors.Join(errs...)
}

// in64Bits cuts counts as Calico does: they stop at 2^63-1, and the sum of those
// available in blocks and outside overflows.
func (w *model) in64Bits(u ipam.Usage, s *ipam.State, cidr netip.Prefix) ipam.Usage {
	limit := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 63), big.NewInt(1))
	inBlocks := int64(0)
	for _, b := range s.Blocks {
		for _, ord := range b.Free {
			if cidr.Contains(b.CIDR.Addr()) && !w.reservations.Contains(b.Addr(ord)) {
				inBlocks++
			}
		}
	}
	cut := func(n *big.Int) *big.Int {
		if n.Cmp(limit) > 0 {
			return limit
		}
		return n
	}
	outside := cut(new(big.Int).Sub(u.Available, big.NewInt(inBlocks)))
	u.Available = big.NewInt(outside.Int64() + inBlocks)
	u.Capacity, u.Reserved = cut(u.Capacity), cut(u.Reserved)
	return u
}

// stateText is the whole of a state, which has no unexported fields.
func stateText(s *ipam.State) string { return fmt.Sprintf("%+v", *s) }

// sameState fails if something changed the state.
func sameState(what string, was, is *ipam.State) error {
	if reflect.DeepEqual(was, is) {
		return nil
	}
	return fmt.Errorf("%s changed the state:\n was %s\n is  %s", what, stateText(was), stateText(is))
}

// total adds up what a handle counts in one family.
func total(s *ipam.State, handle string, is4 bool) int {
	n := 0
	for _, h := range s.Handles {
		if !strings.EqualFold(h.ID, handle) { // ids that differ only in case share one object: §1
			continue
		}
		for _, c := range h.Counts {
			if c.Block.Addr().Is4() == is4 {
				n += c.Count
			}
		}
	}
	return n
}

// cutHandle is a handle id up to the first carriage return.
func cutHandle(id string) string { return strings.Split(id, "\r")[0] }

// tooMany is an invalid count for a request; on 32-bit machines it is negative.
var tooMany = addOne(math.MaxInt32)

func addOne(n int) int { return n + 1 }
