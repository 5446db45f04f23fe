package trace

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// structure returns the violations of structure, which nothing may cause.
// Violations of truth are left out: raw edits cause those.
func structure(a *ipam.Allocator) error {
	if err := a.Check(); errors.Is(err, ipam.ErrStructure) {
		return err
	}
	return nil
}

// allocator returns what a player plays on.
func allocator(p *Player) *ipam.Allocator { return p.Engine().(*ipam.Allocator) }

// program does random things through a Recorder: every method, with arguments
// that often make sense.
type program struct {
	src   property.Source
	clock *ipam.Clock
	*Recorder
	text   bytes.Buffer
	ips    []netip.Addr    // given out, lately
	v4, v6 ipam.Assignment // used over and over
}

var (
	programHosts   = []string{"n0", "n1", "n2", "n3", "lb"}
	programBlocks  = []string{"10.0.0.0/28", "10.0.0.16/28", "10.0.0.32/28", "10.0.1.0/30", "10.0.2.5/32", "fd00::/124", "fd00::10/124", "10.0.0.0/29", "10.9.0.0/26"}
	programCIDRs   = []string{"10.0.0.0/25", "10.0.0.0/28", "10.0.1.0/27", "10.0.2.0/29", "10.0.3.0/27", "fd00::/121", "fd00::/124", "10.0.0.1/25", "::ffff:10.0.0.0/124", "10.0.0.0/30", "0.0.0.0/0"}
	programAttrs   = []block.Attrs{{}, block.MakeAttrs(map[string]string{"node": "n1", "pod": "a", "namespace": "x"}), block.MakeAttrs(map[string]string{"node": "n2", "vmi-name": "v"})}
	programHandles = []string{"", "h0", "h1", "h2", "h3", "h4\r\nmore", block.HostReservedHandle, "\u00fc \"<>\" \\ufffd"}
	programSpecs   = []pool.Spec{
		{Name: "a", CIDR: netip.MustParsePrefix("10.0.0.0/25"), BlockSize: 28},
		{Name: "b", CIDR: netip.MustParsePrefix("10.0.1.0/27"), BlockSize: 30, NodeSelector: "zone == 'x'"},
		{Name: "c", CIDR: netip.MustParsePrefix("10.0.2.0/29"), BlockSize: 32, AssignmentMode: pool.Manual},
		{Name: "d", CIDR: netip.MustParsePrefix("10.0.3.0/27"), BlockSize: 29, AllowedUses: []pool.Use{pool.LoadBalancer}},
		{Name: "six", CIDR: netip.MustParsePrefix("fd00::/121"), BlockSize: 124},
		{Name: "a", CIDR: netip.MustParsePrefix("10.0.0.0/25"), BlockSize: 28, Disabled: true},
		{Name: "a", CIDR: netip.MustParsePrefix("10.0.0.0/25"), BlockSize: 28, NodeSelector: "zone != 'x'"},
		{Name: "six", CIDR: netip.MustParsePrefix("fd00::/121"), BlockSize: 124, NamespaceSelector: "has(team)", AllowedUses: []pool.Use{pool.Workload}},
		{Name: "e", CIDR: netip.MustParsePrefix("10.0.0.0/26")},                // overlaps
		{Name: "a", CIDR: netip.MustParsePrefix("10.0.0.0/25"), BlockSize: 27}, // immutable
		{Name: "f", CIDR: netip.MustParsePrefix("10.0.0.0/25"), BlockSize: 27}, // perhaps another size than its blocks
		{Name: "g"}, // no CIDR
		{Name: "g", CIDR: netip.MustParsePrefix("10.4.0.1/24")},                     // host bits
		{Name: "g", CIDR: netip.MustParsePrefix("10.4.0.0/24"), NodeSelector: "a="}, // does not parse
	}
)

func pick[E any](p *program, what string, from []E) E { return from[p.src.Pick(what, len(from))] }

func (p *program) host() string         { return pick(p, "host", programHosts) }
func (p *program) handle() string       { return pick(p, "handle", programHandles) }
func (p *program) cidr() netip.Prefix   { return netip.MustParsePrefix(pick(p, "cidr", programCIDRs)) }
func (p *program) block() netip.Prefix  { return netip.MustParsePrefix(pick(p, "block", programBlocks)) }
func (p *program) flag() bool           { return p.src.Pick("flag", 2) == 1 }
func (p *program) attrs() block.Attrs   { return pick(p, "attrs", programAttrs) }
func (p *program) sometimes(n int) bool { return p.src.Pick("sometimes", n) == 0 }

