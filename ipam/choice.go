package ipam

import (
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"strconv"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/internal/claimlist"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// HostReservation keeps addresses at both ends of every block that a request
// creates for the host itself, as Windows needs it: 3 and 1 (§10).
type HostReservation struct {
	// StartOfBlock and EndOfBlock are numbers of addresses, 0 or more each, not both 0.
	StartOfBlock int `json:"startOfBlock"`
	EndOfBlock   int `json:"endOfBlock"`
	// Handle holds them, usually [block.HostReservedHandle]. Allocations of any
	// other handle, also of none, make a block non-empty.
	Handle string `json:"handle"`
	Note   string `json:"note"` // the attribute "note"
}

// owner returns the holder of the reserved addresses.
func (r *HostReservation) owner() *block.Owner {
	return &block.Owner{Handle: block.MakeHandle(r.Handle), Active: block.MakeAttrs(map[string]string{"note": r.Note})}
}

// longestPrefix returns the longest prefix of a block of that family that
// holds the reservation and at least one address more (§10).
func (r *HostReservation) longestPrefix(is4 bool) (int, error) {
	width := 128
	if is4 {
		width = 32
	}
	if r == nil {
		return width, nil
	}
	if err := r.check(); err != nil {
		return 0, err
	}
	longest := width - bits.Len(uint(r.StartOfBlock+r.EndOfBlock))
	if longest <= 0 || longest == width {
		return 0, &Error{Code: codes.BadHostReservation, Detail: fmt.Sprintf("%d addresses at the start and %d at the end of each block", r.StartOfBlock, r.EndOfBlock)}
	}
	return longest, nil
}

// check refuses counts that no block can hold.
func (r *HostReservation) check() error {
	for _, n := range []int{r.StartOfBlock, r.EndOfBlock} {
		if n < 0 || int64(n) > 1<<32 {
			return &Error{Code: codes.BadHostReservation, Got: strconv.Itoa(n), Detail: fmt.Sprintf("count %d is not within 0 to 2^32", n)}
		}
	}
	return nil
}

// fits refuses a reservation that the block cidr could not hold. Calico's own
// allocator panics there (§10).
func (r *HostReservation) fits(cidr netip.Prefix) error {
	if r == nil {
		return nil
	}
	if err := r.check(); err != nil {
		return err
	}
	if spare := cidr.Addr().BitLen() - cidr.Bits(); spare < 13 && r.StartOfBlock+r.EndOfBlock > 1<<spare {
		return &Error{
			Code: codes.BadHostReservation, Block: cidr, Want: strconv.Itoa(r.StartOfBlock + r.EndOfBlock), Got: strconv.Itoa(1 << spare),
			Detail: fmt.Sprintf("block %s cannot hold %d addresses", cidr, r.StartOfBlock+r.EndOfBlock),
		}
	}
	return nil
}

// choose returns the pools that the request may use, in order, appended to dst.
// Errors come in the order of §3: use, node, host reservation, pools.
func (a *Allocator) choose(dst []*poolBlocks, r *request) ([]*poolBlocks, error) {
	use, host, is4 := r.args.Use, r.args.Host, r.is4
	if !use.Valid() {
		return nil, &Error{Code: codes.UseRequired, Host: host, Got: string(use), Detail: fmt.Sprintf("got %q", use)}
	}
	if err := a.routableEarly(r.args.Windows); err != nil {
		return nil, err
	}
	var labels map[string]string // a virtual owner has none
	if use != pool.LoadBalancer {
		if r.owner == nil || !r.owner.node {
			return nil, &Error{Code: codes.DoesNotExist, Host: host, Detail: "node " + host}
		}
		labels = r.owner.labels
	}
	longest, err := r.reserve().longestPrefix(is4)
	if err != nil {
		return nil, err
	}
	// A pool that is enabled, of the family, and has blocks large enough.
	qualifies := func(p *pool.Pool) bool {
		return !p.Disabled() && p.Is4() == is4 && p.BlockSize() <= longest
	}
	if !slices.ContainsFunc(a.pools.All(), qualifies) {
		return nil, &Error{
			Code: codes.NoQualifiedPool, Host: host, Want: "/" + strconv.Itoa(longest),
			Detail: fmt.Sprintf("no %s pool is enabled with blocks of /%d or larger", family(is4), longest),
		}
	}
	pools := dst
	if requested := r.requested(); len(requested) > 0 {
		for _, cidr := range requested {
			p := a.pools.ByCIDR(cidr.Masked())
			if p == nil || !qualifies(p) {
				return nil, &Error{Code: codes.PoolNotEnabled, Host: host, Pool: cidr}
			}
			pools = append(pools, a.poolBlocks[p.Name()])
		}
	} else {
		for _, p := range a.pools.All() {
			// Not qualifies: the automatic choice ignores the size of blocks
			// (§10).
			if !p.Disabled() && p.Is4() == is4 && p.Automatic() && p.SelectsNode(labels) && p.SelectsNamespace(r.args.Namespace) {
				pools = append(pools, a.poolBlocks[p.Name()])
			}
		}
		if len(pools) == 0 {
			return nil, &Error{Code: codes.NoPoolsForNode, Host: host, Detail: host + ", " + family(is4)}
		}
	}
	allowed := pools[:0]
	for _, pb := range pools {
		if pb.pool.Allows(use) {
			allowed = append(allowed, pb)
		}
	}
	if len(allowed) == 0 {
		return nil, &Error{
			Code: codes.NoQualifiedPool, Host: host, Want: string(use),
			Detail: fmt.Sprintf("no %s pool for %s allows use %s", family(is4), host, use),
		}
	}
	return allowed, nil
}

// routable refuses a client on Windows while affinity is not strict: Windows cannot
// route to a single address of another node's block (§10).
func (a *Allocator) routable(windows bool) error {
	if windows && !a.config.StrictAffinity {
		return &Error{Code: codes.StrictAffinityRequired, Detail: "affinity is not strict"}
	}
	return nil
}

// family returns the name of the family.
func family(is4 bool) string {
	if is4 {
		return "IPv4"
	}
	return "IPv6"
}

// checkRequestable refuses requested pools that cannot be the CIDR of a pool. Host
// bits are allowed: the request means the pool without them.
func checkRequestable(pools []netip.Prefix) error {
	for _, cidr := range pools {
		if checkCIDR(cidr.Masked()) != nil {
			return checkCIDR(cidr)
		}
	}
	return nil
}

// checkRequested refuses requested pools of the other family, before anything
// else of the family happens (§3).
func checkRequested(pools []netip.Prefix, is4 bool) error {
	for _, cidr := range pools {
		if cidr.Addr().Is4() != is4 {
			return &Error{Code: codes.WrongFamily, Pool: cidr, Want: family(is4), Got: family(!is4)}
		}
	}
	return nil
}

// usable splits the owner's claims of the request's family: those in its pools are
// appended to dst in name order; of the others, it releases empty blocks whose
// pool no longer selects the node, unless that pool was requested (§3).
func (a *Allocator) usable(dst []*claimlist.Claim, r *request) []*claimlist.Claim {
	from := len(dst)
	all := append(dst, r.owner.claims.All()...) // releasing changes the list
	claims, usable := all[from:], all[:from]
	for _, c := range claims {
		if c.CIDR.Addr().Is4() != r.is4 {
			continue
		}
		pb := a.poolOf(c.CIDR.Addr())
		switch {
		case pb == nil:
		case slices.Contains(r.chosen, pb):
			usable = append(usable, c)
		case pb.rejects(r.owner) && !r.requests(pb.pool):
			_ = a.releaseClaim(r.owner, c.CIDR, true) // errors are ignored there
		}
	}
	return usable
}
