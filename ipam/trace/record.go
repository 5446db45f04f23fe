package trace

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// ErrNotRecordable is matched if something happened that the format cannot hold,
// so that the recording would not replay.
var ErrNotRecordable = errors.New("trace: cannot be recorded")

// A Recorder is an allocator that writes its operations with their outcomes. It
// does not see calls of the [ipam.Allocator] itself: those that change it spoil
// the recording. Calls that the allocator refuses with [codes.InvalidArgument] are
// not written, as nothing happened.
//
// Make one with [NewRecorder]. It is safe for concurrent use: the recording has
// the calls in the order in which they happened. Move the clock between calls, not
// during one.
type Recorder struct {
	*ipam.Allocator

	mu  sync.Mutex
	w   *Writer
	now time.Time // the time of the recording's clock
	err error     // the first error
}

// NewRecorder begins a recording of a on w: its header has a's present pools,
// nodes, reservations, configuration and time. If anything is allocated or claimed
// yet the error matches [ErrNotRecordable]. The clock must move by whole seconds,
// as an [ipam.Clock] can.
func NewRecorder(w io.Writer, a *ipam.Allocator, name, about string) (*Recorder, error) {
	if s := a.State(); len(s.Blocks)+len(s.Affinities)+len(s.Handles) > 0 {
		return nil, fmt.Errorf("%w: a recording begins with an empty cluster, this one has %d blocks, %d affinities and %d handles",
			ErrNotRecordable, len(s.Blocks), len(s.Affinities), len(s.Handles))
	}
	config := a.GetIPAMConfig()
	h := Header{Name: name, About: about, Start: a.Now(), Reservations: a.Reservations(), Config: &config, Nodes: a.Nodes()}
	for _, spec := range a.Pools() {
		h.Pools = append(h.Pools, poolOf(spec))
	}
	tw, err := NewWriter(w, h)
	if err != nil {
		return nil, err
	}
	return &Recorder{Allocator: a, w: tw, now: h.Start}, nil
}

// Err returns the first error of the recording, or nil: the writer's, or one
// matching [ErrNotRecordable]. After an error operations still work, but nothing
// is written.
func (r *Recorder) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// refused is the outcome of an operation that is not written, as nothing happened.
var refused = Out{Err: string(codes.InvalidArgument)}

// do does one operation and writes it down.
func (r *Recorder) do(name string, in In, call func() Out) {
	r.doThen(name, func() (In, Out) { return in, call() })
}

// doThen is do for arguments that depend on the state: they are written while no
// other operation can change it.
func (r *Recorder) doThen(name string, call func() (In, Out)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tick()
	in, out := call()
	if now := r.Allocator.Now(); !now.Equal(r.now) && r.err == nil {
		// It is unknown which of the two times the operation used.
		r.err = fmt.Errorf("%w: the clock moved by %s during %s", ErrNotRecordable, now.Sub(r.now), name)
	}
	if out.Err != refused.Err {
		r.write(Op{Op: name, In: in, Out: out})
	}
}

// tick writes how far the clock has moved since the last operation.
func (r *Recorder) tick() {
	now := r.Allocator.Now()
	passed := now.Sub(r.now)
	if passed == 0 {
		return
	}
	if passed%time.Second != 0 && r.err == nil {
		r.err = fmt.Errorf("%w: the clock moved by %s, which is not a whole number of seconds", ErrNotRecordable, passed)
	}
	r.now = now
	r.write(Op{Op: "Advance", In: In{Seconds: int64(passed / time.Second)}})
}

func (r *Recorder) write(op Op) {
	if r.err == nil {
		r.err = r.w.Write(op)
	}
}

// AutoAssign is [ipam.Allocator.AutoAssign], recorded.
func (r *Recorder) AutoAssign(args ipam.AutoAssignArgs) (v4, v6 ipam.Assignment, err error) {
	r.do("AutoAssign", autoAssignIn(args), func() Out {
		v4, v6, err = r.Allocator.AutoAssign(args)
		return autoAssignOut(v4, v6, err)
	})
	return v4, v6, err
}

