package sim

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// Limits that keep a mistyped number from taking the machine's memory.
const (
	maxNodes    = 250_000 // that ever come up
	maxRequests = 50_000_000
	maxNameLen  = 253
	maxLimit    = 1_000_000 // of blocks
)

// MaxBlockBits is how many blocks a pool may have room for, as a power of two: their
// number is an int. Calico has no such limit; a pool of IPv6 that is larger is planned
// with a part of it.
const MaxBlockBits = min(60, strconv.IntSize-2)

// Validate returns an error matching [ErrInvalid], with everything that is wrong
// with the scenario, or nil. [Run] does nothing before it has looked at all of it.
func (s *Scenario) Validate() error {
	full := s.withDefaults()
	v := validator{Scenario: &full, scratch: ipam.New(ipam.Options{Now: ipam.NewClock(Start).Now})}
	v.pools()
	v.nodes()
	v.configuration()
	if len(v.errs) == 0 { // what follows counts on these
		v.churn()
		v.events()
	}
	return errors.Join(v.errs...)
}

// validator collects what is wrong.
type validator struct {
	*Scenario
	errs    []error
	scratch *ipam.Allocator // finds what shows only there
	asked   int64           // requests, at most
	names   map[string]bool // nodes, and whether they are still there
	count   map[string]int  // nodes by format
}

func (v *validator) bad(path, format string, args ...any) {
	v.errs = append(v.errs, &InvalidError{Path: path, Reason: fmt.Sprintf(format, args...)})
}

func (v *validator) pools() {
	s := v.Scenario
	at := func(i int, field string) string { return fmt.Sprintf("pools[%d].%s", i, field) }
	switch {
	case len(s.Pools) == 0:
		at = func(_ int, field string) string {
			return map[string]string{"cidr": "pool"}[field] + map[bool]string{true: field}[field != "cidr"]
		}
	case s.Pool.IsValid() || s.BlockSize != 0:
		v.bad("pools", "and a pool of the scenario's own: there is one or there are several")
	}
	named := make(map[string]bool)
	blocks := uint64(0) // in all: each pool has at most 2^60
	for i, p := range s.pools() {
		spec := p.spec()
		of, err := pool.New(spec)
		var wrong *pool.InvalidError
		switch {
		case !p.CIDR.IsValid():
			v.bad(at(i, "cidr"), "is missing: there is no pool without a CIDR")
			continue
		case errors.As(err, &wrong):
			v.bad(at(i, wrong.Field), "%s: %s", wrong.Value, wrong.Reason)
			continue
		case err != nil:
			v.bad(at(i, "cidr"), "%v", err)
			continue
		}
		if bits := of.BlockSize() - of.CIDR().Bits(); bits > MaxBlockBits {
			v.bad(at(i, "cidr"), "%s: has 2^%d blocks of /%d, must have at most 2^%d: plan with a part of it", p.CIDR, bits, of.BlockSize(), MaxBlockBits)
		} else if blocks += 1 << bits; blocks > 1<<MaxBlockBits {
			v.bad(at(i, "cidr"), "%s: makes more than 2^%d blocks in all", p.CIDR, MaxBlockBits)
			blocks = 0
		}
		if p.CIDR.Addr().Is4() != s.pools()[0].CIDR.Addr().Is4() {
			v.bad(at(i, "cidr"), "%s: of another family than the first pool", p.CIDR)
		}
		if named[p.Name] {
			v.bad(at(i, "name"), "%q: is another pool's too", p.Name)
			continue
		}
		named[p.Name] = true
		if err := v.scratch.SetPool(spec); err != nil {
			v.bad(at(i, "cidr"), "%s: %v", p.CIDR, err)
		}
	}
	if c := s.ServiceCIDR; c != (netip.Prefix{}) && c != c.Masked() {
		v.bad("serviceCIDR", "%s: has host bits, %s has none", c, c.Masked())
	}
	for i, entry := range s.Reservations {
		if _, warnings := pool.ParseReservations([]string{entry}); len(warnings) > 0 || strings.TrimSpace(entry) == "" {
			v.bad(fmt.Sprintf("reservations[%d]", i), "%q: must be an address or a CIDR", entry)
		}
	}
}

