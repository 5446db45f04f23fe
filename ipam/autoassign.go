package ipam

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/internal/blocktree"
	"github.com/ipamsim/ipamsim/internal/claimlist"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// AutoAssignArgs is a request for addresses. Zero fields mean what their
// comments say.
type AutoAssignArgs struct {
	// Host is the node that asks, or the virtual owner for use LoadBalancer.
	Host string
	// Num4 and Num6 are the numbers of addresses of each family, 0 or more.
	// AutoAssign ignores a family with 0.
	Num4, Num6 int
	// Handle identifies the holder of the addresses, so that they can be released
	// together. Empty means none. It is cut at the first carriage return.
	Handle string
	// Attrs are stored with the addresses.
	Attrs block.Attrs
	// Use is required.
	Use pool.Use
	// Pools4 and Pools6 ask for these pools, by CIDR and in this order,
	// whatever their selectors and assignment mode; none means that the
	// allocator chooses. Host bits are ignored.
	Pools4, Pools6 []netip.Prefix
	// MaxBlocksPerHost limits the blocks of the host for this request; 0 or
	// less leaves it to the configuration. The smaller counts.
	MaxBlocksPerHost int
	// MaxAllocPerHandle limits what the handle may hold per family; 0 or less
	// means no limit.
	MaxAllocPerHandle int
	// HostReserved4 and HostReserved6 reserve the ends of blocks that the
	// request creates; nil reserves nothing.
	HostReserved4, HostReserved6 *HostReservation
	// Windows says that the client runs on Windows, which cannot borrow: it gets
	// [codes.StrictAffinityRequired] while affinity is not strict (§10).
	Windows bool
	// Namespace has the labels of the namespace, which namespace selectors match;
	// nil for a request without a namespace.
	Namespace map[string]string
}

// Validate refuses a request that no allocator could serve: with a host name that
// no Kubernetes object could have, a negative number of addresses, a number of
// 2^31 or more, or a requested pool that is no plain prefix. The error matches
// [codes.InvalidArgument].
func (r *AutoAssignArgs) Validate() error {
	return errors.Join(
		checkRequestable(r.Pools4), checkRequestable(r.Pools6),
		checkCount("num4", r.Num4), checkCount("num6", r.Num6),
		checkCount("maxBlocksPerHost", max(0, r.MaxBlocksPerHost)),
		checkCount("maxAllocPerHandle", max(0, r.MaxAllocPerHandle)),
		checkName("host", r.Host),
	)
}

// check is a fast Validate for usual requests. It leaves the host's name to the
// lookup of the host, unless another error could come first.
func (r *AutoAssignArgs) check() error {
	if len(r.Pools4)+len(r.Pools6) == 0 && r.Host != "" &&
		uint64(r.Num4|r.Num6)-1 < math.MaxInt32 && r.MaxBlocksPerHost <= math.MaxInt32 && r.MaxAllocPerHandle <= math.MaxInt32 {
		return nil
	}
	return r.Validate()
}

// Assignment is the answer for one family. Fewer addresses than asked for are no
// error of AutoAssign: [Assignment.Err] tells them.
type Assignment struct {
	// Asked is how many addresses the request asked for.
	Asked int
	// Tried is false if the allocator did not look for any: none was asked for, the
	// request was invalid, or IPv4 failed before IPv6.
	Tried bool
	// IPs are the addresses in the order in which they were given, each with the
	// mask of its block, or with a full mask if the handle held it already (§7).
	IPs []netip.Prefix
	// Msgs say why the answer is short: "block-limit:N", "strict-affinity",
	// "exhausted:CIDR,…" (§4, §8).
	Msgs []string
}

