package fake_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	v3 "github.com/projectcalico/api/pkg/apis/projectcalico/v3"
	"github.com/projectcalico/calico/libcalico-go/lib/backend/model"
	cerrors "github.com/projectcalico/calico/libcalico-go/lib/errors"
	"github.com/projectcalico/calico/libcalico-go/lib/ipam"
	cnet "github.com/projectcalico/calico/libcalico-go/lib/net"
	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/calicofake/fake"
	sim "github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
)

var ctx = context.Background()

// small returns a fake with two nodes and four blocks of four addresses.
func small(t *testing.T) *fake.Fake {
	t.Helper()
	p := fake.Pool("small", "10.0.0.0/28")
	p.Spec.BlockSize = 30
	f := fake.New(fake.Options{Pools: fake.Pools(p)})
	must.NoError(t, f.SetNode("node-1", nil))
	must.NoError(t, f.SetNode("node-2", nil))
	return f
}

func request(host, handle string, n int) ipam.AutoAssignArgs {
	return ipam.AutoAssignArgs{Num4: n, Hostname: host, HandleID: &handle, IntendedUse: v3.IPPoolAllowedUseWorkload}
}

var errDown = errors.New("the API server is down")

// TestBefore: a fault for one operation, one host or one address.
func TestBefore(t *testing.T) {
	f := small(t)
	f.Before(func(_ context.Context, op string, args ...any) error {
		if a, ok := args[0].(ipam.AutoAssignArgs); ok && op == "AutoAssign" && a.Hostname == "node-2" {
			return errDown
		}
		return nil
	})
	_, _, err := f.IPAM().AutoAssign(ctx, request("node-1", "a", 1))
	must.NoError(t, err)
	v4, _, err := f.IPAM().AutoAssign(ctx, request("node-2", "b", 1))
	must.ErrorIs(t, err, errDown)
	must.Nil(t, v4)
	f.Before(nil)
	_, _, err = f.IPAM().AutoAssign(ctx, request("node-2", "b", 1))
	must.NoError(t, err)

	must.Eq(t, map[string]int{"AutoAssign": 3}, f.Summary())
	log := f.Operations()
	must.Len(t, 3, log)
	must.NoError(t, log[0].Err)
	must.ErrorIs(t, log[1].Err, errDown)
	must.Eq[any](t, request("node-2", "b", 1), log[2].Args[0])
}

// TestBeforeCall: a datastore that does not answer ends the operation with its
// error; one that says that somebody else was faster makes it try again.
func TestBeforeCall(t *testing.T) {
	f := small(t)
	conflicts := 2
	var calls []fake.Call
	f.BeforeCall(func(_ context.Context, c fake.Call) error {
		calls = append(calls, c)
		if c.Verb == "update" && c.Key == "block/10.0.0.8/30" && conflicts > 0 {
			conflicts--
			return cerrors.ErrorResourceUpdateConflict{}
		}
		return nil
	})
	v4, _, err := f.IPAM().AutoAssign(ctx, request("node-1", "a", 1))
	must.NoError(t, err)
	must.Eq(t, "10.0.0.8/30", v4.IPs[0].String())
	must.Zero(t, conflicts)
	must.SliceContains(t, calls, fake.Call{Verb: "create", Key: "handle/a"})

	f.BeforeCall(func(_ context.Context, c fake.Call) error {
		if c.Verb == "list" {
			return errDown
		}
		return nil
	})
	_, _, err = f.IPAM().AutoAssign(ctx, request("node-1", "a", 1))
	must.ErrorIs(t, err, errDown)
	must.ErrorIs(t, f.IPAM().ReleaseHostAffinities(ctx, "node-1", false), errDown)
}

// TestAnotherClientInBetween: a hook that is another client. It claims the block
// that the first one has found, which finds another.
func TestAnotherClientInBetween(t *testing.T) {
	f := small(t)
	f.BeforeCall(func(_ context.Context, c fake.Call) error {
		if c.Verb == "create" && c.Key == "block/10.0.0.8/30" {
			f.BeforeCall(nil)
			_, _, err := f.IPAM().ClaimAffinity(ctx, cnet.MustParseNetwork("10.0.0.8/30"), "node-2")
			return err
		}
		return nil
	})
	v4, _, err := f.IPAM().AutoAssign(ctx, request("node-1", "a", 1))
	must.NoError(t, err)
	must.Eq(t, "10.0.0.12/30", v4.IPs[0].String())
}

