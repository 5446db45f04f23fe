package session

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
)

// This file takes over what the clients of a slow act have made of the cluster.

// fold takes over what the clients have made of the cluster.
func (w *world) fold(s *slow) error {
	w.touched = true
	before, after := w.ipam.State(), s.cluster.State()
	if w.journal != nil {
		if err := w.journalSlow(s, before, after); err != nil {
			return err
		}
	}
	if err := w.put(before, after); err != nil {
		return err
	}
	w.refresh()
	dead := 0
	for _, c := range s.clients {
		w.affected[c.node.name] = true
		for i, p := range c.pods {
			if c.adds() {
				w.started = max(w.started, podNumber(p))
				w.foldNew(c, i, p)
			} else {
				w.foldGone(c, i, p)
			}
		}
		if c.dead {
			dead++
		}
		text := c.result(w)
		if !c.dead {
			text += fmt.Sprintf(", after %s", count(len(c.log), "call"))
		}
		w.say("%s: %s.", c.node.name, text)
	}
	w.tellLeft(s, before, dead)
	return nil
}

// podNumber is the number of a pod of the deployment web.
func podNumber(p *pod) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(p.name, "web-"))
	return n
}

// foldNew enters a pod that a client has asked for.
func (w *world) foldNew(c *client, i int, p *pod) {
	w.enter(p)
	p.why = "node-died"
	if i >= len(c.answers) {
		return
	}
	a := c.answers[i]
	if p.why = short(a.v4, a.v6, a.err); p.why != "" {
		return
	}
	p.node.waiting--
	for _, got := range append(a.v4.IPs[:len(a.v4.IPs):len(a.v4.IPs)], a.v6.IPs...) {
		p.ips = append(p.ips, got.Addr())
		w.addresses[got.Addr()] = true
		w.holds(p, got.Addr(), 1)
	}
	w.tellPod(p)
}

// foldGone takes away a pod whose addresses a client has given back, or meant to.
func (w *world) foldGone(c *client, i int, p *pod) {
	if c.dead && i > c.now { // it never came to that
		return
	}
	for _, ip := range p.ips {
		w.addresses[ip] = true
		w.holds(p, ip, -1)
	}
	if i < len(c.answers) && len(p.ips) > 0 {
		p.ips = nil
		p.node.waiting++
	}
	w.leave(p)
}

// put makes the allocator's objects those of a datastore.
func (w *world) put(before, after ipam.State) error {
	blocks := make(map[netip.Prefix]*ipam.BlockState)
	for i := range after.Blocks {
		blocks[after.Blocks[i].CIDR] = &after.Blocks[i]
	}
	was := make(map[netip.Prefix]uint64)
	for i := range before.Blocks {
		b := &before.Blocks[i]
		was[b.CIDR] = b.Sequence
		if blocks[b.CIDR] == nil {
			w.ipam.DropBlock(b.CIDR)
		}
	}
	var errs []error
	for i := range after.Blocks {
		b := &after.Blocks[i]
		if seq, is := was[b.CIDR]; !is || seq != b.Sequence {
			errs = append(errs, w.ipam.PutBlock(*b))
		}
	}
	claims := make(map[claim]ipam.AffinityState)
	for _, a := range after.Affinities {
		claims[claim{a.Owner, a.CIDR}] = a
	}
	for _, a := range before.Affinities {
		if now, is := claims[claim{a.Owner, a.CIDR}]; !is || !now.Created.Equal(a.Created) {
			w.ipam.DropAffinity(a.Owner, a.CIDR)
		} else if now.State == a.State {
			delete(claims, claim{a.Owner, a.CIDR})
		}
	}
	for _, a := range after.Affinities {
		if _, changed := claims[claim{a.Owner, a.CIDR}]; changed {
			errs = append(errs, w.ipam.PutAffinity(a.Owner, a.CIDR, a.State))
		}
	}
	handles := make(map[string][]ipam.HandleCount)
	for _, h := range before.Handles {
		handles[h.ID] = h.Counts
	}
	for _, h := range after.Handles {
		if counts, is := handles[h.ID]; !is || !slices.Equal(counts, h.Counts) {
			errs = append(errs, w.ipam.PutHandle(h))
		}
		delete(handles, h.ID)
	}
	for _, id := range slices.Sorted(maps.Keys(handles)) {
		w.ipam.DropHandle(id)
	}
	return errors.Join(errs...)
}

// tellLeft says what clients that died have left behind.
func (w *world) tellLeft(s *slow, before ipam.State, dead int) {
	if dead == 0 {
		return
	}
	had := make(map[claim]bool)
	for _, a := range before.Affinities {
		had[claim{a.Owner, a.CIDR}] = a.State != affinity.Confirmed
	}
	said := len(w.says)
	for c, state := range w.sortedClaims() {
		if state == affinity.Confirmed || had[c] || !s.touched[c.cidr] {
			continue
		}
		exists := "which does not exist"
		if b := w.blocks[c.cidr]; b != nil && b.owner == c.owner {
			exists = "which exists and is its own"
		} else if b != nil {
			exists = "which belongs to " + ownerName(event{from: b.owner})
		}
		w.say("A claim of %s on %s stays %s, %s. Its next request repairs that.", c.owner.Name, c.cidr, state, exists)
	}
	for _, c := range s.clients {
		for _, p := range c.pods {
			if !c.dead {
				continue
			}
			ips, err := w.ipam.IPsByHandle(p.handle)
			switch {
			case err != nil:
			case c.adds() && len(ips) == 0:
				w.say("The handle of %s counts an address that it does not have.", p.label())
			case !c.adds() && len(ips) > 0:
				w.say("%s is gone, and %s stays in use: it leaks until kube-controllers releases it.", p.label(), ips[0])
			case !c.adds():
				w.say("The handle of %s is still there, and holds nothing.", p.label())
			}
		}
	}
	if len(w.says) == said {
		w.say("Nothing of it is left.")
	}
}
