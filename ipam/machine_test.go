package ipam_test

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// A machine does operations on a subject and holds what comes of them against
// the model, in a small world where everything soon meets everything.
type machine struct {
	src   source
	got   subject
	want  *model
	clock *ipam.Clock
	raw   bool // the raw edits are among the operations

	actions []action // those that this machine does
	hosts   int      // how many hosts ask plainly

	state ipam.State // before the operation under way
	after ipam.State // after it, from observe on
	seen  bool       // observe was called
	log   []string
}

// start is where the clock begins: not at a whole second.
var start = time.Date(2026, 1, 1, 0, 0, 0, 250e6, time.UTC)

// newMachine returns a machine on a cluster of three nodes and some pools.
func newMachine(src source, make makeSubject, raw bool) (*machine, error) {
	clock := ipam.NewClock(start)
	m := &machine{src: src, got: make(clock), want: newModel(start), clock: clock, raw: raw}
	for _, n := range []ipam.Node{{Name: "n1", Labels: map[string]string{"zone": "a"}}, {Name: "n2", Labels: map[string]string{"zone": "b"}}, {Name: "n3"}} {
		if err := m.got.SetNode(n); err != nil {
			return nil, err
		}
		m.want.nodes[n.Name] = n.Labels
	}
	for _, i := range []int{0, 1, 5} {
		s := worldPools[i]
		if m.pick("uses of the first pools", 4) == 3 {
			s.AllowedUses = worldUses[i%2 : i%2+1]
		}
		if err := m.got.SetPool(s); err != nil {
			return nil, err
		}
		m.want.pools[s.Name] = s.WithDefaults()
	}
	m.state = m.got.State()
	m.hosts = 3 - m.pick("hosts left out", 3)
	all := actions
	if raw {
		all = rawActions
	}
	// Half of the machines do everything; the others do some things only, and
	// so get further with them.
	some := m.pick("everything", 2) == 1
	for i, a := range all {
		if !some || i < 2 || m.pick("leave out "+a.name, 3) == 0 {
			m.actions = append(m.actions, a)
		}
	}
	return m, nil
}

func spec(name, cidr string, blockSize int) pool.Spec {
	return pool.Spec{Name: name, CIDR: netip.MustParsePrefix(cidr), BlockSize: blockSize}
}

// The world is small: blocks of four addresses, of one, and of sixteen, and one
// pool that nobody can walk.
var (
	worldPools = []pool.Spec{
		spec("a", "10.0.0.0/28", 30),
		spec("b", "10.0.1.0/29", 31),
		spec("c", "10.0.2.0/30", 32),
		spec("d", "10.0.3.0/26", 28),
		spec("e", "10.0.4.0/29", 30),
		spec("v", "fd00::/124", 126),
		spec("w", "fd00:1::/48", 122),
		spec("a", "10.0.0.0/28", 29),           // another block size
		spec("x", "10.0.0.8/29", 30),           // overlaps a
		spec("d2", "10.0.3.0/26", 29),          // for when d is gone, with its blocks in the way
		spec("bad", "10.0.5.1/24", 26),         // host bits
		spec("bad", "10.0.5.0/24", 19),         // no such block size
		spec("", "10.0.5.0/24", 26),            // no name
		spec("bad", "::ffff:10.0.5.0/120", 30), // IPv4-mapped
	}
	worldHosts        = []string{"n1", "n2", "n3", "n4", "lb"}
	worldHandles      = []string{"h1", "h2", "h3", "", "h1\rold"}
	worldUses         = []pool.Use{pool.Workload, pool.Tunnel, pool.LoadBalancer, "", "Walk"}
	worldSelectors    = []string{"", "all()", "zone == 'a'", "!has(zone)", "zone in {'a','b'}", "zone =", "team == 'x'"}
	worldLabels       = []map[string]string{nil, {"zone": "a"}, {"zone": "b"}, {"zone": "c", "team": "x"}}
	worldNamespaces   = []map[string]string{nil, {}, {"team": "x"}}
	worldReservations = []string{
		"10.0.0.0/30", "10.0.0.5", "10.0.0.8/29", "10.0.1.1", "10.0.2.0/31", "10.0.3.0/27", " 10.0.3.40 ",
		"fd00::2", "fd00::8/125", "fd00:1::/49", "", "nonsense", "10.0.0.300",
	}
	worldOutside = []netip.Addr{
		netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"), {},
		netip.MustParseAddr("::ffff:10.0.0.1"), netip.MustParseAddr("fd00::1%eth0"),
	}
	worldCIDRs = []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/28"), netip.MustParsePrefix("10.0.3.0/26"), netip.MustParsePrefix("fd00::/124"),
		netip.MustParsePrefix("10.0.0.0/29"), netip.MustParsePrefix("10.0.0.4/31"), netip.MustParsePrefix("192.0.2.0/24"),
		netip.MustParsePrefix("10.0.0.0/16"), {}, netip.MustParsePrefix("10.0.0.1/28"), netip.MustParsePrefix("::ffff:10.0.0.0/124"),
	}
	worldAttrs = []block.Attrs{
		block.MakeAttrs(map[string]string{"namespace": "ns", "pod": "p1", "node": "n1"}),
		block.MakeAttrs(map[string]string{"namespace": "ns", "pod": "p2"}),
		{},
	}
	worldAdvances = []time.Duration{
		time.Second, 30 * time.Second, 59 * time.Second, time.Minute, 750 * time.Millisecond, 0, 20 * time.Minute,
	}
)

