package session

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/examples/internal/course"
	"github.com/ipamsim/ipamsim/internal/property"
)

// TestSentences: what the main acts say. A line that begins with { is an operation; the
// lines below it are its sentences.
func TestSentences(t *testing.T) {
	for _, story := range []string{`
{"do":"setup","pods":"none"}
3 nodes, and the pool 192.168.0.0/16 in 1,024 blocks of /26: 64 addresses each.
Nobody has asked for an address yet, so no block exists.
{"do":"add-pods","node":"calico-ipam-worker"}
calico-ipam-worker has no block in 192.168.0.0/16 yet: it starts its walk at block 526 of 1,024 and claims 192.168.131.128/26; default/web-1 gets 192.168.131.128, the head of the block's queue.
{"do":"add-pods","node":"calico-ipam-worker"}
default/web-2 on calico-ipam-worker gets 192.168.131.129, the head of the queue of the node's block 192.168.131.128/26.
{"do":"add-pods","node":"calico-ipam-worker","fill":true}
62 pods on calico-ipam-worker (default/web-3 to web-64) get 192.168.131.130 to 192.168.131.191, the head of the queue of the node's block 192.168.131.128/26. The block is full now.
{"do":"add-pods","node":"calico-ipam-worker","count":2}
The block of calico-ipam-worker has no address left: it starts its walk at block 526 of 1,024, passes one that exists and claims 192.168.131.192/26; 2 pods (default/web-65 to web-66) get 192.168.131.192 and 192.168.131.193, the head of the block's queue.
{"do":"restart","pod":"web-66"}
default/web-66 restarts on calico-ipam-worker.
default/web-66 gives 192.168.131.193 back: it goes to the end of the queue of 192.168.131.192/26, behind 62 others.
default/web-66 on calico-ipam-worker gets 192.168.131.194, the head of the queue of the node's block 192.168.131.192/26.
{"do":"remove-pods","node":"calico-ipam-worker","count":2}
default/web-66 ends and gives 192.168.131.194 back: it goes to the end of the queue of 192.168.131.192/26, behind 62 others.
default/web-65 ends and gives 192.168.131.192 back: it goes to the end of the queue of 192.168.131.192/26, behind 63 others.
{"do":"clean"}
kube-controllers compares the addresses in use with the pods and nodes that there are.
1 block is empty, and the node has others: a look after 15m gives it up.
{"do":"advance","by":"20m"}
20m later, it is 2026-01-01 09:23:21.
{"do":"clean"}
kube-controllers compares the addresses in use with the pods and nodes that there are.
It gives up the affinity of 1 block: 192.168.131.192/26 of calico-ipam-worker.
{"do":"drain","node":"calico-ipam-worker"}
calico-ipam-worker takes no pods any more, and 64 pods move.
64 addresses are given back. They are at the ends of their blocks' queues: first out is what has been free longest.
calico-ipam-worker2 has no block in 192.168.0.0/16 yet: it starts its walk at block 450 of 1,024 and claims 192.168.112.128/26; 64 pods (default/web-1 to web-64) get 192.168.112.128 to 192.168.112.191, the head of the block's queue. The block is full now.
calico-ipam-worker keeps 1 block: a drained node may come back.
{"do":"undrain","node":"calico-ipam-worker"}
calico-ipam-worker takes pods again, and still has 1 block.
{"do":"remove-node","node":"calico-ipam-worker2","how":"gone"}
calico-ipam-worker2 is gone, with 64 pods, and nothing was given back: 64 addresses stay in use.
Its 1 block stays its own until kube-controllers looks.
{"do":"clean"}
kube-controllers compares the addresses in use with the pods and nodes that there are.
It releases 64 addresses that nobody uses: 192.168.112.128, 192.168.112.129, 192.168.112.130, 192.168.112.131 and 60 more.
It gives up the affinity of 1 block: 192.168.112.128/26 of calico-ipam-worker2.
{"do":"clean"}
kube-controllers compares the addresses in use with the pods and nodes that there are.
All is in use: there is nothing to clean up.
`, `
{"do":"setup","pods":"none","nodes":2,"pool":"10.0.0.0/30","blockSize":31}
2 nodes, and the pool 10.0.0.0/30 in 2 blocks of /31: 2 addresses each.
Nobody has asked for an address yet, so no block exists.
{"do":"add-node","name":"node-c"}
node-c joins.
It has no block: it claims one when its first pod asks for an address.
{"do":"add-pods","node":"node-c","count":3}
node-c has no block in 10.0.0.0/30 yet: it starts its walk at block 0 of 2 and claims 10.0.0.0/31; 2 pods (default/web-1 to web-2) get 10.0.0.0 and 10.0.0.1, the head of the block's queue. The block is full now.
The block of node-c has no address left: it starts its walk at block 0 of 2, passes one that exists and claims 10.0.0.2/31; default/web-3 gets 10.0.0.2, the head of the block's queue.
{"do":"configure","strict":true}
Affinity is strict now: a node uses its own blocks only, and nobody borrows. Addresses that are borrowed already stay.
{"do":"add-pods","node":"calico-ipam-worker"}
default/web-4 on calico-ipam-worker gets no address: the node's blocks are full, none is left to claim, and affinity is strict: nobody borrows.
{"do":"configure","strict":false}
Affinity is not strict any more: where no block is left to claim, nodes borrow from the blocks of others.
{"do":"advance","by":"1m"}
1m later, it is 2026-01-01 09:04:21.
1 pod without an address asks again.
calico-ipam-worker can claim no block any more: default/web-4 on calico-ipam-worker borrows 10.0.0.3 from 10.0.0.2/31 of node-c. 1 more route leads to it.
{"do":"add-pods","node":"calico-ipam-worker"}
default/web-5 on calico-ipam-worker gets no address: no block of 10.0.0.0/30 is left to claim, and no address to borrow.
{"do":"label-node","node":"node-c","labels":{"disk":"","zone":"a"}}
The labels of node-c: disk is set and zone is "a".
{"do":"label-node","node":"node-c","labels":{"disk":null}}
The labels of node-c: disk is gone.
{"do":"set-pool","name":"default-ipv4-ippool","nodeSelector":"zone == 'a'"}
It selects 1 of 3 nodes.
{"do":"add-pods","node":"calico-ipam-worker"}
default/web-6 on calico-ipam-worker gets no address: no pool selects the node.
{"do":"set-pool","name":"second","cidr":"10.1.0.0/28","blockSize":30}
Pool second is new: 10.1.0.0/28 in 4 blocks of /30.
{"do":"set-pool","name":"default-ipv4-ippool","disabled":true}
Pool default-ipv4-ippool is disabled: nobody gets an address of it any more. Pods keep those that they have.
{"do":"remove-pool","name":"default-ipv4-ippool"}
Pool default-ipv4-ippool is gone.
2 blocks stay, in no pool now, and the pods in them keep their addresses.
`, `
{"do":"setup","pods":"none","calico":"v3.33","nodes":1,"pool":"10.0.0.0/28","blockSize":30}
1 node, and the pool 10.0.0.0/28 in 4 blocks of /30: 4 addresses each.
Nobody has asked for an address yet, so no block exists.
{"do":"set-pool","name":"default-ipv4-ippool","reserved":["10.0.0.4/31"]}
Reserved, so that no pod gets them by chance: 10.0.0.4/31.
{"do":"configure","cooldown":"30s"}
A released address cools down for 30s before it is free.
{"do":"scale","count":2}
calico-ipam-control-plane has no block in 10.0.0.0/28 yet: it starts its walk at block 1 of 4 and claims 10.0.0.4/30; 2 pods (default/web-1 to web-2) get 10.0.0.6 and 10.0.0.7, the head of the block's queue. The block is full now.
{"do":"scale","count":1}
default/web-2 ends and gives 10.0.0.7 back: it cools down for 30s before it is free.
{"do":"advance","by":"10s"}
10s later, it is 2026-01-01 09:03:31.
1 address still cools.
{"do":"advance","by":"20s"}
20s later, it is 2026-01-01 09:03:51.
1 address has cooled down: the next write of its block puts it at the end of the queue.
{"do":"slow","clients":[{"do":"add-pods","node":"calico-ipam-control-plane"}],"schedule":["0","0","0","0","0","0","0","kill 0"]}
calico-ipam-control-plane: dies before it writes block 10.0.0.4/30.
The handle of default/web-3 counts an address that it does not have.
`, `
{"do":"setup","pods":"none","nodes":1,"pool":"10.0.0.0/25"}
1 node, and the pool 10.0.0.0/25 in 2 blocks of /26: 64 addresses each.
Nobody has asked for an address yet, so no block exists.
{"do":"add-pods"}
calico-ipam-control-plane has no block in 10.0.0.0/25 yet: it starts its walk at block 1 of 2 and claims 10.0.0.64/26; default/web-1 gets 10.0.0.64, the head of the block's queue.
{"do":"restart","pod":"web-1","back":true}
default/web-1 restarts 64 times on calico-ipam-control-plane. Each time its address goes to the end of the queue, and it gets the head.
So it has the other 63 addresses of the queue first, and then 10.0.0.64 returns.
{"do":"add-pods","fill":true}
63 pods on calico-ipam-control-plane (default/web-2 to web-64) get 10.0.0.65 to 10.0.0.127, the head of the queue of the node's block 10.0.0.64/26. The block is full now.
{"do":"restart","pod":"web-1","back":true}
default/web-1 restarts on calico-ipam-control-plane, and gets 10.0.0.64 again: no other address is in the queue.
{"do":"add-pods"}
The block of calico-ipam-control-plane has no address left: it starts its walk at block 1 of 2, passes one that exists and claims 10.0.0.0/26; default/web-65 gets 10.0.0.0, the head of the block's queue.
{"do":"remove-pod","pod":"web-2"}
default/web-2 ends and gives 10.0.0.65 back: it is the only one in the queue of 10.0.0.64/26, and the next.
{"do":"restart","pod":"web-1","back":true}
default/web-1 restarts 64 times on calico-ipam-control-plane, and 10.0.0.64 does not return: the node takes addresses of another block first.
`, `
{"do":"setup","nodes":2,"pool":"10.0.0.0/25"}
2 nodes, and the pool 10.0.0.0/25 in 2 blocks of /26: 64 addresses each.
calico-ipam-control-plane has no block in 10.0.0.0/25 yet: it starts its walk at block 1 of 2 and claims 10.0.0.64/26; its tunnel gets 10.0.0.64, the head of the block's queue.
calico-ipam-worker has no block in 10.0.0.0/25 yet: it starts its walk at block 0 of 2 and claims 10.0.0.0/26; its tunnel gets 10.0.0.0, the head of the block's queue.
4 pods on calico-ipam-worker (kube-system/coredns-1 to calico-kube-controllers) get 10.0.0.1 to 10.0.0.4, the head of the queue of the node's block 10.0.0.0/26.
calico-system/csi-node-driver-1 on calico-ipam-control-plane gets 10.0.0.65, the head of the queue of the node's block 10.0.0.64/26.
calico-system/csi-node-driver-2 on calico-ipam-worker gets 10.0.0.5, the head of the queue of the node's block 10.0.0.0/26.
{"do":"remove-node","node":"calico-ipam-worker","how":"gone"}
calico-ipam-worker is gone, with 5 pods and its tunnel, and nothing was given back: 6 addresses stay in use.
Its 1 block stays its own until kube-controllers looks.
{"do":"clean"}
kube-controllers compares the addresses in use with the pods and nodes that there are.
It releases 6 addresses that nobody uses: 10.0.0.0, 10.0.0.1, 10.0.0.2, 10.0.0.3 and 2 more.
It gives up the affinity of 1 block: 10.0.0.0/26 of calico-ipam-worker.
`} {
		s := New()
		var op string
		var want []string
		check := func() {
			if op == "" {
				return
			}
			must.NoError(t, run(s, op), must.Sprint(op))
			must.Eq(t, want, s.View().Says, must.Sprint(op))
			must.NoError(t, s.world.Check())
			want = nil
		}
		for line := range strings.Lines(strings.TrimSpace(story)) {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "{") {
				check()
				op = line
				continue
			}
			want = append(want, line)
		}
		check()
	}
}

