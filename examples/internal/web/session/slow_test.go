package session

import (
	"fmt"
	"slices"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
)

// TestSlowCalls: a slow act by the methods of the page, up to its end and back.
func TestSlowCalls(t *testing.T) {
	s := New()
	must.NoError(t, run(s, `{"do":"setup","pods":"none","pool":"10.0.0.0/24"}`))
	before := state(s)
	start := `{"clients":[{"do":"add-pods","node":"calico-ipam-worker"},{"do":"add-pods","node":"calico-ipam-worker2"}]}`
	var v Slow
	reply(t, s, "slow-start", start, &v)
	must.Eq(t, "calico-ipam-worker", v.Clients[0].Name)
	must.Eq(t, "reads its node, whose labels decide on the pools", v.Clients[0].Waiting.Says)
	must.Len(t, 2, v.Clients)

	// While it is under way, nothing else changes the cluster.
	for method, args := range map[string]string{
		"do": `{"do":"clean"}`, "undo": "", "redo": "", "goto": `{"at":1}`, "reset": "", "run": `{"ops":[{"do":"setup"}]}`,
		"open": `{"fragment":"AAAA"}`, "slow-start": start, "load": `{"name":"x"}`, "export": `{"what":"trace"}`, "open-operations": "",
	} {
		must.ErrorContains(t, refusal(t, s, method, args), "slow act is under way", must.Sprint(method))
	}
	must.ErrorContains(t, refusal(t, s, "slow-end", ""), "not all clients have ended")
	must.ErrorContains(t, refusal(t, s, "slow-step", `{"client":2,"do":"step"}`), "there is no client 2")
	must.ErrorContains(t, refusal(t, s, "slow-step", `{"client":0,"do":"jump"}`), "want step or die")

	// The first client claims a block up to the affinity, and dies.
	for v.Clients[0].Waiting.Call != "create" || v.Clients[0].Waiting.Key[:6] != "block/" {
		reply(t, s, "slow-step", `{"client":0,"do":"step"}`, &v)
	}
	must.Eq(t, []SlowAffinity{{"calico-ipam-worker", "10.0.0.64/26", "pending"}}, v.Affinities)
	must.Eq(t, "creates block 10.0.0.64/26 with itself as the owner", v.Clients[0].Waiting.Says)
	reply(t, s, "slow-step", `{"client":0,"do":"die"}`, &v)
	must.True(t, v.Clients[0].Dead)
	must.Nil(t, v.Clients[0].Waiting)
	must.ErrorContains(t, refusal(t, s, "slow-step", `{"client":0,"do":"step"}`), "client 0 has ended")
	for !v.Ended {
		reply(t, s, "slow-step", `{"client":1,"do":"step"}`, &v)
	}
	reply(t, s, "slow", "", &v)
	must.Eq(t, "default/web-2 gets 10.0.0.0", v.Clients[1].Result)
	must.Eq(t, "p", v.Blocks[0].Cells[:1])
	reply(t, s, "view", "", nil)
	must.True(t, s.View().Slow)

	reply(t, s, "slow-end", "", nil)
	must.Eq(t, []string{
		"calico-ipam-worker: dies before it creates block 10.0.0.64/26 with itself as the owner.",
		"calico-ipam-worker2: default/web-2 gets 10.0.0.0, after 14 calls.",
		"A claim of calico-ipam-worker on 10.0.0.64/26 stays pending, which does not exist. Its next request repairs that.",
	}, s.View().Says)
	must.NoError(t, s.world.Check())
	after := state(s)
	must.NoError(t, exported(s))

	// The next request of the node repairs what is left.
	must.NoError(t, run(s, `{"do":"advance","by":"1m"}`))
	must.StrContains(t, s.View().Says[2], "it completes its claim on 10.0.0.64/26, which was left half-way; default/web-1 gets 10.0.0.64")
	must.NoError(t, s.Undo())
	must.Eq(t, after, state(s))
	must.NoError(t, s.Undo())
	must.Eq(t, before, state(s))

	// A slow act that is dropped leaves nothing.
	reply(t, s, "slow-start", start, nil)
	reply(t, s, "slow-step", `{"client":0,"do":"step"}`, nil)
	reply(t, s, "slow-cancel", "", nil)
	must.Eq(t, before, state(s))
}