func (m *machine) pick(what string, n int) int { return m.src.pick(what, n) }

// one picks an element, the later ones less often.
func one[T any](m *machine, what string, from []T) T {
	n := len(from)
	if n > 2 && m.pick("likely "+what, 4) > 0 {
		n = (n + 1) / 2
	}
	return from[m.pick(what, n)]
}

func (m *machine) logf(format string, args ...any) {
	m.log = append(m.log, fmt.Sprintf(format, args...))
}

// observe looks at the state after an operation, whose reservations are given.
func (m *machine) observe(reserve4, reserve6 *ipam.HostReservation) {
	m.after, m.seen = m.got.State(), true
	m.want.absorb(&m.state, &m.after, reserve4, reserve6)
}

// unchanged says that the operation, which was refused or only looks, changed
// something.
func (m *machine) unchanged(what string) error {
	return sameState(what, &m.state, &m.after)
}

// refused holds an error against the expected one, both possibly nil. Whatever
// is refused must change nothing.
func (m *machine) refused(err, want error) error {
	if !m.seen {
		m.observe(nil, nil)
	}
	if (err == nil) != (want == nil) || !errors.Is(err, want) {
		return fmt.Errorf("error is %v, want %v", err, want)
	}
	if err != nil {
		return m.unchanged("a refused operation")
	}
	return nil
}

// step does one action and then looks at everything.
func (m *machine) step(a action) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("after:\n%s\n%w", strings.Join(m.log, "\n"), err)
		}
	}()
	m.want.tick(m.clock.Now())
	m.seen = false
	if err := a.do(m); err != nil {
		return err
	}
	if !m.seen {
		m.observe(nil, nil)
	}
	return m.check()
}

// check looks at everything that can be seen after an operation.
func (m *machine) check() error {
	if err := m.got.Check(); err != nil && (!m.raw || errors.Is(err, ipam.ErrStructure) || !errors.Is(err, ipam.ErrTruth)) {
		return fmt.Errorf("Check: %w", err)
	}
	s := &m.after
	errs := []error{m.want.compare(s), m.want.utilization(m.got.GetUtilization(), s)}
	errs = append(errs, m.checkHandles(), m.checkAddresses())
	if got, want := m.got.Summary(), summary(s); got != want {
		errs = append(errs, fmt.Errorf("summary is %+v, want %+v", got, want))
	}
	if m.got.GetIPAMConfig() != m.want.config {
		errs = append(errs, fmt.Errorf("configuration is %+v, want %+v", m.got.GetIPAMConfig(), m.want.config))
	}
	end := m.got.State()
	errs = append(errs, sameState("looking", s, &end))
	m.state = end
	return errors.Join(errs...)
}

// summary counts what a state lists.
func summary(s *ipam.State) ipam.Summary {
	owners := make(map[affinity.Owner]bool)
	sum := ipam.Summary{Blocks: len(s.Blocks)}
	for _, c := range s.Affinities {
		if c.State == affinity.Confirmed {
			owners[c.Owner] = true
			sum.Confirmed++
		}
	}
	sum.Owners = len(owners)
	return sum
}

// checkHandles: every handle holds what the model says.
func (m *machine) checkHandles() error {
	var errs []error
	for _, id := range []string{"h1", "h2", "h3", "nobody"} {
		var want []netip.Addr
		for ip, h := range m.want.held {
			if h.handle == id {
				want = append(want, ip)
			}
		}
		slices.SortFunc(want, netip.Addr.Compare)
		got, err := m.got.IPsByHandle(id)
		known := slices.ContainsFunc(m.after.Handles, func(h ipam.HandleState) bool { return h.ID == id })
		if known != (err == nil) || err != nil && !errors.Is(err, ipam.ErrDoesNotExist) {
			errs = append(errs, fmt.Errorf("IPsByHandle(%s): %v, known: %t", id, err, known))
		}
		got = slices.SortedFunc(slices.Values(got), netip.Addr.Compare)
		if !slices.Equal(got, want) {
			errs = append(errs, fmt.Errorf("%s holds %v, want %v", id, got, want))
		}
	}
	return errors.Join(errs...)
}

// checkAddresses: attributes, numbers and blocks of single addresses.
func (m *machine) checkAddresses() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	look := append(m.want.inUse(), netip.MustParseAddr("10.0.0.7"), netip.MustParseAddr("192.0.2.1"))
	for _, ip := range look {
		got, err := m.got.GetAssignmentAttributes(ip)
		seq := m.got.SequenceNumber(ip)
		h, held := m.want.held[ip]
		c, cooling := m.want.cooling[ip]
		_, enabled := m.want.enabledPoolOf(ip)
		switch {
		case enabled && held:
			want := ipam.Attributes{Handle: h.handle, Active: h.active, Alternate: h.alternate, Sequence: m.want.numbers[ip]}
			if err != nil || got != want {
				wrong("attributes of %s are %v, %v, want %v", ip, got, err, want)
			}
		case enabled && m.want.hostHeld[ip]:
			if err != nil || got.Handle != block.HostReservedHandle {
				wrong("attributes of host-reserved %s are %v, %v", ip, got, err)
			}
		case enabled && cooling && !m.want.cold(c):
			if !errors.Is(err, ipam.ErrIPInCooldown) {
				wrong("attributes of cooling %s: %v", ip, err)
			}
		case !errors.Is(err, ipam.ErrDoesNotExist):
			wrong("attributes of %s: %v, %v", ip, got, err)
		}
		if held && seq != m.want.numbers[ip] || !held && !cooling && seq != 0 {
			wrong("%s has number %d, want %d", ip, seq, m.want.numbers[ip])
		}
		cidr, owner, exists := m.got.BlockOf(ip)
		b := blockIn(&m.after, ip)
		if exists != (b != nil) || exists && (cidr != b.CIDR || owner != b.Owner) {
			wrong("block of %s is %s of %s, %t", ip, cidr, owner, exists)
		}
	}
	return errors.Join(errs...)
}