func (p *program) owner() affinity.Owner {
	if p.sometimes(4) {
		return affinity.VirtualOwner(p.host())
	}
	return affinity.HostOwner(p.host())
}

func (p *program) use() pool.Use {
	return pick(p, "use", []pool.Use{pool.Workload, pool.Workload, pool.Workload, pool.Tunnel, pool.LoadBalancer, ""})
}

func (p *program) ip() netip.Addr {
	if len(p.ips) > 0 && !p.sometimes(3) {
		return pick(p, "given", p.ips)
	}
	b := p.block()
	addr := b.Addr()
	for range p.src.Pick("ordinal", 1<<min(b.Addr().BitLen()-b.Bits(), 4)) {
		addr = addr.Next()
	}
	return addr
}

func (p *program) reservation() *ipam.HostReservation {
	if !p.sometimes(6) {
		return nil
	}
	return &ipam.HostReservation{StartOfBlock: p.src.Pick("start", 4), EndOfBlock: p.src.Pick("end", 2), Handle: block.HostReservedHandle, Note: "n"}
}

// pools picks requested pools.
func (p *program) pools() []netip.Prefix {
	if !p.sometimes(5) {
		return nil
	}
	var cidrs []netip.Prefix
	for range 1 + p.src.Pick("pools", 2) {
		cidrs = append(cidrs, p.cidr())
	}
	return cidrs
}

func (p *program) labels() map[string]string {
	return pick(p, "labels", []map[string]string{nil, {}, {"zone": "x"}, {"team": "t", "zone": "y"}})
}

func (p *program) given(ips ...netip.Prefix) {
	for _, ip := range ips {
		p.ips = append(p.ips, ip.Addr())
	}
	if n := len(p.ips); n > 20 {
		p.ips = p.ips[n-20:]
	}
}

func (p *program) spec() pool.Spec {
	s := pick(p, "pool", programSpecs)
	s.AllowedUses = slices.Clone(s.AllowedUses)
	return s
}

func (p *program) config() ipam.Config {
	return ipam.Config{
		StrictAffinity: p.flag(), AutoAllocateBlocks: !p.sometimes(4), MaxBlocksPerHost: max(0, p.src.Pick("max", 5)-2),
		IPCooldownSeconds: pick(p, "cooldown", []int{0, 0, 30, 1200, -1, 1201}),
	}
}

