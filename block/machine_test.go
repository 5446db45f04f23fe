package block

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/internal/property"
)

// machine runs the same operations on a subject and on the model, and compares
// them.
type machine struct {
	src      property.Source
	got      subject
	want     *model
	now      time.Time
	cooldown time.Duration
	reserved *Ordinals
	log      []string
}

// makeSubject makes what a machine drives.
type makeSubject func(cidr netip.Prefix, seq uint64) (subject, error)

// The sizes of blocks, as powers of two. Small ones fill up and wrap, and are quick
// to compare: the first are picked most.
var (
	allSizes   = []int{2, 3, 6, 1, 0, 4, 5, 7, 8, 9, 10, 11, 12}
	smallSizes = allSizes[:7]
)

// newMachine picks a block; make returns the subject for it.
func newMachine(src property.Source, sizes []int, make makeSubject) (*machine, error) {
	bits := sizes[src.Pick("size", 1+src.Pick("large", len(sizes)))]
	cidr := netip.MustParsePrefix("10.1.32.0/20")
	if src.Pick("family", 2) == 1 {
		cidr = netip.MustParsePrefix("fd00:1::b000/116")
	}
	cidr = netip.PrefixFrom(cidr.Addr(), cidr.Addr().BitLen()-bits)
	seq := uint64(src.Pick("seq", 100))
	got, err := make(cidr, seq)
	if err != nil {
		return nil, err
	}
	m := &machine{src: src, got: got, want: newModel(cidr, seq, faultless), now: time.Unix(1_700_000_000, 0)}
	m.cooldown = time.Duration(m.pick("cooldown", 3)) * time.Second
	return m, nil
}

func realBlock(cidr netip.Prefix, seq uint64) (subject, error) { return New(cidr, seq) }

func broken(f fault) makeSubject {
	return func(cidr netip.Prefix, seq uint64) (subject, error) { return newModel(cidr, seq, f), nil }
}

func (m *machine) pick(what string, n int) int { return m.src.Pick(what, n) }
func (m *machine) cold() Cold                  { return ColdAt(m.now, m.cooldown) }

func (m *machine) logf(format string, args ...any) {
	m.log = append(m.log, fmt.Sprintf(format, args...))
}

var (
	machineHandles = []string{
		"", "h", "k8s-pod-network.0000000000000001", "k8s-pod-network.0000000000000002",
		"k8s-pod-network.1000000000000002", HostReservedHandle, "Windows-Reserved-IPAM-handle",
	}
	machineAttrs = []Attrs{
		{},
		MakeAttrs(map[string]string{"node": "n1", "pod": "a"}),
		MakeAttrs(map[string]string{"node": "n1", "pod": "b"}),
	}
)

// owner picks one whose handle has a backing array of its own: only equal content
// counts.
func (m *machine) owner() *Owner {
	return &Owner{
		Handle: MakeHandle(strings.Clone(machineHandles[m.pick("handle", len(machineHandles))])),
		Active: machineAttrs[m.pick("attrs", len(machineAttrs))],
	}
}

// anyAttrs picks a change of one side: nil, to the empty set, or to another.
func (m *machine) anyAttrs() *Attrs {
	if i := m.pick("change", len(machineAttrs)+1); i > 0 {
		return &machineAttrs[i-1]
	}
	return nil
}

func (m *machine) ordinal() int { return m.pick("ordinal", m.want.size+2) - 1 }

// amount picks small numbers and large ones.
func (m *machine) amount() int {
	if m.pick("many", 3) == 0 {
		return m.pick("amount", m.want.size+2)
	}
	return 1 + m.pick("amount", 3)
}

var actions = []struct {
	name string
	do   func(*machine) error
}{
	{"take", func(m *machine) error {
		m.got.Collect(m.cold())
		m.want.Collect(m.cold())
		n, to := m.amount(), m.owner()
		m.logf("take %d for %v", n, to)
		got := m.got.Take([]int{-7}, n, to, m.reserved)
		want := m.want.Take([]int{-7}, n, to, m.reserved)
		return same("taken", got, want, slices.Equal(got, want))
	}},
	{"take as written", func(m *machine) error {
		n, to := m.amount(), m.owner()
		m.logf("take %d for %v without collecting", n, to)
		got, want := m.got.Take(nil, n, to, m.reserved), m.want.Take(nil, n, to, m.reserved)
		return same("taken", got, want, slices.Equal(got, want))
	}},
	{"take ordinal", func(m *machine) error {
		ord, to := m.ordinal(), m.owner()
		m.logf("take ordinal %d for %v", ord, to)
		return sameError(m.got.TakeOrdinal(ord, to), m.want.TakeOrdinal(ord, to))
	}},
	{"release", func(m *machine) error {
		var held []int
		for _, ord := range m.want.used() {
			if m.want.alloc[ord].ReleasedAt.IsZero() {
				held = append(held, ord)
			}
		}
		n := min(m.amount(), len(held))
		var ords []int
		for range n {
			i := m.pick("held", len(held))
			ords = append(ords, held[i])
			held = slices.Delete(held, i, i+1)
		}
		m.logf("release %v at %d, cold %d", ords, m.now.Unix(), m.cold())
		given := slices.Clone(ords)
		m.got.Release(given, m.now, m.cold())
		m.want.Release(ords, m.now, m.cold())
		if m.pick("renumber", 2) == 1 {
			m.logf("renumber %v", ords)
			m.got.Renumber(given)
			m.want.Renumber(ords)
		}
		return same("slice given to Release", given, ords, slices.Equal(given, ords))
	}},
	{"collect", func(m *machine) error {
		m.logf("collect %d", m.cold())
		got, want := m.got.Collect(m.cold()), m.want.Collect(m.cold())
		return same("collected", got, want, got == want)
	}},
	{"commit", func(m *machine) error {
		m.logf("commit")
		m.got.Commit()
		m.want.Commit()
		return nil
	}},
	{"set owner", func(m *machine) error {
		ord, active, alternate := m.ordinal(), m.anyAttrs(), m.anyAttrs()
		if used := m.want.used(); len(used) > 0 && m.pick("used", 4) > 0 {
			ord = used[m.pick("which", len(used))]
		}
		m.logf("set owner of %d: %v, %v", ord, active, alternate)
		return sameError(m.got.SetOwner(ord, active, alternate), m.want.SetOwner(ord, active, alternate))
	}},
	{"advance", func(m *machine) error {
		d := time.Duration(m.pick("quarters", 14)-1) * 250 * time.Millisecond // back, too
		m.logf("advance %s", d)
		m.now = m.now.Add(d)
		return nil
	}},
	{"set cooldown", func(m *machine) error {
		m.cooldown = time.Duration(m.pick("cooldown", 3)) * time.Second
		m.logf("cooldown %s", m.cooldown)
		return nil
	}},
	{"reserve", func(m *machine) error {
		m.reserved = nil
		for range m.pick("ranges", 3) {
			if m.reserved == nil {
				m.reserved = &Ordinals{}
			}
			from := m.pick("from", m.want.size)
			to := min(from+m.amount(), MaxSize)
			m.reserved.AddRange(from, to)
			m.logf("reserve %d to %d", from, to)
		}
		return nil
	}},
	{"reserve for host", func(m *machine) error {
		start, end := m.pick("start", 4)-m.pick("negative", 2), m.pick("end", 3)
		to := &Owner{MakeHandle(HostReservedHandle), machineAttrs[1]}
		m.logf("reserve %d and %d for the host", start, end)
		return sameError(m.got.ReserveForHost(start, end, to), m.want.ReserveForHost(start, end, to))
	}},
	{"restore", func(m *machine) error {
		if b, ok := m.got.(*Block); ok {
			m.logf("restore")
			restored, err := Restore(b.State())
			if err != nil {
				return err
			}
			m.got = restored
		}
		return nil
	}},
}

