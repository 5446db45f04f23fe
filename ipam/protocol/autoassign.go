package protocol

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
)

// AutoAssign gives the host addresses from its own blocks, from blocks that it
// claims, and last from those of others, as [ipam.Allocator.AutoAssign] does (§3
// to §8, §15).
func (c *Client) AutoAssign(args ipam.AutoAssignArgs) (v4, v6 ipam.Assignment, err error) {
	err = c.AutoAssignInto(&args, &v4, &v6)
	return v4, v6, err
}

// AutoAssignInto is [Client.AutoAssign] with answers that are the caller's:
// their slices are emptied and appended to.
func (c *Client) AutoAssignInto(args *ipam.AutoAssignArgs, v4, v6 *ipam.Assignment) error {
	*v4, *v6 = ipam.Assignment{IPs: v4.IPs[:0], Msgs: v4.Msgs[:0]}, ipam.Assignment{IPs: v6.IPs[:0], Msgs: v6.Msgs[:0]}
	if err := args.Validate(); err != nil {
		return err
	}
	v4.Asked, v6.Asked = args.Num4, args.Num6
	if err := c.supports(args.Use, args.MaxAllocPerHandle); err != nil {
		return err
	}
	if v4.Tried = args.Num4 > 0; v4.Tried {
		if err := c.autoAssign(args, true, v4); err != nil {
			return outcome(err)
		}
	}
	if v6.Tried = args.Num6 > 0; v6.Tried {
		err := c.autoAssign(args, false, v6)
		if errors.Is(err, codes.WrongFamily) {
			v4.IPs, v4.Msgs = nil, nil // given out all the same
		}
		return outcome(err)
	}
	return nil
}

// request is one family of an AutoAssign under way.
type request struct {
	demand
	num      int
	record   Record // of the assigned addresses
	maxAlloc int
	out      *ipam.Assignment
}

// missing returns how many addresses are still to be found.
func (r *request) missing() int { return r.num - len(r.out.IPs) }

// say adds a message if the answer does not have it yet.
func (r *request) say(msg string) {
	if !slices.Contains(r.out.Msgs, msg) {
		r.out.Msgs = append(r.out.Msgs, msg)
	}
}

// errEnough ends a request whose handle may hold no more, but holds enough
// addresses (§7).
var errEnough = errors.New("protocol: the handle has enough")

// autoAssign is AutoAssign for one family (§4).
func (c *Client) autoAssign(args *ipam.AutoAssignArgs, is4 bool, out *ipam.Assignment) error {
	r := request{
		demand: demand{
			host: args.Host, use: args.Use, is4: is4, requested: args.Pools4, namespace: args.Namespace, reserve: args.HostReserved4,
			windows: args.Windows,
		},
		num: args.Num4, record: Record{Handle: handleID(args.Handle), Active: args.Attrs}, maxAlloc: args.MaxAllocPerHandle, out: out,
	}
	if !is4 {
		r.num, r.requested, r.reserve = args.Num6, args.Pools6, args.HostReserved6
	}
	if err := checkRequested(r.requested, is4); err != nil {
		return err
	}
	if err := c.prepare(&r.demand); err != nil {
		return err
	}
	if !c.rules.ReleaseReadsConfig { // prepare has not read it
		s, err := c.settingsOn(r.windows)
		if err != nil {
			return err
		}
		r.settings = s
	}
	limit := r.settings.blockLimit(args.MaxBlocksPerHost)
	owned := len(r.affinities)
	refused := 0 // by the limit per handle, in a newly claimed block
	for r.missing() > 0 {
		b := c.nextAffine(&r.demand, 1)
		claimed := b == nil
		if claimed {
			if owned >= limit || refused >= maxTries {
				r.say("block-limit:" + strconv.Itoa(limit))
				return &ipam.Error{
					Code: codes.BlockLimit, Host: args.Host, Want: strconv.Itoa(limit), Got: strconv.Itoa(owned),
					Detail: fmt.Sprintf("%s may have %d", args.Host, limit),
				}
			}
			var err error
			b, err = c.claimNew(&r.demand)
			if errors.Is(err, codes.NoFreeBlocks) {
				if r.settings.StrictAffinity {
					r.say("strict-affinity")
				}
				break
			}
			if err != nil {
				return err
			}
			owned++
			if len(b.available(c.reservations)) == 0 {
				return &ipam.Error{Code: codes.BlockTooSmall, Block: b.CIDR, Host: args.Host}
			}
		}
		err := c.assignFrom(&r, b)
		switch {
		case claimed && errors.Is(err, codes.MaxAlloc):
			// The search may find this block again and again until the limit of
			// blocks, which can be very high.
			refused++
		case err != nil && !errors.Is(err, errEnough) && !again(err):
			r.say("assign-failed")
		}
	}
	if r.missing() > 0 && !r.settings.StrictAffinity {
		c.borrow(&r)
	}
	return nil
}

