package history

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
)

// A script answers as the test tells it, whatever the address.
type script struct {
	Allocator // no other method is called
	ips       []netip.Prefix
	held      []netip.Addr
	free      []netip.Addr
	attrs     ipam.Attributes
	err       error
}

func (s *script) AutoAssign(ipam.AutoAssignArgs) (v4, v6 ipam.Assignment, err error) {
	return ipam.Assignment{IPs: s.ips}, v6, s.err
}
func (s *script) AssignIP(ipam.AssignIPArgs) error { return s.err }
func (s *script) ReleaseIPs(...ipam.Release) (unallocated, released []netip.Addr, err error) {
	return s.free, s.held, s.err
}
func (s *script) ReleaseByHandle(string) error             { return s.err }
func (s *script) IPsByHandle(string) ([]netip.Addr, error) { return s.held, s.err }
func (s *script) GetAssignmentAttributes(netip.Addr) (ipam.Attributes, error) {
	return s.attrs, s.err
}

// A scene is clients of an allocator whose answers the test chooses.
type scene struct {
	time int64
	now  time.Time
	logs []*Log
}

func newScene() *scene { return &scene{now: time.Unix(100, 0)} }

// client adds a client.
func (s *scene) client() (*Log, *script) {
	answers := new(script)
	l := NewLog(len(s.logs), answers, func() int64 { s.time++; return s.time }, func() time.Time { return s.now })
	s.logs = append(s.logs, l)
	return l, answers
}

func (s *scene) check() error { return Check(0, s.logs...) }

var (
	one     = netip.MustParseAddr("10.0.0.1")
	two     = netip.MustParseAddr("10.0.0.2")
	three   = netip.MustParseAddr("fd00::3")
	errLost = errors.New("nobody answered")
)

func in30(ips ...netip.Addr) (prefixes []netip.Prefix) {
	for _, ip := range ips {
		prefixes = append(prefixes, netip.PrefixFrom(ip, 30))
	}
	return prefixes
}

// give assigns the addresses to a handle for a client.
func give(l *Log, s *script, handle string, ips ...netip.Addr) {
	s.ips = in30(ips...)
	_, _, _ = l.AutoAssign(ipam.AutoAssignArgs{Num4: 2, Handle: handle})
}