// The choices.

// ip picks an address: mostly one in use or in a pool, sometimes one outside.
func (m *machine) ip() netip.Addr {
	switch m.pick("kind of address", 8) {
	case 0, 1, 2, 3:
		if used := m.want.inUse(); len(used) > 0 {
			return used[m.pick("used", len(used))]
		}
	case 7:
		return worldOutside[m.pick("outside", len(worldOutside))]
	}
	s := worldPools[m.pick("pool", 7)]
	ip := s.CIDR.Addr()
	for range m.pick("address", 16) {
		ip = ip.Next()
	}
	return ip
}

// cidr picks a block, or some other prefix.
func (m *machine) cidr() netip.Prefix {
	if m.pick("kind of cidr", 3) > 0 {
		if n := len(m.state.Blocks); n > 0 {
			return m.state.Blocks[m.pick("block", n)].CIDR
		}
	}
	return one(m, "cidr", worldCIDRs)
}

// owner picks an owner, rarely one that cannot be.
func (m *machine) owner() affinity.Owner {
	o := affinity.HostOwner(one(m, "host", worldHosts))
	switch m.pick("type of owner", 12) {
	case 0:
		o.Type = affinity.Virtual
	case 1:
		o.Type = "ghost"
	case 2:
		o.Name = ""
	}
	return o
}

// reserve picks a host reservation, mostly none.
func (m *machine) reserve() *ipam.HostReservation {
	if m.pick("reserve", 5) < 4 {
		return nil
	}
	return m.someReserve()
}

func (m *machine) someReserve() *ipam.HostReservation {
	r := &ipam.HostReservation{StartOfBlock: 1, EndOfBlock: 1, Handle: block.HostReservedHandle, Note: "w"}
	switch m.pick("reservation", 8) {
	case 0:
		r.StartOfBlock = 3
	case 1:
		r.EndOfBlock = 0
	case 2:
		r.StartOfBlock, r.EndOfBlock = 0, 0
	case 3:
		r.StartOfBlock = -1
	case 4:
		r.StartOfBlock = 8
	case 5:
		r.EndOfBlock = 4
	case 6:
		r.EndOfBlock = 5000 // more than any block has
	}
	return r
}

// count picks how many addresses are wanted.
func (m *machine) count(what string, least int) int {
	counts := []int{1, 2, 3, 6, 30, -1, tooMany}
	if least == 0 {
		counts = append([]int{0, 0, 0}, counts...)
	}
	n := len(counts)
	if m.pick("odd "+what, 20) < 19 {
		n -= 2
	}
	return counts[m.pick(what, n)]
}

// An action is one kind of operation.
type action struct {
	name string
	do   func(*machine) error
}

// actions are what users do; some stand there twice to happen more often.
var actions = []action{
	{"AutoAssign plainly", (*machine).AutoAssignPlainly},
	{"AutoAssign plainly again", (*machine).AutoAssignPlainly},
	{"AutoAssign", (*machine).AutoAssign},
	{"AutoAssign again", (*machine).AutoAssign},
	{"AssignIP", (*machine).AssignIP},
	{"EnsureBlock", (*machine).EnsureBlock},
	{"ReleaseIPs", (*machine).ReleaseIPs},
	{"ReleaseByHandle", (*machine).ReleaseByHandle},
	{"SetOwnerAttributes", (*machine).SetOwnerAttributes},
	{"ClaimAffinity", (*machine).ClaimAffinity},
	{"ReleaseAffinity", (*machine).ReleaseAffinity},
	{"ReleaseHostAffinities", (*machine).ReleaseHostAffinities},
	{"ReleasePoolAffinities", (*machine).ReleasePoolAffinities},
	{"ReleaseBlockAffinity", (*machine).ReleaseBlockAffinity},
	{"SetIPAMConfig", (*machine).SetIPAMConfig},
	{"SetPool", (*machine).SetPool},
	{"SetPool again", (*machine).SetPool},
	{"DeletePool", (*machine).DeletePool},
	{"SetNode", (*machine).SetNode},
	{"DeleteNode", (*machine).DeleteNode},
	{"SetReservations", (*machine).SetReservations},
	{"GarbageCollectColdIPs", (*machine).GarbageCollectColdIPs},
	{"Advance", (*machine).Advance},
	{"Advance again", (*machine).Advance},
}

// rawActions are these and the edits behind the allocator's back.
var rawActions = append(slices.Clip(actions),
	action{"PutAffinity", (*machine).PutAffinity},
	action{"DropAffinity", (*machine).DropAffinity},
	action{"DropBlock", (*machine).DropBlock},
	action{"PutIPAMConfig", (*machine).PutIPAMConfig},
)