// blockLimit returns how many blocks a host may own: the smaller limit of request
// and configuration (§4).
func (s *settings) blockLimit(requested int) int {
	limit := s.MaxBlocksPerHost
	if limit == 0 || requested > 0 && requested < limit {
		limit = max(0, requested)
	}
	if limit == 0 {
		limit = ipam.DefaultMaxBlocksPerHost
	}
	return limit
}

// assignFrom takes as many addresses as are still missing from the block. After a
// conflict, and if the handle may hold no more, it reads the block and tries
// again, even if the owner changed. It ends without an error if the block is gone.
func (c *Client) assignFrom(r *request, b *Block) (err error) {
	for range maxTries {
		if err = c.assignOnce(r, b); !again(err) {
			return err
		}
		var unread error
		if b, unread = c.getBlock(b.CIDR, r.settings); unread != nil {
			return nil
		}
	}
	return err
}

// again reports whether an assignment may succeed later: others may change what it
// met.
func again(err error) bool {
	return errors.Is(err, errConflict) || errors.Is(err, codes.MaxAlloc)
}

// assignOnce takes as many addresses as are still missing from the block as it was
// read. With strict affinity the block must still be the owner's: else
// [codes.AffinityMismatch]. If the handle may hold no more the error is errEnough
// or [codes.MaxAlloc] (§7).
func (c *Client) assignOnce(r *request, b *Block) error {
	if r.settings.StrictAffinity && b.Owner != r.owner() {
		return &ipam.Error{Code: codes.AffinityMismatch, Block: b.CIDR, Host: r.host, Want: r.owner().String(), Got: b.Owner.String()}
	}
	ords := b.available(c.reservations)
	if len(ords) == 0 {
		return nil
	}
	handle, n := r.record.Handle, r.missing()
	if handle != "" {
		// By the number requested of this block, not by the number that it gives.
		err := c.raise(handle, b.CIDR, n, r.maxAlloc)
		if errors.Is(err, errLimit) {
			return c.giveHeld(r)
		}
		if err != nil {
			return err
		}
	}
	ords = ords[:min(n, len(ords))]
	for _, ord := range ords {
		b.take(ord, r.record)
	}
	if err := c.updateBlock(b); err != nil {
		if handle != "" {
			_ = c.lower(nil, handle, b.CIDR, n) // the update's failure counts
		}
		return err
	}
	for _, ord := range ords {
		r.out.IPs = append(r.out.IPs, netip.PrefixFrom(b.addr(ord), b.CIDR.Bits()))
	}
	return nil
}

// giveHeld answers with addresses that the handle holds already, if they are as
// many as requested.
func (c *Client) giveHeld(r *request) error {
	held, err := c.heldIn(r.record.Handle, false, r.is4)
	if err != nil {
		return err
	}
	if len(held) < r.num {
		return &ipam.Error{Code: codes.MaxAlloc, Handle: r.record.Handle, Host: r.host}
	}
	for _, ip := range held[:r.num] {
		r.out.IPs = append(r.out.IPs, netip.PrefixFrom(ip, ip.BitLen()))
	}
	return errEnough
}

// borrow takes what is still missing from any block of any owner (§8). It reads
// each block of the pool, without a list.
func (c *Client) borrow(r *request) {
	var exhausted []string
	for _, p := range r.pools {
		for cidr := range p.Order(r.host, c.now()) {
			if c.reservations.CoversPrefix(cidr) {
				continue
			}
			if err := c.borrowFrom(r, cidr); errors.Is(err, errEnough) {
				return
			}
			if r.missing() <= 0 {
				break
			}
		}
		if r.missing() <= 0 {
			break
		}
		exhausted = append(exhausted, p.CIDR().String())
	}
	if len(exhausted) > 0 {
		r.say("exhausted:" + strings.Join(exhausted, ","))
	}
}

// borrowFrom takes what is still missing from a block. Unlike assignFrom it reads
// the block before every try, and not after the last.
func (c *Client) borrowFrom(r *request, cidr netip.Prefix) (err error) {
	for range maxTries {
		var b *Block
		if b, err = c.getBlock(cidr, r.settings); err == nil {
			err = c.assignOnce(r, b)
		}
		if !again(err) {
			break
		}
	}
	return err
}
