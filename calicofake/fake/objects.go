package fake

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"

	libapiv3 "github.com/projectcalico/calico/libcalico-go/lib/apis/v3"
	"github.com/projectcalico/calico/libcalico-go/lib/backend/model"
	cerrors "github.com/projectcalico/calico/libcalico-go/lib/errors"
	cnet "github.com/projectcalico/calico/libcalico-go/lib/net"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	sim "github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/protocol"
)

// This file converts between addresses and objects of Calico's library and those of
// ipamsim.

// addrOf returns an address of Calico's, the zero Addr if it is none.
func addrOf(ip net.IP) netip.Addr {
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap()
}

// ipOf is the inverse of addrOf. IPv4 has four bytes, as in Calico.
func ipOf(addr netip.Addr) cnet.IP { return cnet.IP{IP: addr.AsSlice()} }

func ipsOf(addrs []netip.Addr) []cnet.IP {
	ips := []cnet.IP{}
	for _, addr := range addrs {
		ips = append(ips, ipOf(addr))
	}
	return ips
}

// prefixOf returns a CIDR of Calico's, the zero Prefix if it is none.
func prefixOf(n net.IPNet) netip.Prefix {
	ones, bits := n.Mask.Size()
	addr := addrOf(n.IP)
	if !addr.IsValid() || bits == 0 {
		return netip.Prefix{}
	}
	if addr.Is4() && bits == 128 {
		ones -= 96
	}
	return netip.PrefixFrom(addr, ones)
}

// netOf is the inverse of prefixOf.
func netOf(p netip.Prefix) cnet.IPNet {
	return cnet.IPNet{IPNet: net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}}
}

func netsOf(prefixes []netip.Prefix) []cnet.IPNet {
	nets := []cnet.IPNet{}
	for _, p := range prefixes {
		nets = append(nets, netOf(p))
	}
	return nets
}

func prefixesOf(nets []cnet.IPNet) []netip.Prefix {
	var prefixes []netip.Prefix
	for _, n := range nets {
		prefixes = append(prefixes, prefixOf(n.IPNet))
	}
	return prefixes
}

func nodeKey(name string) model.ResourceKey {
	return model.ResourceKey{Kind: libapiv3.KindNode, Name: name}
}

// keyOf returns the key of an object of the datastore; nil if IPAM has no such
// object.
func keyOf(k model.Key) protocol.Object {
	switch k := k.(type) {
	case model.BlockKey:
		return &protocol.Block{CIDR: prefixOf(k.CIDR.IPNet)}
	case model.BlockAffinityKey:
		return &protocol.Affinity{Owner: affinity.HostOwner(k.Host), CIDR: prefixOf(k.CIDR.IPNet)}
	case model.IPAMHandleKey:
		return &protocol.Handle{ID: k.HandleID}
	case model.IPAMConfigKey:
		return &protocol.Config{}
	case model.ResourceKey:
		if k.Kind == libapiv3.KindNode {
			return &protocol.Node{Node: sim.Node{Name: k.Name}}
		}
	}
	return nil
}

// objectOf returns the object of a pair. There is the object of its key as the
// datastore has it, or nil: what Calico's types do not show stays as it is there.
func objectOf(kv *model.KVPair, there protocol.Object) (protocol.Object, error) {
	o := keyOf(kv.Key)
	switch o := o.(type) {
	case *protocol.Block:
		if v, ok := kv.Value.(*model.AllocationBlock); ok {
			old, _ := there.(*protocol.Block)
			return o, fillBlock(o, v, old)
		}
	case *protocol.Affinity:
		if v, ok := kv.Value.(*model.BlockAffinity); ok {
			if old, _ := there.(*protocol.Affinity); old != nil {
				o.Owner, o.Created = old.Owner, old.Created
			}
			var err error
			if o.State, err = affinity.ParseState(string(v.State)); err != nil {
				return nil, invalid("State", v.State, "must be pending, confirmed or pendingDeletion")
			}
			return o, nil
		}
	case *protocol.Handle:
		if v, ok := kv.Value.(*model.IPAMHandle); ok {
			if old, _ := there.(*protocol.Handle); old != nil {
				o.ID = old.ID // in its creator's case
			}
			o.Counts = make(map[netip.Prefix]int, len(v.Block))
			for text, n := range v.Block {
				cidr, err := netip.ParsePrefix(text)
				if err != nil {
					return nil, invalid("Block", text, "must be a CIDR")
				}
				o.Counts[cidr] = n
			}
			return o, nil
		}
	case *protocol.Config:
		if v, ok := kv.Value.(*model.IPAMConfig); ok {
			if old, _ := there.(*protocol.Config); old != nil {
				o.Config = old.Config // with what this version of the type does not have
			}
			o.StrictAffinity, o.AutoAllocateBlocks, o.MaxBlocksPerHost = v.StrictAffinity, v.AutoAllocateBlocks, v.MaxBlocksPerHost
			return o, nil
		}
	case *protocol.Node:
		if v, ok := kv.Value.(*libapiv3.Node); ok {
			o.Labels = v.Labels
			return o, nil
		}
	}
	return nil, invalid("Value", fmt.Sprintf("%T", kv.Value), fmt.Sprintf("is not a value of %T", kv.Key))
}

