package session

import (
	"encoding/json"
	"errors"
	"fmt"
)

type slowStartArgs struct {
	Clients []json.RawMessage `json:"clients"`
}

type slowStepArgs struct {
	Client int    `json:"client"`
	Do     string `json:"do"`
}

var errNoSlow = errors.New("no slow act is under way: begin one first")

// SlowStart begins an act in slow motion. The cluster stays as it is until SlowEnd.
func (s *Session) SlowStart(ops []Op) (*Slow, error) {
	if s.slow != nil {
		return nil, errSlow
	}
	if s.at >= maxOps {
		return nil, fmt.Errorf("there are %s operations, and no more can be", thousands(s.at))
	}
	next, err := s.world.startSlow(ops)
	if err != nil {
		return nil, err
	}
	s.slow = next
	return next.view(), nil
}

// slowStart reads the clients.
func (s *Session) slowStart(args slowStartArgs) (*Slow, error) {
	ops, err := parseClients(args.Clients)
	if err != nil {
		return nil, err
	}
	return s.SlowStart(ops)
}

// parseClients reads the operations of a slow act.
func parseClients(raws []json.RawMessage) (ops []Op, err error) {
	for i, raw := range raws {
		op, err := parseOp(raw)
		if err != nil {
			return nil, fmt.Errorf("clients[%d]: %w", i, err)
		}
		ops = append(ops, *op)
	}
	return ops, nil
}

// SlowStep lets a client make its next call ("step"), or die before it ("die").
func (s *Session) SlowStep(client int, do string) (*Slow, error) {
	if s.slow == nil {
		return nil, errNoSlow
	}
	if do != "step" && do != "die" {
		return nil, fmt.Errorf("do: %q: want step or die", do)
	}
	if err := s.slow.step(client, do == "die"); err != nil {
		return nil, err
	}
	return s.slow.view(), nil
}

// SlowEnd makes the slow act, whose clients must all have ended or died, the last
// operation of the list.
func (s *Session) SlowEnd() error {
	if s.slow == nil {
		return errNoSlow
	}
	if !s.slow.ended() {
		return errors.New("not all clients have ended: let them go on or die, or drop the act")
	}
	slow := s.slow
	op := &Op{Do: "slow", Schedule: slow.schedule}
	for _, c := range slow.clients {
		op.Clients = append(op.Clients, *c.op)
	}
	s.slow = nil
	if err := s.Do(op); err != nil {
		s.slow = slow
		return err
	}
	return nil
}

// SlowCancel drops the slow act, with nothing done.
func (s *Session) SlowCancel() error {
	if s.slow == nil {
		return errNoSlow
	}
	s.slow.cancel()
	s.slow = nil
	return nil
}

// SlowView returns the slow act under way.
func (s *Session) SlowView() (*Slow, error) {
	if s.slow == nil {
		return nil, errNoSlow
	}
	return s.slow.view(), nil
}
