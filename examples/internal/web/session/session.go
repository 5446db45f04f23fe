package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
)

// defaultCalico is the release of the text lab's cluster.
var defaultCalico = calico.V3(28)

// Session is one reader's cluster, with its operations. Make one with [New]. It is not
// safe for concurrent use.
type Session struct {
	ops  []*Op
	done []doneOp // what each operation said when it was done
	at   int      // how many of them are in force, 1 or more

	world *world
	dump  *dump // of a cluster that was loaded
	slow  *slow // under way; nil for none
}

// errSlow refuses what would change the cluster under a slow act.
var errSlow = errors.New("a slow act is under way, call by call: finish it or drop it first")

// doneOp is what an operation said.
type doneOp struct {
	Text string   `json:"text"`
	Says []string `json:"says"`
}

// New returns a session with the cluster of the text lab.
func New() *Session {
	s := &Session{}
	if err := s.begin([]*Op{{Do: "setup"}}, 1, nil); err != nil {
		panic(err) // it is in every test
	}
	return s
}

// Call calls a method by name. Arguments and answers are JSON; data are the bytes of a
// file, for the method load. The answer is {"ok":…} or {"error":…,"reasons":[…]}, and
// after an error nothing has changed.
func (s *Session) Call(method string, args, data []byte) []byte {
	m, ok := methods[method]
	var reply any
	err := error(nil)
	if !ok {
		err = unknown("method", "method", method, slices.Sorted(maps.Keys(methods)))
	} else {
		reply, err = m(s, args, data)
	}
	if err == nil {
		text, failed := marshal(reply)
		if failed == nil {
			return slices.Concat([]byte(`{"ok":`), text, []byte("}"))
		}
		err = failed
	}
	answer := struct {
		Error   string   `json:"error"`
		Reasons []string `json:"reasons"`
	}{err.Error(), []string{}}
	var many *reasons
	if errors.As(err, &many) {
		answer.Error, answer.Reasons = many.what, many.why
	}
	text, _ := json.Marshal(answer)
	return text
}

// reasons is an error with several.
type reasons struct {
	what string
	why  []string
}

func (r *reasons) Error() string { return r.what }

// methods are those of [Session.Call], by name.
var methods = map[string]func(s *Session, args, data []byte) (any, error){
	"do":    func(s *Session, args, _ []byte) (any, error) { return s.view(s.doRaw(args)) },
	"undo":  func(s *Session, _, _ []byte) (any, error) { return s.view(s.Undo()) },
	"redo":  func(s *Session, _, _ []byte) (any, error) { return s.view(s.Redo()) },
	"goto":  with(func(s *Session, a gotoArgs) (*View, error) { return s.view(s.Goto(a.At)) }),
	"reset": func(s *Session, _, _ []byte) (any, error) { return s.view(s.Reset()) },
	"run":   with(func(s *Session, a runArgs) (*View, error) { return s.view(s.runAll(a.Ops)) }),
	"open":  with(func(s *Session, a fragmentArgs) (*View, error) { return s.view(s.Open(a.Fragment)) }),
	"fragment": with(func(s *Session, _ struct{}) (fragmentArgs, error) {
		text, err := s.Fragment()
		return fragmentArgs{text}, err
	}),
	"load": func(s *Session, args, data []byte) (any, error) {
		a, err := arguments[loadArgs](args)
		if err != nil {
			return nil, err
		}
		return s.view(s.Load(a.Name, data))
	},
	"command":         func(*Session, []byte, []byte) (any, error) { return commandReply{snapshot.Command}, nil },
	"findings":        with(func(s *Session, _ struct{}) (*Findings, error) { return s.Findings() }),
	"plan":            with((*Session).Plan),
	"export":          with(func(s *Session, a exportArgs) (*File, error) { return s.Export(a.What) }),
	"open-operations": func(s *Session, _, data []byte) (any, error) { return s.view(s.OpenOperations(data)) },
	"slow-start":      with((*Session).slowStart),
	"slow-step":       with(func(s *Session, a slowStepArgs) (*Slow, error) { return s.SlowStep(a.Client, a.Do) }),
	"slow-end":        func(s *Session, _, _ []byte) (any, error) { return s.view(s.SlowEnd()) },
	"slow-cancel":     func(s *Session, _, _ []byte) (any, error) { return s.view(s.SlowCancel()) },
	"slow":            with(func(s *Session, _ struct{}) (*Slow, error) { return s.SlowView() }),
	"view":            func(s *Session, _, _ []byte) (any, error) { return s.view(nil) },
	"cells":           with(func(s *Session, a cellsArgs) ([]Cells, error) { return s.Cells(a.Blocks) }),
	"map":             with(func(s *Session, a mapArgs) (*Map, error) { return s.Map(a.Pool) }),
	"walk":            with(func(s *Session, a walkArgs) (*Walk, error) { return s.Walk(a) }),
	"tab":             with(func(s *Session, a tabArgs) (*Tab, error) { return s.Tab(a) }),
	"pods":            with(func(s *Session, a podsArgs) ([]PodView, error) { return s.Pods(a.Node) }),
	"tour":            func(s *Session, _, _ []byte) (any, error) { return s.Tour() },
	"done":            with(func(s *Session, a doneArgs) (*Done, error) { return s.Done(a.Name) }),
}

