package session

import (
	"strings"
	"testing"
)

func TestSmoke(t *testing.T) {
	s := New()
	for _, line := range strings.Split(`do {"do":"setup"}
do {"do":"add-pods","node":"calico-ipam-worker","count":3}
do {"do":"add-pods","node":"calico-ipam-worker","fill":true}
do {"do":"add-pods","node":"calico-ipam-worker"}
do {"do":"restart","pod":"default/web-2"}
do {"do":"add-pods","count":10}
do {"do":"drain","node":"calico-ipam-worker2"}
do {"do":"remove-node","node":"calico-ipam-worker","how":"gone"}
do {"do":"clean"}
do {"do":"advance","by":"16m"}
do {"do":"clean"}
do {"do":"configure","strict":true,"maxBlocks":1}
do {"do":"add-pods","fill":true,"node":"calico-ipam-control-plane"}
do {"do":"add-pods","count":3,"node":"calico-ipam-control-plane"}
do {"do":"remove-pods","count":1,"node":"calico-ipam-control-plane"}
do {"do":"advance","by":"1m"}
do {"do":"add-node"}
do {"do":"add-nod"}
do {"do":"add-pods","nod":"x"}
do {"do":"add-pods","node":"calico-worker"}
do {"do":"add-pods","count":0}
do {"do":"add-pods","count":"x"}
do {"do":"configure","cooldown":"30s"}
tab {"which":"ipam-show-blocks"}
tab {"which":"affinities-jsonpath"}
map {}
undo
do {"do":"setup","nodes":3,"pool":"10.0.0.0/29","blockSize":30}
do {"do":"scale","count":5}
do {"do":"setup","nodes":65,"pool":"10.0.0.0/20","calico":"v3.33"}
do {"do":"scale","count":500}
do {"do":"configure","cooldown":"30s"}
do {"do":"scale","count":5}
do {"do":"advance","by":"1m"}`, "\n") {
		method, args, _ := strings.Cut(line, " ")
		out := s.Call(method, []byte(args), nil)
		t.Log("==", line)
		if method == "do" && !strings.HasPrefix(string(out), `{"error`) {
			for _, x := range s.View().Says {
				t.Log("  -", x)
			}
			if err := s.world.Check(); err != nil {
				t.Error(err)
			}
		} else if len(out) > 3000 {
			t.Log(string(out[:3000]))
		} else {
			t.Log(strings.ReplaceAll(string(out), `\n`, "\n"))
		}
	}
	s.Call("do", []byte(`{"do":"setup"}`), nil)
	t.Log(string(s.Call("view", nil, nil)))
}

func TestSlowSmoke(t *testing.T) {
	s := New()
	call := func(method, args string) string {
		out := string(s.Call(method, []byte(args), nil))
		t.Log(method, args, out)
		return out
	}
	call("do", `{"do":"setup","pods":"none","pool":"10.0.0.0/24"}`)
	call("slow-start", `{"clients":[{"do":"add-pods","node":"calico-ipam-worker"},{"do":"add-pods","node":"calico-ipam-worker2"}]}`)
	for range 3 {
		call("slow-step", `{"client":0,"do":"step"}`)
	}
	for range 4 {
		call("slow-step", `{"client":1,"do":"step"}`)
	}
	call("slow-step", `{"client":1,"do":"die"}`)
	for !s.slow.ended() {
		call("slow-step", `{"client":0,"do":"step"}`)
	}
	call("slow-end", ``)
	if err := s.world.Check(); err != nil {
		t.Error(err)
	}
	call("undo", ``)
	call("redo", ``)
	call("fragment", ``)
}