// AutoAssignInto is [ipam.Allocator.AutoAssignInto], recorded as the AutoAssign
// that it is.
func (r *Recorder) AutoAssignInto(args *ipam.AutoAssignArgs, v4, v6 *ipam.Assignment) (err error) {
	r.do("AutoAssign", autoAssignIn(*args), func() Out {
		err = r.Allocator.AutoAssignInto(args, v4, v6)
		return autoAssignOut(*v4, *v6, err)
	})
	return err
}

// AssignIP is [ipam.Allocator.AssignIP], recorded.
func (r *Recorder) AssignIP(args ipam.AssignIPArgs) (err error) {
	r.do("AssignIP", assignIPIn(args), func() Out {
		err = r.Allocator.AssignIP(args)
		return Out{Err: codeOf(err)}
	})
	return err
}

// ReleaseIPs is [ipam.Allocator.ReleaseIPs], recorded.
func (r *Recorder) ReleaseIPs(releases ...ipam.Release) (unallocated, released []netip.Addr, err error) {
	r.doThen("ReleaseIPs", func() (In, Out) {
		in := releasesIn(r.Allocator, releases) // compares sequence numbers
		unallocated, released, err = r.Allocator.ReleaseIPs(releases...)
		return in, releaseOut(unallocated, released, err)
	})
	return unallocated, released, err
}

// ReleaseIP is [ipam.Allocator.ReleaseIP], recorded as the ReleaseIPs of one
// address that it is.
func (r *Recorder) ReleaseIP(release ipam.Release) (allocated bool, err error) {
	unallocated, _, err := r.ReleaseIPs(release)
	return err == nil && len(unallocated) == 0, err
}

// ReleaseByHandle is [ipam.Allocator.ReleaseByHandle], recorded.
func (r *Recorder) ReleaseByHandle(handle string) (err error) {
	r.do("ReleaseByHandle", In{Handle: handle}, func() Out {
		err = r.Allocator.ReleaseByHandle(handle)
		return Out{Err: codeOf(err)}
	})
	return err
}

// IPsByHandle is [ipam.Allocator.IPsByHandle], recorded.
func (r *Recorder) IPsByHandle(handle string) (ips []netip.Addr, err error) {
	r.do("IPsByHandle", In{Handle: handle}, func() Out {
		ips, err = r.Allocator.IPsByHandle(handle)
		return Out{IPs: sorted(ips), Err: codeOf(err)}
	})
	return ips, err
}

// GetAssignmentAttributes is [ipam.Allocator.GetAssignmentAttributes],
// recorded.
func (r *Recorder) GetAssignmentAttributes(ip netip.Addr) (attrs ipam.Attributes, err error) {
	r.do("GetAssignmentAttributes", In{IP: ip.String()}, func() Out {
		attrs, err = r.Allocator.GetAssignmentAttributes(ip)
		return attributesOut(attrs, err)
	})
	return attrs, err
}

// SetOwnerAttributes is [ipam.Allocator.SetOwnerAttributes], recorded.
func (r *Recorder) SetOwnerAttributes(ip netip.Addr, handle string, update ipam.OwnerUpdate, pre ipam.OwnerPreconditions) (err error) {
	r.do("SetOwnerAttributes", ownerUpdateIn(ip, handle, update, pre), func() Out {
		err = r.Allocator.SetOwnerAttributes(ip, handle, update, pre)
		return Out{Err: codeOf(err)}
	})
	return err
}

// ClaimAffinity is [ipam.Allocator.ClaimAffinity], recorded.
func (r *Recorder) ClaimAffinity(cidr netip.Prefix, owner affinity.Owner) (claimed, failed []netip.Prefix, err error) {
	r.do("ClaimAffinity", withCIDRIn(owner, cidr, false), func() Out {
		claimed, failed, err = r.Allocator.ClaimAffinity(cidr, owner)
		return claimOut(claimed, failed, err)
	})
	return claimed, failed, err
}