// AutoAssign gives the host addresses from its own blocks, from blocks that it
// claims, and last from those of others (§3 to §8). IPv4 comes first; an error
// there ends the request. Addresses given out before an error stay allocated and
// are in the answer. After [codes.WrongFamily] for IPv6 the answer is empty,
// though the IPv4 addresses are allocated.
//
// Errors: [codes.WrongFamily], [codes.UseRequired], [codes.StrictAffinityRequired]
// for a client on Windows, [codes.DoesNotExist] (the node),
// [codes.BadHostReservation], [codes.NoQualifiedPool], [codes.PoolNotEnabled],
// [codes.NoPoolsForNode], [codes.BlockLimit], [codes.NoBlock],
// [codes.BlockTooSmall]; [codes.InvalidArgument] before anything happens, also for
// what the release of Calico does not have ([Options]). Too few free addresses are
// no error: the answer is short and has a message.
func (a *Allocator) AutoAssign(args AutoAssignArgs) (v4, v6 Assignment, err error) {
	err = a.AutoAssignInto(&args, &v4, &v6)
	return v4, v6, err
}

// AutoAssignInto is [Allocator.AutoAssign] with answers that are the caller's:
// their slices are emptied and appended to. If the answers have room it allocates
// no memory. It does not change the arguments.
func (a *Allocator) AutoAssignInto(args *AutoAssignArgs, v4, v6 *Assignment) error {
	v4.reset()
	v6.reset()
	if err := args.check(); err != nil {
		return err
	}
	v4.Asked, v6.Asked = args.Num4, args.Num6
	a.begin()
	defer a.mu.Unlock()
	if err := a.supports(args.Use, args.MaxAllocPerHandle); err != nil {
		return err
	}
	if args.Num4 > 0 {
		v4.Tried = true
		if err := checkRequested(args.Pools4, true); err != nil {
			return err
		}
		if err := a.autoAssign(args, true, v4); err != nil {
			return err
		}
	}
	if args.Num6 > 0 {
		v6.Tried = true
		if err := checkRequested(args.Pools6, false); err != nil {
			v4.IPs, v4.Msgs = v4.IPs[:0], v4.Msgs[:0]
			return err
		}
		return a.autoAssign(args, false, v6)
	}
	return nil
}

func (s *Assignment) reset() { *s = Assignment{IPs: s.IPs[:0], Msgs: s.Msgs[:0]} }

// Err returns nil only if the answer has all addresses that were asked for. Else
// the error matches [codes.Partial] and says how many are missing and why, as far
// as the messages tell; Want and Got are the two numbers.
func (s *Assignment) Err() error {
	if len(s.IPs) >= s.Asked {
		return nil
	}
	detail := fmt.Sprintf("%d of %d", len(s.IPs), s.Asked)
	switch {
	case !s.Tried:
		detail += ", not tried"
	case len(s.Msgs) > 0:
		detail += " (" + strings.Join(s.Msgs, " ") + ")"
	}
	return &Error{Code: codes.Partial, Want: strconv.Itoa(s.Asked), Got: strconv.Itoa(len(s.IPs)), Detail: detail}
}

// request is one family of an AutoAssign or EnsureBlock under way.
type request struct {
	args   *AutoAssignArgs
	is4    bool
	num    int
	handle block.Handle
	out    *Assignment

	owner *owner // nil until it is known
	// The pools to use and the owner's usable blocks there: those of plan, or if it is
	// nil chosen, and those of claims, which must be recovered first.
	plan   *plan
	chosen []*poolBlocks
	claims []*claimlist.Claim
	next   int // how many of them were tried
}

// requested returns the requested pools, by CIDR; none for an automatic choice.
func (r *request) requested() []netip.Prefix {
	if r.is4 {
		return r.args.Pools4
	}
	return r.args.Pools6
}

// requests reports whether the pool was requested.
func (r *request) requests(p *pool.Pool) bool {
	return slices.ContainsFunc(r.requested(), func(cidr netip.Prefix) bool { return cidr.Masked() == p.CIDR() })
}

// reserve returns the host reservation of blocks that the request creates.
func (r *request) reserve() *HostReservation {
	if r.is4 {
		return r.args.HostReserved4
	}
	return r.args.HostReserved6
}

// ownerID returns the owner that claims blocks for the request.
func (r *request) ownerID() affinity.Owner {
	if r.args.Use == pool.LoadBalancer {
		return affinity.VirtualOwner(r.args.Host)
	}
	return affinity.HostOwner(r.args.Host)
}

// missing returns how many addresses are still to be found.
func (r *request) missing() int { return r.num - len(r.out.IPs) }