// AutoAssignPlainly asks for an address as most pods do.
func (m *machine) AutoAssignPlainly() error {
	return m.autoAssign(ipam.AutoAssignArgs{
		Host:   worldHosts[m.pick("host", m.hosts)],
		Num4:   1,
		Num6:   m.pick("num6", 2),
		Handle: worldHandles[m.pick("handle", 3)],
		Attrs:  worldAttrs[m.pick("attrs", 2)],
		Use:    worldUses[m.pick("use", 2)],
	})
}

// AutoAssign asks for addresses in every way there is.
func (m *machine) AutoAssign() error {
	r := ipam.AutoAssignArgs{
		Host:          one(m, "host", worldHosts),
		Num4:          m.count("num4", 1),
		Num6:          m.count("num6", 0),
		Handle:        one(m, "handle", worldHandles),
		Attrs:         one(m, "attrs", worldAttrs),
		Use:           one(m, "use", worldUses),
		HostReserved4: m.reserve(),
		HostReserved6: m.reserve(),
		Namespace:     worldNamespaces[m.pick("namespace", len(worldNamespaces))],
	}
	switch m.pick("limit", 6) {
	case 4:
		r.MaxBlocksPerHost = 1 + m.pick("blocks", 3)
	case 5:
		r.MaxAllocPerHandle = 1 + m.pick("max alloc", 6)
	}
	switch m.pick("pools", 14) {
	case 1, 2:
		r.Pools4 = []netip.Prefix{worldPools[m.pick("pool", 5)].CIDR}
	case 3:
		r.Pools4 = []netip.Prefix{worldPools[3].CIDR, worldPools[0].CIDR, worldPools[0].CIDR}
	case 4:
		r.Pools4 = []netip.Prefix{worldPools[5].CIDR}
	case 5:
		r.Pools4 = []netip.Prefix{netip.MustParsePrefix("10.0.0.1/28")}
	case 6:
		r.Pools6 = []netip.Prefix{worldPools[6].CIDR}
	case 7:
		r.Pools6 = []netip.Prefix{worldPools[5].CIDR, worldPools[6].CIDR}
	case 8:
		r.Pools6 = []netip.Prefix{worldPools[0].CIDR}
	case 9:
		r.Pools6 = []netip.Prefix{worldPools[5].CIDR, netip.MustParsePrefix("fd00::1/124")}
	}
	return m.autoAssign(r)
}

// autoAssign makes the request and judges the answer.
func (m *machine) autoAssign(r ipam.AutoAssignArgs) error {
	v4, v6, err := m.got.AutoAssign(r)
	m.observe(r.HostReserved4, r.HostReserved6)
	shown := r
	shown.HostReserved4, shown.HostReserved6 = nil, nil
	m.logf("AutoAssign %+v %s %s = %v %v %v", shown, show(r.HostReserved4), show(r.HostReserved6), v4, v6, err)

	d4 := demand{r.Host, r.Use, true, r.Pools4, r.HostReserved4, r.Namespace}
	d6 := demand{r.Host, r.Use, false, r.Pools6, r.HostReserved6, r.Namespace}
	if r.Num4 < 0 || r.Num6 < 0 || r.Num4 == tooMany || r.Num6 == tooMany || slices.ContainsFunc(slices.Concat(r.Pools4, r.Pools6), badCIDR) {
		return errors.Join(m.refused(err, ipam.ErrInvalidArgument), m.empty(v4, v6))
	}
	if r.Num4 > 0 {
		pools, refusal := m.want.choose(&d4)
		if refusal != nil {
			return errors.Join(m.refused(err, refusal), m.empty(v4, v6))
		}
		var refusal6 error
		if r.Num6 > 0 {
			_, refusal6 = m.want.choose(&d6)
		}
		late := err // is it of IPv4?
		if len(v4.IPs) >= r.Num4 || slices.ContainsFunc(v4.Msgs, ended) || errors.Is(err, ipam.ErrWrongFamily) {
			late = nil
		}
		if errors.Is(refusal6, ipam.ErrWrongFamily) && late == nil {
			// What was given out is not named, but is to be found.
			if err := m.empty(v4, v6); err != nil {
				return err
			}
			v4 = m.unnamed(&r)
		}
		if err := m.answer(&r, &d4, pools, r.Num4, v4, late); err != nil {
			return fmt.Errorf("IPv4: %w", err)
		}
		if late != nil {
			return m.empty(ipam.Assignment{}, v6)
		}
		if refusal6 != nil && errors.Is(err, refusal6) {
			return m.empty(ipam.Assignment{}, v6)
		}
		if refusal6 != nil {
			return fmt.Errorf("error is %v, want %w", err, refusal6)
		}
	}
	if r.Num6 > 0 {
		pools, refusal := m.want.choose(&d6)
		if refusal != nil && r.Num4 == 0 {
			return errors.Join(m.refused(err, refusal), m.empty(v4, v6))
		}
		if err := m.answer(&r, &d6, pools, r.Num6, v6, err); err != nil {
			return fmt.Errorf("IPv6: %w", err)
		}
	}
	if r.Num4 == 0 && r.Num6 == 0 {
		return errors.Join(m.refused(err, nil), m.empty(v4, v6), m.unchanged("a request for nothing"))
	}
	return nil
}

