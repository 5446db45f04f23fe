package course_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/examples/internal/course"
	"github.com/ipamsim/ipamsim/examples/internal/web/session"
	"github.com/ipamsim/ipamsim/internal/property"
)

// A reader is a session that is asked as the page asks it.
type reader struct {
	t *testing.T
	s *session.Session
}

// call calls a method, which must succeed.
func (r *reader) call(method string, args, reply any) {
	r.t.Helper()
	text, err := json.Marshal(args)
	must.NoError(r.t, err)
	var answer struct {
		OK    json.RawMessage
		Error string
	}
	must.NoError(r.t, json.Unmarshal(r.s.Call(method, text, nil), &answer))
	must.Eq(r.t, "", answer.Error, must.Sprintf("%s %s", method, text))
	must.NoError(r.t, json.Unmarshal(answer.OK, reply))
}

// state is a cluster as the page knows it.
type state struct {
	session.View
	addresses map[string]string // of pods, empty for those that wait
	nodes     map[string]session.NodeView
}

// look returns the state.
func (r *reader) look() *state {
	r.t.Helper()
	s := &state{addresses: make(map[string]string), nodes: make(map[string]session.NodeView)}
	r.call("view", struct{}{}, &s.View)
	var pods []session.PodView
	r.call("pods", struct{}{}, &pods)
	for _, p := range pods {
		s.addresses[p.Pod] = strings.Join(p.IPs, " ")
	}
	for _, n := range s.Nodes {
		s.nodes[n.Name] = n
	}
	return s
}

// done asks whether the step is done.
func (r *reader) done(step *course.Step) bool {
	r.t.Helper()
	var reply struct{ Done bool }
	r.call("done", map[string]string{"name": step.Try.Done}, &reply)
	return reply.Done
}

// states does operations and returns the states: after all of the first, and after each
// of the others.
func (r *reader) states(do, try []json.RawMessage) []*state {
	r.t.Helper()
	var v session.View
	r.call("run", map[string]any{"ops": do}, &v)
	states := []*state{r.look()}
	for _, op := range try {
		r.call("do", op, &v)
		states = append(states, r.look())
	}
	return states
}

// follow does the operations of a step, which is done after the last of them and not
// before.
func (r *reader) follow(step *course.Step) []*state {
	r.t.Helper()
	for i := range step.Try.Ops {
		r.states(step.Do, step.Try.Ops[:i])
		must.False(r.t, r.done(step), must.Sprintf("%s is done too early", step.ID))
	}
	states := r.states(step.Do, step.Try.Ops)
	must.True(r.t, r.done(step), must.Sprintf("%s is not done", step.ID))
	return states
}

const (
	worker = "calico-ipam-worker"
	last   = "calico-ipam-worker64"
)