// TestSlowAlone: an act of one client in slow motion leads to the same state as the act
// itself.
func TestSlowAlone(t *testing.T) {
	for _, act := range []string{
		`{"do":"add-pods","node":"calico-ipam-worker","count":3}`, `{"do":"add-pods","node":"calico-ipam-worker2","count":4}`,
		`{"do":"remove-pod","pod":"default/web-2"}`, `{"do":"remove-pods","node":"calico-ipam-worker","count":2}`,
	} {
		for _, setup := range setups {
			var clusters []string
			for _, slowly := range []bool{false, true} {
				s := New()
				must.NoError(t, run(s, setup))
				if run(s, `{"do":"add-pods","node":"calico-ipam-worker","count":3}`) != nil || run(s, `{"do":"add-pods","count":2}`) != nil || s.world.nodes["calico-ipam-worker2"] == nil {
					continue
				}
				if !slowly {
					must.NoError(t, run(s, act))
				} else {
					reply(t, s, "slow-start", `{"clients":[`+act+`]}`, nil)
					for !s.slow.ended() {
						reply(t, s, "slow-step", `{"client":0,"do":"step"}`, nil)
					}
					reply(t, s, "slow-end", "", nil)
				}
				clusters = append(clusters, readableState(s))
			}
			if len(clusters) == 2 {
				must.Eq(t, clusters[0], clusters[1], must.Sprintf("%s after %s", act, setup))
			}
		}
	}
}

// readableState is what is allocated and claimed, without sequence numbers, and the pods.
func readableState(s *Session) string {
	pods, err := s.Pods("")
	if err != nil {
		panic(err)
	}
	return text(stateOf(s)) + text(pods)
}

// TestSlowOrders: two clients that write the same block, in all orders of their calls, and
// with a death at each place: the world agrees with the allocator, no address has two pods,
// and the state is as if one had come after the other, unless somebody died.
func TestSlowOrders(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 1009
	} else if !property.Long() {
		step = 17
	}
	for _, clients := range []string{
		`[{"do":"add-pods","node":"calico-ipam-worker"},{"do":"remove-pod","pod":"web-1"}]`,
		`[{"do":"add-pods","node":"calico-ipam-worker"},{"do":"add-pods","node":"calico-ipam-worker"}]`,
	} {
		orders, tried := all(t, clients), 0
		must.Greater(t, 1000, len(orders))
		ends := make(map[string]bool)
		for i := 0; i < len(orders); i += step {
			for _, dies := range []int{-1, i % len(orders[i])} {
				s := raced(t)
				order := slices.Clone(orders[i])
				if dies >= 0 { // and the other goes on to its end
					order = append(order[:dies:dies], "kill "+order[dies])
				}
				end := finish(t, s, clients, order)
				must.NoError(t, s.world.Check(), must.Sprintf("%s", order))
				must.NoError(t, figures(s), must.Sprintf("%s", order))
				if dies < 0 {
					ends[end] = true
				}
				tried++
			}
		}
		must.LessEq(t, 2, len(ends), must.Sprint("one came after the other"))
		t.Logf("%d orders of %s, %d ends", tried, clients, len(ends))
	}
}

// raced is a cluster in which a node has a block with two pods.
func raced(t *testing.T) *Session {
	s := New()
	must.NoError(t, run(s, `{"do":"setup","pods":"none","nodes":2,"pool":"10.0.0.0/28","blockSize":30}`))
	must.NoError(t, run(s, `{"do":"add-pods","node":"calico-ipam-worker","count":2}`))
	return s
}

// finish plays an order of steps, then whoever is left, and returns the state.
func finish(t *testing.T, s *Session, clients string, order []string) string {
	reply(t, s, "slow-start", `{"clients":`+clients+`}`, nil)
	for _, one := range order {
		do, client := "step", one
		if len(one) > 1 {
			do, client = "die", one[5:]
		}
		if _, waiting := s.slow.clients[client[0]-'0'].process.Request(); waiting {
			reply(t, s, "slow-step", fmt.Sprintf(`{"client":%s,"do":%q}`, client, do), nil)
		}
	}
	for i := range 2 {
		for {
			if _, waiting := s.slow.clients[i].process.Request(); !waiting {
				break
			}
			reply(t, s, "slow-step", fmt.Sprintf(`{"client":%d,"do":"step"}`, i), nil)
		}
	}
	reply(t, s, "slow-end", "", nil)
	return readableState(s)
}

// all are the orders of two clients' calls, as many of each as it makes alone.
func all(t *testing.T, clients string) (orders [][]string) {
	s := raced(t)
	var left [2]int
	reply(t, s, "slow-start", `{"clients":`+clients+`}`, nil)
	for i := range left {
		for {
			if _, waiting := s.slow.clients[i].process.Request(); !waiting {
				break
			}
			left[i]++
			reply(t, s, "slow-step", fmt.Sprintf(`{"client":%d,"do":"step"}`, i), nil)
		}
	}
	var order []string
	var rest func()
	rest = func() {
		if left[0]+left[1] == 0 {
			orders = append(orders, slices.Clone(order))
			return
		}
		for i := range left {
			if left[i] > 0 {
				left[i]--
				order = append(order, fmt.Sprint(i))
				rest()
				order = order[:len(order)-1]
				left[i]++
			}
		}
	}
	rest()
	return orders
}
