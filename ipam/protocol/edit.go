package protocol

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
)

// SetNode adds a node or replaces the one of its name, as
// [ipam.Allocator.SetNode] does: one write.
func (c *Client) SetNode(n ipam.Node) error {
	if err := checkName("node", n.Name); err != nil {
		return err
	}
	return outcome(c.write(Apply, &Node{Node: ipam.Node{Name: n.Name, Labels: maps.Clone(n.Labels)}}))
}

// DeleteNode deletes the node called name and reports whether there was one.
func (c *Client) DeleteNode(name string) bool { return c.drop(nodeKey(name)) }

// drop deletes the object of a key, whatever its revision, and reports whether
// there was one.
func (c *Client) drop(key Key) bool {
	err := retry(func() error {
		o, err := get[Object](c, key)
		if err == nil {
			err = c.delete(o)
		}
		return err
	})
	return err == nil
}

// GetIPAMConfig returns the configuration in force, the default if it cannot be
// read.
func (c *Client) GetIPAMConfig() ipam.Config {
	s, err := c.settings()
	if err != nil {
		return ipam.DefaultConfig()
	}
	return s.Config
}

// SetIPAMConfig replaces the configuration, as [ipam.Allocator.SetIPAMConfig]
// does: two reads and a write (testdata/plan.jsonl).
func (c *Client) SetIPAMConfig(config ipam.Config) error {
	if err := config.Validate(); err != nil {
		return err
	}
	if !config.StrictAffinity && !config.AutoAllocateBlocks {
		return &ipam.Error{Code: codes.ConfigConflict, Detail: "autoAllocateBlocks false needs strictAffinity true"}
	}
	if config.MaxBlocksPerHost > 0 && !config.StrictAffinity {
		return &ipam.Error{Code: codes.ConfigConflict, Detail: fmt.Sprintf("maxBlocksPerHost %d needs strictAffinity true", config.MaxBlocksPerHost)}
	}
	if err := c.supportsConfig(config); err != nil {
		return err
	}
	if _, err := c.settings(); err != nil {
		return err
	}
	return outcome(retry(func() error {
		o, err := get[*Config](c, configKey)
		if errors.Is(err, errMissing) {
			return c.create(&Config{Config: config})
		}
		if err != nil {
			return err
		}
		o.Config = config
		return c.update(o)
	}))
}

// PutIPAMConfig writes the configuration as a raw edit of the datastore does, as
// [ipam.Allocator.PutIPAMConfig] does.
func (c *Client) PutIPAMConfig(config ipam.Config) error {
	if err := errors.Join(config.Validate(), c.supportsConfig(config)); err != nil {
		return err
	}
	return outcome(c.write(Apply, &Config{Config: config}))
}

// PutAffinity writes an affinity object as a raw edit of the datastore does, as
// [ipam.Allocator.PutAffinity] does.
func (c *Client) PutAffinity(owner affinity.Owner, cidr netip.Prefix, state affinity.State) error {
	if err := errors.Join(checkCIDR(cidr), checkOwner(owner)); err != nil {
		return err
	}
	if state != affinity.Pending && state != affinity.Confirmed && state != affinity.PendingDeletion {
		return invalid("state", state.String(), "must be pending, confirmed or pendingDeletion")
	}
	a, err := c.getAffinity(owner, cidr)
	if err != nil && !errors.Is(err, errMissing) {
		return err
	}
	if err != nil || a.Owner != owner { // a namesake's is replaced
		a = &Affinity{Owner: owner, CIDR: cidr, Created: c.now().UTC()}
	}
	a.State = state
	return outcome(c.write(Apply, a))
}

// DropAffinity deletes an affinity object, and nothing else. It reports whether
// there was one.
func (c *Client) DropAffinity(owner affinity.Owner, cidr netip.Prefix) bool {
	return owner.Validate() == nil && c.drop(affinityKey(owner, cidr))
}

// DropBlock deletes a block, and nothing else. It reports whether there was
// one.
func (c *Client) DropBlock(cidr netip.Prefix) bool { return c.drop(blockKey(cidr)) }
