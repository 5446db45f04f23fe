package lifecycle

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// stage is a cluster that shows what a rule does: two nodes, two blocks of eight
// addresses, and a controller with a grace period of a minute.
type stage struct {
	t     *testing.T
	c     *Cluster
	k     *Controller
	clock *ipam.Clock
	said  []string // what syncs did, and other observations
}

var (
	low  = netip.MustParsePrefix("10.0.0.0/29")
	high = netip.MustParsePrefix("10.0.0.8/29")
)

// say notes an observation that differs with the rule.
func (s *stage) say(format string, args ...any) {
	s.said = append(s.said, fmt.Sprintf(format, args...))
}

// sync looks at what changed, and says what that did.
func (s *stage) sync() Result {
	s.t.Helper()
	r := s.k.Sync(false)
	must.NoError(s.t, s.k.Check())
	var done []string
	for _, ip := range r.ReleasedIPs {
		done = append(done, ip.String())
	}
	for _, b := range r.ReleasedBlocks {
		done = append(done, b.String())
	}
	if r.Err != nil {
		done = append(done, string(codes.Of(r.Err)))
	}
	s.say("%s", strings.Join(done, " "))
	return r
}

func (s *stage) claim(node string, b netip.Prefix) {
	s.t.Helper()
	claimed, _, err := s.c.allocator.ClaimAffinity(b, affinity.HostOwner(node))
	must.NoError(s.t, err)
	must.Len(s.t, 1, claimed)
}

// assign gives an address to a pod, which it does not show.
func (s *stage) assign(ip, handle, pod, node string) {
	s.t.Helper()
	attrs := map[string]string{ipam.AttrPod: pod, ipam.AttrNamespace: "ns", ipam.AttrNode: node}
	must.NoError(s.t, s.c.allocator.AssignIP(ipam.AssignIPArgs{IP: netip.MustParseAddr(ip), Host: node, Handle: handle, Attrs: block.MakeAttrs(attrs)}))
}

func (s *stage) show(pod, node string, evicted bool, ips ...string) {
	s.t.Helper()
	p := Pod{PodName: PodName{"ns", pod}, Node: node, Evicted: evicted}
	for _, ip := range ips {
		p.IPs = append(p.IPs, netip.MustParseAddr(ip))
	}
	must.NoError(s.t, s.c.SetPod(p))
}

func (s *stage) hide(pod string) { must.True(s.t, s.c.DeletePod(PodName{"ns", pod})) }

// makeDirty makes a node dirty: a pod without an address comes and goes.
func (s *stage) makeDirty(node string) {
	s.t.Helper()
	s.show("other", node, false)
	s.hide("other")
}

func (s *stage) release(ips ...string) {
	s.t.Helper()
	for _, ip := range ips {
		allocated, err := s.c.allocator.ReleaseIP(ipam.Release{IP: netip.MustParseAddr(ip)})
		must.NoError(s.t, err)
		must.True(s.t, allocated)
	}
}

// failReleases makes releases of the handle's addresses fail, as if they had been
// given out anew and the controller had not seen that.
func (s *stage) failReleases(handle string) {
	for _, al := range s.k.memory.handles[handle].allocations(&s.k.memory) {
		al.seq++
	}
}