// ended reports whether a message says that a family came to its end without
// an error.
func ended(msg string) bool {
	return msg == "strict-affinity" || strings.HasPrefix(msg, "exhausted:")
}

func show(r *ipam.HostReservation) string {
	if r == nil {
		return "-"
	}
	return fmt.Sprintf("%+v", *r)
}

func (m *machine) empty(v4, v6 ipam.Assignment) error {
	if len(v4.IPs)+len(v6.IPs)+len(v4.Msgs)+len(v6.Msgs) > 0 {
		return fmt.Errorf("the answer should be empty, is %v %v", v4, v6)
	}
	return nil
}

// unnamed finds the IPv4 addresses that were given out without being named.
func (m *machine) unnamed(r *ipam.AutoAssignArgs) (v4 ipam.Assignment) {
	for _, b := range m.after.Blocks {
		for _, al := range b.Allocations {
			ip := b.Addr(al.Ordinal)
			if _, held := m.want.held[ip]; !held && ip.Is4() && al.ReleasedAt.IsZero() && !m.want.hostHeld[ip] {
				v4.IPs = append(v4.IPs, netip.PrefixFrom(ip, b.CIDR.Bits()))
			}
		}
	}
	if len(v4.IPs) < r.Num4 {
		v4.Msgs = []string{"not named"}
	}
	return v4
}

// answer judges the answer for one family, of which num addresses were asked.
func (m *machine) answer(r *ipam.AutoAssignArgs, d *demand, pools []pool.Spec, num int, a ipam.Assignment, err error) error {
	if err != nil && !slices.ContainsFunc([]error{ipam.ErrBlockLimit, ipam.ErrNoBlock, ipam.ErrBlockTooSmall, ipam.ErrBadHostReservation},
		func(want error) bool { return errors.Is(err, want) }) {
		return fmt.Errorf("unexpected error %w", err)
	}
	if errors.Is(err, ipam.ErrBadHostReservation) && d.reserve == nil {
		return fmt.Errorf("without a reservation: %w", err)
	}
	handle := cutHandle(r.Handle)
	fresh, old := 0, 0
	for _, p := range a.IPs {
		if h, held := m.want.held[p.Addr()]; held && p.IsSingleIP() && r.MaxAllocPerHandle > 0 && h.handle == handle && handle != "" {
			old++ // it had enough, and is told what
			continue
		}
		fresh++
		if err := m.given(r, d, pools, p); err != nil {
			return err
		}
	}
	if fresh > num || old != 0 && old != num {
		return fmt.Errorf("asked for %d, got %d new and %d old", num, fresh, old)
	}
	if l := r.MaxAllocPerHandle; l > 0 && fresh > 0 && handle != "" && total(&m.after, handle, d.is4) > l {
		return fmt.Errorf("%s counts %d, over its limit %d", handle, total(&m.after, handle, d.is4), l)
	}
	if err := m.limits(r, d, pools, a, err); err != nil {
		return err
	}
	if fresh+old >= num {
		return err // satisfied: there should be none
	}
	if err == nil && len(a.Msgs) == 0 {
		return errors.New("a short answer without a message")
	}
	if err == nil && !m.want.config.StrictAffinity && (handle == "" || r.MaxAllocPerHandle == 0) {
		if ip, ok := m.left(d, pools); ok {
			return fmt.Errorf("a short answer though %s could be had", ip)
		}
	}
	return m.recovered(d, pools)
}

// given judges one address of an answer and notes who has it.
func (m *machine) given(r *ipam.AutoAssignArgs, d *demand, pools []pool.Spec, p netip.Prefix) error {
	ip, w := p.Addr(), m.want
	if h, held := w.held[ip]; held {
		return fmt.Errorf("%s is held by %q and was given out", ip, h.handle)
	}
	s, usable := in(pools, ip)
	c, cooling := w.cooling[ip]
	switch {
	case ip.Is4() != d.is4:
		return fmt.Errorf("%s is of the wrong family", ip)
	case !usable:
		return fmt.Errorf("%s is in none of the pools that may be used", ip)
	case w.hostHeld[ip]:
		return fmt.Errorf("%s is reserved for the host and was given out", ip)
	case cooling && !w.cold(c):
		return fmt.Errorf("%s cools since %d and was given out at %d", ip, c.at, w.now.Unix())
	case w.reservations.Contains(ip):
		return fmt.Errorf("%s is reserved and was given out", ip)
	case p.Bits() != s.BlockSize:
		return fmt.Errorf("%s has not the mask of its block", p)
	}
	if b := blockIn(&m.after, ip); w.config.StrictAffinity && (b == nil || b.Owner != d.owner()) {
		return fmt.Errorf("%s is from another's block, with strict affinity", ip)
	}
	return w.newHolder(ip, holding{handle: cutHandle(r.Handle), active: r.Attrs}, &m.after)
}

