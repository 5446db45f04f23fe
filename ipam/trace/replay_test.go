package trace

import (
	"encoding/json"
	"fmt"
	"math/big"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
)

// faults are ways in which an outcome can be wrong. Each changes an outcome and
// reports whether it could.
var faults = []struct {
	name  string
	plant func(o *Out) bool
}{
	{"another address", func(o *Out) bool { return change(o.IPs4, nextAddr) }},
	{"another IPv6 address", func(o *Out) bool { return change(o.IPs6, nextAddr) }},
	{"another mask", func(o *Out) bool {
		return change(o.IPs4, func(s string) string { return s[:strings.Index(s, "/")] + "/32" })
	}},
	{"an address too few", func(o *Out) bool { return cut(&o.IPs4) }},
	{"an IPv6 address too many", func(o *Out) bool { return double(&o.IPs6) }},
	{"addresses in another order", func(o *Out) bool { return swap(o.IPs4) }},
	{"another message", func(o *Out) bool { return change(o.Msgs4, func(s string) string { return s + "!" }) }},
	{"another IPv6 message", func(o *Out) bool { return change(o.Msgs6, func(s string) string { return s + "!" }) }},
	{"a message too few", func(o *Out) bool { return cut(&o.Msgs4) }},
	{"another error", func(o *Out) bool {
		if o.Err == "" {
			return false
		}
		o.Err = "no-free-block"
		return true
	}},
	{"success instead of an error", func(o *Out) bool { had := o.Err != ""; o.Err = ""; return had }},
	{"an error instead of success", func(o *Out) bool { had := o.Err == ""; o.Err = "max-alloc"; return had }},
	{"a released address too few", func(o *Out) bool { return cut(&o.Released) }},
	{"released in another order", func(o *Out) bool { return swap(o.Released) }},
	{"an unallocated address too few", func(o *Out) bool { return cut(&o.Unallocated) }},
	{"an address of a handle too few", func(o *Out) bool { return cut(&o.IPs) }},
	{"another handle", func(o *Out) bool { had := o.Handle != ""; o.Handle += "0"; return had }},
	{"another attribute", func(o *Out) bool {
		if o.Attrs["pod"] == "" {
			return false
		}
		o.Attrs["pod"] += "0"
		return true
	}},
	{"attributes of the alternate owner lost", func(o *Out) bool { had := len(o.AlternateAttrs) > 0; o.AlternateAttrs = nil; return had }},
	{"a claimed block too few", func(o *Out) bool { return cut(&o.Claimed) }},
	{"a failed block too few", func(o *Out) bool { return cut(&o.Failed) }},
	{"no block", func(o *Out) bool { had := o.Block4 != ""; o.Block4 = ""; return had }},
	{"no IPv6 block", func(o *Out) bool { had := o.Block6 != ""; o.Block6 = ""; return had }},
	{"one more in use", func(o *Out) bool {
		if len(o.Pools) == 0 {
			return false
		}
		n := o.Pools[0].InUse
		n.Add(n, big.NewInt(1))
		return true
	}},
	{"one fewer available in a block", func(o *Out) bool {
		for i := range o.Pools {
			if blocks := o.Pools[i].Blocks; len(blocks) > 0 {
				n := blocks[len(blocks)-1].Available
				n.Sub(n, big.NewInt(1))
				return true
			}
		}
		return false
	}},
	{"pools in another order", func(o *Out) bool { return swap(o.Pools) }},
	{"a blank too many in a table", func(o *Out) bool { had := o.Shown != ""; o.Shown += " "; return had }},
	{"another figure in a table", func(o *Out) bool {
		digit := regexp.MustCompile(`[1-9]`).FindStringIndex(o.Shown)
		if digit == nil {
			return false
		}
		o.Shown = o.Shown[:digit[0]] + "0" + o.Shown[digit[1]:]
		return true
	}},
	{"a state instead of none", func(o *Out) bool { had := o.State == nil; o.State = new(State); return had }},
	{"no state", func(o *Out) bool { had := o.State != nil; o.State = nil; return had }},
	{"another order of the queue", inBlock(func(b *Block) bool {
		parts := strings.Split(b.Free, ",")
		if !swap(parts) {
			return false
		}
		b.Free = strings.Join(parts, ",")
		return true
	})},
	{"a block full", inBlock(func(b *Block) bool { had := b.Free != ""; b.Free = ""; return had })},
	{"a block's owner lost", inBlock(func(b *Block) bool { had := b.Affinity != ""; b.Affinity = ""; return had })},
	{"a host's block a controller's", inBlock(func(b *Block) bool {
		owner, host := strings.CutPrefix(b.Affinity, "host:")
		b.Affinity = "virtual:" + owner
		return host
	})},
	{"an allocation too few", inBlock(func(b *Block) bool { return cut(&b.Allocs) })},
	{"another ordinal", inAlloc(func(a *Alloc) bool { a.Ordinal++; return true })},
	{"an allocation's handle", inAlloc(func(a *Alloc) bool { had := a.Handle != ""; a.Handle = ""; return had })},
	{"an allocation's attributes", inAlloc(func(a *Alloc) bool { had := a.Attrs != nil; a.Attrs = nil; return had })},
	{"an allocation's alternate owner", inAlloc(func(a *Alloc) bool { had := a.AlternateAttrs != nil; a.AlternateAttrs = nil; return had })},
	{"a cooling address in use", inAlloc(func(a *Alloc) bool { had := a.Cooldown; a.Cooldown = false; return had })},
	{"a block too few", inState(func(s *State) bool { return cut(&s.Blocks) })},
	{"blocks in another order", inState(func(s *State) bool { return swap(s.Blocks) })},
	{"an affinity too few", inState(func(s *State) bool { return cut(&s.Affinities) })},
	{"an affinity in another state", inState(func(s *State) bool {
		if len(s.Affinities) == 0 {
			return false
		}
		s.Affinities[0].State = "pendingDeletion!"
		return true
	})},
	{"a handle counts one more", inState(func(s *State) bool {
		for _, counts := range s.Handles {
			for block := range counts {
				counts[block]++
				return true
			}
		}
		return false
	})},
	{"a handle too few", inState(func(s *State) bool {
		for id := range s.Handles {
			delete(s.Handles, id)
			return true
		}
		return false
	})},
}