// ruleTests has, for every rule of the controller, a scenario that differs with it.
var ruleTests = []struct {
	rule          string // the field
	before, since string // the last release without it, and the first with it
	happens       func(s *stage)
	without, with []string // what is said
}{
	{"ScansDirtyNodes", "v3.29", "v3.30.0", func(s *stage) {
		s.assign("10.0.0.0", "h", "p", "n1")
		s.show("p", "n1", false, "10.0.0.0")
		s.sync()
		s.show("p", "n2", false, "10.0.0.0") // this makes no node dirty
		s.sync()
		s.clock.Advance(time.Minute)
		s.sync()
	}, []string{"", "", "10.0.0.0"}, []string{"", "", ""}},

	{"ReleasesAnyEmpty", "v3.27", "v3.28.0", func(s *stage) {
		s.claim("n1", low)
		s.claim("n1", high)
		for i := range 6 {
			ip := fmt.Sprintf("10.0.0.%d", i)
			s.assign(ip, "h", "p", "n1")
		}
		s.show("p", "n1", false)
		s.sync() // two addresses are free beside the empty block
		s.clock.Advance(time.Minute)
		s.sync()
		if _, claimed := s.owner(high); claimed {
			s.release("10.0.0.0")
			s.sync() // three are, from now on
			s.clock.Advance(time.Minute)
			s.sync()
		}
	}, []string{"", "", "", "10.0.0.8/29"}, []string{"", "10.0.0.8/29"}},

	{"UseForgetsEmpty", "v3.27", "v3.28.0", func(s *stage) {
		s.claim("n1", low)
		s.claim("n1", high)
		s.assign("10.0.0.0", "h", "p", "n1")
		s.show("p", "n1", false)
		s.sync() // empty from now on
		s.assign("10.0.0.8", "h2", "p2", "n1")
		s.show("p2", "n1", false)
		s.clock.Advance(30 * time.Second)
		s.sync()
		s.release("10.0.0.8")
		s.clock.Advance(30 * time.Second)
		s.sync()
	}, []string{"", "", "10.0.0.8/29"}, []string{"", "", ""}},

	{"EvictedLoseAddresses", "v3.28", "v3.29.0", func(s *stage) {
		s.assign("10.0.0.0", "h", "p", "n1")
		s.show("p", "n1", true, "10.0.0.0")
		s.c.DeleteNode("n1")
		s.sync()
	}, []string{""}, []string{"10.0.0.0 10.0.0.0/29"}},

	{"ReleasesLeaksAtOnce", "v3.30", "v3.31.0", func(s *stage) {
		s.claim("n1", low)
		s.claim("n2", high)
		s.assign("10.0.0.0", "a", "a", "n1")
		s.assign("10.0.0.8", "b", "b", "n2")
		s.sync()
		s.failReleases("a")
		s.c.DeleteNode("n1")
		s.c.DeleteNode("n2")
		s.sync() // a comes first
	}, []string{"", "bad-sequence-number"}, []string{"", "10.0.0.8 bad-sequence-number"}},

	{"RetriesWithBackoff", "v3.30", "v3.31.0", func(s *stage) {
		s.assign("10.0.0.0", "a", "a", "n1")
		s.assign("10.0.0.8", "b", "b", "n2")
		s.sync()
		s.failReleases("a")
		s.failReleases("b")
		for range 3 {
			s.c.DeleteNode("n1")
			s.c.DeleteNode("n2")
			s.say("%v", s.k.Sync(true).RetryAfter)
		}
	}, []string{"", "200ms", "200ms", "200ms"}, []string{"", "5ms", "10ms", "20ms"}},

	{"CleansNodeByNode", "v3.31.5", "v3.31.6", func(s *stage) {
		s.assign("10.0.0.0", "a", "a", "n1")
		s.assign("10.0.0.8", "b", "b", "n2")
		s.show("b", "n2", false)
		s.sync()
		s.failReleases("a")
		s.hide("b")
		s.makeDirty("n1")
		s.clock.Advance(time.Minute)
		s.sync() // b is suspect, and a cannot be released
		s.clock.Advance(time.Minute)
		s.sync() // where n2 is dirty still, b has leaked
	}, []string{"", "bad-sequence-number", "10.0.0.8 bad-sequence-number"}, []string{"", "bad-sequence-number", "bad-sequence-number"}},

	{"DeletedBlockForgets", "v3.31.4", "v3.31.5", func(s *stage) {
		s.claim("n1", low)
		s.claim("n2", high)
		s.assign("10.0.0.0", "h", "p", "n1")
		s.assign("10.0.0.8", "h", "q", "n2")
		s.show("p", "n1", false)
		s.show("q", "n2", false)
		must.NoError(s.t, s.c.allocator.ReleaseBlockAffinity(low, false))
		s.sync()
		s.release("10.0.0.0") // with which its block goes
		s.hide("p")
		s.sync()
		s.hide("q")
		s.sync()
		s.makeDirty("n2")
		s.clock.Advance(time.Minute)
		s.sync()
	}, []string{"", "", "", ""}, []string{"", "", "", "10.0.0.8"}},

	{"JudgesMachines", "v3.31", "v3.32.0", func(s *stage) {
		giveMachine(s.t, s.c, "vm")
		s.c.DeleteNode("n1")
		s.sync()
	}, []string{"10.0.0.8 10.0.0.8/29"}, []string{""}},

	{"RenewsGivenOut", "v3.32", "v3.33.0", func(s *stage) {
		s.claim("n1", low)
		s.assign("10.0.0.0", "h", "p", "n1")
		s.sync()
		s.release("10.0.0.0")
		s.assign("10.0.0.0", "h", "p", "n1")
		s.c.DeleteNode("n1")
		s.sync()
		s.sync()
	}, []string{"", "bad-sequence-number", "bad-sequence-number"}, []string{"", "10.0.0.0 10.0.0.0/29", ""}},

	{"CollectsCold", "v3.32", "v3.33.0", func(s *stage) {
		must.NoError(s.t, s.c.allocator.PutIPAMConfig(ipam.Config{AutoAllocateBlocks: true, IPCooldownSeconds: 30}))
		s.claim("n1", low)
		s.assign("10.0.0.0", "h", "p", "n1")
		s.release("10.0.0.0")
		s.sync()
		s.clock.Advance(30 * time.Second)
		s.sync()
		s.say("%d", len(s.block(low).Allocations))
	}, []string{"", "", "1"}, []string{"", "", "0"}},

	{"RepeatsForLeaks", "v3.30", "v3.31.0", func(s *stage) {
		s.claim("n1", low)
		s.claim("n2", high)
		s.assign("10.0.0.0", "h", "p", "n1")
		s.assign("10.0.0.8", "h", "q", "n2") // does not leak
		s.show("q", "n2", false)
		s.sync()
		s.clock.Advance(time.Minute)
		s.say("%t", s.k.Sync(true).WorkRemaining)
	}, []string{"", "false"}, []string{"", "true"}},

	{"RepeatsForNodes", "v3.31.5", "v3.31.6", func(s *stage) {
		s.claim("n1", low)
		s.assign("10.0.0.0", "h", "p", "n2") // in a block of n1
		s.show("p", "n2", false)
		s.sync()
		s.c.DeleteNode("n1")
		s.say("%t", s.sync().WorkRemaining)
	}, []string{"", "block-not-empty", "true"}, []string{"", "", "true"}},
}