func (v *validator) nodes() {
	s := v.Scenario
	if s.Order != RoundRobin && s.Order != NodeByNode && s.Order != Random {
		v.bad("order", "%q: must be %s, %s or %s", s.Order, RoundRobin, NodeByNode, Random)
	}
	v.names, v.count = make(map[string]bool), make(map[string]int)
	v.group("", &s.Group)
	for i := range s.Groups {
		v.group(fmt.Sprintf("groups[%d].", i), &s.Groups[i])
	}
}

// group looks at a group, and takes its nodes up.
func (v *validator) group(path string, g *Group) {
	before := len(v.errs)
	if g.Nodes < 1 || g.Nodes > maxNodes {
		v.bad(path+"nodes", "%d: must be 1 to %d", g.Nodes, maxNodes)
	}
	if g.PodsPerNode < 0 || g.PodsPerNode > maxRequests {
		v.bad(path+"podsPerNode", "%d: must be 0 to %d", g.PodsPerNode, maxRequests)
	}
	if strings.Count(g.NodeFormat, "%") != 1 || !strings.Contains(g.NodeFormat, "%d") {
		v.bad(path+"nodeFormat", "%q: must hold one %%d and no other %%", g.NodeFormat)
	}
	if len(g.PodHistogram) > 0 && g.PodsPerNode != 0 {
		v.bad(path+"podHistogram", "and podsPerNode: there is one or the other")
	}
	total := 0
	for i, b := range g.PodHistogram {
		at := fmt.Sprintf("%spodHistogram[%d].", path, i)
		if b.Pods < 0 || b.Pods > maxRequests {
			v.bad(at+"pods", "%d: must be 0 to %d", b.Pods, maxRequests)
		}
		if b.Nodes < 0 || b.Nodes > maxNodes {
			v.bad(at+"nodes", "%d: must be 0 to %d", b.Nodes, maxNodes)
		}
		total += b.Nodes
	}
	if len(g.PodHistogram) > 0 && total == 0 {
		v.bad(path+"podHistogram", "has no nodes")
	}
	if len(v.errs) > before {
		return
	}
	if len(v.names)+g.Nodes > maxNodes {
		v.bad(path+"nodes", "%d: makes more than %d nodes in all", g.Nodes, maxNodes)
		return
	}
	if v.asked += g.askedAtMost(); v.asked > maxRequests {
		v.bad(path+"nodes", "%d: makes more than %d requests in all", g.Nodes, maxRequests)
		return
	}
	for i := range g.Nodes {
		name := fmt.Sprintf(g.NodeFormat, v.count[g.NodeFormat])
		v.count[g.NodeFormat]++
		if _, known := v.names[name]; known || len(name) > maxNameLen {
			v.bad(path+"nodeFormat", "%q: makes the name %q, which is another node's too or longer than %d bytes", g.NodeFormat, name, maxNameLen)
			return
		}
		v.names[name] = true
		if i > 0 {
			continue
		}
		if err := v.scratch.SetNode(ipam.Node{Name: name}); err != nil {
			v.bad(path+"nodeFormat", "%q: %v", g.NodeFormat, err)
			return
		}
	}
}

// askedAtMost returns how many requests the group makes as it comes up, or some more.
func (g *Group) askedAtMost() int64 {
	n := int64(g.Nodes) * int64(g.PodsPerNode+1)
	total := int64(0)
	for _, b := range g.PodHistogram {
		total += int64(b.Nodes)
	}
	for _, b := range g.PodHistogram {
		n += (int64(g.Nodes)*int64(b.Nodes)/total + 1) * int64(b.Pods)
	}
	return n
}

