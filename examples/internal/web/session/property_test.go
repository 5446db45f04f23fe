package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

func TestMain(m *testing.M) { property.Main(m, 60) }

// A player plays random operations on a session.
type player struct {
	property.Source
	s *Session
}

// setups are small clusters, in which everything happens soon.
var setups = []string{
	`{"do":"setup","pods":"none","pool":"10.0.0.0/28","blockSize":30}`,
	`{"do":"setup","pool":"10.0.0.0/27","blockSize":29,"nodes":4}`,
	`{"do":"setup","calico":"v3.33","pool":"10.0.0.0/26","blockSize":28,"nodes":2}`,
	`{"do":"setup","calico":"v3.33","pool":"fd00::/122","blockSize":124}`,
	`{"do":"setup","calico":"v3.22","pods":"none","pool":"10.0.0.0/28","blockSize":29,"nodes":5}`,
}

// node picks a node, seldom one that is not there.
func (p *player) node() string {
	nodes := p.s.world.order
	i := p.Pick("node", len(nodes)+1)
	if i == len(nodes) {
		return "calico-ipam-nobody"
	}
	return nodes[i].name
}

// pod picks a pod.
func (p *player) pod() string {
	var pods []string
	for _, one := range p.s.world.everybody() {
		if one.namespace != "" {
			pods = append(pods, one.label())
		}
	}
	i := p.Pick("pod", len(pods)+1)
	if i == len(pods) {
		return "default/nobody"
	}
	return pods[i]
}

// op picks an operation.
func (p *player) op() string {
	switch p.Pick("act", 18) {
	case 0:
		return fmt.Sprintf(`{"do":"add-pods","count":%d}`, 1+p.Pick("count", 6))
	case 1:
		return fmt.Sprintf(`{"do":"add-pods","node":%q,"count":%d}`, p.node(), 1+p.Pick("count", 6))
	case 2:
		return fmt.Sprintf(`{"do":"add-pods","node":%q,"fill":true}`, p.node())
	case 3:
		return fmt.Sprintf(`{"do":"remove-pods","node":%q,"count":%d}`, p.node(), 1+p.Pick("count", 4))
	case 4:
		return fmt.Sprintf(`{"do":"remove-pod","pod":%q}`, p.pod())
	case 5:
		return fmt.Sprintf(`{"do":"restart","pod":%q,"back":%t}`, p.pod(), p.Pick("back", 3) == 0)
	case 6:
		return fmt.Sprintf(`{"do":"scale","count":%d}`, p.Pick("count", 20))
	case 7:
		return fmt.Sprintf(`{"do":"drain","node":%q}`, p.node())
	case 8:
		return fmt.Sprintf(`{"do":"undrain","node":%q}`, p.node())
	case 9:
		return fmt.Sprintf(`{"do":"remove-node","node":%q,"how":%q}`, p.node(), []string{"drained", "gone"}[p.Pick("how", 2)])
	case 10:
		return []string{`{"do":"add-node"}`, `{"do":"add-node","tunnel":false,"labels":{"zone":"a"}}`, fmt.Sprintf(`{"do":"add-node","name":%q}`, p.node())}[p.Pick("which", 3)]
	case 11:
		return fmt.Sprintf(`{"do":"label-node","node":%q,"labels":{"zone":%s}}`, p.node(), []string{`"a"`, `"b"`, `""`, "null"}[p.Pick("zone", 4)])
	case 12:
		return []string{
			`{"do":"configure","strict":true,"maxBlocks":1}`, `{"do":"configure","strict":false}`, `{"do":"configure","cooldown":"30s"}`,
			`{"do":"configure","strict":true,"cooldown":"0s"}`, `{"do":"configure","maxBlocks":2}`,
		}[p.Pick("how", 5)]
	case 13:
		name := p.s.world.ipam.Pools()
		first := "none"
		if len(name) > 0 {
			first = name[0].Name
		}
		return []string{
			fmt.Sprintf(`{"do":"set-pool","name":%q,"disabled":true}`, first), fmt.Sprintf(`{"do":"set-pool","name":%q,"disabled":false}`, first),
			fmt.Sprintf(`{"do":"set-pool","name":%q,"nodeSelector":"zone != 'a'"}`, first), fmt.Sprintf(`{"do":"set-pool","name":%q,"nodeSelector":"all()"}`, first),
			fmt.Sprintf(`{"do":"set-pool","name":%q,"reserved":["10.0.0.2","10.0.0.5/31"]}`, first),
			`{"do":"set-pool","name":"second","cidr":"10.1.0.0/28","blockSize":30}`, `{"do":"set-pool","name":"sixth","cidr":"fd01::/123","blockSize":125}`,
			`{"do":"remove-pool","name":"second"}`, fmt.Sprintf(`{"do":"remove-pool","name":%q}`, first), `{"do":"set-pool","name":"second","blockSize":29}`,
		}[p.Pick("how", 10)]
	case 14:
		return fmt.Sprintf(`{"do":"advance","by":%q}`, []string{"10s", "1m", "20m", "0s"}[p.Pick("by", 4)])
	case 15:
		return `{"do":"clean"}`
	}
	return p.slow()
}