// limits judges how many blocks the owner has now.
func (m *machine) limits(r *ipam.AutoAssignArgs, d *demand, pools []pool.Spec, a ipam.Assignment, err error) error {
	limit := m.want.config.MaxBlocksPerHost
	if limit == 0 || r.MaxBlocksPerHost > 0 && r.MaxBlocksPerHost < limit {
		limit = r.MaxBlocksPerHost
	}
	if limit == 0 {
		limit = 20
	}
	usable := func(s *ipam.State) int {
		n := 0
		for _, c := range s.Affinities {
			if p, ok := in(pools, c.CIDR.Addr()); ok && p.BlockSize == c.CIDR.Bits() && c.Owner == d.owner() {
				n++
			}
		}
		return n
	}
	if was, is := usable(&m.state), usable(&m.after); is > max(was, limit) {
		return fmt.Errorf("%s has %d blocks after %d, over the limit of %d", d.owner(), is, was, limit)
	}
	if errors.Is(err, ipam.ErrBlockLimit) != slices.Contains(a.Msgs, fmt.Sprintf("block-limit:%d", limit)) {
		return fmt.Errorf("limit of %d: messages %v, error %v", limit, a.Msgs, err)
	}
	if !m.want.config.AutoAllocateBlocks {
		for _, b := range m.after.Blocks {
			if was := blockIn(&m.state, b.CIDR.Addr()); b.Owner == d.owner() && (was == nil || was.Owner != b.Owner) && !m.raw {
				return fmt.Errorf("%s was claimed, with automatic allocation off", b.CIDR)
			}
		}
	}
	return nil
}

// left finds an address that a request could have had.
func (m *machine) left(d *demand, pools []pool.Spec) (netip.Addr, bool) {
	for _, s := range pools {
		if s.BlockSize-s.CIDR.Bits() > 8 {
			continue // nobody can look everywhere
		}
		for ip := s.CIDR.Addr(); s.CIDR.Contains(ip); ip = ip.Next() {
			if m.want.reservations.Contains(ip) || m.want.hostHeld[ip] {
				continue
			}
			if _, held := m.want.held[ip]; held {
				continue
			}
			if c, cooling := m.want.cooling[ip]; cooling && !m.want.cold(c) {
				continue
			}
			return ip, true
		}
	}
	return netip.Addr{}, false
}

// recovered: a request that stayed short has met all usable affinities of its
// owner, so that none is left that is not confirmed and true.
func (m *machine) recovered(d *demand, pools []pool.Spec) error {
	for _, c := range m.after.Affinities {
		s, usable := in(pools, c.CIDR.Addr())
		if c.Owner != d.owner() || !usable || s.BlockSize != c.CIDR.Bits() || m.want.reservations.CoversPrefix(c.CIDR) || d.reserve != nil {
			continue
		}
		b := blockIn(&m.after, c.CIDR.Addr())
		if c.State != affinity.Confirmed || b == nil || b.Owner != c.Owner {
			return fmt.Errorf("%s of %s was met and is still %s", c.CIDR, c.Owner, c.State)
		}
	}
	return nil
}

// AssignIP asks for a given address.
func (m *machine) AssignIP() error {
	r := ipam.AssignIPArgs{
		IP: m.ip(), Host: one(m, "host", worldHosts), Handle: one(m, "handle", worldHandles), Attrs: one(m, "attrs", worldAttrs),
		HostReserved: m.reserve(),
	}
	if m.pick("use given", 3) > 0 {
		r.Use = one(m, "use", worldUses)
	}
	if m.pick("limit", 4) == 3 {
		r.MaxAllocPerHandle = 1 + m.pick("max alloc", 3)
	}
	err := m.got.AssignIP(r)
	m.observe(r.HostReserved, r.HostReserved)
	shown := r
	shown.HostReserved = nil
	m.logf("AssignIP %+v %s = %v", shown, show(r.HostReserved), err)

	want, already := m.want.assignIP(&r, &m.state)
	if existed := blockIn(&m.state, r.IP); existed != nil || blockIn(&m.after, r.IP) == nil {
		if err := m.refused(err, want); err != nil {
			return err
		}
	} else if (err == nil) != (want == nil) || !errors.Is(err, want) {
		return fmt.Errorf("error is %v, want %v", err, want)
	}
	if already {
		return m.unchanged("asking for what one has")
	}
	if err != nil {
		return nil
	}
	return m.want.newHolder(r.IP, holding{handle: cutHandle(r.Handle), active: r.Attrs}, &m.after)
}

// assignIP says what becomes of the request, in the state before it, and
// whether the handle has the address already: CALICO.md §9.
func (w *model) assignIP(r *ipam.AssignIPArgs, s *ipam.State) (refusal error, already bool) {
	if !r.IP.IsValid() || r.IP.Is4In6() || r.IP.Zone() != "" {
		return ipam.ErrInvalidArgument, false
	}
	p, ok := w.enabledPoolOf(r.IP)
	switch {
	case !ok:
		return ipam.ErrNotInPool, false
	case r.Use != "" && !allows(p, r.Use):
		return ipam.ErrUseNotAllowed, false
	}
	d := demand{host: r.Host, use: r.Use}
	b := blockIn(s, r.IP)
	if h := r.HostReserved; b == nil && h != nil {
		if n := h.StartOfBlock + h.EndOfBlock; h.StartOfBlock < 0 || n > 1<<(p.CIDR.Addr().BitLen()-p.BlockSize) {
			return ipam.ErrBadHostReservation, false
		}
	}
	if b != nil && w.config.StrictAffinity && b.Owner != d.owner() {
		return ipam.ErrAffinityMismatch, false
	}
	handle := cutHandle(r.Handle)
	limited := handle != "" && r.MaxAllocPerHandle > 0
	if h, held := w.held[r.IP]; held && limited && h.handle == handle {
		return nil, true
	} else if held || w.hostHeld[r.IP] {
		return ipam.ErrAlreadyExists, false
	}
	if c, cooling := w.cooling[r.IP]; cooling && !w.cold(c) {
		return ipam.ErrAlreadyExists, false
	}
	if limited && total(s, handle, r.IP.Is4())+1 > r.MaxAllocPerHandle {
		return ipam.ErrMaxAlloc, false
	}
	return nil, false
}

