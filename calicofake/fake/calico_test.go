package fake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/projectcalico/calico/libcalico-go/lib/backend/model"
	cerrors "github.com/projectcalico/calico/libcalico-go/lib/errors"
	"github.com/projectcalico/calico/libcalico-go/lib/ipam"
	cnet "github.com/projectcalico/calico/libcalico-go/lib/net"
	"github.com/shoenig/test/must"
	"github.com/sirupsen/logrus"

	sim "github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/trace"
	"github.com/ipamsim/ipamsim/pool"
)

// heard is an interface that writes down what each operation answers: nils, types
// and texts of errors, everything that a caller can tell apart.
type heard struct {
	ipam.Interface
	last string
}

// note writes down an answer and returns its error.
func (h *heard) note(err error, parts ...any) error {
	var b strings.Builder
	for _, p := range parts {
		switch p := p.(type) {
		case *ipam.IPAMAssignments:
			if p == nil {
				b.WriteString("nil; ")
				continue
			}
			fmt.Fprintf(&b, "%v v%d of %d reserved %v %q %v; ", p.IPs, p.IPVersion, p.NumRequested, p.HostReservedAttr, p.Msgs, p.PartialFulfillmentError())
		case []cnet.IP: // in the order of a map
			var texts []string
			for _, ip := range p {
				texts = append(texts, ip.String())
			}
			slices.Sort(texts)
			fmt.Fprintf(&b, "%v nil %v; ", texts, p == nil)
		case []cnet.IPNet:
			fmt.Fprintf(&b, "%v nil %v; ", p, p == nil)
		case *string:
			fmt.Fprintf(&b, "%q nil %v; ", text(p), p == nil)
		default:
			fmt.Fprintf(&b, "%v; ", p)
		}
	}
	b.WriteString(described(err))
	h.last = b.String()
	return err
}

// described returns what a caller can tell of an error.
func described(err error) string {
	var (
		missing  cerrors.ErrorResourceDoesNotExist
		exists   cerrors.ErrorResourceAlreadyExists
		conflict cerrors.ErrorResourceUpdateConflict
		number   cerrors.ErrorBadSequenceNumber
	)
	switch {
	case err == nil:
		return "ok"
	case err == ipam.ErrUseRequired || err == ipam.ErrBlockLimit || err == ipam.ErrStrictAffinity || err == ipam.ErrNoQualifiedPool:
		return fmt.Sprintf("the value of %q", err)
	case errors.Is(err, ipam.ErrNoQualifiedPool):
		return fmt.Sprintf("no qualified pool: %q", err)
	case errors.As(err, &missing):
		return fmt.Sprintf("%T %q about %#v: %s", err, err, missing.Identifier, described(missing.Err))
	case errors.As(err, &exists):
		return fmt.Sprintf("%T %q about %#v: %s", err, err, exists.Identifier, described(exists.Err))
	case errors.As(err, &conflict):
		return fmt.Sprintf("%T %q about %#v: %s", err, err, conflict.Identifier, described(conflict.Err))
	case errors.As(err, &number):
		return fmt.Sprintf("%T, %d higher", err, int64(number.Requested-number.Expected))
	}
	if h, ok := err.(cerrors.ErrorBadHandle); ok {
		return fmt.Sprintf("%#v", h)
	}
	return fmt.Sprintf("%q", err)
}

func (h *heard) AssignIP(ctx context.Context, a ipam.AssignIPArgs) error {
	return h.note(h.Interface.AssignIP(ctx, a))
}

func (h *heard) AutoAssign(ctx context.Context, a ipam.AutoAssignArgs) (v4, v6 *ipam.IPAMAssignments, err error) {
	v4, v6, err = h.Interface.AutoAssign(ctx, a)
	return v4, v6, h.note(err, v4, v6)
}

func (h *heard) ReleaseIPs(ctx context.Context, o ...ipam.ReleaseOptions) ([]cnet.IP, error) {
	ips, err := h.Interface.ReleaseIPs(ctx, o...)
	if err = h.note(err, ips); err != nil && len(o) > 1 {
		// Of several addresses that are refused, which one is named is up to a Go map.
		h.last = fmt.Sprintf("%T", err)
	}
	return ips, err
}

func (h *heard) GetAssignmentAttributes(ctx context.Context, ip cnet.IP) (map[string]string, *string, error) {
	attrs, handle, err := h.Interface.GetAssignmentAttributes(ctx, ip)
	return attrs, handle, h.note(err, attrs, handle)
}

func (h *heard) IPsByHandle(ctx context.Context, id string) ([]cnet.IP, error) {
	ips, err := h.Interface.IPsByHandle(ctx, id)
	return ips, h.note(err, ips)
}

func (h *heard) ReleaseByHandle(ctx context.Context, id string) error {
	return h.note(h.Interface.ReleaseByHandle(ctx, id))
}

