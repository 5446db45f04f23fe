package fake

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	v3 "github.com/projectcalico/api/pkg/apis/projectcalico/v3"
	"github.com/projectcalico/calico/libcalico-go/lib/backend/model"
	cerrors "github.com/projectcalico/calico/libcalico-go/lib/errors"
	"github.com/projectcalico/calico/libcalico-go/lib/ipam"
	cnet "github.com/projectcalico/calico/libcalico-go/lib/net"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	sim "github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/ipam/protocol"
	"github.com/ipamsim/ipamsim/ipam/trace"
	"github.com/ipamsim/ipamsim/pool"
)

// engine plays recordings through Calico's interface, pools through the accessors,
// and edits and dumps through the datastore. It reads codes off Calico's errors, by
// their types and texts, and messages off Calico's English. What the interface of
// this version cannot say goes to the protocol's client, and is counted.
type engine struct {
	fake         *Fake
	ipam         ipam.Interface // nil for the fake's
	pools        map[string]v3.IPPool
	reservations []string
	through      map[string]int // operations through the interface or the datastore
	past         map[string]int // operations past it, with the reason
}

var _ trace.Engine = (*engine)(nil)

func newEngine(o sim.Options) *engine {
	e := &engine{pools: make(map[string]v3.IPPool), through: make(map[string]int), past: make(map[string]int)}
	e.fake = New(Options{
		Now: o.Now, Release: o.Calico.String(),
		Pools:        PoolFunc(func() ([]v3.IPPool, error) { return slices.Collect(maps.Values(e.pools)), nil }),
		Reservations: ReservationFunc(func() ([]string, error) { return e.reservations, nil }),
	})
	return e
}

var ctx = context.Background()

// calico returns Calico's interface for an operation, on Windows or not.
func (e *engine) calico(operation string, windows bool) ipam.Interface {
	e.through[operation]++
	switch {
	case e.ipam != nil:
		return e.ipam
	case windows:
		return e.fake.IPAMOnWindows()
	}
	return e.fake.IPAM()
}

// direct returns the protocol's client for an operation that Calico's interface of
// this version cannot say.
func (e *engine) direct(operation, why string) *protocol.Client {
	e.past[operation+": "+why]++
	if err := e.fake.pulled(); err != nil {
		panic(err)
	}
	return e.fake.outside()
}

// texts has the errors that have no type of their own, as Calico says them.
var texts = []struct {
	code codes.Code
	text *regexp.Regexp
}{
	{codes.WrongFamily, regexp.MustCompile(`^provided IPv(4 IPPools list contains one or more IPv6|6 IPPools list contains one or more IPv4) IPPools$`)},
	{codes.BadHostReservation, regexp.MustCompile(`^HostReservedAttr has wrong parameters$`)},
	{codes.PoolNotEnabled, regexp.MustCompile(`^the given pool \([0-9a-f.:/]+\) does not exist, or is not enabled$`)},
	{codes.NoPoolsForNode, regexp.MustCompile(`^no configured Calico pools for node \S+$`)},
	{codes.NoBlock, regexp.MustCompile(`^failed to find or claim a block$`)},
	{codes.NoFreeBlocks, regexp.MustCompile(`^No Free Blocks$`)},
	{codes.MaxRetries, regexp.MustCompile(`^Max retries hit - excessive concurrent IPAM requests$`)},
	{codes.NotInPool, regexp.MustCompile(`^The provided IP address is not in a configured pool\n$`)},
	{codes.NotInPool, regexp.MustCompile(`^The requested CIDR \([0-9a-f.:/]+\) is not within any configured pools\.$`)},
	{codes.InvalidSize, regexp.MustCompile(`^The requested CIDR \([0-9a-f.:/]+\) is smaller than the minimum\.$`)},
	{codes.AffinityMismatch, regexp.MustCompile(`^Block host affinity does not match$`)},
	{codes.AffinityMismatch, regexp.MustCompile(`^Attempt to assign from block [0-9a-f.:/]+ with no affinity$`)},
	{codes.BlockClaimConflict, regexp.MustCompile(`^[0-9a-f.:/]+ already claimed by (host|virtual):\S+$`)},
	{codes.BlockNotEmpty, regexp.MustCompile(`^block '[0-9a-f.:/]+' is not empty$`)},
	{codes.ConfigConflict, regexp.MustCompile(`^Cannot disable 'StrictAffinity' and 'AutoAllocateBlocks' at the same time$`)},
	{codes.ConfigConflict, regexp.MustCompile(`^MaxBlocksPerHost requires StrictAffinity to be enabled$`)},
}