// EnsureBlock asks for a block.
func (m *machine) EnsureBlock() error {
	r := ipam.EnsureBlockArgs{Host: one(m, "host", worldHosts), HostReserved4: m.someReserve()}
	if m.pick("both", 3) == 2 {
		r.HostReserved6 = m.someReserve()
	}
	if m.pick("pools", 3) == 2 {
		r.Pools4 = []netip.Prefix{worldPools[m.pick("pool", 6)].CIDR}
	}
	b4, b6, err := m.got.EnsureBlock(r)
	m.observe(r.HostReserved4, r.HostReserved6)
	m.logf("EnsureBlock %s %v %s %s = %v %v %v", r.Host, r.Pools4, show(r.HostReserved4), show(r.HostReserved6), b4, b6, err)

	d := demand{r.Host, pool.Workload, true, r.Pools4, r.HostReserved4, nil}
	pools, refusal := m.want.choose(&d)
	if refusal != nil {
		return m.refused(err, refusal)
	}
	if err != nil {
		if b4.IsValid() || b6.IsValid() {
			return fmt.Errorf("an error and blocks %v %v", b4, b6)
		}
		return nil // full, or of IPv6
	}
	s, usable := in(pools, b4.Addr())
	b := blockIn(&m.after, b4.Addr())
	if !usable || b4.Bits() != s.BlockSize || b == nil || b.Owner != d.owner() || m.want.reservations.CoversPrefix(b4) {
		return fmt.Errorf("block %v is not one that %s may use", b4, r.Host)
	}
	if b6.IsValid() != (r.HostReserved6 != nil) {
		return fmt.Errorf("block %v", b6)
	}
	return nil
}

// ReleaseIPs gives back one address or several.
func (m *machine) ReleaseIPs() error {
	var rs []ipam.Release
	var text []string
	for range 1 + m.pick("releases", 3) {
		r := ipam.Release{IP: m.ip()}
		if m.pick("handle given", 3) == 2 {
			r.Handle = one(m, "handle", worldHandles)
		}
		seq := "any"
		if m.pick("sequence given", 3) == 2 {
			number := m.got.SequenceNumber(r.IP)
			if m.pick("stale", 2) == 1 {
				number--
			}
			r.Sequence, seq = &number, fmt.Sprint(number)
		}
		rs = append(rs, r)
		text = append(text, fmt.Sprintf("%s of %q number %s", r.IP, r.Handle, seq))
	}
	wantUnallocated, wantReleased, freed, wantErr := m.want.releaseIPs(rs, &m.state)
	unallocated, released, err := m.got.ReleaseIPs(rs...)
	m.observe(nil, nil)
	m.logf("ReleaseIPs %s = %v %v %v", strings.Join(text, ", "), unallocated, released, err)

	if len(freed) == 0 {
		if err := m.unchanged("a release of nothing"); err != nil {
			return err
		}
	}
	if (err == nil) != (wantErr == nil) || !errors.Is(err, wantErr) {
		return fmt.Errorf("error is %v, want %v", err, wantErr)
	}
	if got, want := sorted(unallocated), sorted(wantUnallocated); !slices.Equal(got, want) {
		return fmt.Errorf("unallocated are %v, want %v", got, want)
	}
	if got, want := sorted(released), sorted(wantReleased); !slices.Equal(got, want) {
		return fmt.Errorf("released are %v, want %v", got, want)
	}
	for _, ip := range freed {
		m.want.release(ip)
	}
	return nil
}

func sorted(ips []netip.Addr) []netip.Addr {
	return slices.SortedFunc(slices.Values(ips), netip.Addr.Compare)
}

// releaseIPs says what becomes of the releases: CALICO.md §9.
func (w *model) releaseIPs(rs []ipam.Release, s *ipam.State) (unallocated, released, freed []netip.Addr, err error) {
	batches := make(map[netip.Prefix][]ipam.Release)
	for _, r := range rs {
		if !r.IP.IsValid() || r.IP.Is4In6() || r.IP.Zone() != "" {
			return nil, nil, nil, ipam.ErrInvalidArgument
		}
		if b := blockIn(s, r.IP); b != nil {
			batches[b.CIDR] = append(batches[b.CIDR], r)
			continue
		}
		unallocated = append(unallocated, r.IP)
		if _, ok := w.poolOf(r.IP); ok {
			released = append(released, r.IP)
		}
	}
	blocks := slices.SortedFunc(maps.Keys(batches), affinity.CompareCIDRNames)
	for _, cidr := range blocks {
		free, gone, failed := w.releaseBatch(batches[cidr], blockIn(s, cidr.Addr()))
		if failed != nil {
			if err == nil {
				err = failed
			}
			continue
		}
		for _, r := range batches[cidr] {
			released = append(released, r.IP)
		}
		unallocated = append(unallocated, free...)
		freed = append(freed, gone...)
	}
	return unallocated, released, freed, err
}

