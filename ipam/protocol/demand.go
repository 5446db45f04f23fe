package protocol

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// demand is one family of a request for addresses or a block, with what it may use
// (§3).
type demand struct {
	host      string
	use       pool.Use
	is4       bool
	requested []netip.Prefix // pools, by CIDR; none for an automatic choice
	namespace map[string]string
	reserve   *ipam.HostReservation
	windows   bool // the client runs there

	settings   settings
	pools      []*pool.Pool // that may be used, in order
	affinities []*Affinity  // to blocks of these, by name
	looked     int          // how many of the affinities were tried
}

// owner returns the owner that claims blocks for the request.
func (d *demand) owner() affinity.Owner {
	if d.use == pool.LoadBalancer {
		return affinity.VirtualOwner(d.host)
	}
	return affinity.HostOwner(d.host)
}

// prepare finds what the demand may use: get config, get node, list the host's
// affinities. It releases blocks that the node may no longer have. Before
// [calico.Rules.ReleaseReadsConfig] the caller reads the configuration later
// (§16).
func (c *Client) prepare(d *demand) (err error) {
	if !d.use.Valid() {
		return &ipam.Error{Code: codes.UseRequired, Host: d.host, Got: string(d.use), Detail: fmt.Sprintf("got %q", d.use)}
	}
	if c.rules.ReleaseReadsConfig {
		if d.settings, err = c.settingsOn(d.windows); err != nil {
			return err
		}
	}
	var labels map[string]string // a virtual owner has none
	if d.use != pool.LoadBalancer {
		n, err := get[*Node](c, nodeKey(d.host))
		if errors.Is(err, errMissing) {
			return &ipam.Error{Code: codes.DoesNotExist, Host: d.host, Detail: "node " + d.host}
		}
		if err != nil {
			return err
		}
		labels = n.Labels
	}
	if d.pools, err = c.choose(d, labels); err != nil {
		return err
	}
	affinities, err := list[*Affinity](c, OwnerKey(d.owner(), d.is4))
	if err != nil {
		return err
	}
	for _, a := range affinities {
		p := c.pools.ByAddr(a.CIDR.Addr())
		switch {
		case p == nil:
		case slices.Contains(d.pools, p):
			d.affinities = append(d.affinities, a)
		case slices.ContainsFunc(d.requested, func(r netip.Prefix) bool { return r.Masked() == p.CIDR() }):
		case !p.Disabled() && !p.SelectsNode(labels):
			_ = c.release(d.owner(), a.CIDR, true, d.settings) // errors are ignored there
		}
	}
	return nil
}

// choose returns the pools that the demand of a node with these labels may use,
// in order.
func (c *Client) choose(d *demand, labels map[string]string) ([]*pool.Pool, error) {
	longest, err := longestPrefix(d.reserve, d.is4)
	if err != nil {
		return nil, err
	}
	var enabled, large []*pool.Pool // of the family; those with blocks large enough
	for _, p := range c.pools.All() {
		if p.Disabled() || p.Is4() != d.is4 {
			continue
		}
		enabled = append(enabled, p)
		if p.BlockSize() <= longest {
			large = append(large, p)
		}
	}
	if len(large) == 0 {
		return nil, &ipam.Error{
			Code: codes.NoQualifiedPool, Host: d.host, Want: "/" + strconv.Itoa(longest),
			Detail: fmt.Sprintf("none is enabled with blocks of /%d or larger", longest),
		}
	}
	var chosen []*pool.Pool
	for _, cidr := range d.requested {
		p := c.pools.ByCIDR(cidr.Masked())
		if !slices.Contains(large, p) {
			return nil, &ipam.Error{Code: codes.PoolNotEnabled, Host: d.host, Pool: cidr}
		}
		chosen = append(chosen, p)
	}
	if len(d.requested) == 0 {
		// The automatic choice ignores the size of blocks (§10).
		for _, p := range enabled {
			if p.Automatic() && p.SelectsNode(labels) && p.SelectsNamespace(d.namespace) {
				chosen = append(chosen, p)
			}
		}
		if len(chosen) == 0 {
			return nil, &ipam.Error{Code: codes.NoPoolsForNode, Host: d.host}
		}
	}
	chosen = slices.DeleteFunc(chosen, func(p *pool.Pool) bool { return !p.Allows(d.use) })
	if len(chosen) == 0 {
		return nil, &ipam.Error{
			Code: codes.NoQualifiedPool, Host: d.host, Want: string(d.use),
			Detail: fmt.Sprintf("none for %s allows use %s", d.host, d.use),
		}
	}
	return chosen, nil
}

// nextAffine returns the next of the host's usable blocks with at least that many
// free addresses, or nil. A request tries each block once.
func (c *Client) nextAffine(d *demand, free int) *Block {
	for d.looked < len(d.affinities) {
		cidr := d.affinities[d.looked].CIDR
		d.looked++
		if c.reservations.CoversPrefix(cidr) {
			continue
		}
		var b *Block
		err := retry(func() error {
			a, err := c.getAffinity(d.owner(), cidr)
			if err == nil {
				b, err = c.recover(a, d.owner(), d.settings, d.reserve)
			}
			return err
		})
		if err == nil && len(b.available(c.reservations)) >= free {
			return b
		}
	}
	return nil
}