// truths tell of each choice whether it came true, from the states: before, and after
// each operation.
var truths = map[string][]func(s []*state) bool{
	"queue": {
		func(s []*state) bool { return s[1].addresses["default/web-6"] == lowestFree(s[0]) },
		func(s []*state) bool {
			return s[1].addresses["default/web-6"] == after(s[0].addresses["default/web-5"])
		},
		func(s []*state) bool {
			got := s[1].addresses["default/web-6"]
			return got != lowestFree(s[0]) && got != after(s[0].addresses["default/web-5"])
		},
	},
	"full-block": {
		func(s []*state) bool { return confirmed(s[2], worker) == 2 && s[2].nodes[worker].Waiting == 0 },
		func(s []*state) bool { return s[2].Figures.Borrowed > 0 },
		func(s []*state) bool { return s[2].nodes[worker].Waiting > 0 },
	},
	"no-block-left": {
		func(s []*state) bool { return s[2].nodes[last].Borrows == 2 && s[2].nodes[last].Waiting == 0 },
		func(s []*state) bool { return confirmed(s[2], last) > 0 },
		func(s []*state) bool { return s[2].nodes[last].Waiting > 0 },
	},
	"routes": {
		func(s []*state) bool { return s[1].Figures.Routes == s[0].Figures.Routes },
		func(s []*state) bool { return s[1].Figures.Routes == s[0].Figures.Routes+1 },
		func(s []*state) bool { return s[1].Figures.Routes == s[0].Figures.Routes+10 },
	},
	"strict": {
		func(s []*state) bool {
			return s[3].nodes[last].Waiting == 1 && s[3].nodes[worker].Waiting == 0 && s[3].nodes[last].Borrows == s[0].nodes[last].Borrows
		},
		func(s []*state) bool { return s[3].nodes[last].Waiting > 0 && s[3].nodes[worker].Waiting > 0 },
		func(s []*state) bool { return s[3].nodes[last].Borrows < s[0].nodes[last].Borrows },
		func(s []*state) bool { return s[3].Figures.Waiting == 0 },
	},
	"drain": {
		func(s []*state) bool { return moved(s[0], s[1]) == 0 },
		func(s []*state) bool {
			return moved(s[0], s[1]) > 0 && confirmed(s[1], worker) == 1 && s[1].nodes[worker].Blocks[0].Free > s[0].nodes[worker].Blocks[0].Free
		},
		func(s []*state) bool { return confirmed(s[1], worker) == 0 },
	},
	"gone": {
		func(s []*state) bool { return s[1].Figures.Blocks < s[0].Figures.Blocks },
		func(s []*state) bool {
			return s[1].Figures.Blocks == s[0].Figures.Blocks && s[2].Figures.Blocks == s[0].Figures.Blocks-1
		},
		func(s []*state) bool { return s[2].Figures.Blocks == s[0].Figures.Blocks },
	},
	"crash": {
		func(s []*state) bool {
			claim, block := s[1].nodes[worker].Blocks, s[2].nodes[worker].Blocks
			return len(claim) == 1 && claim[0].State == "pending" && !claim[0].Exists &&
				len(block) == 1 && block[0].CIDR == claim[0].CIDR && block[0].State == "confirmed" && block[0].InUse > 0
		},
		func(s []*state) bool { return len(s[2].nodes[worker].Blocks) > 1 },
		func(s []*state) bool { return s[2].addresses["default/web-2"] == "" },
	},
}

// lowestFree is the address of web-2, which has gone: the one between its neighbours'.
func lowestFree(s *state) string { return after(s.addresses["default/web-1"]) }

// after is the next address.
func after(ip string) string {
	at := strings.LastIndex(ip, ".")
	var n int
	fmt.Sscan(ip[at+1:], &n)
	return fmt.Sprintf("%s.%d", ip[:at], n+1)
}

// confirmed is how many blocks a node owns.
func confirmed(s *state, node string) (n int) {
	for _, b := range s.nodes[node].Blocks {
		if b.State == "confirmed" && b.Exists {
			n++
		}
	}
	return n
}

// moved is how many pods have another address than before.
func moved(before, now *state) (n int) {
	for pod, ip := range before.addresses {
		if now.addresses[pod] != ip {
			n++
		}
	}
	return n
}

// tour returns the tour as the page gets it.
func tour(t *testing.T) (*reader, []course.Step) {
	t.Helper()
	r := &reader{t, session.New()}
	var reply struct{ Steps []course.Step }
	r.call("tour", struct{}{}, &reply)
	return r, reply.Steps
}

// TestQuestions: what is called right comes true when the reader tries it, and nothing
// else does.
func TestQuestions(t *testing.T) {
	property.Slow(t)
	_, steps := tour(t)
	asked := 0
	for _, step := range steps {
		if step.Question == nil {
			continue
		}
		asked++
		t.Run(step.ID, func(t *testing.T) {
			r := &reader{t, session.New()}
			if step.ID == "block-size" {
				r.blockSize(&step)
				return
			}
			states := r.follow(&step)
			must.Eq(t, []int{step.Question.Answer}, came(t, &step, states))
		})
	}
	must.Eq(t, len(truths)+1, asked)
}

// came returns the choices that came true.
func came(t *testing.T, step *course.Step, states []*state) (right []int) {
	t.Helper()
	must.Len(t, len(step.Question.Choices), truths[step.ID])
	for i, truth := range truths[step.ID] {
		if truth(states) {
			right = append(right, i)
		}
	}
	return right
}

