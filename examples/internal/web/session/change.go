package session

import (
	"container/heap"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/trace"
	"github.com/ipamsim/ipamsim/pool"
)

// This file has the acts on nodes that leave, on the configuration, on pools and on
// the clock.

func (w *world) removeNode(op *Op) error {
	n, err := w.node("node", op.Node)
	if err != nil {
		return err
	}
	if op.How != "gone" && slices.ContainsFunc(n.pods, func(p *pod) bool { return !p.daemon }) {
		if err := w.move(n); err != nil {
			return err
		}
	}
	left := 0
	for _, b := range n.owned(w) {
		left += b.count.InUse
	}
	pods := slices.Clone(n.pods)
	kept := 0
	for _, p := range pods {
		if op.How != "gone" {
			w.giveBack(p)
		}
		kept += len(p.ips)
		w.leave(p)
	}
	w.kubernetes.DeleteNode(n.name)
	w.note("DeleteNode", trace.In{Node: &ipam.Node{Name: n.name}})
	n.gone, n.cordoned = true, false
	tunnel := 0
	if n.tunnel != nil {
		tunnel = len(n.tunnel.ips)
	}
	n.tunnel = nil
	w.affected[n.name] = true
	if op.How == "gone" {
		with := count(len(pods), "pod")
		if tunnel > 0 {
			with += " and its tunnel"
		}
		w.say("%s is gone, with %s, and nothing was given back: %s in use.", n.name, with, are(kept+tunnel, "address stays", "addresses stay"))
	} else {
		w.say("%s has left the cluster, and its pods have given their addresses back before.", n.name)
	}
	blocks := len(n.owned(w))
	switch {
	case blocks > 0 && tunnel > 0 && op.How != "gone":
		w.say("Its %s its own, and the address of its tunnel in use, until kube-controllers looks.", are(blocks, "block stays", "blocks stay"))
	case blocks > 0:
		w.say("Its %s its own until kube-controllers looks.", are(blocks, "block stays", "blocks stay"))
	}
	return nil
}

