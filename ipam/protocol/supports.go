package protocol

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/pool"
)

// This file refuses what the clients' release of Calico does not have yet, as
// [ipam.Allocator] does (§16).

// supports refuses a use or a limit that the release does not have.
func (c *Cluster) supports(use pool.Use, maxAllocPerHandle int) error {
	switch {
	case use == pool.LoadBalancer && !c.rules.LoadBalancer:
		return invalid("use", string(use), c.version.Without(loadBalancer))
	case maxAllocPerHandle > 0 && !c.rules.CapsPerHandle:
		return invalid("maxAllocPerHandle", strconv.Itoa(maxAllocPerHandle), c.version.Without(func(r *calico.Rules) *bool { return &r.CapsPerHandle }))
	}
	return nil
}

// supportsPool refuses a pool with fields that the release does not have, and
// names all of them. A namespace selector that selects everything counts as none.
func (c *Cluster) supportsPool(s pool.Spec) error {
	var errs []error
	if all := strings.TrimSpace(s.NamespaceSelector); !c.rules.NamespaceSelector && all != "" && all != "all()" {
		errs = append(errs, invalid("namespaceSelector", s.NamespaceSelector, c.version.Without(func(r *calico.Rules) *bool { return &r.NamespaceSelector })))
	}
	if !c.rules.LoadBalancer && slices.Contains(s.AllowedUses, pool.LoadBalancer) {
		errs = append(errs, invalid("allowedUses", string(pool.LoadBalancer), c.version.Without(loadBalancer)))
	}
	if !c.rules.LoadBalancer && s.AssignmentMode == pool.Manual {
		errs = append(errs, invalid("assignmentMode", string(s.AssignmentMode), c.version.Without(loadBalancer)))
	}
	return errors.Join(errs...)
}

// supportsConfig refuses a cooldown if the release has none.
func (c *Cluster) supportsConfig(config ipam.Config) error {
	if config.IPCooldownSeconds > 0 && !c.rules.Cooldown {
		return invalid("ipCooldownSeconds", strconv.Itoa(config.IPCooldownSeconds), c.version.Without(func(r *calico.Rules) *bool { return &r.Cooldown }))
	}
	return nil
}

func loadBalancer(r *calico.Rules) *bool { return &r.LoadBalancer }