// with reads a method's arguments.
func with[A, R any](do func(*Session, A) (R, error)) func(*Session, []byte, []byte) (any, error) {
	return func(s *Session, raw, _ []byte) (any, error) {
		args, err := arguments[A](raw)
		if err != nil {
			return nil, err
		}
		return do(s, args)
	}
}

type gotoArgs struct {
	At int `json:"at"`
}

// view is the view after an act, or its error.
func (s *Session) view(err error) (*View, error) {
	if err != nil {
		return nil, err
	}
	return s.View(), nil
}

// doRaw reads an operation and does it.
func (s *Session) doRaw(raw []byte) error {
	op, err := parseOp(raw)
	if err != nil {
		return err
	}
	return s.Do(op)
}

// Do does an operation: it becomes the last of the list, in place of those that were
// undone. An operation that makes a cluster begins a new list.
func (s *Session) Do(op *Op) error {
	if s.slow != nil {
		return errSlow
	}
	a, ok := acts[op.Do]
	if !ok {
		return unknown("do", "act", op.Do, slices.Sorted(maps.Keys(acts)))
	}
	if op.Do == "load" {
		return errors.New("do: a file is opened with the method load, which has its bytes")
	}
	if a.begins {
		return s.begin([]*Op{op}, 1, nil)
	}
	if s.at >= maxOps {
		return fmt.Errorf("there are %s operations, and no more can be: export the cluster and load it again", thousands(s.at))
	}
	if err := s.world.apply(op); err != nil {
		if s.world.touched {
			s.replay(s.at)
		}
		return err
	}
	s.ops = append(s.ops[:s.at:s.at], op)
	s.done = append(s.done[:s.at:s.at], doneOp{op.String(), s.world.says})
	s.at++
	return nil
}

// apply does one operation.
func (w *world) apply(op *Op) error {
	before := w.told
	w.begin()
	if err := acts[op.Do].do(w, op); err != nil {
		w.told = before
		return err
	}
	w.refresh()
	w.forget()
	return nil
}

// begin makes the session a list of operations, so many of them in force.
func (s *Session) begin(ops []*Op, at int, d *dump) error {
	next := &Session{ops: ops, dump: d}
	for i, op := range ops {
		var err error
		if i == 0 {
			err = next.first()
		} else {
			err = next.world.apply(op)
		}
		if err != nil {
			if len(ops) == 1 {
				return err
			}
			return fmt.Errorf("operation %d, %s: %w", i, op.Do, err)
		}
		next.done = append(next.done, doneOp{op.String(), next.world.says})
	}
	next.at = len(ops)
	if at < len(ops) {
		next.replay(at)
	}
	*s = *next
	return nil
}

// first does the operation that makes the cluster.
func (s *Session) first() error {
	op := s.ops[0]
	if op.Do == "load" {
		w, err := s.dump.world()
		if err != nil {
			return err
		}
		s.world = w
		return nil
	}
	v, err := op.release()
	if err != nil {
		return err
	}
	w := newWorld(v, start)
	if err := w.apply(op); err != nil {
		return err
	}
	s.world = w
	return nil
}

// replay makes the world anew, of the first operations.
func (s *Session) replay(at int) {
	if err := s.first(); err != nil {
		panic(fmt.Sprintf("session: the first operation failed the second time: %v", err))
	}
	for _, op := range s.ops[1:at] {
		if err := s.world.apply(op); err != nil {
			panic(fmt.Sprintf("session: %s failed the second time: %v", op.Do, err))
		}
	}
	s.at = at
}

// Goto goes to the state after the first at operations, 1 to all.
func (s *Session) Goto(at int) error {
	if s.slow != nil {
		return errSlow
	}
	if at < 1 || at > len(s.ops) {
		return fmt.Errorf("at: %d is out of range: 1 to %d", at, len(s.ops))
	}
	switch {
	case at == s.at:
	case at == s.at+1:
		if err := s.world.apply(s.ops[s.at]); err != nil {
			panic(fmt.Sprintf("session: %s failed the second time: %v", s.ops[s.at].Do, err))
		}
		s.at = at
	default:
		s.replay(at)
	}
	return nil
}

// Undo goes back by an operation.
func (s *Session) Undo() error {
	if s.at == 1 && s.slow == nil {
		return errors.New("there is nothing to undo: this is the cluster as it began")
	}
	return s.Goto(s.at - 1)
}

// Redo goes forward by an operation that was undone.
func (s *Session) Redo() error {
	if s.at == len(s.ops) && s.slow == nil {
		return errors.New("there is nothing to do again")
	}
	return s.Goto(s.at + 1)
}

// Reset goes back to the cluster as it began, and forgets all other operations.
func (s *Session) Reset() error {
	if err := s.Goto(1); err != nil {
		return err
	}
	s.ops, s.done = s.ops[:1:1], s.done[:1:1]
	return nil
}
