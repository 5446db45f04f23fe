package fleet_test

import (
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ipamsim/ipamsim/ipam/lifecycle"
	"github.com/ipamsim/ipamsim/ipam/lifecycle/fleet"
)

// hours is a small fleet for some hours.
func hours(n int, events ...fleet.Event) fleet.Scenario {
	return fleet.Scenario{
		Pool: netip.MustParsePrefix("10.0.0.0/24"), BlockSize: 28, Nodes: 4, PodsPerNode: 6, Tunnel: true,
		Profile: lifecycle.Profiles()[0], For: time.Duration(n) * time.Hour, Events: events, Seed: 1,
	}
}

func run(t *testing.T, s fleet.Scenario) fleet.Result {
	t.Helper()
	r, err := fleet.Run(s, nil)
	require.NoError(t, err)
	for _, s := range r.Samples {
		require.Equal(t, r.BlocksTotal, s.Live+s.Dead+s.Empty+s.Free)
		require.GreaterOrEqual(t, s.Free, 0)
		require.GreaterOrEqual(t, s.Unheld, 0)
		require.GreaterOrEqual(t, s.Waiting, 0)
	}
	require.Equal(t, r.Suffices(), r.RefusedPods+r.RefusedTunnels == 0)
	return r
}

func pod(name string) lifecycle.PodName { return lifecycle.PodName{Namespace: "db", Name: name} }

func TestQuiet(t *testing.T) {
	r := run(t, hours(2))
	require.True(t, r.Suffices())
	require.Equal(t, 4, r.NodeLives)
	require.Equal(t, 24, r.PodLives)
	require.Equal(t, 4, r.Tunnels)
	require.Equal(t, 16, r.BlocksTotal)
	require.Zero(t, r.ReleasedIPs+r.ReleasedBlocks+r.PeakDead.N+r.PeakUnheld.N)
	require.Len(t, r.Samples, 97)
	require.Equal(t, fleet.Sample{At: 2 * time.Hour, Live: 4, Free: 12}, r.Samples[96])
}

func TestReplaced(t *testing.T) {
	replaced := fleet.Event{At: time.Hour, Kind: fleet.ReplaceNodes, Count: 4, Every: time.Hour, Over: 40 * time.Minute}
	r := run(t, hours(3, replaced))
	require.True(t, r.Suffices())
	require.Equal(t, 4+4+4+1, r.NodeLives, "the last at the very end")
	require.Equal(t, 24+48+6, r.PodLives)
	require.Equal(t, 8, r.ReleasedIPs, "drained: only tunnel addresses are left behind")
	require.Equal(t, 8, r.ReleasedBlocks)
	require.Equal(t, 1, r.PeakDead.N)

	gone := replaced
	gone.Kind = fleet.Interrupt
	r = run(t, hours(3, gone))
	require.Equal(t, 8*7, r.ReleasedIPs, "not drained: everything is")
	require.Equal(t, fleet.Peak{N: 7, At: time.Hour}, r.PeakUnheld)

	lossy := hours(3, replaced)
	lossy.Leaks = 0.5
	r = run(t, lossy)
	require.Greater(t, r.ReleasedIPs, 8)
	require.Less(t, r.ReleasedIPs, 8*7)
}

func TestReplacedPods(t *testing.T) {
	s := hours(3, fleet.Event{At: time.Hour, Kind: fleet.ReplacePods, Count: 2, Every: time.Minute})
	r := run(t, s)
	require.Equal(t, 24+2*121, r.PodLives)
	require.Equal(t, 4, r.NodeLives)
	require.Zero(t, r.ReleasedIPs+r.PeakUnheld.N)

	s.Leaks = 1
	r = run(t, s)
	require.True(t, r.Suffices())
	require.InDelta(t, 2*(120-15), r.ReleasedIPs, 20, "each a grace period later")
	require.InDelta(t, 2*15, r.PeakUnheld.N, 20)
	s.Profile.Policy.GracePeriod = 0
	r = run(t, s)
	require.False(t, r.Suffices(), "nothing of a node that exists is released")
	require.Zero(t, r.ReleasedIPs)
	s.PodsPerNode, s.Events[0].Count = 0, 1
	require.Zero(t, run(t, s).PodLives, "no pods to replace")
}

