package history

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
)

// ReleaseByHandle records that everything the handle held was released, or that it
// held nothing.
func (l *Log) ReleaseByHandle(id string) error {
	all := event{op: op{verb: releaseHandle, handle: id}}
	end := l.begin(all)
	err := l.Allocator.ReleaseByHandle(id)
	switch {
	case err == nil:
		all.outcome = done
		end(all)
	case errors.Is(err, codes.DoesNotExist) && l.Halfway:
		l.LeaveOpen()
	case errors.Is(err, codes.DoesNotExist):
		end(event{op: op{verb: ask, handle: id}, answer: answer{outcome: no}})
	case refused(err):
		end()
	default:
		l.LeaveOpen()
	}
	return err
}

// IPsByHandle records that the handle holds these addresses and no others.
func (l *Log) IPsByHandle(id string) ([]netip.Addr, error) {
	end := l.begin()
	ips, err := l.Allocator.IPsByHandle(id)
	if err != nil && !errors.Is(err, codes.DoesNotExist) {
		end()
		return ips, err
	}
	asked := op{verb: ask, handle: id}
	told := []event{{op: asked, answer: answer{outcome: no}, but: sorted(ips)}}
	for _, ip := range ips {
		told = append(told, event{op: asked, answer: answer{outcome: yes}, ip: ip})
	}
	end(told...)
	return ips, err
}

// GetAssignmentAttributes records who holds the address.
func (l *Log) GetAssignmentAttributes(ip netip.Addr) (ipam.Attributes, error) {
	end := l.begin()
	a, err := l.Allocator.GetAssignmentAttributes(ip)
	who := event{op: op{verb: look}, ip: ip}
	switch {
	case err == nil:
		who.answer = answer{outcome: isHeld, handle: a.Handle, seq: a.Sequence}
	case errors.Is(err, codes.IPInCooldown):
		who.outcome = isCooling
	case errors.Is(err, codes.DoesNotExist):
		who.outcome = isFree
	default:
		end()
		return a, err
	}
	end(who)
	return a, err
}

// See adds a look at the whole state at once: who holds which address, and that
// nobody holds any other. Everything returns the state.
func (l *Log) See(everything func() ipam.State) ipam.State {
	end := l.begin()
	s := everything()
	var told []event
	var ips []netip.Addr
	for _, e := range holders(s) {
		if e.outcome == isHeld {
			e.verb = look
			told, ips = append(told, e), append(ips, e.ip)
		}
	}
	end(append(told, event{op: op{verb: look}, answer: answer{outcome: isNobodys}, but: sorted(ips)})...)
	return s
}

// Begin sets the state before the history began, if it was not empty. Of released
// addresses only the cooldown is known.
func (l *Log) Begin(s ipam.State) {
	for _, e := range holders(s) {
		e.client, e.call, e.ret = l.client, before, before
		l.events = append(l.events, e)
	}
}

// before is earlier than any tick.
const before = -1

// holders returns who holds which address, as events that begin a history.
func holders(s ipam.State) (events []event) {
	for _, b := range s.Blocks {
		for _, a := range b.Allocations {
			e := event{ip: b.Addr(a.Ordinal), op: op{verb: found}, answer: answer{outcome: isHeld, handle: a.Handle, seq: a.Seq}}
			if !a.ReleasedAt.IsZero() {
				e.answer = answer{outcome: isCooling}
				e.from, e.to = a.ReleasedAt.Unix(), a.ReleasedAt.Unix()
			}
			events = append(events, e)
		}
	}
	return events
}

// sorted returns the addresses in ascending order, in a slice of its own.
func sorted(ips []netip.Addr) []netip.Addr {
	ips = slices.Clone(ips)
	slices.SortFunc(ips, netip.Addr.Compare)
	return ips
}