// TestContext: a context that is done ends an operation before it begins, and in
// the middle.
func TestContext(t *testing.T) {
	f := small(t)
	done, cancel := context.WithCancel(ctx)
	f.BeforeCall(func(_ context.Context, c fake.Call) error {
		if c.Verb == "create" && c.Key == "block/10.0.0.8/30" {
			cancel()
		}
		return nil
	})
	_, _, err := f.IPAM().AutoAssign(done, request("node-1", "a", 1))
	must.ErrorIs(t, err, context.Canceled)
	kv, err := f.Datastore().Get(ctx, model.BlockAffinityKey{CIDR: cnet.MustParseNetwork("10.0.0.8/30"), Host: "node-1"}, "")
	must.NoError(t, err)
	must.Eq(t, model.StatePending, kv.Value.(*model.BlockAffinity).State, must.Sprint("half a claim stays"))
	_, _, err = f.IPAM().AutoAssign(done, request("node-1", "a", 1))
	must.ErrorIs(t, err, context.Canceled)
	_, err = f.Datastore().Get(done, model.BlockKey{CIDR: cnet.MustParseNetwork("10.0.0.8/30")}, "")
	must.ErrorIs(t, err, context.Canceled)
}

// TestErrors: a refusal has its details for errors.As, its code for errors.Is, and
// Calico's text.
func TestErrors(t *testing.T) {
	f := small(t)
	err := f.IPAM().AssignIP(ctx, ipam.AssignIPArgs{IP: cnet.MustParseIP("192.168.0.1"), Hostname: "node-1"})
	must.EqError(t, err, "The provided IP address is not in a configured pool\n")
	must.ErrorIs(t, err, codes.NotInPool)
	var refusal *sim.Error
	must.ErrorAs[*sim.Error](t, err, &refusal)
	must.Eq(t, "192.168.0.1", refusal.Address.String())

	args := request("node-1", "a", 1)
	args.IntendedUse = "Odd"
	_, _, err = f.IPAM().AutoAssign(ctx, args)
	must.EqError(t, err, "cannot find a qualified ippool, no pools match the required use (Odd)")
	must.ErrorIs(t, err, ipam.ErrNoQualifiedPool)
	args.Hostname = "nobody"
	_, _, err = f.IPAM().AutoAssign(ctx, args)
	must.ErrorAs[cerrors.ErrorResourceDoesNotExist](t, err, &cerrors.ErrorResourceDoesNotExist{})
}

// TestDetails: every refusal has a code, whatever its type, and what is no refusal has
// none.
func TestDetails(t *testing.T) {
	f := small(t)
	i := f.IPAM()
	handle, other := "a", "b"
	ten := cnet.MustParseIP("10.0.0.10")
	must.NoError(t, i.AssignIP(ctx, ipam.AssignIPArgs{IP: ten, Hostname: "node-1", HandleID: &handle}))
	taken := i.AssignIP(ctx, ipam.AssignIPArgs{IP: ten, Hostname: "node-1", HandleID: &other})
	must.ErrorAs[cerrors.ErrorResourceAlreadyExists](t, taken, &cerrors.ErrorResourceAlreadyExists{})
	_, _, free := i.GetAssignmentAttributes(ctx, cnet.MustParseIP("10.0.0.9"))
	one := uint64(7)
	_, badHandle := i.ReleaseIPs(ctx, ipam.ReleaseOptions{Address: "10.0.0.10", Handle: other})
	_, badNumber := i.ReleaseIPs(ctx, ipam.ReleaseOptions{Address: "10.0.0.10", SequenceNumber: &one})
	_, _, noNode := i.AutoAssign(ctx, request("nobody", other, 1))
	noUse := request("node-1", other, 1)
	noUse.IntendedUse = ""
	_, _, useless := i.AutoAssign(ctx, noUse)
	limit := request("node-1", other, 10)
	limit.MaxBlocksPerHost = 1
	_, _, limited := i.AutoAssign(ctx, limit)
	odd := request("node-1", other, 1)
	odd.IntendedUse = "Odd"
	_, _, unused := i.AutoAssign(ctx, odd)
	_, _, noBlock := i.GetAssignmentAttributes(ctx, cnet.MustParseIP("10.0.0.1"))
	_, _, windows := f.IPAMOnWindows().AutoAssign(ctx, request("node-1", other, 1))
	full := i.ReleaseAffinity(ctx, cnet.MustParseNetwork("10.0.0.8/30"), "node-1", true)
	for _, c := range []struct {
		err  error
		want sim.Error
	}{
		{taken, sim.Error{Code: codes.AlreadyExists, Address: netip.MustParseAddr("10.0.0.10"), Block: netip.MustParsePrefix("10.0.0.8/30"), Want: "b", Got: "a"}},
		{badHandle, sim.Error{Code: codes.BadHandle, Address: netip.MustParseAddr("10.0.0.10"), Want: "b", Got: "a"}},
		{badNumber, sim.Error{Code: codes.BadSequenceNumber, Address: netip.MustParseAddr("10.0.0.10"), Want: "7", Got: fmt.Sprint(fake.Start.UnixNano())}},
		{noNode, sim.Error{Code: codes.DoesNotExist, Host: "nobody"}},
		{i.ReleaseByHandle(ctx, "none"), sim.Error{Code: codes.DoesNotExist, Handle: "none"}},
		{useless, sim.Error{Code: codes.UseRequired}},
		{limited, sim.Error{Code: codes.BlockLimit}},
		{unused, sim.Error{Code: codes.NoQualifiedPool, Host: "node-1", Want: "Odd"}},
		{free, sim.Error{Code: codes.DoesNotExist, Address: netip.MustParseAddr("10.0.0.9")}},
		{noBlock, sim.Error{Code: codes.DoesNotExist, Block: netip.MustParsePrefix("10.0.0.0/30")}},
		{windows, sim.Error{Code: codes.StrictAffinityRequired}},
		{full, sim.Error{Code: codes.BlockNotEmpty, Host: "node-1", Block: netip.MustParsePrefix("10.0.0.8/30")}},
	} {
		got := fake.Details(c.err)
		must.NotNil(t, got, must.Sprint(c.err))
		got.Detail = ""
		must.EqOp(t, c.want, *got, must.Sprintf("%v", c.err))
		must.Eq(t, c.want.Code, fake.Details(fmt.Errorf("wrapped: %w", c.err)).Code)
	}
	f.Before(func(context.Context, string, ...any) error { return errDown })
	must.Nil(t, fake.Details(i.ReleaseByHandle(ctx, handle)))
	must.Nil(t, fake.Details(nil))
}