// programActions are named after the methods of Recorder that they call; a test
// holds them against those.
var programActions = []struct {
	name string
	do   func(p *program)
}{
	{"AutoAssign", func(p *program) {
		v4, v6, _ := p.AutoAssign(ipam.AutoAssignArgs{
			Host: p.host(), Num4: p.src.Pick("num4", 5) - p.src.Pick("negative", 40)/39, Num6: p.src.Pick("num6", 3), Handle: p.handle(), Attrs: p.attrs(), Use: p.use(),
			Pools4: p.pools(), Pools6: p.pools(), MaxBlocksPerHost: max(0, p.src.Pick("max", 6)-3), MaxAllocPerHandle: max(0, p.src.Pick("cap", 8)-4),
			HostReserved4: p.reservation(), HostReserved6: p.reservation(), Namespace: p.labels(),
		})
		p.given(v4.IPs...)
		p.given(v6.IPs...)
	}},
	{"AutoAssign", func(p *program) { // as a pod does
		v4, _, _ := p.AutoAssign(ipam.AutoAssignArgs{
			Host: p.host(), Num4: 1 + p.src.Pick("num4", 9), Handle: "h" + strconv.Itoa(p.src.Pick("pod", 4)), Attrs: p.attrs(), Use: pool.Workload,
		})
		p.given(v4.IPs...)
	}},
	{"AutoAssignInto", func(p *program) {
		args := ipam.AutoAssignArgs{Host: p.host(), Num4: p.src.Pick("num4", 3), Num6: p.src.Pick("num6", 3), Handle: p.handle(), Use: p.use()}
		_ = p.AutoAssignInto(&args, &p.v4, &p.v6)
		p.given(p.v4.IPs...)
		p.given(p.v6.IPs...)
	}},
	{"AssignIP", func(p *program) {
		ip := p.ip()
		if p.AssignIP(ipam.AssignIPArgs{
			IP: ip, Host: p.host(), Handle: p.handle(), Attrs: p.attrs(), Use: p.use(), HostReserved: p.reservation(), MaxAllocPerHandle: max(0, p.src.Pick("cap", 8)-4),
		}) == nil {
			p.given(netip.PrefixFrom(ip, ip.BitLen()))
		}
	}},
	{"ReleaseIPs", func(p *program) {
		var releases []ipam.Release
		for range p.src.Pick("releases", 4) {
			r := ipam.Release{IP: p.ip()}
			if p.sometimes(3) {
				r.Handle = p.handle()
			}
			if p.sometimes(3) {
				seq := p.SequenceNumber(r.IP) - uint64(max(0, p.src.Pick("stale", 5)-2))
				r.Sequence = &seq
			}
			releases = append(releases, r)
		}
		_, _, _ = p.ReleaseIPs(releases...)
	}},
	{"ReleaseIP", func(p *program) {
		r := ipam.Release{IP: p.ip()}
		if p.sometimes(3) {
			r.Handle = p.handle()
		}
		_, _ = p.ReleaseIP(r)
	}},
	{"ReleaseByHandle", func(p *program) { _ = p.ReleaseByHandle(p.handle()) }},
	{"IPsByHandle", func(p *program) { _, _ = p.IPsByHandle(p.handle()) }},
	{"GetAssignmentAttributes", func(p *program) { _, _ = p.GetAssignmentAttributes(p.ip()) }},
	{"SetOwnerAttributes", func(p *program) {
		ip := p.ip()
		handle := p.handle()
		if held, err := p.Allocator.GetAssignmentAttributes(ip); err == nil && !p.sometimes(4) {
			handle = held.Handle
		}
		var pre ipam.OwnerPreconditions
		if p.sometimes(3) {
			pre = ipam.OwnerPreconditions{Active: &ipam.OwnerRef{Namespace: "x", Name: "a"}, AlternateEmpty: p.flag()}
		} else if p.sometimes(3) {
			pre = ipam.OwnerPreconditions{Alternate: &ipam.OwnerRef{}, ActiveEmpty: p.flag()}
		}
		_ = p.SetOwnerAttributes(ip, handle, ipam.OwnerUpdate{Active: p.attrs(), Alternate: p.attrs(), ClearActive: p.sometimes(4), ClearAlternate: p.sometimes(4)}, pre)
	}},
	{"ClaimAffinity", func(p *program) { _, _, _ = p.ClaimAffinity(p.cidr(), p.owner()) }},
	{"ReleaseAffinity", func(p *program) { _ = p.ReleaseAffinity(p.cidr(), p.owner(), p.flag()) }},
	{"ReleaseHostAffinities", func(p *program) { _ = p.ReleaseHostAffinities(p.owner(), p.flag()) }},
	{"RemoveIPAMHost", func(p *program) { _ = p.RemoveIPAMHost(p.owner()) }},
	{"ReleasePoolAffinities", func(p *program) { _ = p.ReleasePoolAffinities(p.cidr()) }},
	{"ReleaseBlockAffinity", func(p *program) { _ = p.ReleaseBlockAffinity(p.block(), p.flag()) }},
	{"EnsureBlock", func(p *program) {
		args := ipam.EnsureBlockArgs{Host: p.host(), Pools4: p.pools(), Pools6: p.pools(), HostReserved4: p.reservation(), HostReserved6: p.reservation()}
		_, _, _ = p.EnsureBlock(args)
	}},
	{"SetIPAMConfig", func(p *program) { _ = p.SetIPAMConfig(p.config()) }},
	{"PutIPAMConfig", func(p *program) {
		// Only what the format can hold; the rest has its own test.
		if c := p.config(); c.StrictAffinity || c.AutoAllocateBlocks && c.MaxBlocksPerHost == 0 {
			_ = p.PutIPAMConfig(c)
		}
	}},
	{"SetPool", func(p *program) { _ = p.SetPool(p.spec()) }},
	{"DeletePool", func(p *program) {
		if p.sometimes(3) { // else nothing would ever be in a pool
			p.DeletePool(p.spec().Name)
		}
	}},
	{"SetNode", func(p *program) { _ = p.SetNode(ipam.Node{Name: p.host(), Labels: p.labels()}) }},
	{"DeleteNode", func(p *program) { p.DeleteNode(p.host()) }},
	{"SetReservations", func(p *program) {
		p.SetReservations(pick(p, "reservations", [][]string{nil, {}, {" 10.0.0.0/27 ", "", "x"}, {"10.0.0.5", "fd00::/123", "fd00::33"}}))
	}},
	{"GarbageCollectColdIPs", func(p *program) { p.GarbageCollectColdIPs() }},
	{"PutAffinity", func(p *program) { _ = p.PutAffinity(p.owner(), p.block(), affinity.State(p.src.Pick("state", 5))) }},
	{"DropAffinity", func(p *program) {
		owner, cidr := p.owner(), p.block()
		if p.sometimes(5) {
			owner.Type = pick(p, "type", []affinity.Type{"", "node"}) // there is no such owner
		}
		if p.sometimes(5) {
			cidr = netip.Prefix{}
		}
		p.DropAffinity(owner, cidr)
	}},
	{"DropBlock", func(p *program) {
		p.DropBlock(pick(p, "drop", []netip.Prefix{{}, p.block(), p.block(), p.block(), p.cidr()}))
	}},
	{"GetUtilization", func(p *program) { p.GetUtilization() }},
	{"State", func(p *program) { p.State() }},
	{"Show", func(p *program) {
		_, _ = p.Show(pick(p, "what", []string{"pools", "blocks", "borrowed", "ip", "ip", "nodes", ""}), pick(p, "ip", []string{p.ip().String(), "x", "fe80::1%eth0"}))
	}},
	{"Err", func(p *program) { // and what else only looks
		_, _, _ = p.Now(), p.Nodes(), p.Pools()
		p.BlockOf(p.ip())
		p.clock.Advance(time.Duration(pick(p, "seconds", []int{0, 1, 29, 30, 61, 1200, 86400})) * time.Second)
	}},
}

