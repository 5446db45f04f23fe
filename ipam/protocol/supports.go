package protocol

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// This file refuses what the clients' release of Calico does not have yet, as
// [ipam.Allocator] does (§16).

// supports refuses a use or a limit that a request may not have.
func (c *Cluster) supports(use pool.Use, maxAllocPerHandle int) error {
	switch {
	case use == pool.LoadBalancer && !c.rules.LoadBalancer:
		return c.version.Refuse("use", string(use), loadBalancer)
	case maxAllocPerHandle > 0 && !c.rules.CapsPerHandle:
		return c.version.Refuse("maxAllocPerHandle", strconv.Itoa(maxAllocPerHandle), func(r *ipam.Rules) *bool { return &r.CapsPerHandle })
	}
	return nil
}

// supportsPool refuses a pool with fields that it may not have, all of them at
// once. A namespace selector that selects everything is as good as none.
func (c *Cluster) supportsPool(s pool.Spec) error {
	var errs []error
	if all := strings.TrimSpace(s.NamespaceSelector); !c.rules.NamespaceSelector && all != "" && all != "all()" {
		errs = append(errs, c.version.Refuse("namespaceSelector", s.NamespaceSelector, func(r *ipam.Rules) *bool { return &r.NamespaceSelector }))
	}
	if !c.rules.LoadBalancer && slices.Contains(s.AllowedUses, pool.LoadBalancer) {
		errs = append(errs, c.version.Refuse("allowedUses", string(pool.LoadBalancer), loadBalancer))
	}
	if !c.rules.LoadBalancer && s.AssignmentMode == pool.Manual {
		errs = append(errs, c.version.Refuse("assignmentMode", string(s.AssignmentMode), loadBalancer))
	}
	return errors.Join(errs...)
}

// supportsConfig refuses a cooldown where there is none.
func (c *Cluster) supportsConfig(config ipam.Config) error {
	if config.IPCooldownSeconds > 0 && !c.rules.Cooldown {
		return c.version.Refuse("ipCooldownSeconds", strconv.Itoa(config.IPCooldownSeconds), func(r *ipam.Rules) *bool { return &r.Cooldown })
	}
	return nil
}

func loadBalancer(r *ipam.Rules) *bool { return &r.LoadBalancer }