func (v *validator) configuration() {
	s := v.Scenario
	if s.NoAutoAllocate && !s.StrictAffinity {
		v.bad("noAutoAllocateBlocks", "without strictAffinity: Calico refuses nodes that can neither claim blocks nor borrow")
	}
	if s.MaxBlocksPerHost < 0 || s.MaxBlocksPerHost > maxLimit {
		v.bad("maxBlocksPerHost", "%d: must be 0 to %d", s.MaxBlocksPerHost, maxLimit)
	}
	v.cooldown("ipCooldownSeconds", s.IPCooldownSeconds)
}

func (v *validator) cooldown(path string, seconds int) {
	if seconds < 0 || seconds > ipam.MaxCooldownSeconds {
		v.bad(path, "%d: must be 0 to %d", seconds, ipam.MaxCooldownSeconds)
	}
}

func (v *validator) churn() {
	c := v.Scenario.Churn
	if c == nil {
		return
	}
	if !(c.PerSecond > 0 && c.PerSecond <= 1e6) {
		v.bad("churn.perSecond", "%v: must be more than 0 and at most 1,000,000", c.PerSecond)
	}
	if c.For <= 0 || time.Duration(c.For) > 366*24*time.Hour {
		v.bad("churn.for", "%v: must be more than 0s and at most a year", c.For)
	}
	if restarts := c.PerSecond * time.Duration(c.For).Seconds(); len(v.errs) == 0 && restarts+float64(v.asked) > maxRequests {
		v.bad("churn", "%v a second for %v: makes more than %d requests in all", c.PerSecond, c.For, maxRequests)
	}
}

// events looks at each event, and at them in their order.
func (v *validator) events() {
	for i := range v.Scenario.Events {
		e := &v.Scenario.Events[i]
		at := fmt.Sprintf("events[%d].", i)
		if e.At < 0 {
			v.bad(at+"at", "%v: must be 0s or more", e.At)
		}
		if i > 0 && e.At < v.Scenario.Events[i-1].At {
			v.bad(at+"at", "%v: is before the event above it, at %v", e.At, v.Scenario.Events[i-1].At)
		}
		v.superfluous(at, e)
		switch e.Do {
		case Drain, RemoveNodes, SetLabels:
			if len(e.Nodes) == 0 {
				v.bad(at+"nodes", "is empty: %s is about nodes", e.Do)
			}
			for j, name := range e.Nodes {
				there, known := v.names[name]
				switch {
				case !known:
					v.bad(fmt.Sprintf("%snodes[%d]", at, j), "%q: there never was such a node", name)
				case !there:
					v.bad(fmt.Sprintf("%snodes[%d]", at, j), "%q: was removed before", name)
				}
				if e.Do == RemoveNodes && known {
					v.names[name] = false
				}
			}
		case AddNodes:
			if e.Group == nil {
				v.bad(at+"group", "is missing: it says which nodes to add")
				continue
			}
			g := v.Scenario.added(e)
			v.group(at+"group.", &g)
		case SetStrictAffinity:
			if !e.Strict && v.Scenario.NoAutoAllocate {
				v.bad(at+"strict", "false with noAutoAllocateBlocks: Calico refuses nodes that can neither claim blocks nor borrow")
			}
		case SetCooldown:
			v.cooldown(at+"seconds", e.Seconds)
		default:
			v.bad(at+"do", "%q: must be %s, %s, %s, %s, %s or %s", e.Do, Drain, RemoveNodes, AddNodes, SetLabels, SetStrictAffinity, SetCooldown)
		}
	}
}

// superfluous complains about what an event has and its kind does not.
func (v *validator) superfluous(at string, e *Event) {
	for _, f := range []struct {
		name  string
		has   bool
		kinds []Kind
	}{
		{"nodes", len(e.Nodes) > 0, []Kind{Drain, RemoveNodes, SetLabels}},
		{"group", e.Group != nil, []Kind{AddNodes}},
		{"labels", e.Labels != nil, []Kind{SetLabels}},
		{"strict", e.Strict, []Kind{SetStrictAffinity}},
		{"seconds", e.Seconds != 0, []Kind{SetCooldown}},
	} {
		if f.has && !slices.Contains(f.kinds, e.Do) {
			v.bad(at+f.name, "does not go with %s", e.Do)
		}
	}
}
