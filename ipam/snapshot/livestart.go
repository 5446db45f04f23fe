package snapshot

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// A Move is what became of a pod, or of a node's tunnel, that asked for addresses. The
// caller owns it, but for its lists.
type Move struct {
	// Pod is what it is now, on the node that it came to. One that was refused has no
	// addresses and is no longer among [Live.Pods]; [Live.Start] tries it again. Its
	// node is empty where no node was left to move to.
	Pod LivePod
	// From is the node that it was on; empty for one that is new.
	From string
	// Old are the addresses that it gave back.
	Old []netip.Addr
	// Borrowed says that an address is of a block that is not its node's (§8).
	Borrowed bool
	// Waited says that it asked for the very address that it gave back, and waited until
	// that had cooled down.
	Waited bool
	// Unbooked says that its addresses are none of IPAM's: it keeps them (§11).
	Unbooked bool

	// Err is nil only if it got all that it asked for. It is the allocator's error, or
	// matches [codes.Partial] if there were too few, [codes.PoolNotEnabled] if it asks
	// for a pool that does not exist, and [codes.DoesNotExist] without a node. What
	// [Live.Start] refuses by itself stands there.
	Err error
	// Msgs are those of the allocator, as in [ipam.Assignment].
	Msgs []string
	// Fixed is the one of Pod.Fixed that was refused. Holder is who has it, if anybody.
	Fixed  netip.Addr
	Holder *ipam.Attributes
}

// Start starts pods, one after the other, each on its node, drained or not, and returns
// what became of each, in that order. Whoever gets fewer addresses than it asks for gives
// them back. A pod that asks for no number and no address asks for what is usual
// ([Live.Usual]).
//
// A pod of a name that one of [Live.Pods] has is refused with [codes.AlreadyExists]: end
// that one first, with [Live.Stop]. One without namespace or name is refused with
// [codes.InvalidArgument].
func (l *Live) Start(pods ...LivePod) []Move {
	moves := make([]Move, len(pods))
	for i := range pods {
		p := pods[i]
		if err := l.checkName(&p); err != nil {
			p.IPs = nil
			moves[i] = Move{Pod: p, Err: err}
			continue
		}
		if p.Num4 == 0 && p.Num6 == 0 && len(p.Fixed) == 0 && p.Tunnel == "" {
			p.Num4, p.Num6 = l.Usual()
		}
		moves[i].Waited = l.cools(&p)
		l.ask(&p, &moves[i])
		if len(p.IPs) > 0 && p.Tunnel == "" {
			l.join(&p)
		}
	}
	return moves
}

// checkName returns why no pod can start under the name. Tunnels have none.
func (l *Live) checkName(p *LivePod) error {
	switch {
	case p.Tunnel != "":
		return nil
	case p.Namespace == "" || p.Name == "":
		return &ipam.Error{
			Code: codes.InvalidArgument, Host: p.Node, Argument: "pod", Got: p.Label(), Detail: "must have a namespace and a name",
		}
	case l.Has(p.Label()):
		return &ipam.Error{
			Code: codes.AlreadyExists, Host: p.Node, Argument: "pod", Got: p.Label(),
			Detail: "has addresses already: stop it first, or give the new one another name",
		}
	}
	return nil
}

// Stop ends pods, one after the other: their handles are released, as the CNI plug-in
// does it. Pods that are not there are left out. Others that share a handle with them
// lose their addresses: their moves come back, with errors that match
// [codes.DoesNotExist]. Whatever ends or restarts pods returns such moves behind the
// others. Real handles are of one pod each.
func (l *Live) Stop(pods ...LivePod) []Move {
	for i := range pods {
		if p := l.find(&pods[i]); p != nil && len(p.IPs) > 0 {
			l.release(p)
		}
	}
	return l.settle()
}

// Restart has pods give back their addresses and ask again on their nodes, one pod after
// the other. Pods that are not there are left out.
func (l *Live) Restart(pods ...LivePod) []Move {
	there := make([]*LivePod, 0, len(pods))
	for i := range pods {
		if p := l.find(&pods[i]); p != nil {
			there = append(there, p)
		}
	}
	moves := make([]Move, len(there))
	for i, p := range there { // all were found before any got another handle
		moves[i] = Move{From: p.Node, Old: p.IPs}
		l.release(p)
		moves[i].Waited = l.cools(p)
		l.ask(p, &moves[i])
	}
	return append(moves, l.settle()...)
}

// RestartAll has all pods give back their addresses and then ask again on their nodes,
// one after the other, all at one moment: the clock stands still, and so every address
// that was given back still cools down when the last pod asks. Pods that ask for addresses
// that cool down come last, and only for them does the clock go on, by one cooldown. The
// moves are in the order of [Live.Pods] as it was.
func (l *Live) RestartAll() []Move {
	l.tidy()
	moves := make([]Move, len(l.pods))
	for i, p := range l.pods {
		moves[i] = Move{From: p.Node, Old: p.IPs}
		_ = l.a.ReleaseByHandle(p.Handle) // one that holds nothing is no error here
		p.IPs = nil
	}
	var waiting []int
	for i, p := range l.pods {
		if moves[i].Waited = l.cools(p); moves[i].Waited {
			waiting = append(waiting, i)
			continue
		}
		l.askNow(p, &moves[i])
	}
	for _, i := range waiting {
		l.askNow(l.pods[i], &moves[i])
	}
	l.settle()
	return moves
}

