package session

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/ipam/lifecycle"
	"github.com/ipamsim/ipamsim/ipam/trace"
	"github.com/ipamsim/ipamsim/pool"
)

// tunnelType is the attribute of the addresses of tunnels that begins their names.
const (
	tunnelName   = "VXLAN tunnel"
	tunnelHandle = "vxlan-tunnel-addr-"
)

// How a pod came to its address.
const (
	own       = iota // from a block that its node had
	claimed          // from a block that its node claims for it
	recovered        // from one that the node had begun to claim
	reclaimed        // from an empty one of another node, which it takes over
	borrowed         // from a block of somebody else
	refused
)

// An event is the answer to one request.
type event struct {
	pod   *pod
	how   int
	ip    netip.Addr
	block netip.Prefix
	from  affinity.Owner // who owned the block before
	// Of a claim: how many blocks the node had, where its walk through the pool began and
	// how many blocks it passed.
	had    int
	pool   *pool.Pool
	start  pool.Index
	passed pool.Index
	free   int // addresses that the block has left
}

// newPod returns a pod that has not asked yet.
func newPod(namespace, name string, n *node) *pod {
	return &pod{namespace: namespace, name: name, node: n}
}

// begin gives the pod a container: a new one each time that it starts.
func (p *pod) begin() {
	if p.namespace == "" {
		p.handle = tunnelHandle + p.node.name
		return
	}
	seed := p.label()
	if p.asks != nil {
		seed += " again" // its first container had a handle of another kind
	}
	if p.life > 0 {
		seed = fmt.Sprintf("%s#%d", seed, p.life)
	}
	p.life++
	id := sha256.Sum256([]byte(seed))
	p.handle = "k8s-pod-network." + hex.EncodeToString(id[:])
}

// attributes are what the CNI plug-in, or calico-node, says about who asks.
func (w *world) attributes(p *pod) map[string]string {
	if p.namespace == "" {
		kind := "vxlanTunnelAddress"
		if n4, _ := w.families(); n4 == 0 {
			kind = "vxlanV6TunnelAddress"
		}
		return map[string]string{ipam.AttrNode: p.node.name, ipam.AttrType: kind}
	}
	return map[string]string{
		ipam.AttrNamespace: p.namespace, ipam.AttrPod: p.name, ipam.AttrNode: p.node.name,
		"timestamp": w.clock.Now().String(),
	}
}

// request is what the pod asks for.
func (w *world) request(p *pod) (ipam.AutoAssignArgs, trace.In) {
	if w.live != nil && p.namespace != "" {
		return w.liveRequest(p)
	}
	attrs := w.attributes(p)
	args := ipam.AutoAssignArgs{Host: p.node.name, Handle: p.handle, Attrs: block.MakeAttrs(attrs), Use: pool.Workload}
	args.Num4, args.Num6 = w.families()
	if p.namespace == "" {
		args.Use = pool.Tunnel
		if args.Num4 > 0 {
			args.Num6 = 0
		}
	}
	in := trace.In{Host: args.Host, Num4: args.Num4, Num6: args.Num6, Handle: p.handle, Attrs: attrs, Use: string(args.Use)}
	return args, in
}

// enter puts a pod on its node.
func (w *world) enter(p *pod) {
	n := p.node
	w.affected[n.name] = true
	if p.namespace == "" {
		n.tunnel = p
		return
	}
	n.pods = append(n.pods, p)
	n.waiting++
	w.pods[p.label()] = p
	w.tellPod(p)
}

// tellPod tells kube-controllers of a pod.
func (w *world) tellPod(p *pod) {
	_ = w.kubernetes.SetPod(lifecycle.Pod{PodName: lifecycle.PodName{Namespace: p.namespace, Name: p.name}, Node: p.node.name, IPs: p.ips})
	if w.journal != nil {
		t := &trace.Pod{Namespace: p.namespace, Name: p.name, Node: p.node.name}
		for _, ip := range p.ips {
			t.IPs = append(t.IPs, ip.String())
		}
		w.note("AddPod", trace.In{Pod: t})
	}
}