// are is a number with a noun and its verb.
func are(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

func (w *world) drain(op *Op) error {
	n, err := w.node("node", op.Node)
	if err != nil {
		return err
	}
	if n.cordoned {
		return fmt.Errorf("node: %s is drained already", n.name)
	}
	if err := w.move(n); err != nil {
		return err
	}
	if blocks := len(n.owned(w)); blocks > 0 {
		w.say("%s keeps %s: a drained node may come back.", n.name, are(blocks, "block", "blocks"))
	}
	return nil
}

// move cordons a node, and starts its pods elsewhere.
func (w *world) move(n *node) error {
	was := n.cordoned
	n.cordoned = true
	queue := &byPods{sign: 1}
	for _, m := range w.takers() {
		queue.of = append(queue.of, nodeLoad{m, m.pods})
	}
	var moving []*pod
	for _, p := range n.pods {
		if !p.daemon {
			moving = append(moving, p)
		}
	}
	if len(queue.of) == 0 && len(moving) > 0 {
		n.cordoned = was
		return fmt.Errorf("node: no other node takes the %s of %s", count(len(moving), "pod"), n.name)
	}
	w.affected[n.name], w.touched = true, true
	heap.Init(queue)
	var back []returned
	var events []event
	for _, p := range moving {
		back = append(back, w.giveBack(p)...)
		w.leave(p)
		p.node, p.why = queue.of[0].node, ""
		w.enter(p)
		queue.of[0].pods = p.node.pods
		heap.Fix(queue, 0)
		events = append(events, w.ask(p)...)
	}
	switch {
	case len(moving) == 0:
		w.say("%s takes no pods any more. It had none that can move.", n.name)
	default:
		w.say("%s takes no pods any more, and %s.", n.name, are(len(moving), "pod moves", "pods move"))
	}
	w.tellBack(back, 0)
	w.tell(events)
	return nil
}

func (w *world) undrain(op *Op) error {
	n, err := w.node("node", op.Node)
	if err != nil {
		return err
	}
	if !n.cordoned {
		return fmt.Errorf("node: %s is not drained", n.name)
	}
	n.cordoned, w.touched = false, true
	w.affected[n.name] = true
	w.say("%s takes pods again, and still has %s.", n.name, count(len(n.owned(w)), "block"))
	return nil
}

func (w *world) configure(op *Op) error {
	c := w.ipam.GetIPAMConfig()
	was := c
	if op.Strict != nil {
		c.StrictAffinity = *op.Strict
		if !c.StrictAffinity && op.MaxBlocks == nil {
			c.MaxBlocksPerHost = 0 // a limit needs strict affinity
		}
	}
	if op.MaxBlocks != nil {
		c.MaxBlocksPerHost = *op.MaxBlocks
	}
	if op.Cooldown != nil {
		d, err := span("cooldown", *op.Cooldown, 0, 20*time.Minute)
		if err != nil {
			return err
		}
		c.IPCooldownSeconds = int(d / time.Second)
	}
	if c.MaxBlocksPerHost > 0 && !c.StrictAffinity {
		return errors.New("maxBlocks: Calico accepts a limit of blocks only with strict affinity: turn that on first")
	}
	if !w.ipam.Calico().Rules().Cooldown && c.IPCooldownSeconds > 0 {
		return fmt.Errorf("cooldown: Calico %s has none; it came with %s: begin with that release", w.ipam.Calico(), calico.First(func(r *calico.Rules) *bool { return &r.Cooldown }))
	}
	if err := w.ipam.SetIPAMConfig(c); err != nil {
		return errors.New(plain(err))
	}
	w.note("SetIPAMConfig", trace.In{Config: &c})
	if c == was {
		w.say("The configuration is as it was.")
	}
	switch {
	case c.StrictAffinity == was.StrictAffinity:
	case c.StrictAffinity:
		w.say("Affinity is strict now: a node uses its own blocks only, and nobody borrows. Addresses that are borrowed already stay.")
	default:
		w.say("Affinity is not strict any more: where no block is left to claim, nodes borrow from the blocks of others.")
	}
	if c.MaxBlocksPerHost != was.MaxBlocksPerHost {
		w.say("A node may own %s now. Those that own more keep them.", count(limit(c), "block"))
	}
	switch {
	case c.IPCooldownSeconds == was.IPCooldownSeconds:
	case c.IPCooldownSeconds == 0:
		w.say("A released address is free at once.")
	default:
		w.say("A released address cools down for %s before it is free.", brief(time.Duration(c.IPCooldownSeconds)*time.Second))
	}
	return nil
}

// limit is how many blocks a node may own.
func limit(c ipam.Config) int {
	if c.MaxBlocksPerHost == 0 {
		return ipam.DefaultMaxBlocksPerHost
	}
	return c.MaxBlocksPerHost
}

func (w *world) setPool(op *Op) error {
	var spec pool.Spec
	isNew := true
	for _, p := range w.pools {
		if p.Name() == op.Name {
			spec, isNew = p.Spec(), false
		}
	}
	spec.Name = op.Name
	switch {
	case op.CIDR != "":
		cidr, err := prefix("cidr", op.CIDR)
		if err != nil {
			return err
		}
		spec.CIDR = cidr
	case isNew:
		return fmt.Errorf("cidr: there is no pool %q, and a new one needs it", op.Name)
	}
	if op.BlockSize != 0 {
		spec.BlockSize = op.BlockSize
	}
	if op.NodeSelector != nil {
		spec.NodeSelector = *op.NodeSelector
	}
	if op.Disabled != nil {
		spec.Disabled = *op.Disabled
	}
	if err := checkPool(spec); err != nil {
		return err
	}
	if op.Reserved != nil {
		if _, bad := pool.ParseReservations(*op.Reserved); len(bad) > 0 {
			return fmt.Errorf("reserved: %q: %s", bad[0].Entry, bad[0].Reason) // the act is refused, and nothing is ignored
		}
	}
	var before *pool.Pool
	for _, p := range w.pools {
		if p.Name() == op.Name {
			before = p
		}
	}
	if err := w.putPool(spec); err != nil {
		return err
	}
	if op.Reserved != nil {
		w.ipam.SetReservations(*op.Reserved)
		w.note("SetReservations", trace.In{Reservations: *op.Reserved})
		for cidr, b := range w.blocks { // which have other free addresses now
			b.count, _ = w.ipam.CountBlock(cidr)
		}
	}
	w.tellPool(before, spec, op.Reserved)
	return nil
}

// tellPool says how a pool has changed.
func (w *world) tellPool(before *pool.Pool, spec pool.Spec, reserved *[]string) {
	said := len(w.says)
	p, _ := pool.New(spec)
	if before == nil {
		w.say("Pool %s is new: %s in %s of /%d.", spec.Name, p.CIDR(), count(1<<p.BlockBits(), "block"), p.BlockSize())
		before = p
	}
	if p.Spec().NodeSelector != before.Spec().NodeSelector || spec.NodeSelector != "" && before == p {
		in, all := 0, 0
		for _, n := range w.order {
			if !n.gone {
				if all++; p.SelectsNode(n.labels) {
					in++
				}
			}
		}
		w.say("It selects %s of %s.", thousands(in), count(all, "node"))
	}
	switch {
	case p.Disabled() == before.Disabled():
	case p.Disabled():
		w.say("Pool %s is disabled: nobody gets an address of it any more. Pods keep those that they have.", spec.Name)
	default:
		w.say("Pool %s is enabled again.", spec.Name)
	}
	if reserved != nil {
		if len(*reserved) == 0 {
			w.say("No address is reserved any more.")
		} else {
			w.say("Reserved, so that no pod gets them by chance: %s.", some(*reserved, 4))
		}
	}
	if len(w.says) == said {
		w.say("Pool %s is as it was.", spec.Name)
	}
}

// putPool writes a pool.
func (w *world) putPool(spec pool.Spec) error {
	err := w.ipam.SetPool(spec)
	switch {
	case errors.Is(err, pool.ErrImmutable):
		return fmt.Errorf("cidr: the CIDR and the block size of pool %s cannot change, as in Calico: add another pool, and disable this one", spec.Name)
	case errors.Is(err, pool.ErrOverlap):
		return fmt.Errorf("cidr: %s shares addresses with another pool", spec.CIDR)
	case errors.Is(err, pool.ErrBlockSize):
		return fmt.Errorf("blockSize: blocks of another size lie in %s already", spec.CIDR)
	case err != nil:
		return errors.New(plain(plainPool(err)))
	}
	full := spec.WithDefaults()
	t := &trace.Pool{Name: full.Name, CIDR: full.CIDR.String(), BlockSize: full.BlockSize, NodeSelector: full.NodeSelector,
		NamespaceSelector: full.NamespaceSelector, AssignmentMode: string(full.AssignmentMode), Disabled: full.Disabled}
	for _, u := range full.AllowedUses {
		t.AllowedUses = append(t.AllowedUses, string(u))
	}
	w.note("SetPool", trace.In{Pool: t})
	w.learnPools()
	return nil
}

// learnPools reads the pools.
func (w *world) learnPools() {
	w.pools = nil
	for _, spec := range w.ipam.Pools() {
		if p, err := pool.New(spec); err == nil {
			w.pools = append(w.pools, p)
		}
	}
}

func (w *world) removePool(op *Op) error {
	var of *pool.Pool
	var names []string
	for _, p := range w.pools {
		names = append(names, p.Name())
		if p.Name() == op.Name {
			of = p
		}
	}
	if of == nil {
		return unknown("name", "pool", op.Name, names)
	}
	blocks := 0
	for cidr := range w.blocks {
		if of.Contains(cidr.Addr()) {
			blocks++
		}
	}
	w.ipam.DeletePool(op.Name)
	w.note("DeletePool", trace.In{Pool: &trace.Pool{Name: op.Name}})
	w.learnPools()
	w.refresh()
	w.say("Pool %s is gone.", op.Name)
	if blocks > 0 {
		w.say("%s, in no pool now, and the pods in them keep their addresses.", are(blocks, "block stays", "blocks stay"))
	}
	return nil
}

func (w *world) advance(op *Op) error {
	d, err := span("by", op.By, time.Second, 720*time.Hour)
	if err != nil {
		return err
	}
	w.clock.Advance(d)
	w.touched = true
	w.say("%s later, it is %s.", brief(d), w.clock.Now().Format("2006-01-02 15:04:05"))
	w.tellCooled(d)
	var events []event
	for _, p := range w.everybody() {
		if p.waits() && !p.node.gone {
			events = append(events, w.ask(p)...)
		}
	}
	if len(events) > 0 {
		w.say("%s without an address %s again.", are(len(events), "pod", "pods"), verb(len(events), "asks", "ask"))
		w.tell(events)
	}
	return nil
}

// tellCooled says which addresses have cooled down in the last span of time.
func (w *world) tellCooled(passed time.Duration) {
	cooldown := time.Duration(w.ipam.GetIPAMConfig().IPCooldownSeconds) * time.Second
	if cooldown == 0 {
		return
	}
	now := w.clock.Now()
	cold, left := 0, 0
	var state ipam.BlockState
	for cidr, b := range w.blocks {
		if b.count.Cooling == 0 || !w.ipam.ReadBlock(cidr, &state) {
			continue
		}
		for _, a := range state.Allocations {
			if a.ReleasedAt.IsZero() {
				continue
			}
			switch end := a.ReleasedAt.Add(cooldown); {
			case end.After(now):
				left++
			case end.After(now.Add(-passed)):
				cold++
			}
		}
	}
	if cold > 0 {
		w.say("%s cooled down: the next write of %s block puts %s at the end of the queue.", are(cold, "address has", "addresses have"),
			verb(cold, "its", "their"), verb(cold, "it", "them"))
	}
	if left > 0 {
		w.say("%s.", are(left, "address still cools", "addresses still cool"))
	}
}

// clean lets kube-controllers look at the cluster once.
func (w *world) clean(*Op) error {
	if w.dump != nil {
		if u := w.dump.live.Report().Unknown; u.Pods || u.Nodes {
			return errors.New("the file does not have all pods and nodes, so kube-controllers cannot be played: it would take the addresses of pods that live")
		}
	}
	owners := make(map[netip.Prefix]affinity.Owner)
	for cidr, b := range w.blocks {
		owners[cidr] = b.owner
	}
	w.note("Sync", trace.In{Full: true})
	w.touched = true
	result := w.controller.Sync(true)
	w.refresh()
	for _, ip := range result.ReleasedIPs {
		w.addresses[ip] = true
	}
	var ips, blocks []string
	for _, ip := range result.ReleasedIPs {
		ips = append(ips, ip.String())
	}
	for _, cidr := range result.ReleasedBlocks {
		text := cidr.String()
		if o := owners[cidr]; !o.IsZero() {
			text += " of " + o.Name
		}
		blocks = append(blocks, text)
	}
	w.say("kube-controllers compares the addresses in use with the pods and nodes that there are.")
	if len(ips) > 0 {
		w.say("It releases %s that nobody uses: %s.", count(len(ips), "address"), some(ips, 4))
	}
	if len(blocks) > 0 {
		w.say("It gives up the affinity of %s: %s.", count(len(blocks), "block"), some(blocks, 3))
	}
	w.settleHolders()
	suspects, empty := w.suspects()
	if suspects > 0 {
		w.say("%s suspect: a later look releases %s once the grace period of %s is over.", are(suspects, "more address is", "more addresses are"), verb(suspects, "it", "them"), brief(w.controller.Policy().GracePeriod))
	}
	if empty > 0 {
		w.say("%s, and the node has others: a look after %s gives %s up.", are(empty, "block is empty", "blocks are empty"), brief(w.controller.Policy().GracePeriod), verb(empty, "it", "them"))
	}
	if result.Err != nil {
		w.say("It could not finish: %s.", strings.TrimSuffix(plain(result.Err), "."))
	}
	if len(ips)+len(blocks)+suspects+empty == 0 {
		w.say("All is in use: there is nothing to clean up.")
	}
	return nil
}

// suspects counts the addresses that no pod and no node has, and the empty blocks of
// nodes that have others.
func (w *world) suspects() (leaked, empty int) {
	for _, b := range w.blocks {
		held := 0
		for _, n := range b.holders {
			held += n
		}
		leaked += max(0, b.count.InUse-b.count.HostReserved-held)
	}
	for _, n := range w.order {
		own := n.owned(w)
		for _, b := range own {
			if b.count.InUse == b.count.HostReserved && len(own) > 1 {
				empty++
			}
		}
	}
	return leaked, empty
}

// settleHolders forgets holders whose addresses are gone.
func (w *world) settleHolders() {
	for _, b := range w.blocks {
		maps.DeleteFunc(b.holders, func(n *node, _ int) bool { return n.gone })
	}
}