// Request returns the arguments with which a pod asks for addresses, or a tunnel, under
// the handle that it has. Pods with fixed addresses ask otherwise: for one after the
// other (§9).
func (l *Live) Request(p *LivePod) ipam.AutoAssignArgs {
	reserve := l.reserved[p.Node]
	args := ipam.AutoAssignArgs{
		Host: p.Node, Num4: p.Num4, Num6: p.Num6, Handle: p.Handle, Use: pool.Workload,
		Pools4: p.Pools4, Pools6: p.Pools6, HostReserved4: reserve.v4, HostReserved6: reserve.v6, Windows: l.windows[p.Node],
	}
	switch {
	case p.Tunnel == "":
		args.Attrs = block.MakeAttrs(map[string]string{ipam.AttrNamespace: p.Namespace, ipam.AttrPod: p.Name, ipam.AttrNode: p.Node})
	case p.attrs.Len() > 0:
		args.Use, args.Attrs = pool.Tunnel, p.attrs
	default:
		args.Use, args.Attrs = pool.Tunnel, block.MakeAttrs(map[string]string{ipam.AttrNode: p.Node, ipam.AttrType: p.Tunnel})
	}
	return args
}

// ask asks for the addresses that a pod wants, on its node, and completes the move. The
// request takes a second.
func (l *Live) ask(p *LivePod, m *Move) {
	if p.NoPool == "" { // the allocator is asked
		l.clock.Advance(time.Second)
	}
	l.askNow(p, m)
}

// askNow is ask in no time, but for the cooldown that a pod waits for.
func (l *Live) askNow(p *LivePod, m *Move) {
	p.IPs = nil
	switch {
	case p.NoPool != "":
		m.Err = &ipam.Error{Code: codes.PoolNotEnabled, Host: p.Node, Detail: p.NoPool}
	case p.Tunnel != "":
		l.request(p, m)
	default:
		l.made++
		p.Handle = madeHandles + strconv.Itoa(l.made)
		if len(p.Fixed) > 0 {
			l.requestFixed(p, m)
		} else {
			l.request(p, m)
		}
	}
	m.Pod = *p
	m.Borrowed = l.Borrows(p)
}

// request has the allocator choose addresses.
func (l *Live) request(p *LivePod, m *Move) {
	v4, v6, err := l.a.AutoAssign(l.Request(p))
	for _, ip := range append(v4.IPs, v6.IPs...) {
		p.IPs = append(p.IPs, ip.Addr())
	}
	m.Msgs = append(v4.Msgs, v6.Msgs...)
	if err == nil {
		err = errors.Join(v4.Err(), v6.Err())
	}
	if m.Err = err; err != nil && len(p.IPs) > 0 {
		l.giveUp(p)
	}
}

// requestFixed assigns a pod the addresses that it asks for: all of them or none. While
// one of them cools down, the pod is tried again, as kubelet does.
func (l *Live) requestFixed(p *LivePod, m *Move) {
	if l.cools(p) {
		l.clock.Advance(l.cooldown())
	}
	args := l.Request(p)
	for _, ip := range p.Fixed {
		one := ipam.AssignIPArgs{
			IP: ip, Host: args.Host, Handle: args.Handle, Attrs: args.Attrs, Use: args.Use, Windows: args.Windows, HostReserved: args.HostReserved4,
		}
		if ip.Is6() {
			one.HostReserved = args.HostReserved6
		}
		if m.Err = l.a.AssignIP(one); m.Err != nil {
			m.Fixed = ip
			if held, err := l.a.GetAssignmentAttributes(ip); err == nil {
				m.Holder = &held
			}
			l.giveUp(p)
			return
		}
		p.IPs = append(p.IPs, ip)
	}
}

// giveUp gives back what a pod got before it was refused.
func (l *Live) giveUp(p *LivePod) {
	_ = l.a.ReleaseByHandle(p.Handle) // it may hold nothing yet
	p.IPs = nil
}

// cools reports whether an address that the pod asks for is cooling down.
func (l *Live) cools(p *LivePod) bool {
	return slices.ContainsFunc(p.Fixed, func(ip netip.Addr) bool {
		_, err := l.a.GetAssignmentAttributes(ip)
		return errors.Is(err, codes.IPInCooldown)
	})
}

func (l *Live) cooldown() time.Duration {
	return time.Duration(l.a.GetIPAMConfig().IPCooldownSeconds) * time.Second
}

// release gives a pod's addresses back.
func (l *Live) release(p *LivePod) {
	l.clock.Advance(time.Second)
	_ = l.a.ReleaseByHandle(p.Handle) // one that holds nothing is no error here
	p.IPs = nil
	if id := handleKey(p.Handle); l.shared[id] {
		if l.freed == nil {
			l.freed = make(map[string]bool)
		}
		l.freed[id] = true
	}
}