// withCIDRIn are the arguments of operations on affinities.
func withCIDRIn(owner affinity.Owner, cidr netip.Prefix, mustBeEmpty bool) In {
	in := ownerIn(owner)
	in.CIDR, in.MustBeEmpty = cidrText(cidr), mustBeEmpty
	return in
}

// ReleaseAffinity is [ipam.Allocator.ReleaseAffinity], recorded.
func (r *Recorder) ReleaseAffinity(cidr netip.Prefix, owner affinity.Owner, mustBeEmpty bool) (err error) {
	r.do("ReleaseAffinity", withCIDRIn(owner, cidr, mustBeEmpty), func() Out {
		err = r.Allocator.ReleaseAffinity(cidr, owner, mustBeEmpty)
		return Out{Err: codeOf(err)}
	})
	return err
}

// ReleaseHostAffinities is [ipam.Allocator.ReleaseHostAffinities], recorded.
func (r *Recorder) ReleaseHostAffinities(owner affinity.Owner, mustBeEmpty bool) (err error) {
	r.do("ReleaseHostAffinities", withCIDRIn(owner, netip.Prefix{}, mustBeEmpty), func() Out {
		err = r.Allocator.ReleaseHostAffinities(owner, mustBeEmpty)
		return Out{Err: codeOf(err)}
	})
	return err
}

// RemoveIPAMHost is [ipam.Allocator.RemoveIPAMHost], recorded.
func (r *Recorder) RemoveIPAMHost(owner affinity.Owner) (err error) {
	r.do("RemoveIPAMHost", ownerIn(owner), func() Out {
		err = r.Allocator.RemoveIPAMHost(owner)
		return Out{Err: codeOf(err)}
	})
	return err
}

// ReleasePoolAffinities is [ipam.Allocator.ReleasePoolAffinities], recorded.
func (r *Recorder) ReleasePoolAffinities(cidr netip.Prefix) (err error) {
	r.do("ReleasePoolAffinities", In{CIDR: cidr.String()}, func() Out {
		err = r.Allocator.ReleasePoolAffinities(cidr)
		return Out{Err: codeOf(err)}
	})
	return err
}

// ReleaseBlockAffinity is [ipam.Allocator.ReleaseBlockAffinity], recorded.
func (r *Recorder) ReleaseBlockAffinity(cidr netip.Prefix, mustBeEmpty bool) (err error) {
	r.do("ReleaseBlockAffinity", In{CIDR: cidr.String(), MustBeEmpty: mustBeEmpty}, func() Out {
		err = r.Allocator.ReleaseBlockAffinity(cidr, mustBeEmpty)
		return Out{Err: codeOf(err)}
	})
	return err
}

// EnsureBlock is [ipam.Allocator.EnsureBlock], recorded.
func (r *Recorder) EnsureBlock(args ipam.EnsureBlockArgs) (block4, block6 netip.Prefix, err error) {
	r.do("EnsureBlock", ensureBlockIn(args), func() Out {
		block4, block6, err = r.Allocator.EnsureBlock(args)
		return Out{Block4: cidrText(block4), Block6: cidrText(block6), Err: codeOf(err)}
	})
	return block4, block6, err
}

// SetIPAMConfig is [ipam.Allocator.SetIPAMConfig], recorded.
func (r *Recorder) SetIPAMConfig(c ipam.Config) (err error) {
	r.do("SetIPAMConfig", In{Config: &c}, func() Out {
		err = r.Allocator.SetIPAMConfig(c)
		return Out{Err: codeOf(err)}
	})
	return err
}

