package protocol

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/pool"
)

// Cluster is what all clients of one cluster share: the datastore, and beside it
// the pools and reservations. Clients read pools and reservations without a
// request, as recordings do not count such reads and no recorded race changes a
// pool. Make one with [NewCluster].
//
// Its methods read the datastore from outside: they make no requests, are not
// counted, and may be called between any two steps of a client.
type Cluster struct {
	store        *Store
	version      calico.Version
	rules        calico.Rules // of that version
	pools        pool.Set
	reservations *pool.Reservations
}

// NewCluster returns an empty cluster: no pools, no nodes, the default
// configuration.
func NewCluster() *Cluster {
	c := &Cluster{store: newStore()}
	c.SetCalico(0)
	return c
}

// SetCalico chooses the release of Calico that the clients are of (§16); without
// it they are of the newest. From then on, requests for what the release does not
// have are refused, but existing objects stay: call it before anything else.
func (c *Cluster) SetCalico(v calico.Version) { c.version, c.rules = v, v.Rules() }

// Calico returns the release that the clients are of.
func (c *Cluster) Calico() calico.Version { return c.version }

// Store returns the cluster's datastore.
func (c *Cluster) Store() *Store { return c.store }

// SetPool adds a pool or replaces the one of its name, as
// [ipam.Allocator.SetPool] does.
func (c *Cluster) SetPool(spec pool.Spec) error {
	p, err := c.newPool(spec)
	if err != nil {
		return err
	}
	if c.pools.Get(spec.Name) != nil {
		return c.pools.Put(p) // whatever blocks it has
	}
	var errs []error
	for _, b := range c.store.blocks.live() {
		if of := c.pools.ByAddr(b.CIDR.Addr()); of == nil || of.BlockSize() != b.CIDR.Bits() {
			errs = append(errs, p.CheckBlock(b.CIDR)) // those of another pool mean an overlap
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return c.pools.Put(p)
}

// PutPool adds a pool or replaces the one of its name as a raw edit of the datastore
// does: whatever blocks lie in its CIDR.
func (c *Cluster) PutPool(spec pool.Spec) error {
	p, err := c.newPool(spec)
	if err != nil {
		return err
	}
	return c.pools.Put(p)
}

// newPool returns a pool of the spec, unless it is invalid or the release of Calico does
// not have all its fields.
func (c *Cluster) newPool(spec pool.Spec) (*pool.Pool, error) {
	p, err := pool.New(spec)
	if err == nil {
		err = c.supportsPool(spec)
	}
	return p, err
}

// DeletePool deletes the pool called name and reports whether there was one.
// Its blocks stay.
func (c *Cluster) DeletePool(name string) bool { return c.pools.Delete(name) }

// Pools returns the pools, disabled ones too, in name order. The slice is the
// caller's.
func (c *Cluster) Pools() []pool.Spec {
	var specs []pool.Spec
	for _, p := range c.pools.All() {
		specs = append(specs, p.Spec())
	}
	return specs
}

// SetReservations replaces the IPReservations, as
// [ipam.Allocator.SetReservations] does.
func (c *Cluster) SetReservations(entries []string) []pool.Warning {
	r, warnings := pool.ParseReservations(entries)
	c.reservations = r
	return warnings
}

// blockAt returns the CIDR of the block that holds the address: the pool's, or
// that of an existing block if no pool has the address. A disabled pool did not
// count before [calico.Rules.DisabledByAddress].
func (c *Cluster) blockAt(ip netip.Addr) (cidr netip.Prefix, found bool) {
	if p := c.pools.ByAddr(ip); p != nil && (!p.Disabled() || c.rules.DisabledByAddress) {
		return p.BlockOf(ip)
	}
	for _, b := range c.store.blocks.live() {
		if b.CIDR.Contains(ip) {
			return b.CIDR, true
		}
	}
	return netip.Prefix{}, false
}

// peek returns the block in which a release looks for the address, as it is in the
// datastore, or nil.
func (c *Cluster) peek(ip netip.Addr) *Block {
	cidr, _ := c.blockAt(ip)
	for _, b := range c.store.blocks.live() {
		if b.CIDR == cidr {
			return b
		}
	}
	return nil
}

// SequenceNumber returns the sequence number of an address as last written: 0
// for one that is free (but see [calico.Rules]), host-reserved or in no block.
func (c *Cluster) SequenceNumber(ip netip.Addr) uint64 {
	b := c.peek(ip)
	if b == nil {
		return 0
	}
	return b.Sequences[b.ordinal(ip)]
}

// BlockOf returns the block that holds the address and its owner, the zero Owner
// for none; exists is false if there is no such block.
func (c *Cluster) BlockOf(ip netip.Addr) (cidr netip.Prefix, owner affinity.Owner, exists bool) {
	b := c.peek(ip)
	if b == nil {
		return netip.Prefix{}, affinity.Owner{}, false
	}
	return b.CIDR, b.Owner, true
}

// Summary counts what the cluster has.
func (c *Cluster) Summary() ipam.Summary {
	owners := make(map[affinity.Owner]bool)
	s := ipam.Summary{Blocks: len(c.store.blocks.live())}
	for _, a := range c.store.affinities.live() {
		if a.State == affinity.Confirmed {
			s.Confirmed++
			owners[a.Owner] = true
		}
	}
	s.Owners = len(owners)
	return s
}

// State returns everything that is allocated and claimed, in the form and order of
// [ipam.Allocator.State]. The caller owns it.
func (c *Cluster) State() ipam.State {
	var s ipam.State
	for _, b := range c.store.blocks.live() {
		s.Blocks = append(s.Blocks, b.state())
	}
	for _, a := range c.store.affinities.live() {
		s.Affinities = append(s.Affinities, ipam.AffinityState{Owner: a.Owner, CIDR: a.CIDR, State: a.State, Created: a.Created})
	}
	slices.SortStableFunc(s.Affinities, func(x, y ipam.AffinityState) int { return x.Owner.Compare(y.Owner) })
	for _, h := range c.store.handles.live() {
		hs := ipam.HandleState{ID: h.ID}
		for _, cidr := range h.blocks() {
			hs.Counts = append(hs.Counts, ipam.HandleCount{Block: cidr, Count: h.Counts[cidr]})
		}
		s.Handles = append(s.Handles, hs)
	}
	return s
}

// state returns the block in the form of [ipam.State].
func (b *Block) state() ipam.BlockState {
	s := ipam.BlockState{CIDR: b.CIDR, Owner: b.Owner, Claimed: b.Claimed, Sequence: b.Sequence, Free: append([]int(nil), b.Queue...)}
	for ord, i := range b.Index {
		if i == free {
			continue
		}
		r := b.Records[i]
		s.Allocations = append(s.Allocations, block.Allocation{
			Ordinal: ord, Handle: r.Handle, Active: r.Active, Alternate: r.Alternate,
			ReleasedAt: r.ReleasedAt, Seq: b.Sequences[ord], Record: i,
		})
	}
	return s
}

// Client returns a client with an [Access] that ends at the cluster's [Store], and
// a clock of its own. Nil stands for the store itself, and for a clock that stands
// still at the Unix epoch.
func (c *Cluster) Client(access Access, now func() time.Time) *Client {
	if access == nil {
		access = c.store
	}
	if now == nil {
		epoch := time.Unix(0, 0).UTC()
		now = func() time.Time { return epoch }
	}
	return &Client{Cluster: c, access: access, now: now}
}