func (w *model) releaseBatch(rs []ipam.Release, b *ipam.BlockState) (free, gone []netip.Addr, err error) {
	for i, r := range rs {
		if slices.ContainsFunc(rs[i+1:], func(later ipam.Release) bool { return later.IP == r.IP }) {
			continue
		}
		var number uint64
		for _, al := range b.Allocations {
			if b.Addr(al.Ordinal) == r.IP {
				number = al.Seq
			}
		}
		c, cooling := w.cooling[r.IP]
		if cooling && w.cold(c) {
			number = 0
		}
		h, held := w.held[r.IP]
		if w.hostHeld[r.IP] {
			h, held = holding{handle: block.HostReservedHandle}, true
		}
		switch {
		case r.Sequence != nil && *r.Sequence != number:
			return nil, nil, ipam.ErrBadSequenceNumber
		case !held:
			free = append(free, r.IP)
		case r.Handle != "" && cutHandle(r.Handle) != h.handle:
			return nil, nil, ipam.ErrBadHandle
		default:
			gone = append(gone, r.IP)
		}
	}
	return free, gone, nil
}

// ReleaseByHandle gives back all that a handle holds.
func (m *machine) ReleaseByHandle() error {
	id := one(m, "handle", []string{"h1", "h2", "h3", "h1\rold", "nobody"})
	err := m.got.ReleaseByHandle(id)
	m.logf("ReleaseByHandle %q = %v", id, err)
	id = cutHandle(id)
	if !slices.ContainsFunc(m.state.Handles, func(h ipam.HandleState) bool { return h.ID == id }) {
		return m.refused(err, ipam.ErrDoesNotExist)
	}
	for _, ip := range m.want.inUse() {
		if h, held := m.want.held[ip]; held && h.handle == id {
			m.want.release(ip)
		}
	}
	return m.refused(err, nil)
}

// SetOwnerAttributes changes the owners of an address.
func (m *machine) SetOwnerAttributes() error {
	ip, handle := m.ip(), one(m, "handle", worldHandles)
	if h, held := m.want.held[ip]; held && m.pick("right handle", 3) < 2 {
		handle = h.handle
	}
	var update ipam.OwnerUpdate
	var pre ipam.OwnerPreconditions
	update.Active, update.ClearActive = one(m, "active", worldAttrs), m.pick("clear active", 4) == 3
	if update.ClearActive && m.pick("both", 3) > 0 {
		update.Active = block.Attrs{}
	}
	if m.pick("alternate too", 2) == 1 {
		update.Alternate = one(m, "alternate", worldAttrs)
	}
	var expected ipam.OwnerRef
	switch m.pick("precondition", 4) {
	case 1:
		expected = ipam.OwnerRef{Namespace: "ns", Name: "p1"}
		pre.Active = &expected
	case 2:
		pre.ActiveEmpty = true
	case 3:
		pre.AlternateEmpty = true
	}
	err := m.got.SetOwnerAttributes(ip, handle, update, pre)
	m.logf("SetOwnerAttributes %s %q %+v %v %t %t = %v", ip, handle, update, expected, pre.ActiveEmpty, pre.AlternateEmpty, err)

	want := m.want.setOwner(ip, handle, update, pre)
	if err := m.refused(err, want); err != nil || want != nil {
		return err
	}
	// The record is shared: the change shows on all that point at it.
	b := blockIn(&m.state, ip)
	record := -1
	for _, al := range b.Allocations {
		if b.Addr(al.Ordinal) == ip {
			record = al.Record
		}
	}
	for _, al := range b.Allocations {
		if al.Record != record {
			continue
		}
		h := m.want.held[b.Addr(al.Ordinal)]
		if update.Active.Len() > 0 || update.ClearActive {
			h.active = update.Active
		}
		if update.Alternate.Len() > 0 {
			h.alternate = update.Alternate
		}
		m.want.held[b.Addr(al.Ordinal)] = h
	}
	return nil
}

// setOwner says whether the change may be: CALICO.md §9.
func (w *model) setOwner(ip netip.Addr, handle string, u ipam.OwnerUpdate, pre ipam.OwnerPreconditions) error {
	if !ip.IsValid() || ip.Is4In6() || ip.Zone() != "" || u.ClearActive && u.Active.Len() > 0 {
		return ipam.ErrInvalidArgument
	}
	h, held := w.held[ip]
	_, enabled := w.enabledPoolOf(ip)
	c, cooling := w.cooling[ip]
	switch {
	case enabled && w.hostHeld[ip]:
		h = holding{handle: block.HostReservedHandle}
	case enabled && cooling && !w.cold(c):
		return ipam.ErrIPInCooldown
	case !enabled || !held:
		return ipam.ErrDoesNotExist
	}
	if h.handle != cutHandle(handle) {
		return ipam.ErrWrongHandle
	}
	if u.ClearActive || u.Active.Len() > 0 {
		namespace, _ := h.active.Get(ipam.AttrNamespace)
		name, _ := h.active.Get(ipam.AttrPod)
		if pre.ActiveEmpty && h.active.Len() > 0 || pre.Active != nil && *pre.Active != (ipam.OwnerRef{Namespace: namespace, Name: name}) {
			return ipam.ErrUpdateConflict
		}
	}
	if u.Alternate.Len() > 0 && pre.AlternateEmpty && h.alternate.Len() > 0 {
		return ipam.ErrUpdateConflict
	}
	return nil
}