// slow plays an act in slow motion up to its end, and returns it as an operation.
func (p *player) slow() string {
	var clients []json.RawMessage
	for range 1 + p.Pick("clients", 3) {
		clients = append(clients, json.RawMessage([]string{
			fmt.Sprintf(`{"do":"add-pods","node":%q,"count":%d}`, p.node(), 1+p.Pick("count", 2)),
			fmt.Sprintf(`{"do":"remove-pod","pod":%q}`, p.pod()),
			fmt.Sprintf(`{"do":"remove-pods","node":%q}`, p.node()),
		}[min(2, p.Pick("client", 4))]))
	}
	ops, err := parseClients(clients)
	if err != nil {
		return `{"do":"clean"}`
	}
	slow, err := p.s.world.startSlow(ops)
	if err != nil {
		return fmt.Sprintf(`{"do":"slow","clients":%s,"schedule":[]}`, text(clients))
	}
	defer slow.cancel()
	mortal := p.Pick("mortal", 2) == 1
	for !slow.ended() {
		var able []int
		for i, c := range slow.clients {
			if _, waiting := c.process.Request(); waiting {
				able = append(able, i)
			}
		}
		i := able[p.Pick("client", len(able))]
		if err := slow.step(i, mortal && p.Pick("dies", 12) == 11); err != nil {
			panic(err)
		}
	}
	return fmt.Sprintf(`{"do":"slow","clients":%s,"schedule":%s}`, text(clients), text(slow.schedule))
}