func (r *request) say(code, about string) { r.out.Msgs = append(r.out.Msgs, code+":"+about) }

// errEnough ends a request whose handle may hold no more (§7).
var errEnough = errors.New("ipam: the handle has enough")

// autoAssign is AutoAssign for one family.
func (a *Allocator) autoAssign(args *AutoAssignArgs, is4 bool, out *Assignment) error {
	var r request
	r.args, r.is4, r.num, r.out = args, is4, args.Num4, out
	if !is4 {
		r.num = args.Num6
	}
	if args.Handle != "" {
		r.handle = readHandle(args.Handle)
	}
	if err := a.prepare(&r); err != nil {
		return err
	}
	// Older releases read the configuration only here.
	err := a.routable(args.Windows)
	if err == nil {
		err = a.gather(&r)
	}
	if o := r.owner; o != nil && !o.node { // a call that most requests spare
		a.forget(o)
	}
	return err
}

// gather finds the addresses of a request (§4).
func (a *Allocator) gather(r *request) error {
	for r.missing() > 0 {
		b := a.nextAffine(r, 1)
		if b == nil {
			return a.gatherElsewhere(r)
		}
		_ = a.assign(r, b) // a refused raise gives nothing: try the next block
	}
	return nil
}

// gatherElsewhere finds the addresses that the owner's usable blocks do not have:
// in blocks that it claims, and then in those of others.
func (a *Allocator) gatherElsewhere(r *request) error {
	limit := a.blockLimit(r.args.MaxBlocksPerHost)
	owned, stuck := r.owned(), false
	for r.missing() > 0 {
		if owned >= limit || stuck {
			r.say("block-limit", strconv.Itoa(limit))
			return &Error{
				Code: codes.BlockLimit, Host: r.args.Host, Want: strconv.Itoa(limit), Got: strconv.Itoa(owned),
				Detail: r.args.Host + " may have " + strconv.Itoa(limit),
			}
		}
		had, hadClaims := len(r.owner.blocks), r.owner.claims.Len()
		var p *plan
		if r.plain() {
			p = a.planFor(r.owner, r.is4, r.args.Use)
		}
		b, err := a.claimNew(r.owner, r.pools(), r.reserve())
		if errors.Is(err, codes.NoFreeBlocks) {
			if a.config.StrictAffinity {
				r.out.Msgs = append(r.out.Msgs, "strict-affinity")
			}
			break
		}
		if err != nil {
			return err
		}
		owned++
		if p != nil && len(r.owner.blocks) > had && r.owner.claims.Len() > hadClaims {
			a.extendPlan(p, r.owner, b)
		}
		if b.Available(a.cold, b.reserved) == 0 {
			return &Error{Code: codes.BlockTooSmall, Block: b.CIDR(), Host: r.args.Host}
		}
		// A refused raise gives nothing, and the loop goes on. If the search found
		// a block that the owner had before, it would find it again until the
		// limit of blocks, so the request ends as at the limit.
		again := len(r.owner.blocks) == had
		stuck = errors.Is(a.assign(r, b), codes.MaxAlloc) && again
	}
	if r.missing() > 0 && !a.config.StrictAffinity {
		a.borrow(r)
	}
	return nil
}

// blockLimit returns how many blocks a host may own: the smaller limit of request
// and configuration (§4).
func (a *Allocator) blockLimit(requested int) int {
	limit := a.config.MaxBlocksPerHost
	if limit == 0 || requested > 0 && requested < limit {
		limit = max(0, requested)
	}
	if limit == 0 {
		limit = DefaultMaxBlocksPerHost
	}
	return limit
}

// prepare finds the request's owner, and the pools and blocks that it may use.
func (a *Allocator) prepare(r *request) error {
	args := r.args
	r.owner = a.ownersFor(args.Use)[args.Host]
	plain := r.plain()
	if plain && r.owner != nil {
		if p := a.planFor(r.owner, r.is4, args.Use); p != nil {
			r.plan = p
			return nil
		}
	}
	if err := checkName("host", args.Host); err != nil {
		return err
	}
	pools, err := a.choose(a.chosen[:0], r)
	if err != nil {
		return err
	}
	a.chosen, r.chosen = pools, pools
	if r.owner == nil {
		r.owner = a.openOwner(r.ownerID())
	}
	a.claimed = a.usable(a.claimed[:0], r)
	r.claims = a.claimed
	if plain {
		a.makePlan(r)
	}
	return nil
}