func nextAddr(s string) string {
	addr, mask, _ := strings.Cut(s, "/")
	return addr + "1/" + mask
}

func change(texts []string, to func(string) string) bool {
	if len(texts) == 0 {
		return false
	}
	was := texts[0]
	texts[0] = to(was)
	return texts[0] != was
}

func cut[E any](list *[]E) bool {
	had := len(*list) > 0
	if had {
		*list = (*list)[:len(*list)-1]
	}
	return had
}

func double[E any](list *[]E) bool {
	had := len(*list) > 0
	if had {
		*list = append(*list, (*list)[0])
	}
	return had
}

func swap[E any](list []E) bool {
	if len(list) < 2 || fmt.Sprint(list[0]) == fmt.Sprint(list[1]) {
		return false
	}
	list[0], list[1] = list[1], list[0]
	return true
}

func inState(plant func(*State) bool) func(*Out) bool {
	return func(o *Out) bool { return o.State != nil && plant(o.State) }
}

func inBlock(plant func(*Block) bool) func(*Out) bool {
	return inState(func(s *State) bool {
		for i := range s.Blocks {
			if b := s.Blocks[i]; plant(&b) {
				s.Blocks[i] = b
				return true
			}
		}
		return false
	})
}

func inAlloc(plant func(*Alloc) bool) func(*Out) bool {
	return inBlock(func(b *Block) bool {
		for i := range b.Allocs {
			if a := b.Allocs[i]; plant(&a) {
				b.Allocs[i] = a
				return true
			}
		}
		return false
	})
}