// coded gives an error of Calico's its code.
func coded(err error) error {
	var (
		missing  cerrors.ErrorResourceDoesNotExist
		exists   cerrors.ErrorResourceAlreadyExists
		conflict cerrors.ErrorResourceUpdateConflict
	)
	switch {
	case err == nil:
		return nil
	case err == ipam.ErrUseRequired:
		return codes.UseRequired
	case err == ipam.ErrBlockLimit:
		return codes.BlockLimit
	case err == ipam.ErrStrictAffinity:
		return codes.StrictAffinityRequired
	case errors.Is(err, ipam.ErrNoQualifiedPool):
		return codes.NoQualifiedPool
	case errors.As(err, &missing):
		return codes.DoesNotExist
	case errors.As(err, &exists):
		return codes.AlreadyExists
	case errors.As(err, &conflict):
		switch conflict.Err.(type) {
		case cerrors.ErrorBadHandle:
			return codes.BadHandle
		case cerrors.ErrorBadSequenceNumber:
			return codes.BadSequenceNumber
		}
		return codes.Conflict
	}
	for _, t := range texts {
		if t.text.MatchString(err.Error()) {
			return t.code
		}
	}
	return err
}

var messages = []struct {
	text *regexp.Regexp
	code func(found string) string
}{
	{regexp.MustCompile(`^Need to allocate an IPAM block but could not - limit of (\d+) blocks reached for this node$`), func(limit string) string { return "block-limit:" + limit }},
	{regexp.MustCompile(`^No IPs available in pools: \[(.+)\]$`), func(pools string) string { return "exhausted:" + strings.ReplaceAll(pools, " ", ",") }},
	{regexp.MustCompile(`^(No more free affine blocks and strict affinity enabled)$`), func(string) string { return "strict-affinity" }},
	{regexp.MustCompile(`^(Failed to assign IPs in newly allocated block)$`), func(string) string { return "assign-failed" }},
}