// ask asks for the pod's addresses, and returns what came of it: an event a family, or
// one if it was refused.
func (w *world) ask(p *pod) []event {
	p.begin()
	n := p.node
	own := n.owned(w)
	args, in := w.request(p)
	w.note("AutoAssign", in)
	owners := func(cidr netip.Prefix) affinity.Owner {
		if b := w.blocks[cidr]; b != nil {
			return b.owner
		}
		return affinity.Owner{}
	}
	v4, v6, err := w.assign(p, args)
	var events []event
	for _, answer := range []ipam.Assignment{v4, v6} {
		for _, got := range answer.IPs {
			cidr, owner, _ := w.ipam.BlockOf(got.Addr())
			e := event{pod: p, ip: got.Addr(), block: cidr, from: owners(cidr), had: len(own), pool: w.poolOf(got.Addr())}
			was := w.blocks[cidr]
			switch {
			case owner != n.owner():
				e.how, e.from = borrowed, owner
			case was != nil && was.owner == owner:
				// Its own already.
			case was != nil:
				e.how = reclaimed
			case n.blocks[cidr]: // as before the request
				e.how = recovered
			default:
				e.how = claimed
			}
			if e.pool != nil {
				e.start = e.pool.Start(n.name, w.clock.Now())
				e.passed = e.pool.IndexOf(cidr.Addr()).Sub(e.start).Low(e.pool.BlockBits())
			}
			events = append(events, e)
		}
	}
	w.refresh()
	if why := short(v4, v6, err); why != "" {
		if len(events) > 0 { // of one family only: the plug-in gives it back
			w.free(p.handle)
		}
		p.why = why
		return []event{{pod: p, how: refused, had: len(own)}}
	}
	p.why = ""
	if p.namespace != "" {
		n.waiting--
	}
	for i, e := range events {
		p.ips = append(p.ips, e.ip)
		w.addresses[e.ip] = true
		w.holds(p, e.ip, 1)
		if b := w.blocks[e.block]; b != nil {
			events[i].free = b.count.Free
		}
	}
	if p.namespace != "" {
		w.tellPod(p)
	}
	return events
}

// short says why an answer is short, in the allocator's words; empty if it is not.
func short(v4, v6 ipam.Assignment, err error) string {
	if len(v4.IPs) >= v4.Asked && len(v6.IPs) >= v6.Asked && err == nil && v4.Asked+v6.Asked > 0 {
		return ""
	}
	if msgs := append(v4.Msgs[:len(v4.Msgs):len(v4.Msgs)], v6.Msgs...); len(msgs) > 0 {
		return strings.Join(msgs, " ")
	}
	if err != nil {
		return string(codes.Of(err))
	}
	return "no-pool"
}

// free releases what a handle holds.
func (w *world) free(handle string) {
	w.note("ReleaseByHandle", trace.In{Handle: handle})
	_ = w.ipam.ReleaseByHandle(handle) // does-not-exist: it holds nothing
	w.refresh()
}

// returned is an address that was given back.
type returned struct {
	pod     *pod
	ip      netip.Addr
	block   netip.Prefix
	gone    bool // the block, with its last address
	cooling bool
	ahead   int // how many addresses of the queue are before it
}

// giveBack releases the pod's addresses.
func (w *world) giveBack(p *pod) (back []returned) {
	for _, ip := range p.ips {
		cidr, _, _ := w.ipam.BlockOf(ip)
		back = append(back, returned{pod: p, ip: ip, block: cidr})
		w.addresses[ip] = true
		w.holds(p, ip, -1)
	}
	had := len(p.ips) > 0
	p.ips = nil
	if had {
		w.free(p.handle)
		if p.namespace != "" {
			p.node.waiting++
		}
	}
	var state ipam.BlockState
	for i := range back {
		r := &back[i]
		if r.gone = !w.ipam.ReadBlock(r.block, &state); r.gone {
			continue
		}
		r.cooling = true
		for at, ord := range state.Free {
			if state.Addr(ord) == r.ip {
				r.cooling, r.ahead = false, at
			}
		}
	}
	return back
}

// leave takes a pod off its node, which has given its addresses back or lost them.
func (w *world) leave(p *pod) {
	n := p.node
	w.affected[n.name] = true
	for i, q := range n.pods {
		if q == p {
			n.pods = append(n.pods[:i:i], n.pods[i+1:]...)
			if p.waits() {
				n.waiting--
			}
			break
		}
	}
	if n.tunnel == p {
		n.tunnel = nil
	}
	if p.namespace == "" {
		return
	}
	delete(w.pods, p.label())
	w.kubernetes.DeletePod(lifecycle.PodName{Namespace: p.namespace, Name: p.name})
	if w.journal != nil {
		w.note("DeletePod", trace.In{Pod: &trace.Pod{Namespace: p.namespace, Name: p.name}})
	}
}

// plain is the sentence of an error of the allocator.
func plain(err error) string {
	var e *ipam.Error
	if errors.As(err, &e) {
		text := e.Code.Error()
		if e.Detail != "" {
			text += ": " + e.Detail
		}
		if e.Argument != "" {
			text = e.Argument + ": " + e.Got + " " + e.Detail
		}
		return text
	}
	return err.Error()
}