// TestReplayFindsFaults plants one fault in a recording of the real allocator. The
// replay must find exactly that operation, with wanted and actual outcome.
func TestReplayFindsFaults(t *testing.T) {
	property.Broken(t)
	recordings := []string{"mixed-0", "owners-0", "windows-dual-0", "cooldown-0", "load-balancer-0", "crash-0", "dual-stack-0", "small-pool-0", "strict-0", "releases-0", "configuration-1"}
	type recording struct {
		name   string
		header Header
		ops    []Op
	}
	var beginnings, whole []recording // most faults find a place in the beginnings, which is faster
	for _, name := range recordings {
		h, ops := load(t, name)
		beginnings = append(beginnings, recording{name, h, ops[:min(len(ops), 150)]})
		whole = append(whole, recording{name, h, ops})
	}
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			for _, r := range append(beginnings, whole...) {
				text, at := spoil(t, r.header, r.ops, f.plant)
				if at < 0 {
					continue
				}
				result, err := replayText(r.name, text)
				must.NoError(t, err)
				must.Eq(t, len(r.ops), result.Operations, must.Sprint("it goes on"))
				must.Len(t, 1, result.Divergences)
				d := result.Divergences[0]
				right := r.ops[at]
				must.Eq(t, r.name, d.File)
				must.Eq(t, right.I, d.Op.I)
				must.Eq(t, right.Op, d.Op.Op)
				must.Eq(t, at+2, d.Op.Line)
				must.Eq(t, compact(right.Out), compact(d.Got), must.Sprint("got is what was right"))
				must.NotEq(t, compact(right.Out), compact(d.Op.Out), must.Sprint("wanted is what was planted"))
				must.Eq(t, fmt.Sprintf("%s:%d: operation %d, %s\n  in:   %s\n  want: %s\n  got:  %s",
					r.name, at+2, right.I, right.Op, compact(right.In), compact(d.Op.Out), compact(right.Out)), d.String())
				return
			}
			t.Errorf("no recording has an outcome of this kind")
		})
	}
}

// spoil writes the recording with a fault in one outcome and returns its index, or
// -1 if no outcome fits. It does not change the operations.
func spoil(t *testing.T, h Header, ops []Op, plant func(*Out) bool) ([]byte, int) {
	t.Helper()
	// Half-way, where the cluster has a state.
	for k := range ops {
		at := (k + len(ops)/2) % len(ops)
		var clone Out
		must.NoError(t, json.Unmarshal([]byte(ops[at].Out.String()), &clone))
		if !plant(&clone) {
			continue
		}
		spoilt := append([]Op(nil), ops...)
		spoilt[at].Out = clone
		text, err := write(h, spoilt)
		must.NoError(t, err)
		return text, at
	}
	return nil, -1
}

// TestDivergenceText: for people to read.
func TestDivergenceText(t *testing.T) {
	result, err := replayText("lab.jsonl", []byte(someHeader+"\n"+strings.Replace(someOp, "160", "161", 1)+"\n"+otherOp+"\n"))
	must.NoError(t, err)
	must.Eq(t, 2, result.Operations)
	must.Len(t, 1, result.Divergences)
	must.Eq(t, `lab.jsonl:2: operation 1, AutoAssign
  in:   {"host":"n","num4":1,"use":"Workload"}
  want: {"ips4":["10.0.0.161/28"]}
  got:  {"ips4":["10.0.0.160/28"]}`, result.Divergences[0].String())
	must.Eq(t, []string{"10.0.0.161/28"}, result.Divergences[0].Op.Out.IPs4)
	must.Eq(t, []string{"10.0.0.160/28"}, result.Divergences[0].Got.IPs4)
}

// TestReplayTwice: two replays of one recording have the same outcomes byte for
// byte, and leave the same state.
func TestReplayTwice(t *testing.T) {
	property.Slow(t)
	names := []string{"mixed-0", "crash-0", "windows-dual-0", "single-address-0"}
	if property.Long() {
		files, err := filepath.Glob("../../testdata/traces/*.jsonl.gz")
		must.NoError(t, err)
		names = nil
		for _, file := range files {
			names = append(names, strings.TrimSuffix(filepath.Base(file), ".jsonl.gz"))
		}
	}
	for _, name := range names {
		h, ops := load(t, name)
		outcomes := func() []string {
			p, err := NewPlayer(h)
			must.NoError(t, err)
			var all []string
			for _, op := range ops {
				out, err := p.Do(op)
				must.NoError(t, err)
				all = append(all, compact(out))
			}
			must.NoError(t, structure(allocator(p)))
			return append(all, compact(StateOf(allocator(p).State(), "")))
		}
		must.Eq(t, outcomes(), outcomes(), must.Sprint(name))
	}
}

