package ipam_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
)

// A machine does operations on a subject and compares their outcomes with the
// model, in a small world where operations soon affect each other.
type machine struct {
	src   property.Source
	got   subject
	want  *model
	clock *ipam.Clock
	raw   bool // the raw edits are among the operations

	actions []action // those that this machine does
	hosts   int      // how many hosts make plain requests

	state ipam.State // before the operation under way
	after ipam.State // after it, from observe on
	seen  bool       // observe was called
	log   []string
}

// start is where the clock begins: not at a whole second.
var start = time.Date(2026, 1, 1, 0, 0, 0, 250e6, time.UTC)

// newMachine returns a machine on a cluster of three nodes and some pools.
func newMachine(src property.Source, make makeSubject, raw bool) (*machine, error) {
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
	// Half of the machines do every kind of operation; the others only some kinds,
	// and so get further with them.
	some := m.pick("everything", 2) == 1
	for i, a := range all {
		if !some || i < 2 || m.pick("leave out "+a.name, 3) == 0 {
			m.actions = append(m.actions, a)
		}
	}
	return m, nil
}

func (m *machine) pick(what string, n int) int { return m.src.Pick(what, n) }

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

// observe reads the state after an operation with these reservations.
func (m *machine) observe(reserve4, reserve6 *ipam.HostReservation) {
	m.after, m.seen = m.got.State(), true
	m.want.absorb(&m.state, &m.after, reserve4, reserve6)
}

// unchanged fails if an operation that was refused, or only reads, changed
// something.
func (m *machine) unchanged(what string) error {
	return sameState(what, &m.state, &m.after)
}

// refused compares an error with the expected one, both possibly nil. A refused
// operation must change nothing.
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

// step does one action and then checks everything.
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

// check checks everything observable after an operation.
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
	for _, id := range []string{"h1", "h2", "h3", "nobody", "H1"} {
		var want []netip.Addr
		for ip, h := range m.want.held {
			if h.handle == id {
				want = append(want, ip)
			}
		}
		slices.SortFunc(want, netip.Addr.Compare)
		got, err := m.got.IPsByHandle(id)
		known := slices.ContainsFunc(m.after.Handles, func(h ipam.HandleState) bool { return strings.EqualFold(h.ID, id) })
		if known != (err == nil) || err != nil && !errors.Is(err, codes.DoesNotExist) {
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
		case enabled && m.want.isHost(ip):
			if err != nil || got.Handle != m.want.hostHeld[ip] {
				wrong("attributes of host-reserved %s are %v, %v", ip, got, err)
			}
		case enabled && cooling && !m.want.cold(c):
			if !errors.Is(err, codes.IPInCooldown) {
				wrong("attributes of cooling %s: %v", ip, err)
			}
		case !errors.Is(err, codes.DoesNotExist):
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

// rawActions are these and the raw edits.
var rawActions = append(slices.Clip(actions),
	action{"PutAffinity", (*machine).PutAffinity},
	action{"DropAffinity", (*machine).DropAffinity},
	action{"DropBlock", (*machine).DropBlock},
	action{"PutIPAMConfig", (*machine).PutIPAMConfig},
)