// newProgram sets up a cluster, at random, and begins to record.
func newProgram(src property.Source) (*program, error) {
	clock := ipam.NewClock(time.Date(2026, 1, 1, 0, 0, 0, 123_456_789, time.UTC))
	a := ipam.New(ipam.Options{Now: clock.Now})
	p := &program{src: src, clock: clock}
	for range src.Pick("configs", 2) {
		_ = a.PutIPAMConfig(p.config()) // one that SetIPAMConfig refuses, too
	}
	for i, s := range programSpecs[:5] {
		if i == 0 || src.Pick("pool", 4) > 0 {
			if err := a.SetPool(s); err != nil {
				return nil, err
			}
		}
	}
	for _, host := range programHosts[:4] {
		if err := a.SetNode(ipam.Node{Name: host, Labels: p.labels()}); err != nil {
			return nil, err
		}
	}
	if p.sometimes(3) {
		a.SetReservations([]string{"10.0.0.3", "nonsense", "fd00::/125"})
	}
	var err error
	p.Recorder, err = NewRecorder(&p.text, a, "program", "random")
	return p, err
}

// step does one thing.
func (p *program) step(action int) error {
	programActions[action].do(p)
	if err := structure(p.Allocator); err != nil {
		return fmt.Errorf("after %s: %w", programActions[action].name, err)
	}
	return p.Err()
}

// finish replays what was recorded.
func (p *program) finish() error {
	p.State()
	if err := p.Err(); err != nil {
		return err
	}
	return replays("program", p.text.Bytes())
}