// pools returns the pools that the request may use.
func (r *request) pools() []*poolBlocks {
	if r.plan != nil {
		return r.plan.pools
	}
	return r.chosen
}

// owned returns the number of the owner's usable blocks, with claims in any state.
func (r *request) owned() int {
	if r.plan != nil {
		return len(r.plan.blocks)
	}
	return len(r.claims)
}

// nextAffine returns the next of the owner's usable blocks that has at least free
// addresses, or nil. It recovers the claims that it meets, each once (§4).
func (a *Allocator) nextAffine(r *request, free int) *ipamBlock {
	if r.plan != nil && free > 0 {
		r.next = max(r.next, r.plan.spent)
	}
	for r.next < r.owned() {
		i := r.next
		r.next++
		var b *ipamBlock
		if r.plan != nil {
			b = r.plan.blocks[i]
			if !b.leaf.MayBeFree && i == r.plan.spent {
				r.plan.spent++
			}
			if b.whole || !b.leaf.MayBeFree && free > 0 {
				continue
			}
		} else {
			if a.reservations.CoversPrefix(r.claims[i].CIDR) {
				continue
			}
			var err error
			if b, err = a.recover(r.owner, r.claims[i], r.reserve()); err != nil {
				continue
			}
		}
		if b.Available(a.cold, b.reserved) >= free {
			return b
		}
	}
	return nil
}

// assign takes as many addresses as are still missing from the block, which has
// some. If the handle may hold no more but holds enough addresses, these are the
// answer and it returns errEnough; if it holds fewer it returns [codes.MaxAlloc]
// (§7).
func (a *Allocator) assign(r *request, b *ipamBlock) error {
	to := block.Owner{Active: r.args.Attrs}
	n := r.missing()
	if r.handle.String() != "" {
		h, raised := a.raise(r.handle, b, n, r.args.MaxAllocPerHandle)
		if !raised {
			return a.giveHeld(r, h)
		}
		to.Handle = r.handle.Sharing(h.id)
	}
	if b.unordered && a.matters != nil {
		a.tell(queues, releasesAll)
	}
	b.Collect(a.cold)
	a.ordinals = b.Take(a.ordinals[:0], n, &to, b.reserved)
	for _, ord := range a.ordinals {
		r.out.IPs = append(r.out.IPs, netip.PrefixFrom(b.Addr(ord), b.Bits()))
	}
	a.writeTaken(b)
	return nil
}

// giveHeld answers with addresses that the handle holds already, if they are as
// many as requested.
func (a *Allocator) giveHeld(r *request, h *handle) error {
	var held []netip.Addr
	if h != nil {
		held = a.addresses(h, r.handle, func(ip netip.Addr) bool { return ip.Is4() == r.is4 })
	}
	if len(held) < r.num {
		return &Error{Code: codes.MaxAlloc, Handle: r.handle.String(), Host: r.args.Host}
	}
	for _, ip := range held[:r.num] {
		r.out.IPs = append(r.out.IPs, netip.PrefixFrom(ip, ip.BitLen()))
	}
	return errEnough
}

// borrow takes what is still missing from any block of any owner (§8).
func (a *Allocator) borrow(r *request) {
	var exhausted []string
	for _, pb := range r.pools() {
		for walk := pb.tree.Walk(blocktree.Free, a.startOf(r.owner, pb)); r.missing() > 0; {
			l := walk.Next()
			if l == nil {
				exhausted = append(exhausted, pb.pool.CIDR().String())
				break
			}
			b := l.Value
			if b.whole || b.Available(a.cold, b.reserved) == 0 {
				b.refresh()
				continue
			}
			if err := a.assign(r, b); errors.Is(err, errEnough) {
				return
			}
		}
		if r.missing() <= 0 {
			break
		}
	}
	if len(exhausted) > 0 {
		r.say("exhausted", strings.Join(exhausted, ","))
	}
}
