package history

import (
	"net/netip"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// A World is what workers know of a cluster. A small world makes them compete.
type World struct {
	Handles []string // whose addresses they assign and release, each other's too
	IPs     []netip.Addr
	Blocks  []netip.Prefix
	V6      bool // there is an IPv6 pool too
}

// A Worker is a client that does random operations, on its own host.
type Worker struct {
	log   *Log
	src   property.Source
	world World
	host  string
	knows []ipam.Attributes // what it was told of the addresses of its world, by their index
	last  int               // the index of the address that it last used
}

// NewWorker returns a worker on a host, which should exist, whose choices come
// from the source.
func NewWorker(log *Log, src property.Source, world World, host string) *Worker {
	return &Worker{log: log, src: src, world: world, host: host, knows: make([]ipam.Attributes, len(world.IPs))}
}

// operations are the operations of a worker. One that is listed more often is more
// likely.
var operations = []func(*Worker){
	(*Worker).assign, (*Worker).assign, (*Worker).assign, (*Worker).assign,
	(*Worker).assignIP, (*Worker).assignIP, (*Worker).assignIP,
	(*Worker).release, (*Worker).release, (*Worker).release, (*Worker).release,
	(*Worker).releaseSome, (*Worker).releaseHandle, (*Worker).releaseHandle,
	(*Worker).look, (*Worker).look, (*Worker).look, (*Worker).look,
	(*Worker).ask, (*Worker).ask, (*Worker).ask,
	(*Worker).claim, (*Worker).giveBack, (*Worker).leave, (*Worker).watch,
}

// Do does one operation.
func (w *Worker) Do() { operations[w.src.Pick("operation", len(operations))](w) }

func (w *Worker) pick(what string, n int) int { return w.src.Pick(what, n) }

func (w *Worker) handle() string { return w.world.Handles[w.pick("handle", len(w.world.Handles))] }

// holder returns the handle for an address: now and then none.
func (w *Worker) holder() string {
	if w.pick("no handle", 10) == 9 {
		return ""
	}
	return w.handle()
}

// limit returns a limit per handle, or none.
func (w *Worker) limit() int { return max(0, w.pick("limit", 6)-3) }

func (w *Worker) assign() {
	args := ipam.AutoAssignArgs{Host: w.host, Num4: 1 + w.pick("addresses", 3), Handle: w.holder(), Use: pool.Workload, MaxAllocPerHandle: w.limit()}
	if w.world.V6 {
		args.Num6 = w.pick("IPv6 addresses", 2)
	}
	_, _, _ = w.log.AutoAssign(args)
}

func (w *Worker) assignIP() {
	_ = w.log.AssignIP(ipam.AssignIPArgs{IP: w.world.IPs[w.ip()], Host: w.host, Handle: w.holder(), MaxAllocPerHandle: w.limit()})
}

// ip picks the index of an address of the world: often the same as before.
func (w *Worker) ip() int {
	if w.pick("another address", 2) == 1 {
		w.last = w.pick("address", len(w.world.IPs))
	}
	return w.last
}

// giving returns the arguments that release an address: the address alone, or with
// the handle or the number that the worker was once told, which may have changed
// since. Where it was told no handle, it guesses one.
func (w *Worker) giving(i int) ipam.Release {
	r := ipam.Release{IP: w.world.IPs[i]}
	how := w.pick("release by", 4)
	if how&1 != 0 {
		if r.Handle = w.knows[i].Handle; r.Handle == "" {
			r.Handle = w.handle()
		}
	}
	if how&2 != 0 && w.knows[i].Sequence > 0 {
		r.Sequence = &w.knows[i].Sequence
	}
	return r
}

func (w *Worker) release() { _, _, _ = w.log.ReleaseIPs(w.giving(w.ip())) }

// releaseSome releases neighbouring addresses.
func (w *Worker) releaseSome() {
	var some []ipam.Release
	for i, n := w.ip(), 2+w.pick("releases", 3); len(some) < n && i < len(w.world.IPs); i++ {
		some = append(some, w.giving(i))
	}
	_, _, _ = w.log.ReleaseIPs(some...)
}

func (w *Worker) releaseHandle() { _ = w.log.ReleaseByHandle(w.handle()) }

func (w *Worker) look() {
	i := w.ip()
	if a, err := w.log.GetAssignmentAttributes(w.world.IPs[i]); err == nil {
		w.knows[i] = a
	}
}

func (w *Worker) ask() { _, _ = w.log.IPsByHandle(w.handle()) }

func (w *Worker) block() netip.Prefix {
	return w.world.Blocks[w.pick("block", len(w.world.Blocks))]
}

func (w *Worker) claim() { _, _, _ = w.log.ClaimAffinity(w.block(), affinity.HostOwner(w.host)) }

func (w *Worker) giveBack() {
	_ = w.log.ReleaseAffinity(w.block(), affinity.HostOwner(w.host), w.pick("must be empty", 2) == 0)
}

func (w *Worker) leave() {
	_ = w.log.ReleaseHostAffinities(affinity.HostOwner(w.host), w.pick("must be empty", 2) == 0)
}

// watch does what controllers do.
func (w *Worker) watch() {
	if w.pick("watch", 2) == 0 {
		w.log.GarbageCollectColdIPs()
	} else {
		w.log.GetUtilization()
	}
}
