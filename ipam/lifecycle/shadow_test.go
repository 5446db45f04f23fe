package lifecycle

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// tape is a source that repeats what another picked since the last rewind.
type tape struct {
	source property.Source
	picked []int
	at     int
	replay bool
}

func (t *tape) Pick(what string, n int) int {
	if t.replay {
		t.at++
		return t.picked[t.at-1]
	}
	i := t.source.Pick(what, n)
	t.picked = append(t.picked, i)
	return i
}

// twins are two worlds in which the same happens, and whose controllers have different
// grace periods and look at different moments. One of them has a shadow, which stands
// for the other.
type twins struct {
	tape   tape
	worlds [2]*world
	first  *Controller // which has the shadow
	apart  bool
}

func newTwins(s property.Source, breakIt func(*Controller)) *twins {
	t := &twins{tape: tape{source: s}}
	for i := range t.worlds {
		t.tape.at, t.tape.replay = 0, i == 1
		w := newWorld(&t.tape, nil)
		t.worlds[i] = w
		w.cluster.allocator.SetReservations([]string{"10.0.0.16/28", "10.0.0.32/27"}) // so that nodes borrow
		w.policy.GracePeriod = []time.Duration{time.Minute, 5 * time.Minute, 0, time.Hour}[s.Pick("grace", 4)]
		w.breakIt = func(k *Controller) {
			if i == 1 {
				return
			}
			if t.first != nil {
				t.apart = t.over()
			}
			t.first = k
			k.AddShadow()
			if breakIt != nil {
				breakIt(k)
			}
		}
		w.restart()
	}
	t.worlds[0].looking = func(full bool) { t.first.ShadowLooks(0, true, full) }
	return t
}

// quiet does one thing that can happen, and seldom one that makes somebody suspect.
func (w *world) quiet() {
	switch w.source.Pick("what", 12) {
	case 0, 1, 2, 3:
		if name := (PodName{"ns", fmt.Sprintf("p%d", w.source.Pick("pod", 12))}); w.alive[name] == nil {
			w.begin(name, place(w.source.Pick("node", places)))
		}
	case 4, 5:
		if name, ok := w.any(); ok {
			w.stop(name, w.source.Pick("release is lost", 20) == 19)
		}
	case 6: // a node vanishes with its pods
		i := place(w.source.Pick("node", places))
		for _, name := range slices.Clone(w.names) {
			if w.alive[name].node == i {
				w.stop(name, true)
			}
		}
		w.cluster.DeleteNode(i)
	case 7:
		if i := w.source.Pick("node", places); !w.cluster.HasNode(place(i)) {
			w.setNode(i)
		}
	case 8, 9, 10:
		jumps := []time.Duration{time.Second, 30 * time.Second, time.Minute, 10 * time.Minute}
		w.clock.Advance(jumps[w.source.Pick("jump", len(jumps))])
	case 11: // a pod seems to move
		if name, ok := w.any(); ok {
			moved := *w.alive[name]
			moved.node = place(w.source.Pick("node", places))
			w.show(name, &moved)
		}
	}
}

// begin starts a pod on a node if that is there.
func (w *world) begin(name PodName, on string) {
	if !w.cluster.HasNode(on) {
		return
	}
	w.handles++
	p := &living{node: on, handle: fmt.Sprintf("h%d", w.handles)}
	attrs := block.MakeAttrs(map[string]string{ipam.AttrNode: on, ipam.AttrPod: name.Name, ipam.AttrNamespace: name.Namespace})
	v4, _, err := w.cluster.allocator.AutoAssign(ipam.AutoAssignArgs{Host: on, Num4: 1, Handle: p.handle, Attrs: attrs, Use: pool.Workload})
	if err == nil && len(v4.IPs) > 0 {
		p.ips = []netip.Addr{v4.IPs[0].Addr()}
		p.reported = p.ips
		w.show(name, p)
	}
}

// both does the same in both worlds.
func (t *twins) both(do func(w *world)) {
	t.tape.picked, t.tape.at = nil, 0
	for i, w := range t.worlds {
		t.tape.replay = i == 1
		do(w)
	}
}

// look has each of the controllers look at something, or, as a rule only where nothing
// changed, at nothing.
func (t *twins) look() {
	least := 0
	if t.worlds[0].controller.watch.Pending() > 0 && t.tape.source.Pick("nothing", 20) < 19 {
		least = 1
	}
	var looks, full [2]bool
	for i := range looks {
		look := least + t.tape.source.Pick("look", 3-least)
		looks[i], full[i] = look > 0, look == 2
	}
	t.first.ShadowLooks(0, looks[1], full[1])
	if !looks[0] {
		t.worlds[0].controller.Pass()
	}
	var did [2]string
	for i, w := range t.worlds {
		if looks[i] {
			r := w.controller.Sync(full[i])
			did[i] = fmt.Sprint(r.ReleasedIPs, r.ReleasedBlocks, r.WorkRemaining, r.Err)
		} else {
			did[i] = fmt.Sprint([]int{}, []int{}, false, nil)
		}
	}
	if !t.over() && did[0] != did[1] {
		t.worlds[0].fail("one did %s, the other %s", did[0], did[1])
	}
}