// TestRecordRandomPrograms: whatever is done through a Recorder replays without
// divergence.
func TestRecordRandomPrograms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, err := newProgram(property.Rapid(t))
		require.NoError(t, err)
		actions := make(map[string]func(*rapid.T))
		for i, a := range programActions {
			actions[a.name+" "+strconv.Itoa(i)] = func(t *rapid.T) {
				p.src = property.Rapid(t)
				if err := p.step(i); err != nil {
					t.Fatal(err)
				}
			}
		}
		t.Repeat(actions)
		if err := p.finish(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestRecordSeededPrograms does the same for longer, without shrinking.
func TestRecordSeededPrograms(t *testing.T) {
	tries, steps := uint64(60), 300
	if long() {
		tries = 3000
	}
	outcomes := make(map[string]int)
	for seed := range tries {
		p, err := newProgram(property.Seeded(seed))
		require.NoError(t, err)
		for range steps {
			require.NoError(t, p.step(p.src.Pick("action", len(programActions))), "seed %d", seed)
		}
		require.NoError(t, p.finish(), "seed %d", seed)
		_, ops, err := readAll("", bytes.NewReader(p.text.Bytes()))
		require.NoError(t, err)
		for _, op := range ops {
			code, _, _ := strings.Cut(op.Out.Err, " ")
			outcomes[op.Op+" "+code]++
		}
	}
	// The programs are worth something only if they get about.
	for _, want := range []string{
		"AutoAssign ", "AutoAssign use-required", "AutoAssign does-not-exist", "AutoAssign wrong-family", "AutoAssign block-limit", "AutoAssign no-qualified-pool",
		"AutoAssign bad-host-reservation", "AutoAssign no-block", "AutoAssign pool-not-enabled", "AutoAssign no-pools-for-node", "AssignIP ", "AssignIP already-exists",
		"AssignIP affinity-mismatch", "AssignIP use-not-allowed", "AssignIP not-in-pool", "AssignIP max-alloc",
		"ReleaseIPs ", "ReleaseIPs bad-handle", "ReleaseIPs bad-sequence-number", "ReleaseByHandle ", "ReleaseByHandle does-not-exist", "IPsByHandle ",
		"GetAssignmentAttributes ", "GetAssignmentAttributes ip-in-cooldown", "SetOwnerAttributes ", "SetOwnerAttributes wrong-handle",
		"SetOwnerAttributes update-conflict", "ClaimAffinity ", "ClaimAffinity invalid-size", "ReleaseAffinity block-not-empty", "ReleaseHostAffinities block-not-empty",
		"RemoveIPAMHost ", "ReleasePoolAffinities ", "ReleaseBlockAffinity no-such-block", "EnsureBlock ", "SetIPAMConfig config-conflict", "SetPool pool:",
		"Advance ", "PutAffinity ", "DropAffinity ", "DropBlock ", "Show ",
	} {
		require.Positive(t, outcomes[want], "no program came to %q", want)
	}
	for outcome := range outcomes {
		require.NotContains(t, outcome, "invalid-argument", "nothing happened, and it was written")
	}
}

// TestProgramsRejectBrokenRecorders: a recording that differs from what was done
// does not replay.
func TestProgramsRejectBrokenRecorders(t *testing.T) {
	for name, spoil := range map[string]func(ops []Op) []Op{
		"loses advances": func(ops []Op) []Op {
			return slices.DeleteFunc(ops, func(op Op) bool { return op.Op == "Advance" })
		},
		"loses refused operations that claimed a block": func(ops []Op) []Op {
			return slices.DeleteFunc(ops, func(op Op) bool { return op.Op == "AssignIP" && op.Out.Err != "" })
		},
		"loses raw edits": func(ops []Op) []Op {
			return slices.DeleteFunc(ops, func(op Op) bool { return op.Op == "PutAffinity" })
		},
		"writes every release as current": func(ops []Op) []Op {
			for i := range ops {
				for k := range ops[i].In.Releases {
					if r := &ops[i].In.Releases[k]; r.Seq != "" {
						r.Seq = "current"
					}
				}
			}
			return ops
		},
		"takes virtual owners for hosts": func(ops []Op) []Op {
			for i := range ops {
				ops[i].In.Type = ""
			}
			return ops
		},
		"forgets limits of handles": func(ops []Op) []Op {
			for i := range ops {
				ops[i].In.MaxAllocPerHandle = 0
			}
			return ops
		},
		"forgets labels of namespaces": func(ops []Op) []Op {
			for i := range ops {
				ops[i].In.NamespaceLabels = nil
			}
			return ops
		},
		"swaps two operations": func(ops []Op) []Op {
			if k := len(ops) / 2; k > 0 {
				ops[k], ops[k-1] = ops[k-1], ops[k]
			}
			return ops
		},
	} {
		t.Run(name, func(t *testing.T) {
			property.Rejects(t, func(src property.Source) error {
				p, err := newProgram(src)
				if err != nil {
					return nil // only the replay is to fail
				}
				for range 200 {
					if p.step(src.Pick("action", len(programActions))) != nil {
						return nil
					}
				}
				p.State()
				h, ops, err := readAll("", bytes.NewReader(p.text.Bytes()))
				if err != nil {
					return nil
				}
				text, err := write(h, spoil(ops))
				if err != nil {
					return nil
				}
				return replays("spoilt", text)
			})
		})
	}
}