// answer returns an answer of Calico's in recordings' terms.
func answer(a *ipam.IPAMAssignments) (out sim.Assignment) {
	if a == nil {
		return out
	}
	out.IPs = prefixesOf(a.IPs)
	for _, msg := range a.Msgs {
		for _, m := range messages {
			if found := m.text.FindStringSubmatch(msg); found != nil {
				msg = m.code(found[1])
			}
		}
		out.Msgs = append(out.Msgs, msg)
	}
	return out
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func reserved(r *sim.HostReservation) *ipam.HostReservedAttr {
	if r == nil {
		return nil
	}
	return &ipam.HostReservedAttr{StartOfBlock: r.StartOfBlock, EndOfBlock: r.EndOfBlock, Handle: r.Handle, Note: r.Note}
}

func (e *engine) AutoAssign(a sim.AutoAssignArgs) (v4, v6 sim.Assignment, err error) {
	switch {
	case a.Namespace != nil:
		return e.direct("AutoAssign", "labels of a namespace").AutoAssign(a)
	case a.MaxAllocPerHandle > 0:
		return e.direct("AutoAssign", "a limit per handle").AutoAssign(a)
	case a.Host == "":
		return e.direct("AutoAssign", "no host").AutoAssign(a)
	}
	a4, a6, err := e.calico("AutoAssign", a.Windows).AutoAssign(ctx, ipam.AutoAssignArgs{
		Num4: a.Num4, Num6: a.Num6, Hostname: a.Host, HandleID: optional(a.Handle), Attrs: a.Attrs.Map(), IntendedUse: v3.IPPoolAllowedUse(a.Use),
		IPv4Pools: netsOf(a.Pools4), IPv6Pools: netsOf(a.Pools6), MaxBlocksPerHost: a.MaxBlocksPerHost,
		HostReservedAttrIPv4s: reserved(a.HostReserved4), HostReservedAttrIPv6s: reserved(a.HostReserved6),
	})
	return answer(a4), answer(a6), coded(err)
}

func (e *engine) AssignIP(a sim.AssignIPArgs) error {
	rules := e.Calico().Rules()
	switch {
	case a.MaxAllocPerHandle > 0:
		return e.direct("AssignIP", "a limit per handle").AssignIP(a)
	case a.Use == pool.LoadBalancer || a.Use != "" && rules.AssignIPChecksUse:
		return e.direct("AssignIP", "a use").AssignIP(a)
	}
	return coded(e.calico("AssignIP", a.Windows).AssignIP(ctx, ipam.AssignIPArgs{
		IP: ipOf(a.IP), Hostname: a.Host, HandleID: optional(a.Handle), Attrs: a.Attrs.Map(), HostReservedAttr: reserved(a.HostReserved),
	}))
}

func (e *engine) EnsureBlock(a sim.EnsureBlockArgs) (block4, block6 netip.Prefix, err error) {
	b4, b6, err := e.calico("EnsureBlock", a.Windows).EnsureBlock(ctx, ipam.BlockArgs{
		Hostname: a.Host, IPv4Pools: netsOf(a.Pools4), IPv6Pools: netsOf(a.Pools6),
		HostReservedAttrIPv4s: reserved(a.HostReserved4), HostReservedAttrIPv6s: reserved(a.HostReserved6),
	})
	if b4 != nil {
		block4 = prefixOf(b4.IPNet)
	}
	if b6 != nil {
		block6 = prefixOf(b6.IPNet)
	}
	return block4, block6, coded(err)
}

// ReleaseIPs names nothing as released, which the interface does not.
func (e *engine) ReleaseIPs(releases ...sim.Release) (unallocated, _ []netip.Addr, err error) {
	var options []ipam.ReleaseOptions
	for _, r := range releases {
		options = append(options, ipam.ReleaseOptions{Address: r.IP.String(), Handle: r.Handle, SequenceNumber: r.Sequence})
	}
	ips, err := e.calico("ReleaseIPs", len(releases) > 0 && releases[0].Windows).ReleaseIPs(ctx, options...)
	return addrs(ips), nil, coded(err)
}

func addrs(ips []cnet.IP) (out []netip.Addr) {
	for _, ip := range ips {
		out = append(out, addrOf(ip.IP))
	}
	return out
}

func (e *engine) ReleaseByHandle(id string) error {
	return coded(e.calico("ReleaseByHandle", false).ReleaseByHandle(ctx, id))
}

func (e *engine) IPsByHandle(id string) ([]netip.Addr, error) {
	ips, err := e.calico("IPsByHandle", false).IPsByHandle(ctx, id)
	return addrs(ips), coded(err)
}

// GetAssignmentAttributes takes alternate owner and sequence number, which the
// interface does not show, from the allocator.
func (e *engine) GetAssignmentAttributes(ip netip.Addr) (a sim.Attributes, err error) {
	attrs, handle, err := e.calico("GetAssignmentAttributes", false).GetAssignmentAttributes(ctx, ipOf(ip))
	if err != nil {
		return a, coded(err)
	}
	if err := e.fake.pulled(); err != nil {
		return a, err
	}
	if a, err = e.fake.outside().GetAssignmentAttributes(ip); err != nil {
		return a, err
	}
	a.Active, a.Handle = block.MakeAttrs(attrs), text(handle)
	return a, nil
}

func (e *engine) SetOwnerAttributes(ip netip.Addr, handle string, update sim.OwnerUpdate, pre sim.OwnerPreconditions) error {
	return e.direct("SetOwnerAttributes", "no such method").SetOwnerAttributes(ip, handle, update, pre)
}

func (e *engine) GarbageCollectColdIPs(blocks ...netip.Prefix) {
	e.direct("GarbageCollectColdIPs", "no such method").GarbageCollectColdIPs(blocks...)
}

func (e *engine) ClaimAffinity(cidr netip.Prefix, owner affinity.Owner) (claimed, failed []netip.Prefix, err error) {
	if owner.Type != affinity.Host {
		return e.direct("ClaimAffinity", "a virtual owner").ClaimAffinity(cidr, owner)
	}
	yes, no, err := e.calico("ClaimAffinity", false).ClaimAffinity(ctx, netOf(cidr), owner.Name)
	return prefixesOf(yes), prefixesOf(no), coded(err)
}

func (e *engine) ReleaseAffinity(cidr netip.Prefix, owner affinity.Owner, mustBeEmpty bool) error {
	if owner.Type != affinity.Host {
		return e.direct("ReleaseAffinity", "a virtual owner").ReleaseAffinity(cidr, owner, mustBeEmpty)
	}
	return coded(e.calico("ReleaseAffinity", false).ReleaseAffinity(ctx, netOf(cidr), owner.Name, mustBeEmpty))
}

func (e *engine) ReleaseHostAffinities(owner affinity.Owner, mustBeEmpty bool) error {
	if owner.Type != affinity.Host {
		return e.direct("ReleaseHostAffinities", "a virtual owner").ReleaseHostAffinities(owner, mustBeEmpty)
	}
	return coded(e.calico("ReleaseHostAffinities", false).ReleaseHostAffinities(ctx, owner.Name, mustBeEmpty))
}

func (e *engine) ReleasePoolAffinities(cidr netip.Prefix) error {
	return coded(e.calico("ReleasePoolAffinities", false).ReleasePoolAffinities(ctx, netOf(cidr)))
}

func (e *engine) ReleaseBlockAffinity(cidr netip.Prefix, mustBeEmpty bool) error {
	kv, err := e.fake.Datastore().Get(ctx, model.BlockKey{CIDR: netOf(cidr)}, "")
	if err != nil {
		return codes.NoSuchBlock
	}
	b := kv.Value.(*model.AllocationBlock)
	if b.Affinity != nil && strings.HasPrefix(*b.Affinity, "virtual:") {
		return e.direct("ReleaseBlockAffinity", "a virtual owner").ReleaseBlockAffinity(cidr, mustBeEmpty)
	}
	return coded(e.calico("ReleaseBlockAffinity", false).ReleaseBlockAffinity(ctx, b, mustBeEmpty))
}

func (e *engine) ReleaseBlockAffinityOf(read sim.BlockState, mustBeEmpty bool) error {
	if read.Owner.Type != affinity.Host {
		return e.direct("ReleaseBlockAffinityOf", "a virtual owner").ReleaseBlockAffinityOf(read, mustBeEmpty)
	}
	owner := read.Owner.String()
	b := &model.AllocationBlock{CIDR: netOf(read.CIDR), Affinity: &owner}
	return coded(e.calico("ReleaseBlockAffinity", false).ReleaseBlockAffinity(ctx, b, mustBeEmpty))
}

func (e *engine) RemoveIPAMHost(owner affinity.Owner) error {
	if owner.Type != affinity.Host {
		return e.direct("RemoveIPAMHost", "a virtual owner").RemoveIPAMHost(owner)
	}
	return coded(e.calico("RemoveIPAMHost", false).RemoveIPAMHost(ctx, owner.Name))
}

func (e *engine) SetIPAMConfig(c sim.Config) error {
	if c.IPCooldownSeconds != e.fake.outside().GetIPAMConfig().IPCooldownSeconds {
		return e.direct("SetIPAMConfig", "a cooldown").SetIPAMConfig(c)
	}
	want := ipam.IPAMConfig{StrictAffinity: c.StrictAffinity, AutoAllocateBlocks: c.AutoAllocateBlocks, MaxBlocksPerHost: c.MaxBlocksPerHost}
	if err := coded(e.calico("SetIPAMConfig", false).SetIPAMConfig(ctx, want)); err != nil {
		return err
	}
	got, err := e.calico("GetIPAMConfig", false).GetIPAMConfig(ctx)
	if err == nil && *got != want {
		err = fmt.Errorf("configuration %v, not %v", *got, want)
	}
	return err
}

// PutIPAMConfig sets the configuration with which a recording begins.
func (e *engine) PutIPAMConfig(c sim.Config) error { return e.fake.outside().PutIPAMConfig(c) }

// SetPool has the API's answer from the cluster. The pool goes to the accessor, from
// which the cluster has it again at the next operation.
func (e *engine) SetPool(spec pool.Spec) error {
	if err := e.fake.pulled(); err != nil {
		return err
	}
	if err := e.fake.cluster.SetPool(spec); err != nil {
		return err
	}
	e.fake.cluster.DeletePool(spec.Name)
	spec = spec.WithDefaults() // as the API server writes them
	p := v3.NewIPPool()
	p.Name, p.Spec.CIDR, p.Spec.BlockSize = spec.Name, spec.CIDR.String(), spec.BlockSize
	p.Spec.NodeSelector, p.Spec.Disabled = spec.NodeSelector, spec.Disabled
	p.Annotations = map[string]string{NamespaceSelectorAnnotation: spec.NamespaceSelector, AssignmentModeAnnotation: string(spec.AssignmentMode)}
	for _, use := range spec.AllowedUses {
		p.Spec.AllowedUses = append(p.Spec.AllowedUses, v3.IPPoolAllowedUse(use))
	}
	e.pools[spec.Name] = *p
	return nil
}

func (e *engine) DeletePool(name string) bool {
	_, ok := e.pools[name]
	delete(e.pools, name)
	return ok
}

func (e *engine) SetNode(n sim.Node) error { return e.fake.SetNode(n.Name, n.Labels) }

func (e *engine) DeleteNode(name string) bool { return e.fake.DeleteNode(name) }

func (e *engine) SetReservations(entries []string) []pool.Warning {
	_, warnings := pool.ParseReservations(entries)
	e.reservations = entries
	return warnings
}

// affinityKey returns the key of a host's affinity, if a datastore of Calico's can
// tell it from that of a virtual owner of the same name.
func (e *engine) affinityKey(owner affinity.Owner, cidr netip.Prefix) (key model.BlockAffinityKey, ok bool) {
	a := protocol.Affinity{Owner: owner, CIDR: cidr}
	there, _ := e.fake.cluster.Store().Look(a.Key()).(*protocol.Affinity)
	return model.BlockAffinityKey{CIDR: netOf(cidr), Host: owner.Name}, owner.Type == affinity.Host && (there == nil || there.Owner == owner)
}

func (e *engine) PutAffinity(owner affinity.Owner, cidr netip.Prefix, state affinity.State) error {
	key, ok := e.affinityKey(owner, cidr)
	if !ok {
		return e.direct("PutAffinity", "a virtual owner").PutAffinity(owner, cidr, state)
	}
	e.through["PutAffinity"]++
	_, err := e.fake.Datastore().Apply(ctx, &model.KVPair{Key: key, Value: &model.BlockAffinity{State: model.BlockAffinityState(state.String())}})
	return coded(err)
}

func (e *engine) DropAffinity(owner affinity.Owner, cidr netip.Prefix) bool {
	key, ok := e.affinityKey(owner, cidr)
	if !ok {
		return e.direct("DropAffinity", "a virtual owner").DropAffinity(owner, cidr)
	}
	e.through["DropAffinity"]++
	_, err := e.fake.Datastore().Delete(ctx, key, "")
	return err == nil
}

func (e *engine) DropBlock(cidr netip.Prefix) bool {
	e.through["DropBlock"]++
	_, err := e.fake.Datastore().Delete(ctx, model.BlockKey{CIDR: netOf(cidr)}, "")
	return err == nil
}

func (e *engine) Calico() calico.Version { return e.fake.cluster.Calico() }

// GetUtilization takes from the allocator what the interface does not show, if both
// agree on the rest.
func (e *engine) GetUtilization(pools ...string) []sim.PoolUsage {
	usage, err := e.calico("GetUtilization", false).GetUtilization(ctx, ipam.GetUtilizationArgs{Pools: pools})
	if err := e.fake.pulled(); err != nil { // another allocator does not
		return nil
	}
	full := e.fake.outside().GetUtilization(pools...)
	if err != nil || len(usage) != len(full) {
		return nil // a divergence
	}
	for i, u := range usage {
		of := &full[i]
		if u.Name != of.Name || prefixOf(u.CIDR) != of.CIDR || len(u.Blocks) != len(of.Blocks) {
			return nil
		}
		for j, b := range u.Blocks {
			if prefixOf(b.CIDR) != of.Blocks[j].CIDR || int64(b.Capacity) != of.Blocks[j].Capacity.Int64() || int64(b.Available) != of.Blocks[j].Available.Int64() {
				return nil
			}
		}
	}
	return full
}

// State reads everything from the datastore in Calico's form, and takes from the
// allocator what that form does not have.
func (e *engine) State() sim.State {
	full := e.fake.cluster.State()
	e.through["State"]++
	d := e.fake.Datastore()
	blocks, err := d.List(ctx, model.BlockListOptions{}, "")
	affinities, err2 := d.List(ctx, model.BlockAffinityListOptions{}, "")
	handles, err3 := d.List(ctx, model.IPAMHandleListOptions{}, "")
	if err := errors.Join(err, err2, err3); err != nil || len(blocks.KVPairs) != len(full.Blocks) ||
		len(affinities.KVPairs) != len(full.Affinities) || len(handles.KVPairs) != len(full.Handles) {
		return sim.State{} // a divergence
	}
	for i, kv := range blocks.KVPairs {
		b := protocol.Block{CIDR: full.Blocks[i].CIDR}
		if err := fillBlock(&b, kv.Value.(*model.AllocationBlock), nil); err != nil {
			return sim.State{}
		}
		readBlock(&full.Blocks[i], &b)
	}
	states := make(map[string]string)
	for _, kv := range affinities.KVPairs {
		k := kv.Key.(model.BlockAffinityKey)
		states[k.Host+" "+k.CIDR.String()] = string(kv.Value.(*model.BlockAffinity).State)
	}
	for i := range full.Affinities {
		a := &full.Affinities[i]
		a.State, _ = affinity.ParseState(states[a.Owner.Name+" "+a.CIDR.String()])
	}
	for i, kv := range handles.KVPairs {
		h := &full.Handles[i]
		counts := kv.Value.(*model.IPAMHandle).Block
		h.ID = kv.Key.(model.IPAMHandleKey).HandleID
		if len(h.Counts) != len(counts) {
			return sim.State{}
		}
		for j := range h.Counts {
			h.Counts[j].Count = counts[h.Counts[j].Block.String()]
		}
	}
	return full
}

// readBlock reads a block of a dump from the datastore's.
func readBlock(to *sim.BlockState, b *protocol.Block) {
	to.Owner, to.Sequence, to.Free = b.Owner, b.Sequence, b.Queue
	var allocations []block.Allocation
	for ord, i := range b.Index {
		if i < 0 {
			continue
		}
		at := slices.IndexFunc(to.Allocations, func(a block.Allocation) bool { return a.Ordinal == ord })
		if at < 0 {
			to.Allocations = nil // a divergence
			return
		}
		a := to.Allocations[at]
		a.Handle, a.Active, a.Seq, a.Record = b.Records[i].Handle, b.Records[i].Active, b.Sequences[ord], i
		allocations = append(allocations, a)
	}
	to.Allocations = allocations
}

// SequenceNumber reads the number from the datastore's block.
func (e *engine) SequenceNumber(ip netip.Addr) uint64 {
	if err := e.fake.pulled(); err != nil {
		return 0
	}
	cidr, _, exists := e.fake.cluster.BlockOf(ip)
	if !exists {
		return 0
	}
	kv, err := e.fake.Datastore().Get(ctx, model.BlockKey{CIDR: netOf(cidr)}, "")
	if err != nil {
		return 0
	}
	b := kv.Value.(*model.AllocationBlock)
	ord, err := b.IPToOrdinal(ipOf(ip))
	if err != nil {
		return 0
	}
	return b.GetSequenceNumberForOrdinal(ord)
}

// pulled makes the cluster's pools and reservations those of the accessors.
func (f *Fake) pulled() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return errors.Join(f.pull(ctx), f.pullReservations(ctx))
}