// TestCheck: what can be explained and what cannot.
func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name  string
		tell  func(l *Log, s *script, other *Log, says *script)
		wrong bool
	}{
		{"nothing", func(*Log, *script, *Log, *script) {}, false},
		{"each its own", func(l *Log, s *script, other *Log, says *script) {
			give(l, s, "h", one)
			give(other, says, "g", two)
		}, false},
		{"one for two", func(l *Log, s *script, other *Log, says *script) {
			give(l, s, "h", one)
			give(other, says, "g", one, two)
		}, true},
		{"one twice for one", func(l *Log, s *script, other *Log, says *script) { give(l, s, "h", one, one) }, true},
		{"what it had already", func(l *Log, s *script, other *Log, says *script) {
			give(l, s, "h", one)
			says.ips = []netip.Prefix{netip.PrefixFrom(one, 32)}
			_, _, _ = other.AutoAssign(ipam.AutoAssignArgs{Num4: 1, Handle: "h", MaxAllocPerHandle: 1})
		}, false},
		{"what another had already", func(l *Log, s *script, other *Log, says *script) {
			give(l, s, "h", one)
			says.ips = []netip.Prefix{netip.PrefixFrom(one, 32)}
			_, _, _ = other.AutoAssign(ipam.AutoAssignArgs{Num4: 1, Handle: "g", MaxAllocPerHandle: 1})
		}, true},
		{"taken", func(l *Log, s *script, other *Log, says *script) {
			give(l, s, "h", one)
			says.err = codes.AlreadyExists
			_ = other.AssignIP(ipam.AssignIPArgs{IP: one})
		}, false},
		{"taken by nobody", func(l *Log, s *script, other *Log, says *script) {
			says.err = codes.AlreadyExists
			_ = other.AssignIP(ipam.AssignIPArgs{IP: one})
		}, true},
		{"refused", func(l *Log, s *script, other *Log, says *script) {
			says.err = codes.MaxAlloc
			_ = other.AssignIP(ipam.AssignIPArgs{IP: one, Handle: "g"})
			give(l, s, "h", one)
		}, false},
		{"a release that says so", func(l *Log, s *script, other *Log, says *script) {
			give(l, s, "h", one, two)
			says.held, says.free = []netip.Addr{one, two, three}, []netip.Addr{three}
			_, _, _ = other.ReleaseIPs(ipam.Release{IP: one}, ipam.Release{IP: two, Handle: "h"}, ipam.Release{IP: three})
			give(l, s, "h", one, two, three)
		}, false},
		{"a release of a batch that was refused", func(l *Log, s *script, other *Log, says *script) {
			give(l, s, "h", one)
			says.err = codes.BadHandle
			_, _, _ = other.ReleaseIPs(ipam.Release{IP: one, Handle: "g"}, ipam.Release{IP: two})
			give(l, s, "h", one)
		}, true},
		{"a refusal of the holder", func(l *Log, s *script, other *Log, says *script) {
			give(l, s, "h", one)
			says.err = codes.BadHandle
			_, _, _ = other.ReleaseIPs(ipam.Release{IP: one, Handle: "h"})
		}, true},
		{"a refusal of the number", func(l *Log, s *script, other *Log, says *script) {
			give(l, s, "h", one)
			s.attrs = ipam.Attributes{Handle: "h", Sequence: 3}
			_, _ = l.GetAssignmentAttributes(one)
			says.err = codes.BadSequenceNumber
			_, _, _ = other.ReleaseIPs(ipam.Release{IP: one, Sequence: &s.attrs.Sequence})
		}, true},
		{"a handle that is not known", func(l *Log, s *script, other *Log, says *script) {
			give(l, s, "h", one)
			says.err = codes.DoesNotExist
			_ = other.ReleaseByHandle("h")
		}, true},
		{"a handle that is not known, perhaps", func(l *Log, s *script, other *Log, says *script) {
			give(l, s, "h", one, two)
			says.err, other.Halfway = codes.DoesNotExist, true
			_ = other.ReleaseByHandle("h")
			give(l, s, "h", one)
			s.held = []netip.Addr{one, two}
			_, _ = l.IPsByHandle("h")
		}, false},
		{"a handle's addresses, but for one", func(l *Log, s *script, other *Log, says *script) {
			give(l, s, "h", one, two)
			says.held = []netip.Addr{two}
			_, _ = other.IPsByHandle("h")
		}, true},
		{"another handle's addresses", func(l *Log, s *script, other *Log, says *script) {
			give(l, s, "h", one)
			says.held = []netip.Addr{one}
			_, _ = other.IPsByHandle("g")
		}, true},
		{"an address that cools for ever", func(l *Log, s *script, other *Log, says *script) {
			says.err = codes.IPInCooldown
			_, _ = other.GetAssignmentAttributes(one)
		}, true},
		{"a free address", func(l *Log, s *script, other *Log, says *script) {
			give(l, s, "h", one)
			says.err = codes.DoesNotExist
			_, _ = other.GetAssignmentAttributes(one)
		}, true},
		{"an answer that nobody got", func(l *Log, s *script, other *Log, says *script) {
			says.err = errLost
			_, _, _ = other.AutoAssign(ipam.AutoAssignArgs{Num4: 1, Handle: "g"})
			s.held = []netip.Addr{one}
			_, _ = l.IPsByHandle("g")
		}, false},
		{"an answer that nobody got, of the other family", func(l *Log, s *script, other *Log, says *script) {
			says.err = errLost
			_, _, _ = other.AutoAssign(ipam.AutoAssignArgs{Num4: 1, Handle: "g"})
			s.held = []netip.Addr{three}
			_, _ = l.IPsByHandle("g")
		}, true},
		{"a release that nobody heard of", func(l *Log, s *script, other *Log, says *script) {
			give(l, s, "h", one, two)
			says.err = errLost
			_, _, _ = other.ReleaseIPs(ipam.Release{IP: one}, ipam.Release{IP: two})
			give(l, s, "h", one)
			s.held = []netip.Addr{one, two}
			_, _ = l.IPsByHandle("h")
		}, false},
		{"what happened before the answer that nobody got", func(l *Log, s *script, other *Log, says *script) {
			s.held = []netip.Addr{one}
			_, _ = l.IPsByHandle("g")
			says.err = errLost
			_ = other.AssignIP(ipam.AssignIPArgs{IP: one, Handle: "g"})
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene()
			l, told := s.client()
			other, says := s.client()
			c.tell(l, told, other, says)
			must.Eq(t, c.wrong, s.check() != nil, must.Sprintf("%v", s.check()))
		})
	}
}