// PutIPAMConfig is [ipam.Allocator.PutIPAMConfig]. The format can only hold
// configurations that [ipam.Allocator.SetIPAMConfig] accepts; for others the
// recording fails with [ErrNotRecordable].
func (r *Recorder) PutIPAMConfig(c ipam.Config) error {
	err := r.SetIPAMConfig(c)
	if !errors.Is(err, codes.ConfigConflict) {
		return err // what it takes, it has written as PutIPAMConfig would
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = fmt.Errorf("%w: a configuration that SetIPAMConfig refuses", ErrNotRecordable)
	}
	return r.Allocator.PutIPAMConfig(c)
}

// SetPool is [ipam.Allocator.SetPool], recorded. An invalid pool is not written,
// as nothing happened.
func (r *Recorder) SetPool(spec pool.Spec) (err error) {
	if err := spec.Validate(); err != nil {
		return r.Allocator.SetPool(spec)
	}
	p := poolOf(spec)
	r.do("SetPool", In{Pool: &p}, func() Out {
		err = r.Allocator.SetPool(spec)
		return Out{Err: codeOf(err)}
	})
	return err
}

// DeletePool is [ipam.Allocator.DeletePool], recorded.
func (r *Recorder) DeletePool(name string) (deleted bool) {
	r.do("DeletePool", In{Pool: &Pool{Name: name}}, func() Out {
		deleted = r.Allocator.DeletePool(name)
		return Out{}
	})
	return deleted
}

// SetNode is [ipam.Allocator.SetNode], recorded.
func (r *Recorder) SetNode(n ipam.Node) (err error) {
	r.do("SetNode", In{Node: &n}, func() Out {
		err = r.Allocator.SetNode(n)
		return Out{Err: codeOf(err)}
	})
	return err
}

// DeleteNode is [ipam.Allocator.DeleteNode], recorded.
func (r *Recorder) DeleteNode(name string) (deleted bool) {
	r.do("DeleteNode", In{Node: &ipam.Node{Name: name}}, func() Out {
		deleted = r.Allocator.DeleteNode(name)
		return Out{}
	})
	return deleted
}

// SetReservations is [ipam.Allocator.SetReservations], recorded.
func (r *Recorder) SetReservations(entries []string) (warnings []pool.Warning) {
	r.do("SetReservations", In{Reservations: entries}, func() Out {
		warnings = r.Allocator.SetReservations(entries)
		return Out{}
	})
	return warnings
}

// GarbageCollectColdIPs is [ipam.Allocator.GarbageCollectColdIPs], recorded.
func (r *Recorder) GarbageCollectColdIPs(blocks ...netip.Prefix) {
	given := len(blocks) > 0
	blocks = slices.DeleteFunc(slices.Clone(blocks), func(b netip.Prefix) bool { return !b.IsValid() })
	if given && len(blocks) == 0 {
		return // there are no such blocks
	}
	r.do("GarbageCollectColdIPs", In{CIDRs: texts(blocks)}, func() Out {
		r.Allocator.GarbageCollectColdIPs(blocks...)
		return Out{}
	})
}

// ReleaseBlockAffinityOf is [ipam.Allocator.ReleaseBlockAffinityOf], recorded.
func (r *Recorder) ReleaseBlockAffinityOf(read ipam.BlockState, mustBeEmpty bool) (err error) {
	if read.Owner.Validate() != nil {
		return r.Allocator.ReleaseBlockAffinityOf(read, mustBeEmpty) // does nothing
	}
	in := withCIDRIn(read.Owner, read.CIDR, mustBeEmpty)
	r.do("ReleaseBlockAffinity", in, func() Out {
		err = r.Allocator.ReleaseBlockAffinityOf(read, mustBeEmpty)
		return Out{Err: codeOf(err)}
	})
	return err
}

