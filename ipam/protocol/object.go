package protocol

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
)

// Key names an object or a list of objects, in the form in which recordings
// write it.
type Key string

// The keys of single objects and lists.
const (
	configKey     Key = "config"     // the IPAMConfig
	BlocksKey     Key = "blocks"     // the list of all blocks
	HandlesKey    Key = "handles"    // the list of all handles
	AffinitiesKey Key = "affinities" // the list of all affinities, of all owners
)

// blockKey returns the key of a block: block/CIDR.
func blockKey(cidr netip.Prefix) Key { return Key("block/" + cidr.String()) }

// handleKey returns the key of a handle: handle/ID, in lower case, so that ids
// which differ only in case share one object (§1).
func handleKey(id string) Key { return Key("handle/" + strings.ToLower(id)) }

// nodeKey returns the key of a node: node/NAME.
func nodeKey(name string) Key { return Key("node/" + name) }

// affinityKey returns the key of an owner's affinity to a block:
// affinity/TYPE:HOST/CIDR. The object's name has no type, so that a host and a
// virtual owner of one name share one object for a block, under two keys (§1).
func affinityKey(owner affinity.Owner, cidr netip.Prefix) Key {
	return Key("affinity/" + owner.String() + "/" + cidr.String())
}

// OwnerKey returns the key of the list of an owner's affinities to blocks of
// one family: affinities/TYPE:HOST/ipv4.
func OwnerKey(owner affinity.Owner, is4 bool) Key {
	if is4 {
		return Key("affinities/" + owner.String() + "/ipv4")
	}
	return Key("affinities/" + owner.String() + "/ipv6")
}

// identity returns the part that all keys of one object share.
func (k Key) identity() Key {
	if of, is := strings.CutPrefix(string(k), "affinity/"); is {
		_, name, _ := strings.Cut(of, ":")
		return Key("affinity/" + name)
	}
	return k
}

// An Object is what a datastore holds: a [*Block], [*Affinity], [*Handle],
// [*Config] or [*Node].
type Object interface {
	// Key returns the object's key, which never changes.
	Key() Key
	// Copy returns a copy that shares no memory with the object.
	Copy() Object
	// Metadata returns the object's metadata: not a copy of it.
	Metadata() *Meta
}

// Meta is the metadata of every object.
type Meta struct {
	// Revision is the revision of the last write; in a client's copy, of the write
	// that it has read. Compare-and-swap compares it.
	Revision uint64
	// Deleted is set by the first of the two steps of a deletion. It is false
	// in every live object.
	Deleted bool
}

// Metadata returns the metadata itself.
func (m *Meta) Metadata() *Meta { return m }

// Block is an IPAMBlock (§1, §6).
type Block struct {
	Meta
	CIDR     netip.Prefix
	Owner    affinity.Owner // zero for nobody
	Claimed  time.Time      // when the owner claimed it; zero without one
	Sequence uint64

	Queue     []int    // free ordinals, next to be given first
	Records   []Record // in the order in which they were made
	Index     []int    // by ordinal, its record's place in Records; -1 for none
	Sequences []uint64 // by ordinal, the number it remembers; 0 for none
}

// Record is an attribute record of a block: what the allocations that point at
// it have in common.
type Record struct {
	Handle            string // empty for none
	Active, Alternate block.Attrs
	ReleasedAt        time.Time // while cooling down, in whole seconds; else zero
}

// Key returns the block's key.
func (b *Block) Key() Key { return blockKey(b.CIDR) }

// Copy returns a copy that shares nothing with it.
func (b *Block) Copy() Object {
	c := *b
	c.Queue, c.Records = slices.Clone(b.Queue), slices.Clone(b.Records)
	c.Index, c.Sequences = slices.Clone(b.Index), slices.Clone(b.Sequences)
	return &c
}

// Affinity is a BlockAffinity: an owner's claim on a block. The owner is the one
// for which it was made, also when it is read by the key of an owner of the same
// name.
type Affinity struct {
	Meta
	Owner   affinity.Owner
	CIDR    netip.Prefix
	State   affinity.State
	Created time.Time
}

// Key returns the affinity's key.
func (a *Affinity) Key() Key { return affinityKey(a.Owner, a.CIDR) }

// Copy returns a copy that shares nothing with it.
func (a *Affinity) Copy() Object { c := *a; return &c }

// Handle is an IPAMHandle: how many addresses it counts in which block.
type Handle struct {
	Meta
	ID     string
	Counts map[netip.Prefix]int
}

// Key returns the handle's key.
func (h *Handle) Key() Key { return handleKey(h.ID) }

// Copy returns a copy that shares nothing with it.
func (h *Handle) Copy() Object {
	c := *h
	c.Counts = maps.Clone(h.Counts)
	return &c
}

// Config is the IPAMConfig. A cluster without one uses [ipam.DefaultConfig].
type Config struct {
	Meta
	ipam.Config
}

// Key returns config.
func (c *Config) Key() Key { return configKey }

// Copy returns a copy that shares nothing with it.
func (c *Config) Copy() Object { d := *c; return &d }

// Node is a node of the cluster, with the fields that IPAM uses.
type Node struct {
	Meta
	ipam.Node
}

// Key returns the node's key.
func (n *Node) Key() Key { return nodeKey(n.Name) }

// Copy returns a copy that shares nothing with it.
func (n *Node) Copy() Object {
	c := *n
	c.Labels = maps.Clone(n.Labels)
	return &c
}