func TestUpgrade(t *testing.T) {
	r := run(t, hours(1, fleet.Event{At: 10 * time.Minute, Kind: fleet.Upgrade, Count: 3, Every: time.Minute}))
	require.True(t, r.Suffices())
	require.Equal(t, 8, r.NodeLives)
	require.Equal(t, 48, r.PodLives)
	require.Equal(t, fleet.Peak{N: 3, At: 10 * time.Minute}, r.PeakDead, "the surge, before the controller looks")
	require.Equal(t, 4, r.Samples[96].Live)
}

func TestControllerDown(t *testing.T) {
	gone := fleet.Event{At: time.Minute, Kind: fleet.Interrupt, Count: 1, Every: time.Minute}
	up := run(t, hours(2, gone))
	require.True(t, up.Suffices())
	down := run(t, hours(2, gone, fleet.Event{At: time.Hour, Kind: fleet.ControllerDown, For: 45 * time.Minute}))
	require.False(t, down.Suffices())
	require.Greater(t, down.FirstRefusal.At, time.Hour)
	require.Less(t, down.FirstRefusal.At, 105*time.Minute)
	require.Equal(t, "no address left in the pool", down.FirstRefusal.Reason)
	require.Greater(t, down.PeakDead.N, up.PeakDead.N)
	require.Zero(t, down.WaitingAtEnd, "it came back")
	require.Positive(t, down.PeakWaiting.N)

	never := hours(2, gone)
	never.Profile.Policy.Off = true
	r := run(t, never)
	require.Zero(t, r.ReleasedIPs+r.ReleasedBlocks)
	require.Positive(t, r.WaitingAtEnd)
	require.Positive(t, r.RefusedTunnels)
	require.Equal(t, 256, r.PeakUnheld.N, "all of them")
}

func TestNamedPods(t *testing.T) {
	at := netip.MustParseAddr("10.0.0.77")
	s := hours(2,
		fleet.Event{At: time.Minute, Kind: fleet.StartPod, Pod: pod("a"), Place: 1, Address: at},
		fleet.Event{At: 10 * time.Minute, Kind: fleet.Interrupt, Count: 4},
		fleet.Event{At: 20 * time.Minute, Kind: fleet.StartPod, Pod: pod("b"), Place: 2},
		fleet.Event{At: 30 * time.Minute, Kind: fleet.StopPod, Pod: pod("a")},
	)
	s.PodsPerNode = 0
	r := run(t, s)
	require.Equal(t, 3, r.PodLives, "a twice, b once")
	require.Equal(t, "already-exists", r.FirstRefusal.Reason, "its address was still held by its own past")
	require.Equal(t, 10*time.Minute, r.FirstRefusal.At)
	require.Zero(t, r.WaitingAtEnd, "until the controller had been there")
}

// TestSeed: the same scenario gives the same result.
func TestSeed(t *testing.T) {
	s := hours(6, fleet.Event{At: time.Minute, Kind: fleet.ReplaceNodes, Count: 2, Every: 7 * time.Minute})
	s.Leaks = 0.3
	require.Equal(t, run(t, s), run(t, s))
	other := s
	other.Seed = 2
	require.NotEqual(t, run(t, s).ReleasedIPs, run(t, other).ReleasedIPs)
}

func TestOtherKinds(t *testing.T) {
	for name, change := range map[string]func(*fleet.Scenario){
		"IPv6":     func(s *fleet.Scenario) { s.Pool, s.BlockSize = netip.MustParsePrefix("fd00::/118"), 124 },
		"strict":   func(s *fleet.Scenario) { s.Strict = true },
		"cooldown": func(s *fleet.Scenario) { s.Cooldown = 5 * time.Minute },
		"full":     func(s *fleet.Scenario) { s.Nodes = 40; s.Strict = true },
		"older":    func(s *fleet.Scenario) { s.Profile = lifecycle.Profiles()[2] },
	} {
		t.Run(name, func(t *testing.T) {
			s := hours(3, fleet.Event{At: time.Minute, Kind: fleet.Interrupt, Count: 2, Every: 5 * time.Minute})
			change(&s)
			r := run(t, s)
			require.Positive(t, r.ReleasedIPs)
			require.Equal(t, name != "full", r.Suffices())
		})
	}
}