// TestWindows: the client of a Windows node needs strict affinity.
func TestWindows(t *testing.T) {
	f := small(t)
	_, _, err := f.IPAMOnWindows().AutoAssign(ctx, request("node-1", "a", 1))
	must.Eq(t, ipam.ErrStrictAffinity, err)
	must.NoError(t, f.IPAM().SetIPAMConfig(ctx, ipam.IPAMConfig{StrictAffinity: true, AutoAllocateBlocks: true}))
	_, _, err = f.IPAMOnWindows().AutoAssign(ctx, request("node-1", "a", 1))
	must.NoError(t, err)
}

// TestPullMode: pools and reservations are asked for at each operation.
func TestPullMode(t *testing.T) {
	var pools []v3.IPPool
	var reserved []string
	var failure error
	f := fake.New(fake.Options{
		Pools:        fake.PoolFunc(func() ([]v3.IPPool, error) { return pools, failure }),
		Reservations: fake.ReservationFunc(func() ([]string, error) { return reserved, nil }),
	})
	must.NoError(t, f.SetNode("node-1", nil))
	assign := func() (string, error) {
		v4, _, err := f.IPAM().AutoAssign(ctx, request("node-1", "a", 1))
		if err != nil || len(v4.IPs) == 0 {
			return "", err
		}
		return v4.IPs[0].String(), nil
	}
	_, err := assign()
	must.Eq(t, ipam.ErrNoQualifiedPool, err)
	pools = append(pools, fake.Pool("b", "10.0.0.0/24"))
	first, err := assign()
	must.NoError(t, err)
	must.Eq(t, "10.0.0.128/26", first)
	reserved = []string{"10.0.0.129", "10.0.0.130/31"}
	second, err := assign()
	must.NoError(t, err)
	must.Eq(t, "10.0.0.132/26", second)
	pools[0].Spec.Disabled = true
	_, err = assign()
	must.Eq(t, ipam.ErrNoQualifiedPool, err)
	pools[0] = fake.Pool("b", "10.1.0.0/24") // another of that name
	_, err = assign()
	must.NoError(t, err)
	failure = errDown
	_, err = assign()
	must.ErrorIs(t, err, errDown)
}