func invalid(field string, value any, reason string) error {
	return cerrors.ErrorValidation{ErroredFields: []cerrors.ErroredField{{Name: field, Value: value, Reason: reason}}}
}

// fillBlock fills in a block from Calico's form of it.
func fillBlock(b *protocol.Block, v *model.AllocationBlock, old *protocol.Block) error {
	size := b.CIDR.Addr().BitLen() - b.CIDR.Bits()
	if !b.CIDR.IsValid() || b.CIDR != b.CIDR.Masked() || 1<<size > block.MaxSize {
		return invalid("CIDR", v.CIDR, fmt.Sprintf("must be a block of at most %d addresses", block.MaxSize))
	}
	size = 1 << size
	if len(v.Allocations) != size {
		return invalid("Allocations", len(v.Allocations), fmt.Sprintf("must have an entry for each of %d addresses", size))
	}
	if v.Affinity != nil {
		owner, err := affinity.ParseOwner(*v.Affinity)
		if err != nil {
			return invalid("Affinity", *v.Affinity, err.Error())
		}
		b.Owner = owner
	}
	b.Sequence, b.Queue = v.SequenceNumber, slices.Clone(v.Unallocated)
	for _, ord := range v.Unallocated {
		if ord < 0 || ord >= size || v.Allocations[ord] != nil {
			return invalid("Unallocated", ord, "must be an ordinal that is free")
		}
	}
	b.Index, b.Sequences = make([]int, size), make([]uint64, size)
	for ord, i := range v.Allocations {
		b.Index[ord] = -1
		if i == nil {
			continue
		}
		if b.Index[ord] = *i; *i < 0 || *i >= len(v.Attributes) {
			return invalid("Allocations", *i, "must be the index of an attribute")
		}
	}
	for text, n := range v.SequenceNumberForAllocation {
		ord, err := strconv.Atoi(text)
		if err != nil || ord < 0 || ord >= size {
			return invalid("SequenceNumberForAllocation", text, "must be an ordinal")
		}
		b.Sequences[ord] = n
	}
	for i, a := range v.Attributes {
		r := protocol.Record{Active: block.MakeAttrs(a.AttrSecondary)}
		if a.AttrPrimary != nil {
			r.Handle = *a.AttrPrimary
		}
		if old != nil && i < len(old.Records) && old.Records[i].Handle == r.Handle && old.Records[i].Active == r.Active {
			r = old.Records[i] // with what this version of the type does not have
		}
		b.Records = append(b.Records, r)
	}
	if old != nil && old.Owner == b.Owner {
		b.Claimed = old.Claimed
	}
	return nil
}

// pairOf returns an object in Calico's form. It shares nothing with the object.
func pairOf(o protocol.Object) *model.KVPair {
	kv := &model.KVPair{Revision: revision(o.Metadata().Revision)}
	switch o := o.(type) {
	case *protocol.Block:
		kv.Key, kv.Value = model.BlockKey{CIDR: netOf(o.CIDR)}, allocationBlock(o)
	case *protocol.Affinity:
		kv.Key = model.BlockAffinityKey{CIDR: netOf(o.CIDR), Host: o.Owner.Name}
		kv.Value = &model.BlockAffinity{State: model.BlockAffinityState(o.State.String())}
	case *protocol.Handle:
		h := &model.IPAMHandle{HandleID: o.ID, Block: make(map[string]int, len(o.Counts))}
		for cidr, n := range o.Counts {
			h.Block[cidr.String()] = n
		}
		kv.Key, kv.Value = model.IPAMHandleKey{HandleID: o.ID}, h
	case *protocol.Config:
		kv.Key = model.IPAMConfigKey{}
		kv.Value = &model.IPAMConfig{
			StrictAffinity: o.StrictAffinity, AutoAllocateBlocks: o.AutoAllocateBlocks, MaxBlocksPerHost: o.MaxBlocksPerHost,
		}
	case *protocol.Node:
		n := libapiv3.NewNode()
		n.ObjectMeta = metav1.ObjectMeta{Name: o.Name, Labels: maps.Clone(o.Labels), ResourceVersion: kv.Revision}
		kv.Key, kv.Value = nodeKey(o.Name), n
	}
	return kv
}

func revision(n uint64) string { return strconv.FormatUint(n, 10) }

// allocationBlock returns a block in Calico's form.
func allocationBlock(b *protocol.Block) *model.AllocationBlock {
	v := &model.AllocationBlock{
		CIDR: netOf(b.CIDR), Unallocated: append([]int{}, b.Queue...), SequenceNumber: b.Sequence,
		Allocations: make([]*int, len(b.Index)), Attributes: []model.AllocationAttribute{},
		SequenceNumberForAllocation: make(map[string]uint64),
	}
	if !b.Owner.IsZero() {
		owner := b.Owner.String()
		v.Affinity = &owner
	}
	for ord, i := range b.Index {
		if i >= 0 {
			v.Allocations[ord] = &i
		}
		if n := b.Sequences[ord]; n != 0 {
			v.SequenceNumberForAllocation[strconv.Itoa(ord)] = n
		}
	}
	for i := range b.Records {
		r := &b.Records[i]
		a := model.AllocationAttribute{AttrSecondary: r.Active.Map()}
		if r.Handle != "" {
			handle := r.Handle
			a.AttrPrimary = &handle
		}
		v.Attributes = append(v.Attributes, a)
	}
	return v
}