func (s *stage) block(cidr netip.Prefix) (b ipam.BlockState) {
	s.c.allocator.ReadBlock(cidr, &b)
	return b
}

func (s *stage) owner(cidr netip.Prefix) (affinity.Owner, bool) {
	o := s.block(cidr).Owner
	return o, o != affinity.Owner{}
}

// play runs a scenario against a controller with these rules and an allocator of the
// newest release.
func play(t *testing.T, r calico.Rules, happens func(s *stage)) []string {
	t.Helper()
	clock := ipam.NewClock(time.Unix(1e9, 0))
	a := ipam.New(ipam.Options{Now: clock.Now})
	must.NoError(t, a.SetPool(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/28"), BlockSize: 29}))
	s := &stage{t: t, c: NewCluster(a), clock: clock}
	must.NoError(t, s.c.SetNode(ipam.Node{Name: "n1"}))
	must.NoError(t, s.c.SetNode(ipam.Node{Name: "n2"}))
	var err error
	s.k, err = NewController(s.c, Policy{GracePeriod: time.Minute})
	must.NoError(t, err)
	s.k.setRules(r)
	happens(s)
	must.NoError(t, s.k.Check())
	must.NoError(t, a.Check())
	return s.said
}

// TestRules: releases before and after every rule (§16) differ as expected, and
// because of this rule alone: with the rule flipped, each behaves like the other.
func TestRules(t *testing.T) {
	for _, test := range ruleTests {
		t.Run(test.rule, func(t *testing.T) {
			for _, side := range []struct {
				release     string
				want, other []string
			}{{test.before, test.without, test.with}, {test.since, test.with, test.without}} {
				rules := versions(side.release)[0].Rules()
				must.Eq(t, side.want, play(t, rules, test.happens), must.Sprint(side.release))
				field := reflect.ValueOf(&rules).Elem().FieldByName(test.rule)
				field.SetBool(!field.Bool())
				must.Eq(t, side.other, play(t, rules, test.happens), must.Sprintf("%s, with this rule flipped", side.release))
			}
		})
	}
}

// TestEveryRuleIsTested: no rule of the controller was forgotten.
func TestEveryRuleIsTested(t *testing.T) {
	rules := reflect.TypeOf(calico.Rules{})
	var names, tested []string
	for i := range rules.NumField() {
		if name := rules.Field(i).Name; name == "ScansDirtyNodes" || len(names) > 0 {
			names = append(names, name)
		}
	}
	for _, test := range ruleTests {
		tested = append(tested, test.rule)
	}
	slices.Sort(names)
	slices.Sort(tested)
	must.Eq(t, names, tested)
}

// TestControllerGoesByAllocator: the controller follows the allocator's release.
func TestControllerGoesByAllocator(t *testing.T) {
	for _, v := range everyRelease {
		k, err := NewController(NewCluster(ipam.New(ipam.Options{Calico: v})), DefaultPolicy())
		must.NoError(t, err)
		must.Eq(t, v.Rules(), k.rules)
	}
}

// TestOrphans: before v3.31.5 the controller keeps the allocations of a deleted
// block. It tries to release a leak among them for ever, unless its handle gets the
// address again; leaks released in one call are removed.
func TestOrphans(t *testing.T) {
	for _, release := range []string{"v3.30", "v3.31.4", "v3.31.5"} {
		rules := versions(release)[0].Rules()
		play(t, rules, func(s *stage) {
			s.claim("n1", low)
			s.claim("n2", high)
			s.assign("10.0.0.0", "h", "p", "n1")
			s.assign("10.0.0.8", "h", "q", "n2")
			s.show("q", "n2", false)
			must.NoError(t, s.c.allocator.ReleaseBlockAffinity(low, false))
			s.sync()
			s.clock.Advance(time.Minute)
			s.makeDirty("n1")
			s.sync() // p's is a leak, and q's is not
			must.Len(t, 1, s.k.memory.leaks)
			s.release("10.0.0.0") // with which its block goes
			s.sync()
			must.Len(t, map[bool]int{false: 1, true: 0}[rules.DeletedBlockForgets], s.k.memory.leaks)
			s.hide("q")
			s.sync()
			s.clock.Advance(time.Minute)
			s.makeDirty("n2")
			must.Eq(t, []netip.Addr{netip.MustParseAddr("10.0.0.8")}, s.sync().ReleasedIPs, must.Sprint("the orphan is a leak, too"))
			must.Len(t, map[string]int{"v3.30": 1}[release], s.k.memory.leaks)
			must.MapLen(t, map[bool]int{false: 1, true: 0}[rules.DeletedBlockForgets], s.k.memory.orphans)

			s.claim("n1", low)
			s.assign("10.0.0.0", "h", "p", "n1")
			s.show("p", "n1", false)
			s.sync()
			must.MapEmpty(t, s.k.memory.orphans, must.Sprint(s.k.memory.orphans))
			must.SliceEmpty(t, s.k.memory.leaks, must.Sprint(s.k.memory.leaks))
		})
	}
}

// TestErrorKeepsForgottenDirty: before v3.31.6 (CleansNodeByNode), a node that was dirty
// stays so after a sync with an error, even if it is gone and had nothing left. A block
// that comes to it then is released by the next sync; later releases wait for a full scan.
func TestErrorKeepsForgottenDirty(t *testing.T) {
	for _, v := range everyRelease {
		rules := v.Rules()
		if !rules.ScansDirtyNodes {
			continue
		}
		play(t, rules, func(s *stage) {
			must.NoError(t, s.c.allocator.AssignIP(ipam.AssignIPArgs{IP: high.Addr(), Host: "n2"})) // without a handle
			s.sync()
			s.makeDirty("n1") // which has nothing
			s.c.DeleteNode("n1")
			s.c.DeleteNode("n2")
			must.True(t, s.sync().WorkRemaining, must.Sprint("n2 cannot be released"))
			s.claim("n1", low)
			next, all := s.sync().ReleasedBlocks, s.k.Sync(true).ReleasedBlocks
			if rules.CleansNodeByNode {
				next, all = all, next
			}
			must.Eq(t, []netip.Prefix{low}, next, must.Sprint(v))
			must.SliceEmpty(t, all, must.Sprint(v))
			must.NoError(t, s.k.Check())
		})
	}
}

// TestBackoff: retries wait longer each time, up to a limit, and a success ends that.
func TestBackoff(t *testing.T) {
	play(t, calico.V3(33).Rules(), func(s *stage) {
		s.assign("10.0.0.0", "a", "a", "n1")
		s.sync()
		s.failReleases("a")
		s.c.DeleteNode("n1")
		wait := 5 * time.Millisecond
		for range 100 {
			s.c.DeleteNode("n1")
			s.clock.Advance(wait)
			must.Eq(t, wait, s.k.Sync(true).RetryAfter)
			wait = min(2*wait, 30*time.Second)
		}
		for _, al := range s.k.memory.handles["a"].allocations(&s.k.memory) {
			al.seq--
		}
		must.Zero(t, s.k.Sync(true).RetryAfter)
		must.Zero(t, s.k.failures)
	})
}

// TestErrorKeepsDirty: a dirty node to be released stays dirty if the sync ends
// before its turn.
func TestErrorKeepsDirty(t *testing.T) {
	for _, v := range everyRelease {
		play(t, v.Rules(), func(s *stage) {
			s.claim("n2", high)
			s.assign("10.0.0.0", "a", "a", "n1")
			s.sync()
			s.failReleases("a")
			s.makeDirty("n2")
			s.c.DeleteNode("n1")
			s.c.DeleteNode("n2")
			must.Error(t, s.sync().Err)
			must.NoError(t, s.c.allocator.ReleaseByHandle("a"))
			must.Eq(t, []netip.Prefix{low, high}, s.sync().ReleasedBlocks)
		})
	}
}