// over reports whether the shadow stands for the other no longer.
func (t *twins) over() bool { return t.apart || t.first.Apart(0) }

// shadowed is the property: as long as a shadow does not part, all goes the same with
// its grace period.
func shadowed(s property.Source, breakIt func(*Controller)) (alike int, err error) {
	for range 8 {
		n, err := alikeUntilApart(s, breakIt)
		if err != nil {
			return alike, err
		}
		alike = max(alike, n)
	}
	return alike, nil
}

// alikeUntilApart returns how many steps it took them to part.
func alikeUntilApart(s property.Source, breakIt func(*Controller)) (alike int, err error) {
	t := newTwins(s, breakIt)
	for range 200 {
		if s.Pick("now", 3) == 2 {
			t.look()
		} else {
			t.both((*world).quiet)
		}
		if t.over() {
			return alike, nil
		}
		alike++
		for _, w := range t.worlds {
			if w.fault != nil {
				return alike, w.fault
			}
		}
		if a, b := t.worlds[0].cluster.allocator.State(), t.worlds[1].cluster.allocator.State(); !reflect.DeepEqual(a, b) {
			return alike, fmt.Errorf("after %d steps:\n%+v\nis not\n%+v", alike, a, b)
		}
	}
	return alike, nil
}

func TestShadows(t *testing.T) {
	most := 0
	property.Check(t, 300, 1, func(rt *rapid.T) {
		alike, err := shadowed(property.Rapid(rt), nil)
		must.NoError(rt, err)
		most = max(most, alike)
	})
	if !testing.Short() { // which has few cases
		must.Greater(t, 30, most)
	}
}

// TestShadowsReject: without any one of the comparisons the property fails.
func TestShadowsReject(t *testing.T) {
	for name, breakIt := range map[string]func(*Controller){
		"never part":            func(k *Controller) { k.guards.part = func() {} },
		"all nodes are settled": func(k *Controller) { k.guards.settled = func(*node) bool { return true } },
		"nothing gets cold":     func(k *Controller) { k.guards.coldDue = func() bool { return false } },
	} {
		t.Run(name, func(t *testing.T) {
			property.Rejects(t, func(s property.Source) error {
				_, err := shadowed(s, breakIt)
				return err
			})
		})
	}
}

// TestShadowMarks: a shadow that would be the first to mark an empty block parts.
func TestShadowMarks(t *testing.T) {
	clock := ipam.NewClock(time.Unix(1e9, 0))
	a := ipam.New(ipam.Options{Now: clock.Now})
	must.NoError(t, a.SetIPAMConfig(ipam.Config{AutoAllocateBlocks: true, IPCooldownSeconds: 30}))
	must.NoError(t, a.SetPool(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/26"), BlockSize: 30}))
	c := NewCluster(a)
	must.NoError(t, c.SetNode(ipam.Node{Name: "n"}))
	k, err := NewController(c, DefaultPolicy())
	must.NoError(t, err)
	k.AddShadow()
	both := func() {
		k.ShadowLooks(0, true, true)
		must.NoError(t, k.Sync(true).Err)
		must.False(t, k.Apart(0))
	}
	attrs := block.MakeAttrs(map[string]string{ipam.AttrNode: "n", ipam.AttrPod: "p", ipam.AttrNamespace: "ns"})
	v4, _, err := a.AutoAssign(ipam.AutoAssignArgs{Host: "n", Num4: 4, Handle: "first", Attrs: attrs, Use: pool.Workload})
	must.NoError(t, err)
	must.Len(t, 4, v4.IPs)
	reported := make([]netip.Addr, 0, 4)
	for _, ip := range v4.IPs {
		reported = append(reported, ip.Addr())
	}
	must.NoError(t, c.SetPod(Pod{PodName: PodName{"ns", "p"}, Node: "n", IPs: reported}))
	_, _, err = a.AutoAssign(ipam.AutoAssignArgs{Host: "n", Num4: 1, Handle: "second", Use: pool.Workload})
	must.NoError(t, err)
	must.NoError(t, a.ReleaseByHandle("second"))
	both() // the second block cools
	clock.Advance(30 * time.Second)
	both() // it was collected, and is empty
	k.ShadowLooks(0, false, false)
	k.Pass()
	must.False(t, k.Apart(0), must.Sprint("nobody looks"))
	k.ShadowLooks(0, true, true)
	k.Pass()
	must.True(t, k.Apart(0))
}