func (h *heard) ClaimAffinity(ctx context.Context, cidr cnet.IPNet, host string) (claimed, failed []cnet.IPNet, err error) {
	claimed, failed, err = h.Interface.ClaimAffinity(ctx, cidr, host)
	return claimed, failed, h.note(err, claimed, failed)
}

func (h *heard) ReleaseAffinity(ctx context.Context, cidr cnet.IPNet, host string, mustBeEmpty bool) error {
	return h.note(h.Interface.ReleaseAffinity(ctx, cidr, host, mustBeEmpty))
}

func (h *heard) ReleaseHostAffinities(ctx context.Context, host string, mustBeEmpty bool) error {
	return h.note(h.Interface.ReleaseHostAffinities(ctx, host, mustBeEmpty))
}

func (h *heard) ReleasePoolAffinities(ctx context.Context, p cnet.IPNet) error {
	return h.note(h.Interface.ReleasePoolAffinities(ctx, p))
}

func (h *heard) ReleaseBlockAffinity(ctx context.Context, b *model.AllocationBlock, mustBeEmpty bool) error {
	return h.note(h.Interface.ReleaseBlockAffinity(ctx, b, mustBeEmpty))
}

func (h *heard) SetIPAMConfig(ctx context.Context, c ipam.IPAMConfig) error {
	return h.note(h.Interface.SetIPAMConfig(ctx, c))
}

func (h *heard) GetIPAMConfig(ctx context.Context) (*ipam.IPAMConfig, error) {
	c, err := h.Interface.GetIPAMConfig(ctx)
	return c, h.note(err, c)
}

func (h *heard) GetUtilization(ctx context.Context, args ipam.GetUtilizationArgs) ([]*ipam.PoolUtilization, error) {
	usage, err := h.Interface.GetUtilization(ctx, args)
	return usage, h.note(err, usage == nil)
}

func (h *heard) RemoveIPAMHost(ctx context.Context, host string) error {
	return h.note(h.Interface.RemoveIPAMHost(ctx, host))
}

func (h *heard) EnsureBlock(ctx context.Context, a ipam.BlockArgs) (v4, v6 *cnet.IPNet, err error) {
	v4, v6, err = h.Interface.EnsureBlock(ctx, a)
	return v4, v6, h.note(err, v4, v6)
}

// newReal returns an engine with Calico's own allocator, that of the library, on
// the datastore of a fake.
func newReal(o sim.Options) (*engine, *heard) {
	e := newEngine(o)
	wellFormed := ReservationFunc(func() (entries []string, err error) {
		for _, entry := range e.reservations {
			entry = strings.TrimSpace(entry)
			if _, warnings := pool.ParseReservations([]string{entry}); entry != "" && len(warnings) == 0 {
				entries = append(entries, entry) // it panics on others (§16)
			}
		}
		return entries, nil
	})
	return e.heardOn(ipam.NewIPAMClient(e.fake.Datastore(), e.fake.options.Pools, wellFormed))
}

func newHeard(o sim.Options) (*engine, *heard) {
	e := newEngine(o)
	return e.heardOn(e.fake.IPAM())
}

// heardOn makes the engine play on this interface.
func (e *engine) heardOn(i ipam.Interface) (*engine, *heard) {
	h := &heard{Interface: i}
	e.ipam = h
	return e, h
}

// sameQueues gives the real allocator's blocks the queues of the fake's, after
// addresses of a block were released together: the real one puts them in the order
// of a Go map (§16). Both must hold the same ordinals.
func sameQueues(real, ours *Fake) error {
	list, err := ours.Datastore().List(ctx, model.BlockListOptions{}, "")
	if err != nil {
		return err
	}
	for _, kv := range list.KVPairs {
		there, err := real.Datastore().Get(ctx, kv.Key, "")
		if err != nil {
			return err
		}
		want, got := kv.Value.(*model.AllocationBlock), there.Value.(*model.AllocationBlock)
		if slices.Equal(want.Unallocated, got.Unallocated) {
			continue
		}
		if !slices.Equal(slices.Sorted(slices.Values(want.Unallocated)), slices.Sorted(slices.Values(got.Unallocated))) {
			return fmt.Errorf("%v: free %v, not %v", kv.Key, want.Unallocated, got.Unallocated)
		}
		got.Unallocated = want.Unallocated
		if _, err := real.Datastore().Update(ctx, there); err != nil {
			return err
		}
	}
	return nil
}

// single reports whether the pool has blocks of one address, whose order Calico
// takes from the machine's clock.
func single(p trace.Pool) bool { return p.BlockSize == 32 || p.BlockSize == 128 }

// survive does an operation in which Calico may panic, as on a host reservation that
// does not fit (§10).
func survive(p *trace.Player, op trace.Op) (out trace.Out, err error, panicked bool) {
	defer func() {
		if recover() != nil {
			panicked = true
		}
	}()
	out, err = p.Do(op)
	return out, err, false
}