// TestErrors: an error names the field, what is wrong and what would do.
func TestErrors(t *testing.T) {
	s := New()
	before := state(s)
	for op, want := range map[string]string{
		`[]`:                                                   "an operation is an object",
		`{}`:                                                   `do: want the name of an act`,
		`{"do":"add-nod"}`:                                     `do: there is no act "add-nod"; did you mean "add-node"?`,
		`{"do":"add-pods","nod":"x"}`:                          "nod: add-pods has no such argument; it has node, count, fill",
		`{"do":"clean","now":true}`:                            "now: clean has no arguments",
		`{"do":"drain"}`:                                       "node: drain needs it",
		`{"do":"drain","node":"worker2"}`:                      `node: there is no node "worker2"; did you mean "calico-ipam-worker2"?`,
		`{"do":"add-pods","count":0}`:                          "count: 0 is out of range: 1 to 20,000",
		`{"do":"add-pods","count":"three"}`:                    "count: want a whole number, not string",
		`{"do":"add-pods","count":1,"fill":true}`:              "fill: give either count or fill",
		`{"do":"setup","nodes":5001}`:                          "nodes: 5001 is out of range: 1 to 5,000",
		`{"do":"setup","pool":"192.168.0.1/16"}`:               "pool: 192.168.0.1/16 begins in the middle of a range: did you mean 192.168.0.0/16?",
		`{"do":"setup","pool":"x"}`:                            `pool: "x" is no range of addresses`,
		`{"do":"setup","blockSize":8}`:                         "blockSize: 8: ",
		`{"do":"setup","pool":"fd00::/48"}`:                    "blockSize: fd00::/48 has 2^74 blocks of /122, too many to draw",
		`{"do":"setup","calico":"v3.9"}`:                       `calico: "v3.9" is no release of Calico that is known`,
		`{"do":"setup","pods":"some"}`:                         `pods: "some": want lab or none`,
		`{"do":"configure"}`:                                   "configure: give strict, maxBlocks or cooldown",
		`{"do":"configure","maxBlocks":3}`:                     "maxBlocks: Calico accepts a limit of blocks only with strict affinity",
		`{"do":"configure","cooldown":"30s"}`:                  "cooldown: Calico v3.28 has none; it came with v3.33",
		`{"do":"configure","cooldown":"21m"}`:                  "cooldown: 21m is out of range: 0s to 20m",
		`{"do":"advance","by":"soon"}`:                         `by: "soon" is no time span: want one such as 30s or 5m, from 1s to 720h`,
		`{"do":"configure","cooldown":"5"}`:                    `cooldown: "5" is no time span: want one such as 30s or 5m, from 0s to 20m`,
		`{"do":"advance","by":"1500ms"}`:                       "by: 1500ms: want whole seconds",
		`{"do":"remove-pod","pod":"web-1"}`:                    `pod: there is no pod "web-1"`,
		`{"do":"remove-pods","node":"calico-ipam-worker"}`:     "count: calico-ipam-worker has only 0 pods to remove",
		`{"do":"set-pool","name":"x"}`:                         `cidr: there is no pool "x", and a new one needs it`,
		`{"do":"set-pool","name":"x","cidr":"192.168.0.0/20"}`: "cidr: 192.168.0.0/20 shares addresses with another pool",
		`{"do":"set-pool","name":"default-ipv4-ippool","cidr":"10.0.0.0/16"}`:                                     "cidr: the CIDR and the block size of pool default-ipv4-ippool cannot change",
		`{"do":"set-pool","name":"default-ipv4-ippool","nodeSelector":"zone ="}`:                                  "nodeSelector: zone =: ",
		`{"do":"set-pool","name":"default-ipv4-ippool","reserved":["10"]}`:                                        `reserved: "10": not an address or CIDR`,
		`{"do":"remove-pool","name":"default"}`:                                                                   `name: there is no pool "default"; did you mean "default-ipv4-ippool"?`,
		`{"do":"add-node","name":"Node_1"}`:                                                                       `name: "Node_1" is no name of a node`,
		`{"do":"add-node","name":"calico-ipam-worker"}`:                                                           "name: there is a node calico-ipam-worker already",
		`{"do":"label-node","node":"calico-ipam-worker","labels":{}}`:                                             "labels: give one at least, such as zone=a",
		`{"do":"undrain","node":"calico-ipam-worker"}`:                                                            "node: calico-ipam-worker is not drained",
		`{"do":"slow","clients":[],"schedule":[]}`:                                                                "clients: want 1 to 4",
		`{"do":"slow","clients":[{"do":"clean"}],"schedule":[]}`:                                                  "clients[0]: do: clean has no slow motion",
		`{"do":"slow","clients":[{"do":"add-pods"}],"schedule":[]}`:                                               "clients[0]: node: in slow motion a client is of a node",
		`{"do":"slow","clients":[{"do":"add-pods","node":"calico-ipam-worker"}],"schedule":["0","1"]}`:            "schedule[1]: client: there is no client 1",
		`{"do":"slow","clients":[{"do":"add-pods","node":"calico-ipam-worker"}],"schedule":["0"]}`:                "schedule: not all clients have ended or died",
		`{"do":"slow","clients":[{"do":"add-pods","node":"calico-ipam-worker"}],"schedule":["die 0"]}`:            `schedule[0]: "die 0": want the number of a client`,
		`{"do":"slow","clients":[{"do":"add-pods","node":"calico-ipam-worker","counts":1}],"schedule":["die 0"]}`: "clients[0]: counts: add-pods has no such argument",
	} {
		must.ErrorContains(t, refusal(t, s, "do", op), want, must.Sprint(op))
		must.Eq(t, before, state(s), must.Sprint(op))
	}
	for method, want := range map[string]string{
		"jump":        `method: there is no method "jump"`,
		"undo":        "there is nothing to undo",
		"redo":        "there is nothing to do again",
		"slow-end":    "no slow act is under way",
		"slow-cancel": "no slow act is under way",
		"slow":        "no slow act is under way",
	} {
		must.ErrorContains(t, refusal(t, s, method, ""), want)
	}
	cold := New()
	for _, op := range []string{`{"do":"setup","calico":"v3.33"}`, `{"do":"configure","cooldown":"30s"}`, `{"do":"add-pods"}`} {
		must.NoError(t, run(cold, op))
	}
	must.ErrorContains(t, refusal(t, cold, "do", `{"do":"restart","pod":"web-1","back":true}`), "back: a released address cools down")
	for _, op := range []string{`{"do":"setup","pods":"none","nodes":1,"pool":"10.0.0.0/32","blockSize":32}`, `{"do":"add-pods","count":2}`} {
		must.NoError(t, run(cold, op))
	}
	must.ErrorContains(t, refusal(t, cold, "do", `{"do":"restart","pod":"web-2","back":true}`), "pod: default/web-2 has no address that could return")
	must.ErrorContains(t, refusal(t, s, "goto", `{"at":2}`), "at: 2 is out of range: 1 to 1")
	must.ErrorContains(t, refusal(t, s, "tab", `{"which":"ipam"}`), `which: there is no tab "ipam"`)
	must.ErrorContains(t, refusal(t, s, "cells", `{"blocks":["x"]}`), `blocks[0]: "x" is no block`)
	must.ErrorContains(t, refusal(t, s, "run", `{"ops":[{"do":"clean"}]}`), "ops[0]: clean: the first operation is setup")
	must.ErrorContains(t, refusal(t, s, "run", `{"ops":[{"do":"setup"},{"do":"drain","node":"x"}]}`), "operation 1, drain: node: there is no node")
	must.ErrorContains(t, refusal(t, s, "open", `{"fragment":"%%"}`), "cannot be opened; the cluster is as it was")
	must.ErrorContains(t, refusal(t, s, "open", `{"fragment":"AAAA"}`), "cannot be opened; the cluster is as it was")
	must.Eq(t, before, state(s))
}

