package history

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
)

// An Allocator is what clients work on: an [ipam.Allocator], or another
// implementation of its methods.
type Allocator interface {
	AutoAssign(ipam.AutoAssignArgs) (v4, v6 ipam.Assignment, err error)
	AssignIP(ipam.AssignIPArgs) error
	ReleaseIPs(...ipam.Release) (unallocated, released []netip.Addr, err error)
	ReleaseByHandle(string) error
	IPsByHandle(string) ([]netip.Addr, error)
	GetAssignmentAttributes(netip.Addr) (ipam.Attributes, error)

	// A log does not record these: they assign and release no address.
	ClaimAffinity(netip.Prefix, affinity.Owner) (claimed, failed []netip.Prefix, err error)
	ReleaseAffinity(netip.Prefix, affinity.Owner, bool) error
	ReleaseHostAffinities(affinity.Owner, bool) error
	GarbageCollectColdIPs(blocks ...netip.Prefix)
	GetUtilization(pools ...string) []ipam.PoolUsage
}

// A Log is one client's history, and the client's access to its allocator. It is
// not safe for concurrent use: a client does one operation at a time.
type Log struct {
	// Allocator carries out the operations. It may be replaced between two
	// operations.
	Allocator
	// Halfway says that a ReleaseByHandle that fails with [codes.DoesNotExist] may
	// have ended half-way. That happens when clients race and a block that it was
	// about to empty is gone: its client then knows nothing.
	Halfway bool

	client int
	tick   func() int64
	now    func() time.Time
	events []event
	asked  int // how many events at the end are of an operation under way
}

// NewLog returns the empty log of a client. Tick is the time that all logs of a
// history share, 0 or more. It orders calls and returns; those with equal ticks
// are concurrent. Now is the allocator's clock.
func NewLog(client int, a Allocator, tick func() int64, now func() time.Time) *Log {
	return &Log{Allocator: a, client: client, tick: tick, now: now}
}

// Len returns the number of answers in the log, each counted once for every
// address that it names.
func (l *Log) Len() int { return len(l.events) }

// begin notes what may happen from now on, until end says what did: the events
// that follow from the answer, none if the answer says nothing.
func (l *Log) begin(may ...event) (end func(told ...event)) {
	call, from, at := l.tick(), l.now().Unix(), len(l.events)
	for _, e := range may {
		e.client, e.call, e.ret, e.from, e.to = l.client, call, never, from, never
		l.events = append(l.events, e)
	}
	l.asked = len(may)
	return func(told ...event) {
		to, ret := l.now().Unix(), l.tick()
		l.events, l.asked = l.events[:at], 0
		for _, e := range told {
			e.client, e.call, e.ret, e.from, e.to = l.client, call, ret, from, to
			l.events = append(l.events, e)
		}
	}
}

// LeaveOpen ends the operation under way, if any, without an answer, as when its
// client dies: it has happened by now, or never will.
func (l *Log) LeaveOpen() {
	to, ret := l.now().Unix(), l.tick()
	for i := len(l.events) - l.asked; i < len(l.events); i++ {
		l.events[i].to, l.events[i].ret = to, ret
	}
	l.asked = 0
}

// refused reports whether an operation certainly did not happen: all errors of
// package ipam say so, other errors do not.
func refused(err error) bool { return err != nil && codes.Of(err) != codes.Unknown }

// AutoAssign records which addresses were given. A full mask means that the handle
// had the address already (§7), unless it is the mask of its block: with
// MaxAllocPerHandle there should be no blocks of one address.
func (l *Log) AutoAssign(args ipam.AutoAssignArgs) (v4, v6 ipam.Assignment, err error) {
	give := event{op: op{verb: assign, handle: args.Handle}}
	// Without an answer it may have given any address, even one several times, if
	// another client released it meanwhile.
	give4, give6 := give, give
	give4.family, give6.family = only4, only6
	end := l.begin(append(slices.Repeat([]event{give4}, args.Num4), slices.Repeat([]event{give6}, args.Num6)...)...)
	v4, v6, err = l.Allocator.AutoAssign(args)
	if err != nil && !refused(err) {
		l.LeaveOpen()
		return v4, v6, err
	}
	var told []event
	for _, p := range slices.Concat(v4.IPs, v6.IPs) {
		give.ip, give.outcome = p.Addr(), done
		if args.MaxAllocPerHandle > 0 && p.IsSingleIP() {
			told = append(told, event{ip: p.Addr(), op: op{verb: ask, handle: args.Handle}, answer: answer{outcome: yes}})
			continue
		}
		told = append(told, give)
	}
	end(told...)
	return v4, v6, err
}

// AssignIP records whether the address was given or already assigned; other errors
// say nothing about it.
func (l *Log) AssignIP(args ipam.AssignIPArgs) error {
	give := event{ip: args.IP, op: op{verb: assign, handle: args.Handle, held: args.MaxAllocPerHandle > 0 && args.Handle != ""}}
	end := l.begin(give)
	err := l.Allocator.AssignIP(args)
	switch {
	case err == nil:
		give.outcome = done
		end(give)
	case errors.Is(err, codes.AlreadyExists):
		give.outcome = taken
		end(give)
	case refused(err):
		end()
	default:
		l.LeaveOpen()
	}
	return err
}

// ReleaseIPs records the result for each address. If a block refused its part, the
// reason is known only if that was a single address. No address may be given
// twice.
func (l *Log) ReleaseIPs(releases ...ipam.Release) (unallocated, released []netip.Addr, err error) {
	var events []event
	for _, r := range releases {
		e := event{ip: r.IP, op: op{verb: release, handle: r.Handle, numbered: r.Sequence != nil}}
		if r.Sequence != nil {
			e.op.seq = *r.Sequence
		}
		events = append(events, e)
	}
	end := l.begin(events...)
	unallocated, released, err = l.Allocator.ReleaseIPs(releases...)
	if err != nil && !refused(err) {
		l.LeaveOpen()
		return unallocated, released, err
	}
	var told []event
	for _, e := range events {
		switch {
		case slices.Contains(unallocated, e.ip):
			e.outcome = wasNobodys
		case slices.Contains(released, e.ip):
			e.outcome = done
		case len(events) == 1 && errors.Is(err, codes.BadHandle):
			e.outcome = badHandle
		case len(events) == 1 && errors.Is(err, codes.BadSequenceNumber):
			e.outcome = badNumber
		default:
			continue
		}
		told = append(told, e)
	}
	end(told...)
	return unallocated, released, err
}
