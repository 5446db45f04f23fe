package history

import (
	"net/netip"
	"slices"

	"github.com/anishathalye/porcupine"
)

// split returns the operations on each address that any event names.
func split(events []event) map[netip.Addr][]porcupine.Operation {
	all := make(map[netip.Addr][]porcupine.Operation)
	for i := range events {
		if ip := events[i].ip; ip.IsValid() {
			all[ip] = nil
		}
	}
	for ip := range all {
		had := tenancies(ip, events)
		for i := range events {
			if e := &events[i]; e.concerns(ip) && e.matters(had) {
				all[ip] = append(all[ip], porcupine.Operation{ClientId: e.client, Input: e.op, Output: e.answer, Call: e.call, Return: e.ret})
			}
		}
	}
	return all
}

// concerns reports whether the event is about the address.
func (e *event) concerns(ip netip.Addr) bool {
	if e.ip.IsValid() {
		return e.ip == ip
	}
	_, but := slices.BinarySearchFunc(e.but, ip, netip.Addr.Compare)
	return !but && e.family.has(ip)
}

// A tenancy is a time in which a handle may have held an address: not before it
// asked for it and not after another handle got it.
type tenancy struct {
	handle   string
	from, to int64
}

// tenancies returns which handles may have held the address, and when.
func tenancies(ip netip.Addr, events []event) (all []tenancy) {
	var given []*event
	for i := range events {
		if e := &events[i]; (e.verb == assign || e.verb == found) && e.concerns(ip) && e.outcome != taken {
			given = append(given, e)
		}
	}
	for _, e := range given {
		t := tenancy{handle: e.op.handle, from: e.call, to: never}
		if e.verb == found {
			t.handle = e.answer.handle
		}
		for _, next := range given {
			if next.call > e.ret && next.outcome == done {
				t.to = min(t.to, next.ret)
			}
		}
		all = append(all, t)
	}
	return all
}

// matters reports whether anything follows from the event for an address with
// those tenancies. Nothing follows from a handle not holding an address that it
// cannot hold, nor from its releasing all that it holds. There are many such
// events, and they would slow down the search for an order.
func (e *event) matters(had []tenancy) bool {
	if e.ip.IsValid() || e.verb != ask && e.verb != releaseHandle {
		return true
	}
	return slices.ContainsFunc(had, func(t tenancy) bool {
		return t.handle == e.op.handle && t.from <= e.ret && e.call <= t.to
	})
}