// TestCourse: the cluster of setup is that of the text lab: its tables are the same.
func TestCourse(t *testing.T) {
	s := New()
	compared := 0
	for part, err := range course.Parts(course.Default()) {
		must.NoError(t, err)
		for i, item := range part.Items {
			if item.Kind != course.Command || part.Step == 0 {
				continue
			}
			for _, which := range []string{"ipam-show", "affinities", "affinities-yaml", "affinities-columns", "nodes"} {
				tab, err := s.Tab(tabArgs{Which: which})
				must.NoError(t, err)
				if strings.Join(strings.Fields(strings.ReplaceAll(item.Text, `\`, "")), " ") == tab.Command && part.Items[i+1].Kind == course.Prints {
					compared++
					must.Eq(t, part.Items[i+1].Text, tab.Text, must.Sprint(which))
				}
			}
		}
	}
	must.Eq(t, 5, compared)
}

// TestReads: what the page reads beside the view.
func TestReads(t *testing.T) {
	s := New()
	for _, op := range []string{
		`{"do":"setup","calico":"v3.33","nodes":3,"pool":"10.0.0.0/28","blockSize":29}`,
		`{"do":"configure","cooldown":"30s"}`,
		`{"do":"set-pool","name":"default-ipv4-ippool","reserved":["10.0.0.7"]}`,
		`{"do":"remove-pod","pod":"kube-system/coredns-1"}`,
	} {
		must.NoError(t, run(s, op))
	}
	var cells []Cells
	reply(t, s, "cells", `{"blocks":["10.0.0.0/29","10.0.0.8/29","10.9.0.0/29"]}`, &cells)
	must.Eq(t, []string{"tcpp...r", "ttbbpb..", ""}, func() (texts []string) {
		for _, c := range cells {
			texts = append(texts, c.Cells)
		}
		return texts
	}())
	must.Eq(t, "calico-system/csi-node-driver-2 on node calico-ipam-worker", cells[0].Who["3"])
	var m Map
	reply(t, s, "map", `{"pool":"default-ipv4-ippool"}`, &m)
	must.Len(t, 3, m.Starts)
	must.Len(t, 2, m.Runs)
	large := New() // 2 and 4 addresses of 1,024
	must.NoError(t, run(large, `{"do":"setup","blockSize":22}`))
	reply(t, large, "map", `{}`, &m)
	for _, r := range m.Runs {
		must.Eq(t, 1, r[4], must.Sprint("little is not nothing"))
	}
	var walk Walk
	reply(t, s, "walk", `{"node":"calico-ipam-worker","most":2}`, &walk)
	must.Len(t, 2, walk.Steps)
	must.SliceContains(t, []string{"own", "taken"}, walk.Steps[0].State)
	var pods []PodView
	reply(t, s, "pods", `{"node":"calico-ipam-worker2"}`, &pods)
	must.True(t, pods[0].Tunnel)
	must.True(t, pods[0].Borrowed)
	for _, which := range tabNames() {
		var tab Tab
		reply(t, s, "tab", `{"which":"`+which+`","ip":"10.0.0.2"}`, &tab)
		must.NotEq(t, "", tab.Text, must.Sprint(which))
		must.NotEq(t, "", tab.Command, must.Sprint(which))
	}
}

// TestEncode: views are written as package json would write them, but for the order of
// fields, and each field is there.
func TestEncode(t *testing.T) {
	property.Slow(t)
	s := opened(t, testdata+"sample.yaml")
	must.NoError(t, run(s, `{"do":"add-pods","count":3}`))
	s.world.order[0].labels["odd"], s.world.order[0].labelText = "<\"\\\n\u2028é>", nil
	var got, want any
	must.NoError(t, json.Unmarshal(s.Call("view", nil, nil), &got))
	must.NoError(t, json.Unmarshal([]byte(`{"ok":`+text(s.View())+`}`), &want))
	must.Eq(t, want, got)
	must.StrNotContains(t, string(s.Call("view", nil, nil)), "null", must.Sprint("a list without items is []"))
	must.Eq(t, string(s.Call("view", nil, nil)), string(s.Call("view", nil, nil)))
	for _, odd := range []string{"a", "a\"b", `a\b`, "a\nb", "<&>", "é", "\x7f", "\xff"} {
		must.EqJSON(t, text(odd), string(appendText(nil, odd)))
	}
}