// TestAccessorUsesTheFake: an accessor may look at the fake, and two pools of one name
// are refused.
func TestAccessorUsesTheFake(t *testing.T) {
	var f *fake.Fake
	pools := []v3.IPPool{fake.Pool("a", "10.0.0.0/24")}
	f = fake.New(fake.Options{
		Pools: fake.PoolFunc(func() ([]v3.IPPool, error) { return pools, f.SetNode("node-1", nil) }),
		Reservations: fake.ReservationFunc(func() ([]string, error) {
			list, err := f.Datastore().List(ctx, model.IPAMHandleListOptions{}, "")
			return make([]string, len(list.KVPairs)), err
		}),
	})
	_, _, err := f.IPAM().AutoAssign(ctx, request("node-1", "a", 1))
	must.NoError(t, err)
	_, _, err = f.Resources().List(ctx, &v3.IPReservation{}, fake.ListOptions{})
	must.NoError(t, err)
	pools = append(pools, fake.Pool("a", "10.0.1.0/24"))
	_, _, err = f.IPAM().AutoAssign(ctx, request("node-1", "a", 1))
	must.EqError(t, err, "fake: two pools are called a")
}

// TestReleases: each release has its rules, and the clock is the caller's.
func TestReleases(t *testing.T) {
	for release, reclaimed := range map[string]bool{"": false, "v3.32.1": true, "master": true} {
		p := fake.Pool("one", "10.0.0.0/26")
		f := fake.New(fake.Options{Pools: fake.Pools(p), Release: release})
		must.NoError(t, f.SetNode("node-1", nil))
		_, _, err := f.IPAM().ClaimAffinity(ctx, cnet.MustParseNetwork("10.0.0.0/26"), "gone")
		must.NoError(t, err)
		must.NoError(t, f.IPAM().SetIPAMConfig(ctx, ipam.IPAMConfig{StrictAffinity: true, AutoAllocateBlocks: true}))
		f.Clock().Advance(time.Hour)
		v4, _, err := f.IPAM().AutoAssign(ctx, request("node-1", "a", 1))
		must.NoError(t, err)
		must.Eq(t, reclaimed, v4.PartialFulfillmentError() == nil, must.Sprint(release))
	}
	must.Panic(t, func() { fake.New(fake.Options{Release: "latest"}) })
}

// TestCooldown: what the library's types do not have, a newer release has.
func TestCooldown(t *testing.T) {
	config := sim.Config{AutoAllocateBlocks: true, IPCooldownSeconds: 60}
	must.ErrorIs(t, small(t).PutIPAMConfig(config), codes.InvalidArgument, must.Sprint("v3.28 has none"))

	p := fake.Pool("one", "10.0.0.0/30")
	p.Spec.BlockSize = 30
	f := fake.New(fake.Options{Pools: fake.Pools(p), Release: "v3.33"})
	must.NoError(t, f.SetNode("node-1", nil))
	must.NoError(t, f.PutIPAMConfig(config))
	_, _, err := f.IPAM().AutoAssign(ctx, request("node-1", "a", 4))
	must.NoError(t, err)
	must.NoError(t, f.IPAM().ReleaseByHandle(ctx, "a"))
	for _, want := range []int{0, 4} {
		v4, _, err := f.IPAM().AutoAssign(ctx, request("node-1", "b", 4))
		must.NoError(t, err)
		must.Len(t, want, v4.IPs)
		f.Clock().Advance(time.Minute)
	}
	must.NoError(t, f.IPAM().SetIPAMConfig(ctx, ipam.IPAMConfig{StrictAffinity: true, AutoAllocateBlocks: true}))
	must.NoError(t, f.IPAM().ReleaseByHandle(ctx, "b"))
	v4, _, err := f.IPAM().AutoAssign(ctx, request("node-1", "c", 1))
	must.NoError(t, err)
	must.SliceEmpty(t, v4.IPs, must.Sprint("the cooldown is still there"))
}

// TestConcurrency: goroutines never get one address twice. The race detector looks
// on.
func TestConcurrency(t *testing.T) {
	f := fake.New(fake.Options{Pools: fake.Pools(fake.Pool("p", "10.0.0.0/20"))})
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := make(map[string]int)
	for i := range 8 {
		host := fmt.Sprintf("node-%d", i%3)
		must.NoError(t, f.SetNode(host, nil))
		wg.Add(1)
		go func() {
			defer wg.Done()
			for j := range 20 {
				v4, _, err := f.IPAM().AutoAssign(ctx, request(host, fmt.Sprintf("pod-%d-%d", i, j), 2))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for _, ip := range v4.IPs {
					seen[ip.IP.String()]++
				}
				mu.Unlock()
				if _, err := f.Datastore().List(ctx, model.BlockListOptions{}, ""); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	wg.Wait()
	must.MapLen(t, 8*20*2, seen)
	must.Eq(t, 8*20, f.Summary()["AutoAssign"])
}