// step does one action and then compares everything observable.
func (m *machine) step(action int) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s after:\n%s\n%w", m.want.cidr, strings.Join(m.log, "\n"), err)
		}
	}()
	if err := actions[action].do(m); err != nil {
		return err
	}
	return m.compare()
}

func (m *machine) compare() error {
	if err := m.got.Check(); err != nil {
		return err
	}
	got, want := m.got, m.want
	gs, ws := got.State(), want.State()
	goldest, gok := got.OldestRelease()
	woldest, wok := want.OldestRelease()
	cold := m.cold()
	errs := []error{
		same("state", gs, ws, sameState(gs, ws)),
		same("size", got.Size(), want.Size(), got.Size() == want.Size()),
		same("sequence number", got.Seq(), want.Seq(), got.Seq() == want.Seq()),
		same("free", got.Free(), want.Free(), got.Free() == want.Free()),
		same("in use", got.InUse(), want.InUse(), got.InUse() == want.InUse()),
		same("cooling", got.Cooling(), want.Cooling(), got.Cooling() == want.Cooling()),
		same("oldest release", goldest, woldest, goldest == woldest && gok == wok),
	}
	for _, reserved := range []*Ordinals{nil, m.reserved} {
		g, w := got.FreeUnreserved(reserved), want.FreeUnreserved(reserved)
		errs = append(errs, same("free and unreserved", g, w, g == w))
		g, w = got.Available(cold, reserved), want.Available(cold, reserved)
		errs = append(errs, same("available", g, w, g == w))
	}
	for _, cold := range []Cold{cold, cold + 1, cold - 1} {
		g, w := got.Empty(cold), want.Empty(cold)
		errs = append(errs, same("empty", g, w, g == w))
	}
	for _, h := range machineHandles {
		g, w := got.AppendHandle([]int{-7}, MakeHandle(h)), want.AppendHandle([]int{-7}, MakeHandle(h))
		errs = append(errs, same("ordinals of "+h, g, w, slices.Equal(g, w)))
	}
	if all, want := slices.Collect(got.Allocations()), slices.Collect(want.Allocations()); !slices.Equal(all, want) {
		errs = append(errs, same("allocations", all, want, false))
	}
	step := max(1, m.want.size/64)
	for ord := -1; ord < m.want.size+2; ord += step {
		ga, gok := got.Allocation(ord)
		wa, wok := want.Allocation(ord)
		errs = append(errs, same("allocation", ga, wa, ga == wa && gok == wok))
		gc, ge := got.Cools(ord, cold)
		wc, we := want.Cools(ord, cold)
		errs = append(errs, same("cools", []bool{gc, ge}, []bool{wc, we}, gc == wc && ge == we))
		gh, gseq, gheld := got.Holder(ord, cold)
		wh, wseq, wheld := want.Holder(ord, cold)
		errs = append(errs, same("holder", fmt.Sprint(gh, gseq, gheld), fmt.Sprint(wh, wseq, wheld), gh == wh && gseq == wseq && gheld == wheld))
	}
	return errors.Join(errs...)
}

func sameState(a, b State) bool {
	return a.CIDR == b.CIDR && a.Seq == b.Seq && slices.Equal(a.Queue, b.Queue) &&
		slices.Equal(a.Records, b.Records) && slices.Equal(a.Index, b.Index) && slices.Equal(a.Seqs, b.Seqs)
}

func same(what string, got, want any, ok bool) error {
	if ok {
		return nil
	}
	return fmt.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
}

// sameError compares errors; the model's are not wrapped.
func sameError(got, want error) error {
	return same("error", got, want, errors.Is(got, want) && (got == nil) == (want == nil))
}
