package program

import (
	"reflect"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// operation is one kind of operation: how likely it is, and its arguments.
type operation struct {
	name   string
	weight int
	in     func(p *Program) trace.In
}

const (
	plain    = 3  // the number of first operations that every program has
	heaviest = 12 // the largest weight
)

// operations are all operations that recordings can hold, the plainest first. Some
// are listed twice, for two kinds of arguments.
var operations = []operation{
	{"AutoAssign", 8, (*Program).podIn},
	{"Advance", 3, func(p *Program) trace.In { return trace.In{Seconds: pick(p, "seconds", p.world.Seconds)} }},
	{"ReleaseIPs", 6, (*Program).releaseIn},
	{"AutoAssign", 5, (*Program).autoAssignIn},
	{"AssignIP", 4, (*Program).assignIPIn},
	{"ReleaseByHandle", 2, (*Program).handleIn},
	{"IPsByHandle", 1, (*Program).handleIn},
	{"GetAssignmentAttributes", 2, func(p *Program) trace.In { return trace.In{IP: p.ip()} }},
	{"SetOwnerAttributes", 2, (*Program).ownerIn},
	{"EnsureBlock", 2, (*Program).ensureBlockIn},
	{"ClaimAffinity", 2, (*Program).affinityIn},
	{"ReleaseAffinity", 1, (*Program).affinityIn},
	{"ReleaseHostAffinities", 1, (*Program).affinityIn},
	{"RemoveIPAMHost", 1, (*Program).affinityIn},
	{"ReleasePoolAffinities", 1, (*Program).affinityIn},
	{"ReleaseBlockAffinity", 1, func(p *Program) trace.In { return trace.In{CIDR: p.block(), MustBeEmpty: p.sometimes(2)} }},
	{"GarbageCollectColdIPs", 1, func(*Program) trace.In { return trace.In{} }},
	{"SetIPAMConfig", 2, func(p *Program) trace.In { return trace.In{Config: p.config()} }},
	{"SetPool", 3, (*Program).setPoolIn},
	{"DeletePool", 1, (*Program).deletePoolIn},
	{"SetNode", 3, func(p *Program) trace.In { return trace.In{Node: &ipam.Node{Name: p.host(), Labels: p.labels()}} }},
	{"DeleteNode", 1, func(p *Program) trace.In { return trace.In{Node: &ipam.Node{Name: p.host()}} }},
	{"SetReservations", 1, func(p *Program) trace.In {
		return trace.In{Reservations: pick(p, "reservations", p.world.Reservations)}
	}},
	{"PutAffinity", 2, (*Program).putAffinityIn},
	{"DropAffinity", 1, (*Program).editIn},
	{"DropBlock", 1, func(p *Program) trace.In { return trace.In{CIDR: p.block()} }},
	{"GetUtilization", 1, func(*Program) trace.In { return trace.In{} }},
	{"Show", 1, (*Program).showIn},
	{"State", 1, func(*Program) trace.In { return trace.In{} }},
}

func (p *Program) config() *ipam.Config {
	c := &ipam.Config{
		StrictAffinity: p.sometimes(3), AutoAllocateBlocks: !p.sometimes(4),
		MaxBlocksPerHost: pick(p, "max", []int{0, 0, 0, 1, 2, -1}), IPCooldownSeconds: pick(p, "cooldown", p.world.Cooldowns),
	}
	if c.IPCooldownSeconds > 0 && p.avoids(p.rules.Cooldown) {
		c.IPCooldownSeconds = 0
	}
	return c
}

// setPoolIn mostly restores a pool of the beginning. Otherwise no pool would stay
// enabled.
func (p *Program) setPoolIn() trace.In {
	pools := p.world.Pools[:p.world.Begin]
	if p.sometimes(2) {
		pools = p.world.Pools
	}
	s := pick(p, "pool", pools)
	if plain := p.supported(s); !reflect.DeepEqual(plain, s) && p.avoids(false) {
		s = plain
	}
	return trace.In{Pool: &s}
}

// deletePoolIn mostly names a pool that never existed. Otherwise no pool would
// stay.
func (p *Program) deletePoolIn() trace.In {
	name := "none"
	if p.sometimes(2) {
		name = pick(p, "pool", p.world.Pools).Name
	}
	return trace.In{Pool: &trace.Pool{Name: name}}
}

func (p *Program) editIn() trace.In {
	in := p.owner()
	in.CIDR = p.block()
	return in
}

func (p *Program) putAffinityIn() trace.In {
	in := p.editIn()
	in.State = pick(p, "state", []string{"pending", "pendingDeletion", "confirmed"})
	return in
}

func (p *Program) showIn() trace.In {
	in := trace.In{State: pick(p, "what", []string{"ip", "blocks", "pools", "borrowed"})}
	if in.State == "ip" {
		in.IP = p.ip()
	}
	return in
}