func TestInvalid(t *testing.T) {
	for says, change := range map[string]func(*fleet.Scenario){
		"0 nodes, must be 1":                                                  func(s *fleet.Scenario) { s.Nodes = 0 },
		"must be at most 10000000 pods":                                       func(s *fleet.Scenario) { s.Nodes, s.PodsPerNode = 50_000, 5000 },
		"-1 pods a node":                                                      func(s *fleet.Scenario) { s.PodsPerNode = -1 },
		"is smaller than a block":                                             func(s *fleet.Scenario) { s.Pool = netip.MustParsePrefix("10.0.0.0/29") },
		"more than 2^24 blocks":                                               func(s *fleet.Scenario) { s.Pool, s.BlockSize = netip.MustParsePrefix("fd00::/48"), 122 },
		"cooldown 1.5s":                                                       func(s *fleet.Scenario) { s.Cooldown = 1500 * time.Millisecond },
		"share of leaks NaN":                                                  func(s *fleet.Scenario) { s.Leaks = math.NaN() },
		"reaction time -1s":                                                   func(s *fleet.Scenario) { s.Reaction = -time.Second },
		"duration 0s":                                                         func(s *fleet.Scenario) { s.For = 0 },
		"time between samples 1ns":                                            func(s *fleet.Scenario) { s.Sample = 1 },
		"grace period -1s is negative":                                        func(s *fleet.Scenario) { s.Profile.Policy.GracePeriod = -time.Second },
		"event 1 (replace-nodes at 0s): co":                                   func(s *fleet.Scenario) { s.Events[0].Count = 5 },
		"event 1 (replace-nodes at -1s): at -1s is negative":                  func(s *fleet.Scenario) { s.Events[0].At = -time.Second },
		"event 1 (replace-nodes at 0s): every 1ns":                            func(s *fleet.Scenario) { s.Events[0].Every = 1 },
		"event 1 (replace-nodes at 0s): over -1s is negative":                 func(s *fleet.Scenario) { s.Events[0].Over = -time.Second },
		"event 1 (reboot at 0s): no such kind":                                func(s *fleet.Scenario) { s.Events[0].Kind = "reboot" },
		"event 2 (controller-down at 1m0s): for 0s":                           func(s *fleet.Scenario) { s.Events[1] = fleet.Event{At: time.Minute, Kind: fleet.ControllerDown} },
		"event 3 (stop-pod at 30s): out of order: event 2 is at ":             func(s *fleet.Scenario) { s.Events[2].At = 30 * time.Second },
		"event 2 (start-pod at 1m0s): pod \"db/\" without a name":             func(s *fleet.Scenario) { s.Events[1].Pod.Name = "" },
		"event 2 (start-pod at 1m0s): place 9, must be 0 to 3":                func(s *fleet.Scenario) { s.Events[1].Place = 9 },
		"event 2 (start-pod at 1m0s): address 10.1.0.1 is outside every pool": func(s *fleet.Scenario) { s.Events[1].Address = netip.MustParseAddr("10.1.0.1") },
		"event 3 (stop-pod at 2m0s): pod db/b does not run":                   func(s *fleet.Scenario) { s.Events[2].Pod.Name = "b" },
		"event 3 (start-pod at 2m0s): pod db/a runs already":                  func(s *fleet.Scenario) { s.Events[2].Kind = fleet.StartPod },
		"event 3 (start-pod at 2m0s): pod db/a runs in place 0 already: a pod cannot be on two nodes": func(s *fleet.Scenario) {
			s.Events[2].Kind, s.Events[2].Place = fleet.StartPod, 1
		},
	} {
		s := hours(1,
			fleet.Event{Kind: fleet.ReplaceNodes, Count: 1, Every: time.Minute},
			fleet.Event{At: time.Minute, Kind: fleet.StartPod, Pod: pod("a")},
			fleet.Event{At: 2 * time.Minute, Kind: fleet.StopPod, Pod: pod("a")},
		)
		require.NoError(t, s.Validate())
		change(&s)
		called := false
		_, err := fleet.Run(s, func(time.Duration) { called = true })
		require.ErrorIs(t, err, fleet.ErrInvalid, says)
		require.ErrorContains(t, err, says)
		require.False(t, called, "nothing was begun")
	}
	require.ErrorIs(t, func() error { s := hours(1); s.BlockSize = 99; return s.Validate() }(), fleet.ErrInvalid)
}