// everything is a state in which the first handle has address one, and address two
// cools.
func everything() ipam.State {
	return ipam.State{Blocks: []ipam.BlockState{{CIDR: netip.MustParsePrefix("10.0.0.0/30"), Allocations: []block.Allocation{
		{Ordinal: 1, Handle: "h", Seq: 7}, {Ordinal: 2, ReleasedAt: time.Unix(90, 0)},
	}}}}
}

// TestStates: a history begins and ends with a known state.
func TestStates(t *testing.T) {
	s := newScene()
	l, told := s.client()
	l.Begin(everything())
	told.held = []netip.Addr{one}
	_, _ = l.IPsByHandle("h")
	must.Eq(t, everything(), l.See(everything))
	must.NoError(t, Check(20*time.Second, l))
	give(l, told, "g", two)
	must.ErrorContains(t, Check(20*time.Second, l), "10.0.0.2")
	must.NoError(t, Check(10*time.Second, l), must.Sprint("it has cooled down"))
	l.See(everything)
	must.ErrorContains(t, Check(10*time.Second, l), "10.0.0.2", must.Sprint("it is no longer nobody's"))

	s = newScene()
	l, _ = s.client()
	l.See(everything)
	must.ErrorContains(t, s.check(), "10.0.0.1")
}

// An operation of a client that dies may have happened until its death, not later.
func TestDeath(t *testing.T) {
	history := func(leaveOpen bool) error {
		s := newScene()
		l, told := s.client()
		dead, _ := s.client()
		dead.begin(event{ip: one, op: op{verb: assign, handle: "g"}})
		if leaveOpen {
			dead.LeaveOpen()
		}
		told.err = codes.DoesNotExist
		_, _ = l.IPsByHandle("g")
		told.held, told.err = []netip.Addr{one}, nil
		_, _ = l.IPsByHandle("g")
		return s.check()
	}
	must.NoError(t, history(false))
	must.Error(t, history(true))
}

// TestViolation: the error is the history up to the first impossible answer, of
// the address where that came first, without operations that play no part.
func TestViolation(t *testing.T) {
	s := newScene()
	l, told := s.client()
	other, says := s.client()
	give(l, told, "h", one, two)
	_, _ = l.IPsByHandle("g")
	says.held = []netip.Addr{one, two}
	_, _ = other.IPsByHandle("h")
	_ = other.AssignIP(ipam.AssignIPArgs{IP: one, Handle: "g"})
	_ = l.AssignIP(ipam.AssignIPArgs{IP: two, Handle: "g"})
	_ = other.AssignIP(ipam.AssignIPArgs{IP: one, Handle: "f"})
	err := s.check()
	must.EqError(t, err, `history: nothing explains what clients were told of 10.0.0.1 until 8:
  client 0 [1, 2] assign h: done
  client 1 [7, 8] assign g: done`)
	var v *Violation
	must.ErrorAs[*Violation](t, err, &v)

	s = newScene()
	l, told = s.client()
	give(l, told, "h", one)
	for range 2 * shown {
		_ = l.ReleaseByHandle("h")
	}
	give(l, told, "h", one, one)
	must.ErrorContains(t, s.check(), "33 operations before")
}
