package sim

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/pool"
)

// Limits that keep a mistyped number from taking the machine's memory.
const (
	maxNodes    = 250_000 // that ever come up
	maxRequests = 50_000_000
	maxNameLen  = 253
	maxLimit    = 1_000_000 // of blocks
	maxNumber   = 1_000_000_000
	maxFor      = 366 * 24 * time.Hour
	minEvery    = time.Second
	minReaction = time.Millisecond

	// What events repeat is forgotten again: it takes time and not memory, but for
	// some of each node.
	maxRepeated = 1_000_000_000 // requests
	maxReplaced = 5_000_000     // nodes
)

// MaxBlockBits is how many blocks a pool may have room for, as a power of two: their
// number is an int. Calico has no such limit; a pool of IPv6 that is larger is planned
// with a part of it.
const MaxBlockBits = min(60, strconv.IntSize-2)

// Validate returns an error matching [ErrInvalid], with everything that is wrong
// with the scenario, or nil. [Run] does nothing before it has looked at all of it.
func (s *Scenario) Validate() error {
	full := s.withDefaults()
	v := validator{Scenario: &full, scratch: ipam.New(ipam.Options{Now: ipam.NewClock(start).Now, Calico: full.Release()})}
	v.release()
	v.pools()
	v.services()
	v.podGroups()
	v.nodes()
	v.configuration()
	if len(v.errs) == 0 { // what follows counts on these
		v.churn()
		v.times()
		v.cleaner()
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
	there   int             // nodes that are
	started int             // pods that nodes come up with
	count   map[string]int  // nodes by format
	named   map[string]bool // pools, and whether they are enabled
	blocks  uint64          // of all pools, each of which has at most 2^60
	running map[string]bool // pods of start-pod events
	windows bool            // some nodes run it

	repeats, replaced float64 // requests and nodes that events repeat, about
}

func (v *validator) bad(path, format string, args ...any) {
	v.errs = append(v.errs, &InvalidError{Path: path, Reason: fmt.Sprintf(format, args...)})
}

func (v *validator) release() {
	if _, err := calico.Parse(v.Calico); err != nil {
		v.bad("calico", "%q: must be a release of Calico such as v3.28 or v3.28.2", v.Calico)
	}
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
	v.named = make(map[string]bool)
	for i, p := range s.pools() {
		v.pool(p, func(field string) string { return at(i, field) })
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

// pool looks at a pool, and adds it. Its fields are in the paths that at returns.
func (v *validator) pool(p Pool, at func(field string) string) {
	spec := p.spec()
	of, err := pool.New(spec)
	var wrong *pool.InvalidError
	switch {
	case !p.CIDR.IsValid():
		v.bad(at("cidr"), "is missing: there is no pool without a CIDR")
		return
	case errors.As(err, &wrong):
		v.bad(at(wrong.Field), "%s: %s", wrong.Value, wrong.Reason)
		return
	case err != nil:
		v.bad(at("cidr"), "%v", err)
		return
	}
	if bits := of.BlockSize() - of.CIDR().Bits(); bits > MaxBlockBits {
		v.bad(at("cidr"), "%s: has 2^%d blocks of /%d, must have at most 2^%d: plan with a part of it", p.CIDR, bits, of.BlockSize(), MaxBlockBits)
	} else if v.blocks += 1 << bits; v.blocks > 1<<MaxBlockBits {
		v.bad(at("cidr"), "%s: makes more than 2^%d blocks in all", p.CIDR, MaxBlockBits)
		v.blocks = 0
	}
	if p.CIDR.Addr().Is4() != v.pools0().CIDR.Addr().Is4() {
		v.bad(at("cidr"), "%s: of another family than the first pool; each family is a scenario, as Read makes them", p.CIDR)
	}
	if _, known := v.named[p.Name]; known {
		v.bad(at("name"), "%q: is another pool's too", p.Name)
		return
	}
	v.named[p.Name] = !p.Disabled
	if err := v.scratch.SetPool(spec); err != nil {
		v.bad(at("cidr"), "%s: %v", p.CIDR, err)
	}
}

// pools0 returns the first pool.
func (v *validator) pools0() Pool { return v.Scenario.pools()[0] }

func (v *validator) nodes() {
	s := v.Scenario
	switch s.Order {
	case roundRobin, nodeByNode, random, oneByOne:
	default:
		v.bad("order", "%q: must be %s, %s, %s or %s", s.Order, roundRobin, nodeByNode, random, oneByOne)
	}
	v.names, v.count = make(map[string]bool), make(map[string]int)
	v.group("", &s.Group)
	for i := range s.Groups {
		v.group(fmt.Sprintf("groups[%d].", i), &s.Groups[i])
	}
}

// nodeFormat matches formats with one number, which may have leading zeros.
var nodeFormat = regexp.MustCompile(`^[^%]*%(0[1-9])?d[^%]*$`)

// group looks at a group, and takes its nodes up.
func (v *validator) group(path string, g *Group) {
	before := len(v.errs)
	if g.Nodes < 1 || g.Nodes > maxNodes {
		v.bad(path+"nodes", "%d: must be 1 to %d", g.Nodes, maxNodes)
	}
	if g.PodsPerNode < 0 || g.PodsPerNode > maxRequests {
		v.bad(path+"podsPerNode", "%d: must be 0 to %d", g.PodsPerNode, maxRequests)
	}
	if !nodeFormat.MatchString(g.NodeFormat) {
		v.bad(path+"nodeFormat", "%q: must hold one %%d, or %%06d say, and no other %%", g.NodeFormat)
	}
	if g.NumberFrom < 0 || g.NumberFrom > maxNumber {
		v.bad(path+"numberFrom", "%d: must be 0 to %d", g.NumberFrom, maxNumber)
	}
	if g.Windows && !v.Scenario.StrictAffinity {
		v.bad(path+"windows", "true without strictAffinity: Windows cannot route to an address of another node's block")
	}
	v.podsOf(path, g)
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
	if v.asked += v.askedAtMost(g); v.asked > maxRequests {
		v.bad(path+"nodes", "%d: makes more than %d requests in all", g.Nodes, maxRequests)
		return
	}
	if _, known := v.count[g.NodeFormat]; !known {
		v.count[g.NodeFormat] = g.NumberFrom
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
	v.there += g.Nodes
	v.windows = v.windows || g.Windows
	v.started += v.Scenario.starts(g)
}

// askedAtMost returns how many requests the group makes as it comes up, or some more,
// those of pods aside of which there is a number in all.
func (v *validator) askedAtMost(g *Group) int64 {
	n := int64(g.Nodes) * int64(g.PodsPerNode+1)
	for _, pods := range v.Scenario.podsOf(g) {
		n += int64(g.Nodes) * int64(pods)
	}
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
		v.bad("noAutoAllocateBlocks", "without strictAffinity: Calico refuses autoAllocateBlocks off while strict affinity is off")
	}
	if s.MaxBlocksPerHost < 0 || s.MaxBlocksPerHost > maxLimit {
		v.bad("maxBlocksPerHost", "%d: must be 0 to %d", s.MaxBlocksPerHost, maxLimit)
	}
	v.cooldown("ipCooldownSeconds", s.IPCooldownSeconds)
}

func (v *validator) cooldown(path string, seconds int) {
	if seconds < 0 || seconds > ipam.MaxCooldownSeconds {
		v.bad(path, "%d: must be 0 to %d", seconds, ipam.MaxCooldownSeconds)
		return
	}
	config := ipam.DefaultConfig()
	config.IPCooldownSeconds = seconds
	var wrong *ipam.Error
	if err := v.scratch.SetIPAMConfig(config); errors.As(err, &wrong) { // the release knows none
		v.bad(path, "%s: %s", wrong.Got, wrong.Detail)
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
	if c.For <= 0 || time.Duration(c.For) > maxFor {
		v.bad("churn.for", "%v: must be more than 0s and at most a year", c.For)
	}
	if restarts := c.PerSecond * time.Duration(c.For).Seconds(); len(v.errs) == 0 && restarts+float64(v.asked) > maxRequests {
		v.bad("churn", "%v a second for %v: makes more than %d requests in all", c.PerSecond, c.For, maxRequests)
	}
}

// times looks at how long the scenario runs, and at what happens all along.
func (v *validator) times() {
	s := v.Scenario
	if s.For < 0 || time.Duration(s.For) > maxFor {
		v.bad("for", "%v: must be more than 0s and at most a year", s.For)
	}
	if !(s.Leaks >= 0 && s.Leaks <= 1) {
		v.bad("leaks", "%v: must be a share, 0 to 1", s.Leaks)
	}
	if s.RetryEvery != 0 && time.Duration(s.RetryEvery) < minEvery {
		v.bad("retryEvery", "%v: must be %v or more", s.RetryEvery, minEvery)
	}
	if (s.Cleaner != nil || s.RetryEvery != 0) && s.end() == 0 {
		v.bad("for", "is missing: nothing is cleaned or asked for again unless time passes")
	}
}

func (v *validator) cleaner() {
	c := v.Scenario.Cleaner
	if c == nil {
		return
	}
	if c.GracePeriod != nil && *c.GracePeriod < 0 {
		v.bad("cleaner.gracePeriod", "%v: must be 0s or more", *c.GracePeriod)
	}
	if c.SyncPeriod < 0 {
		v.bad("cleaner.syncPeriod", "%v: must be 0s or more", c.SyncPeriod)
	}
	if c.Reaction != 0 && time.Duration(c.Reaction) < minReaction {
		v.bad("cleaner.reaction", "%v: must be %v or more", c.Reaction, minReaction)
	}
	for i, down := range c.Down {
		at := fmt.Sprintf("cleaner.down[%d].", i)
		if down.From < 0 {
			v.bad(at+"from", "%v: must be 0s or more", down.From)
		}
		if down.To <= down.From {
			v.bad(at+"to", "%v: must be after %v", down.To, down.From)
		}
		if i > 0 && down.From < c.Down[i-1].From {
			v.bad(at+"from", "%v: is before the one above it, at %v", down.From, c.Down[i-1].From)
		}
	}
}

// events looks at each event, and at them in their order.
func (v *validator) events() {
	v.running = make(map[string]bool)
	for i := range v.Scenario.Events {
		e := &v.Scenario.Events[i]
		at := fmt.Sprintf("events[%d].", i)
		if e.At < 0 {
			v.bad(at+"at", "%v: must be 0s or more", e.At)
		}
		if i > 0 && e.At < v.Scenario.Events[i-1].At {
			v.bad(at+"at", "%v: is before the event above it, at %v", e.At, v.Scenario.Events[i-1].At)
		}
		if !slices.Contains(allKinds, e.Do) { // what goes with it is unknown
			v.bad(at+"do", "%q: must be %s", e.Do, kinds())
			continue
		}
		v.superfluous(at, e)
		v.nodesOf(at, e)
		switch e.Do {
		case replaceNodes, interruptNodes, upgradeNodes, replacePods:
			v.repeated(at, e)
		case startPod, stopPod:
			v.pod(at, e)
		case addPool, disablePool:
			v.poolOf(at, e)
		case drainNodes, undrainNodes, removeNodes, setLabels:
		case addNodes:
			if e.Group == nil {
				v.bad(at+"group", "is missing: it says which nodes to add")
				continue
			}
			g := v.Scenario.added(e)
			v.group(at+"group.", &g)
		case scalePods:
			if e.Pods < 0 || e.Pods > maxRequests {
				v.bad(at+"pods", "%d: must be 0 to %d", e.Pods, maxRequests)
			} else if v.asked += int64(e.Pods); v.asked > maxRequests {
				v.bad(at+"pods", "%d: makes more than %d requests in all", e.Pods, maxRequests)
			}
			v.scaled(at, e)
		case setStrictAffinity:
			if !e.Strict && v.windows {
				v.bad(at+"strict", "false with Windows nodes: Calico then refuses them every address; leave strictAffinity on, or the nodes out")
			}
			if !e.Strict && v.Scenario.NoAutoAllocate {
				v.bad(at+"strict", "false with noAutoAllocateBlocks: Calico refuses strict affinity off while autoAllocateBlocks is off")
			}
		case setCooldown:
			v.cooldown(at+"seconds", e.Seconds)
		case setBlockLimit:
			if e.Limit < 0 || e.Limit > maxLimit {
				v.bad(at+"limit", "%d: must be 0 to %d", e.Limit, maxLimit)
			}
		}
	}
}

// allKinds are all kinds of events.
var allKinds = []string{
	drainNodes, undrainNodes, removeNodes, addNodes, replaceNodes, interruptNodes, upgradeNodes, replacePods, scalePods,
	startPod, stopPod, setLabels, addPool, disablePool, setStrictAffinity, setCooldown, setBlockLimit,
}

// kinds returns all kinds of events as text.
func kinds() string {
	text := ""
	for i, k := range allKinds {
		switch {
		case i == len(allKinds)-1:
			text += " or "
		case i > 0:
			text += ", "
		}
		text += k
	}
	return text
}

// nodesOf looks at the nodes that an event names.
func (v *validator) nodesOf(at string, e *Event) {
	switch e.Do {
	case drainNodes, undrainNodes, removeNodes, setLabels, startPod:
		if len(e.Nodes) == 0 {
			v.bad(at+"nodes", "is empty: %s is about nodes", e.Do)
		}
	}
	for j, name := range e.Nodes {
		there, known := v.names[name]
		switch {
		case !known:
			v.bad(fmt.Sprintf("%snodes[%d]", at, j), "%q: there never was such a node", name)
		case !there:
			v.bad(fmt.Sprintf("%snodes[%d]", at, j), "%q: was removed before", name)
		}
		if e.Do == removeNodes && there {
			v.names[name] = false
			v.there--
		}
	}
}

// repeated looks at an event that takes some of many, perhaps again and again.
func (v *validator) repeated(at string, e *Event) {
	s := v.Scenario
	most, what := v.there, "nodes"
	if e.Do == replacePods {
		most, what = max(1, v.started), "pods"
	}
	switch {
	case len(e.Nodes) > 0 && e.Count != 0:
		v.bad(at+"count", "and nodes: there is one or the other")
	case len(e.Nodes) == 0 && (e.Count < 1 || e.Count > most):
		v.bad(at+"count", "%d: must be 1 to %d, the %s there are", e.Count, most, what)
	}
	if e.Every != 0 && time.Duration(e.Every) < minEvery {
		v.bad(at+"every", "%v: must be %v or more", e.Every, minEvery)
		return
	}
	if e.Over < 0 {
		v.bad(at+"over", "%v: must be 0s or more", e.Over)
	}
	if s.For == 0 && e.Every > 0 {
		v.bad(at+"every", "needs for: how long the scenario runs")
	}
	if s.For == 0 && e.Over > 0 {
		v.bad(at+"over", "needs for: how long the scenario runs")
	}
	times := float64(s.times(e)) * float64(max(e.Count, len(e.Nodes)))
	switch e.Do {
	case upgradeNodes:
		times = float64(v.there)
	case replacePods:
		if v.repeats += times; v.repeats > maxRepeated {
			v.bad(at+"count", "%d: makes more than %d requests in all", e.Count, maxRepeated)
		}
		return
	}
	if v.replaced += times; v.replaced > maxReplaced {
		v.bad(at+"count", "%d: replaces more than %d nodes in all", e.Count, maxReplaced)
	}
	if v.repeats += times * float64(v.asked) / float64(max(1, len(v.names))); v.repeats > maxRepeated {
		v.bad(at+"count", "%d: makes more than %d requests in all", e.Count, maxRepeated)
	}
}

// pod looks at the pod of an event.
func (v *validator) pod(at string, e *Event) {
	namespace, name, _ := strings.Cut(e.Pod, "/")
	if namespace == "" || name == "" || strings.Contains(name, "/") {
		v.bad(at+"pod", "%q: must be namespace/name", e.Pod)
		return
	}
	running := v.running[e.Pod]
	v.running[e.Pod] = e.Do == startPod
	switch {
	case e.Do == startPod && running:
		v.bad(at+"pod", "%q: runs already", e.Pod)
	case e.Do == stopPod && !running:
		v.bad(at+"pod", "%q: does not run", e.Pod)
	}
	if len(e.Nodes) > 1 {
		v.bad(at+"nodes", "has %d: a pod runs on one node", len(e.Nodes))
	}
	if ip := e.Address; ip.IsValid() && !slices.ContainsFunc(v.scratch.Pools(), func(s pool.Spec) bool { return s.CIDR.Contains(ip) }) {
		v.bad(at+"address", "%s: is outside every pool", ip)
	}
}

// poolOf looks at the pool of an event.
func (v *validator) poolOf(at string, e *Event) {
	switch {
	case e.Pool == nil:
		v.bad(at+"pool", "is missing: it says which pool")
	case e.Do == addPool:
		v.pool(*e.Pool, func(field string) string { return at + "pool." + field })
	default:
		enabled, known := v.named[e.Pool.Name]
		only := Pool{Name: e.Pool.Name}
		switch {
		case !known:
			v.bad(at+"pool.name", "%q: there is no such pool", e.Pool.Name)
		case !enabled:
			v.bad(at+"pool.name", "%q: is disabled already", e.Pool.Name)
		case !reflect.DeepEqual(*e.Pool, only):
			v.bad(at+"pool", "has more than a name: %s is about a pool that exists", e.Do)
		}
		v.named[e.Pool.Name] = false
	}
}

// superfluous complains about what an event has and its kind does not.
func (v *validator) superfluous(at string, e *Event) {
	taking := []string{replaceNodes, interruptNodes, replacePods}
	for _, f := range []struct {
		name  string
		has   bool
		kinds []string
	}{
		{"nodes", len(e.Nodes) > 0, []string{drainNodes, undrainNodes, removeNodes, replaceNodes, interruptNodes, startPod, setLabels}},
		{"group", e.Group != nil, []string{addNodes}},
		{"labels", e.Labels != nil, []string{setLabels}},
		{"strict", e.Strict, []string{setStrictAffinity}},
		{"seconds", e.Seconds != 0, []string{setCooldown}},
		{"limit", e.Limit != 0, []string{setBlockLimit}},
		{"pool", e.Pool != nil, []string{addPool, disablePool}},
		{"count", e.Count != 0, append(taking, upgradeNodes)},
		{"every", e.Every != 0, append(taking, upgradeNodes)},
		{"over", e.Over != 0, taking},
		{"pod", e.Pod != "", []string{startPod, stopPod}},
		{"address", e.Address.IsValid(), []string{startPod}},
		{"pods", e.Pods != 0, []string{scalePods}},
		{"podGroup", e.PodGroup != "", []string{scalePods}},
	} {
		if f.has && !slices.Contains(f.kinds, e.Do) {
			v.bad(at+f.name, "does not go with %s", e.Do)
		}
	}
}
