package ipam

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/pool"
)

// This file refuses what the allocator's release of Calico does not have yet (§16).

// tell tells [Options.Matters] of rules that make a difference.
func (a *Allocator) tell(rules ...func(*calico.Rules) *bool) {
	if a.matters == nil {
		return
	}
	for _, rule := range rules {
		a.matters(rule)
	}
}

// The rules that an operation tells of.
var (
	reclaims     = func(r *calico.Rules) *bool { return &r.ReclaimEmptyBlocks }
	lowers       = func(r *calico.Rules) *bool { return &r.LowerByReleased }
	queues       = func(r *calico.Rules) *bool { return &r.QueueByOrdinal }
	releasesAll  = func(r *calico.Rules) *bool { return &r.ReleasesLeaksAtOnce }
	freeNumbers  = func(r *calico.Rules) *bool { return &r.FreeHasNoNumber }
	findsByPools = func(r *calico.Rules) *bool { return &r.DisabledByAddress }
	checksUse    = func(r *calico.Rules) *bool { return &r.AssignIPChecksUse }
	ensuresBy6   = func(r *calico.Rules) *bool { return &r.EnsureByPools6 }
	readsConfig  = func(r *calico.Rules) *bool { return &r.ReleaseReadsConfig }
)

// supports refuses a use or a limit that the release does not have.
func (a *Allocator) supports(use pool.Use, maxAllocPerHandle int) error {
	if use == pool.LoadBalancer && !a.rules.LoadBalancer {
		return a.needs("use", string(use), func(r *calico.Rules) *bool { return &r.LoadBalancer })
	}
	if maxAllocPerHandle > 0 && !a.rules.CapsPerHandle {
		return a.needs("maxAllocPerHandle", strconv.Itoa(maxAllocPerHandle), func(r *calico.Rules) *bool { return &r.CapsPerHandle })
	}
	return nil
}

// supportsPool refuses a pool with a field that the release does not have.
func (a *Allocator) supportsPool(s pool.Spec) error {
	var errs []error
	for _, n := range newFields(&s) {
		errs = append(errs, a.needs(n.name, n.value, n.field))
	}
	return errors.Join(errs...)
}

// A newField is a field of a pool that some releases do not have.
type newField struct {
	field       func(*calico.Rules) *bool
	name, value string
}

// newFields returns those that the pool makes use of. A namespace selector that
// selects everything is as good as none.
func newFields(s *pool.Spec) (all []newField) {
	loadBalancer := func(r *calico.Rules) *bool { return &r.LoadBalancer }
	if selector := strings.TrimSpace(s.NamespaceSelector); selector != "" && selector != "all()" {
		all = append(all, newField{func(r *calico.Rules) *bool { return &r.NamespaceSelector }, "namespaceSelector", s.NamespaceSelector})
	}
	if slices.Contains(s.AllowedUses, pool.LoadBalancer) {
		all = append(all, newField{loadBalancer, "allowedUses", string(pool.LoadBalancer)})
	}
	if s.AssignmentMode == pool.Manual {
		all = append(all, newField{loadBalancer, "assignmentMode", string(pool.Manual)})
	}
	return all
}

// needs refuses what the release does not have yet, one field of the rules.
func (a *Allocator) needs(argument, value string, field func(*calico.Rules) *bool) error {
	if *field(&a.rules) {
		return nil
	}
	return invalid(argument, value, a.version.Without(field))
}