// alike plays a recording on Calico's own allocator and on another engine, both of
// the release that the library is of, and returns where a caller or the datastore
// can tell them apart.
func alike(t *testing.T, name string, other func(sim.Options) (*engine, *heard)) (operations int, differences []string) {
	t.Helper()
	r, err := trace.Open(name)
	must.NoError(t, err)
	defer r.Close()
	h := r.Header()
	h.Calico = DefaultRelease
	if slices.ContainsFunc(h.Pools, single) {
		return 0, nil
	}
	clock := sim.NewClock(h.Start)
	o, err := h.Options(clock)
	must.NoError(t, err)
	a, heardA := newReal(o)
	b, heardB := other(o)
	playA, playB := trace.PlayOn(a, clock), trace.PlayOn(b, sim.NewClock(h.Start))
	errA, errB := playA.Set(h), playB.Set(h)
	if errA != nil || errB != nil {
		must.Eq(t, fmt.Sprint(errA), fmt.Sprint(errB))
		return 0, nil // not for this release
	}
	for {
		op, err := r.Next()
		if errors.Is(err, io.EOF) {
			return operations, differences
		}
		must.NoError(t, err)
		heardA.last, heardB.last = "", ""
		if op.In.Pool != nil && single(*op.In.Pool) {
			return operations, differences
		}
		outB, errB := playB.Do(op)
		outA, errA, panicked := survive(playA, op)
		if panicked {
			if outB.Err == "" {
				differences = append(differences, fmt.Sprintf("%s:%d: Calico panics in %s %s\n  fake:   %s", name, op.Line, op.Op, short(op.In), outB))
			}
			return operations, differences // its datastore is in no state to go on with
		}
		if op.Op == "ReleaseIPs" && len(op.In.Releases) > 1 {
			if err := sameQueues(a.fake, b.fake); err != nil {
				differences = append(differences, fmt.Sprintf("%s:%d: after %s %s: %v", name, op.Line, op.Op, short(op.In), err))
			}
		}
		operations++
		if op.Op == "ReleaseIPs" && len(op.In.Releases) > 1 && outA.Err != "" && outB.Err != "" {
			outA.Err = outB.Err // that of any block that was refused
		}
		if fmt.Sprint(errA) != fmt.Sprint(errB) || outA.String() != outB.String() || heardA.last != heardB.last {
			differences = append(differences, fmt.Sprintf("%s:%d: operation %d, %s %s\n  Calico: %s %s\n  fake:   %s %s",
				name, op.Line, op.I, op.Op, short(op.In), outA, heardA.last, outB, heardB.last))
		}
	}
}

// TestAgainstCalico plays the recordings on Calico's own allocator, which the
// library brings along, and on the fake, and compares what a caller can tell apart:
// nils, types and texts of errors, messages. The recordings are of all releases;
// what v3.28 does not have is refused alike. A long run takes every recording.
func TestAgainstCalico(t *testing.T) {
	logrus.SetOutput(io.Discard)
	total := 0
	for _, of := range recordings {
		names, err := filepath.Glob("../../testdata/" + of.pattern)
		must.NoError(t, err)
		for _, name := range some(names) {
			operations, differences := alike(t, name, newHeard)
			// Calico's own allocator releases the blocks of one ReleaseIPs side by side,
			// and its maps have no order: now and then it differs from itself.
			for tries := 1; len(differences) > 0 && tries < 4; tries++ {
				operations, differences = alike(t, name, newHeard)
			}
			total += operations
			for _, d := range differences[:min(2, len(differences))] {
				t.Error(d)
			}
		}
	}
	must.Greater(t, 1000, total)
	t.Logf("%d operations", total)
}

// TestAgainstCalicoRejects: the comparison catches broken variants.
func TestAgainstCalicoRejects(t *testing.T) {
	logrus.SetOutput(io.Discard)
	for what, broken := range map[string]func(ipam.Interface) ipam.Interface{
		"messages are lost": func(i ipam.Interface) ipam.Interface { return forgetful{i} },
		"types are lost":    func(i ipam.Interface) ipam.Interface { return textual{i} },
		"nil for none":      func(i ipam.Interface) ipam.Interface { return empty{i} },
	} {
		_, differences := alike(t, "../../testdata/releases/v3.28-everything-0.jsonl.gz", func(o sim.Options) (*engine, *heard) {
			e := newEngine(o)
			return e.heardOn(broken(e.fake.IPAM()))
		})
		must.SliceNotEmpty(t, differences, must.Sprint(what))
	}
}

// empty is a broken interface: it returns an empty answer for a family of which
// nothing was asked.
type empty struct{ ipam.Interface }

func (f empty) AutoAssign(ctx context.Context, args ipam.AutoAssignArgs) (v4, v6 *ipam.IPAMAssignments, err error) {
	v4, v6, err = f.Interface.AutoAssign(ctx, args)
	if v6 == nil {
		v6 = &ipam.IPAMAssignments{IPVersion: 6}
	}
	return v4, v6, err
}