// blockSize tries all choices: the first of which nothing is borrowed is right.
func (r *reader) blockSize(step *course.Step) {
	r.follow(step)
	right := -1
	for i, choice := range step.Question.Choices {
		var size int
		_, err := fmt.Sscanf(choice, "/%d:", &size)
		must.NoError(r.t, err)
		var v session.View
		r.call("do", json.RawMessage(strings.Replace(string(step.Try.Ops[0]), "28", fmt.Sprint(size), 1)), &v)
		r.call("do", step.Try.Ops[1], &v)
		must.Eq(r.t, 360, v.Figures.Pods)
		must.Zero(r.t, v.Figures.Waiting)
		if v.Figures.Borrowed == 0 && right < 0 {
			right = i
		}
		must.Eq(r.t, size == 28, r.done(step), must.Sprint(choice))
	}
	must.Eq(r.t, step.Question.Answer, right)
}

// TestQuestionsBroken: in another world other choices come true, and the test of the
// answers notices.
func TestQuestionsBroken(t *testing.T) {
	_, steps := tour(t)
	for id, other := range map[string]struct {
		do, ops []string // further operations, and others in place of those to try
		right   int
	}{
		"no-block-left": {do: []string{`{"do":"configure","strict":true}`}, right: 2},
		"routes":        {do: []string{`{"do":"remove-node","node":"calico-ipam-worker63"}`, `{"do":"clean"}`}, right: 1},
		"strict":        {ops: []string{`{"do":"configure","cooldown":"0s"}`, `{"do":"advance","by":"1s"}`, `{"do":"add-pods","node":"` + last + `"}`}, right: 3},
		"gone":          {ops: []string{`{"do":"remove-node","node":"` + worker + `"}`, `{"do":"advance","by":"1h"}`}, right: 2},
		"crash":         {ops: []string{`{"do":"add-pods","node":"` + worker + `"}`, `{"do":"add-pods","node":"` + worker + `","count":64}`}, right: 1},
	} {
		at := slices.IndexFunc(steps, func(s course.Step) bool { return s.ID == id })
		step := steps[at]
		do := append(slices.Clone(step.Do), course.Ops(other.do...)...)
		try := step.Try.Ops
		if other.ops != nil {
			try = course.Ops(other.ops...)
		}
		states := (&reader{t, session.New()}).states(do, try)
		must.Eq(t, []int{other.right}, came(t, &step, states), must.Sprint(id))
		must.NotEq(t, step.Question.Answer, other.right)
	}
}

// TestTour: each step is whole, and what an exercise prints is what the session's tools
// print of the cluster that the step begins with.
func TestTour(t *testing.T) {
	r, steps := tour(t)
	tabs := map[string]string{"nodes": "nodes", "pool": "ipam-show", "claims": "affinities", "claims-yaml": "affinities-yaml", "claims-columns": "affinities-columns"}
	var seen []string
	for _, step := range steps {
		must.SliceNotContains(t, seen, step.ID)
		seen = append(seen, step.ID)
		must.NotEq(t, "", step.Title)
		must.SliceNotEmpty(t, step.Says)
		var v session.View
		r.call("run", map[string]any{"ops": step.Do}, &v)
		if step.Question == nil {
			must.SliceNotEmpty(t, step.Explains)
			must.NotEq(t, "", step.Prints)
			must.Nil(t, step.Try)
		} else {
			must.Eq(t, "", step.Prints)
			must.NotNil(t, step.Try)
			must.GreaterEq(t, 3, len(step.Question.Choices))
			sorted := slices.Sorted(slices.Values(step.Question.Choices))
			must.Len(t, len(step.Question.Choices), slices.Compact(sorted))
		}
		if which := tabs[step.ID]; which != "" {
			var tab session.Tab
			r.call("tab", map[string]string{"which": which}, &tab)
			oneLine := strings.ReplaceAll(step.Command, " \\\n    ", " ") // the text lab breaks what is longer than 80 columns
			must.Eq(t, oneLine, tab.Command)
			must.Eq(t, step.Prints, tab.Text)
			delete(tabs, step.ID)
		}
	}
	must.MapEmpty(t, tabs, must.Sprint(tabs))
	must.Len(t, course.Steps+len(truths)+1, steps)
}