func text(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// state is all that there is to a state: what the page sees, but for the operations that
// are not in force, and the allocator's whole cluster.
func state(s *Session) string {
	v := s.View()
	v.Ops, v.Length = v.Ops[:v.At], 0
	pods, err := s.Pods("")
	if err != nil {
		panic(err)
	}
	return text(v) + text(pods) + fmt.Sprintf("%+v", readable(s.world.ipam.Cluster()))
}

// readable is a cluster whose attributes fmt can read.
func readable(c ipam.Cluster) string {
	var out strings.Builder
	for _, b := range c.Blocks {
		fmt.Fprintf(&out, "%s %s %v %d %v\n", b.CIDR, b.Owner, b.Claimed, b.Sequence, b.Free)
		for _, a := range b.Allocations {
			fmt.Fprintf(&out, "  %d %s %s %s %v %d %d\n", a.Ordinal, a.Handle, a.Active, a.Alternate, a.ReleasedAt, a.Seq, a.Record)
		}
	}
	c.Blocks = nil
	fmt.Fprintf(&out, "%+v", c)
	return out.String()
}

// difference is where two texts begin to differ.
func difference(a, b string) string {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	from := max(0, i-60)
	return fmt.Sprintf("%q, then %q", a[from:min(len(a), i+60)], b[from:min(len(b), i+60)])
}

// play plays some operations, and checks after each what must hold always.
func (p *player) play(do func(*Session, string) error) error {
	if err := run(p.s, setups[p.Pick("setup", len(setups))]); err != nil {
		return err
	}
	states := []string{state(p.s)}
	for range 1 + p.Pick("operations", 14) {
		before := states[len(states)-1]
		op := p.op()
		if err := do(p.s, op); err != nil {
			if now := state(p.s); now != before {
				return fmt.Errorf("%s: %w, and the state changed: %s", op, err, difference(before, now))
			}
			continue
		}
		if err := p.s.world.Check(); err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		if err := figures(p.s); err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		states = append(states, state(p.s))
	}
	return p.wander(states)
}

// wander goes back and forward through the states.
func (p *player) wander(states []string) error {
	at := len(states)
	for range 4 {
		to := 1 + p.Pick("to", len(states))
		var err error
		switch {
		case to == at-1:
			err = p.s.Undo()
		case to == at+1:
			err = p.s.Redo()
		default:
			err = p.s.Goto(to)
		}
		if at = to; err != nil {
			return err
		}
		if now := state(p.s); now != states[at-1] {
			return fmt.Errorf("state %d is another than before: %s", at, difference(states[at-1], now))
		}
	}
	fragment, err := p.s.Fragment()
	if err != nil {
		return err
	}
	other := New()
	if err := other.Open(fragment); err != nil {
		return err
	}
	if state(other) != states[at-1] || text(other.View()) != text(p.s.View()) {
		return fmt.Errorf("the link leads to another state: %s", difference(states[at-1], state(other)))
	}
	return errors.Join(exported(p.s), operations(p.s))
}

// operations exports the operations and opens them.
func operations(s *Session) error {
	file, err := s.Export("operations")
	if err != nil {
		return err
	}
	other := New()
	if err := other.OpenOperations([]byte(file.Text)); err != nil {
		return err
	}
	if state(other) != state(s) {
		return errors.New("the operations lead to another state")
	}
	return nil
}

// unrecordable counts the sessions that no recording can have, and recorded the others.
var unrecordable, recorded int

// exported exports the state, replays the recording and reads the resources.
func exported(s *Session) error {
	want := trace.StateOf(s.world.ipam.State(), "")
	file, err := s.Export("trace")
	switch {
	case errors.Is(err, errUnrecordable):
		unrecordable++
	case err != nil:
		return err
	default:
		recorded++
		if err := replays(file.Text); err != nil {
			return err
		}
	}
	if file, err = s.Export("resources"); err != nil {
		return err
	}
	l := snapshot.NewLoader(snapshot.Options{})
	if err := l.Add(file.Name, strings.NewReader(file.Text)); err != nil {
		return err
	}
	snap, err := l.Snapshot()
	if err != nil {
		return err
	}
	a, err := snap.Allocator(ipam.Options{Now: s.world.clock.Now})
	if err != nil {
		return err
	}
	if key, want, got := want.Compare(trace.StateOf(a.State(), "")); key != "" {
		return fmt.Errorf("the resources have %s as %s, not %s", key, got, want)
	}
	if a.Calico() != s.world.ipam.Calico() || len(snap.Pods) != len(s.world.pods) {
		return fmt.Errorf("the resources have %d pods and %s", len(snap.Pods), a.Calico())
	}
	return nil
}

// stateOf is what is allocated and claimed, without sequence numbers.
func stateOf(s *Session) *trace.State { return trace.StateOf(s.world.ipam.State(), "") }

// replays replays a recording.
func replays(text string) error {
	r, err := trace.NewReader("lab.jsonl", strings.NewReader(text))
	if err != nil {
		return err
	}
	result, err := trace.Replay(r, nil)
	if err == nil && len(result.Divergences) > 0 {
		err = errors.New(result.Divergences[0].String())
	}
	return err
}

// figures are those of the allocator's own state, counted again.
func figures(s *Session) error {
	var want Figures
	w := s.world
	st := w.ipam.State()
	for _, b := range st.Blocks {
		want.Blocks++
		for _, a := range b.Allocations {
			node, _ := a.Active.Get(ipam.AttrNode)
			switch {
			case !a.ReleasedAt.IsZero():
				want.Cooling++
				continue
			case node != b.Owner.Name:
				want.Borrowed++
			}
			want.InUse++
		}
	}
	want.Routes = w.ipam.Summary().Confirmed + want.Borrowed
	got := s.View().Figures
	got.Addresses, got.Reserved, got.BlocksLeft, got.Pods, got.Waiting = "", "", "", 0, 0
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("figures are %+v, want %+v", got, want)
	}
	seen := make(map[netip.Addr]bool)
	for _, p := range w.everybody() {
		for _, ip := range p.ips {
			if seen[ip] {
				return fmt.Errorf("two have %s", ip)
			}
			seen[ip] = true
		}
	}
	return nil
}