// TestPlayer: a refusal is an outcome; an invalid operation is an error that
// changes nothing.
func TestPlayer(t *testing.T) {
	p, err := NewPlayer(Header{})
	must.NoError(t, err, must.Sprint("the zero header is an empty cluster"))
	for _, c := range []struct {
		op   Op
		want string
	}{
		{Op{Op: "AutoAssign", In: In{Num4: 1, Use: "Workload"}}, "invalid-argument"},
		{Op{Op: "AutoAssign", In: In{Host: "n", Num4: 1}}, "use-required"},
		{Op{Op: "AutoAssign", In: In{Host: "n", Num4: 1, Use: "Workload"}}, "does-not-exist"},
		{Op{Op: "AssignIP", In: In{Host: "n", IP: "10.0.0.1"}}, "not-in-pool"},
		{Op{Op: "ReleaseIPs", In: In{Releases: []Release{{IP: "fe80::1%eth0"}}}}, "invalid-argument"},
		{Op{Op: "ReleaseByHandle"}, "does-not-exist"},
		{Op{Op: "IPsByHandle", In: In{Handle: "h"}}, "does-not-exist"},
		{Op{Op: "ClaimAffinity", In: In{Host: "n", CIDR: "10.0.0.1/24"}}, "invalid-argument"},
		{Op{Op: "ClaimAffinity", In: In{Host: "n", Type: "node", CIDR: "10.0.0.0/24"}}, "invalid-argument"},
		{Op{Op: "PutAffinity", In: In{Host: "n", CIDR: "10.0.0.0/24"}}, "invalid-argument"},
		{Op{Op: "ReleaseBlockAffinity", In: In{CIDR: "10.0.0.0/24"}}, "no-such-block"},
		{Op{Op: "SetIPAMConfig", In: In{Config: &ipam.Config{}}}, "config-conflict"},
		{Op{Op: "DeletePool", In: In{Pool: &Pool{Name: "p"}}}, ""},
		{Op{Op: "DeleteNode", In: In{Node: &ipam.Node{Name: "n"}}}, ""},
		{Op{Op: "DropAffinity", In: In{Host: "n", CIDR: "10.0.0.0/26"}}, ""},
		{Op{Op: "DropBlock", In: In{CIDR: "10.0.0.0/26"}}, ""},
	} {
		out, err := p.Do(c.op)
		must.NoError(t, err, must.Sprint(c.op.Op))
		must.Eq(t, c.want, out.Err, must.Sprint(c.op.Op))
	}
	out, err := p.Do(Op{Op: "SetPool", In: In{Pool: &Pool{Name: "p", CIDR: "10.0.0.0/24", BlockSize: 33}}})
	must.NoError(t, err)
	must.StrContains(t, out.Err, `invalid blockSize "33"`, must.Sprint("Calico has no code for it"))
	must.SliceEmpty(t, allocator(p).Pools())

	start := allocator(p).Now()
	_, err = p.Do(Op{Op: "Advance", In: In{Seconds: maxAdvance + 1}})
	must.Error(t, err)
	must.EqOp(t, start, allocator(p).Now())
	_, err = p.Do(Op{Op: "advance", In: In{Seconds: 1}})
	must.ErrorIs(t, err, ErrUnknownOperation)
	must.EqOp(t, start, allocator(p).Now())
	_, err = p.Do(Op{Op: "Advance", In: In{Seconds: -3600}})
	must.NoError(t, err)
	must.Eq(t, "-1h0m0s", allocator(p).Now().Sub(start).String())
	must.Eq(t, "{}", compact(StateOf(allocator(p).State(), "")), must.Sprint("all of it changed nothing"))
}