// PutAffinity is [ipam.Allocator.PutAffinity], recorded.
func (r *Recorder) PutAffinity(owner affinity.Owner, cidr netip.Prefix, state affinity.State) (err error) {
	in := withCIDRIn(owner, cidr, false)
	in.State = state.String()
	r.do("PutAffinity", in, func() Out {
		err = r.Allocator.PutAffinity(owner, cidr, state)
		return Out{Err: codeOf(err)}
	})
	return err
}

// DropAffinity is [ipam.Allocator.DropAffinity], recorded.
func (r *Recorder) DropAffinity(owner affinity.Owner, cidr netip.Prefix) (dropped bool) {
	if owner.Validate() != nil || !cidr.IsValid() {
		return false // there is no such affinity
	}
	r.do("DropAffinity", withCIDRIn(owner, cidr, false), func() Out {
		dropped = r.Allocator.DropAffinity(owner, cidr)
		return Out{}
	})
	return dropped
}

// DropBlock is [ipam.Allocator.DropBlock], recorded.
func (r *Recorder) DropBlock(cidr netip.Prefix) (dropped bool) {
	if !cidr.IsValid() {
		return false // there is no such block
	}
	r.do("DropBlock", In{CIDR: cidr.String()}, func() Out {
		dropped = r.Allocator.DropBlock(cidr)
		return Out{}
	})
	return dropped
}

// PutBlock is [ipam.Allocator.PutBlock]. Recordings have no raw edits of blocks,
// handles and pools: if it changes anything the recording ends with
// [ErrNotRecordable].
func (r *Recorder) PutBlock(state ipam.BlockState) error {
	return r.raw("PutBlock", func() error { return r.Allocator.PutBlock(state) })
}

// PutHandle is [ipam.Allocator.PutHandle], which ends the recording as PutBlock does.
func (r *Recorder) PutHandle(state ipam.HandleState) error {
	return r.raw("PutHandle", func() error { return r.Allocator.PutHandle(state) })
}

// DropHandle is [ipam.Allocator.DropHandle], which ends the recording as PutBlock does.
func (r *Recorder) DropHandle(id string) (dropped bool) {
	_ = r.raw("DropHandle", func() error {
		if dropped = r.Allocator.DropHandle(id); !dropped {
			return codes.DoesNotExist
		}
		return nil
	})
	return dropped
}

// PutPool is [ipam.Allocator.PutPool], which ends the recording as PutBlock does.
func (r *Recorder) PutPool(spec pool.Spec) error {
	return r.raw("PutPool", func() error { return r.Allocator.PutPool(spec) })
}

// raw makes a raw edit, which ends the recording unless it is refused.
func (r *Recorder) raw(op string, edit func() error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := edit()
	if err == nil && r.err == nil {
		r.err = fmt.Errorf("%w: %s, a raw edit", ErrNotRecordable, op)
	}
	return err
}

// GetUtilization is [ipam.Allocator.GetUtilization], recorded.
func (r *Recorder) GetUtilization(pools ...string) (usage []ipam.PoolUsage) {
	r.do("GetUtilization", In{Pools: pools}, func() Out {
		usage = r.Allocator.GetUtilization(pools...)
		return Out{Pools: usage}
	})
	return usage
}

// State is [ipam.Allocator.State], recorded: a replay is compared with all of it.
func (r *Recorder) State() (state ipam.State) {
	r.do("State", In{}, func() Out {
		state = r.Allocator.State()
		return Out{State: StateOf(state, "numbered")}
	})
	return state
}

// Show returns and records what calicoctl shows: "pools", "blocks", "borrowed", or
// "ip" with an address. The error matches [codes.IPInCooldown] for a cooling
// address, for which nothing is shown, and [codes.InvalidArgument] for one that
// cannot be allocated.
func (r *Recorder) Show(what, ip string) (shown string, err error) {
	r.do("Show", In{State: what, IP: ip}, func() Out {
		shown, err = show(r.Allocator, what, ip)
		out, unknown := shownOut(shown, err)
		if unknown != nil {
			return refused
		}
		return out
	})
	return shown, err
}