// run does an operation that is written as JSON.
func run(s *Session, op string) error { return s.doRaw([]byte(op)) }

// TestPlay: whatever is done, the world agrees with the allocator, an error changes
// nothing, going back and forward leads to equal states, and so does a link.
func TestPlay(t *testing.T) {
	property.Check(t, 1, 1, func(t *rapid.T) {
		if err := (&player{property.Rapid(t), New()}).play(run); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("%d sessions replay, and of %d somebody died so that there is no recording", recorded, unrecordable)
	must.Less(t, recorded, unrecordable)
}

// Broken variants, which the property must catch.
func TestPlayRejects(t *testing.T) {
	for name, broken := range map[string]func(*Session, string) error{
		"an error that changes something": func(s *Session, op string) error {
			err := run(s, op)
			if err != nil {
				s.world.clock.Advance(1)
			}
			return err
		},
		"an error after the act": func(s *Session, op string) error {
			return errors.Join(run(s, op), errors.New("no"))
		},
		"a pod that has another's address": func(s *Session, op string) error {
			err := run(s, op)
			if all := s.world.everybody(); len(all) > 1 && len(all[0].ips) > 0 {
				all[1].ips = all[0].ips
			}
			return err
		},
		"a change that is not in the list": func(s *Session, op string) error {
			err := run(s, op)
			if err == nil {
				_ = s.world.ipam.ReleaseByHandle("nobody")
				s.world.clock.Advance(1e9)
			}
			return err
		},
		"a change that the world does not see": func(s *Session, op string) error {
			err := run(s, op)
			if err == nil {
				_, _, _ = s.world.ipam.AutoAssign(ipam.AutoAssignArgs{Host: s.world.order[0].name, Num4: 1, Use: "Workload"})
			}
			return err
		},
		"an act that is forgotten": func(s *Session, op string) error {
			err := run(s, op)
			if err == nil {
				s.ops[len(s.ops)-1] = &Op{Do: "clean"}
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			property.Rejects(t, func(src property.Source) error { return (&player{src, New()}).play(broken) })
		})
	}
}

// TestReplays: a recording that was changed does not replay, and one that lacks an
// operation neither.
func TestReplays(t *testing.T) {
	s := New()
	must.NoError(t, run(s, `{"do":"add-pods","count":3}`))
	must.NoError(t, run(s, `{"do":"remove-node","node":"calico-ipam-worker2","how":"gone"}`))
	must.NoError(t, run(s, `{"do":"clean"}`))
	file, err := s.Export("trace")
	must.NoError(t, err)
	must.NoError(t, replays(file.Text))
	must.Error(t, replays(strings.Replace(file.Text, `"ips4":["192.168.131.13`, `"ips4":["192.168.131.14`, 1)))
	lines := strings.SplitAfter(file.Text, "\n")
	for i, line := range lines {
		if strings.Contains(line, `"Sync"`) {
			must.Error(t, replays(strings.Join(append(lines[:i:i], lines[i+1:]...), "")))
			return
		}
	}
	t.Error("there is no Sync")
}
