package claimlist

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/internal/property"
)

// cells is the state machine written down from §5, §9 and §15, independently of
// the code: a row for each state, a column for each step, "-" for a step that is
// not allowed.
//
// Where each comes from: a claim is created as pending, or an older one that is
// not confirmed is written back as pending (pend); recovery writes any existing
// claim back as pending (renew); step 3 of claiming confirms a pending claim,
// which another client may have confirmed before (confirm); releasing sets
// pendingDeletion in any state (release), and deletes the object (drop).
const cells = `
	                pend       renew    confirm    release          drop
	none            pending    -        -          -                none
	pending         pending    pending  confirmed  pendingDeletion  none
	confirmed       confirmed  pending  confirmed  pendingDeletion  none
	pendingDeletion pending    pending  -          pendingDeletion  none`

var (
	statesByName = map[string]affinity.State{"none": affinity.None, "pending": affinity.Pending, "confirmed": affinity.Confirmed, "pendingDeletion": affinity.PendingDeletion}
	stepsByName  = map[string]step{"pend": stepPend, "renew": stepRenew, "confirm": stepConfirm, "release": stepRelease, "drop": stepDrop}
)

// holdsCells checks a step function for every cell, and for unknown states and
// steps.
func holdsCells(next func(affinity.State, step) (affinity.State, error)) error {
	rows := strings.Split(strings.TrimSpace(cells), "\n")
	columns := strings.Fields(rows[0])
	seen := 0
	for _, row := range rows[1:] {
		fields := strings.Fields(row)
		from, known := statesByName[fields[0]]
		if !known {
			return fmt.Errorf("the table has a state %q", fields[0])
		}
		for i, text := range fields[1:] {
			step, known := stepsByName[columns[i]]
			if !known {
				return fmt.Errorf("the table has a step %q", columns[i])
			}
			want, allowed := statesByName[text]
			if !allowed {
				want = from
			}
			if err := holdsCell(next, from, step, want, allowed); err != nil {
				return err
			}
			seen++
		}
	}
	if want := len(statesByName) * len(stepsByName); seen != want {
		return fmt.Errorf("the table has %d cells, not %d", seen, want)
	}
	for s := range 256 {
		for by := range 256 {
			if s < len(statesByName) && by < len(stepsByName) {
				continue
			}
			if err := holdsCell(next, affinity.State(s), step(by), affinity.State(s), false); err != nil {
				return err
			}
		}
	}
	return nil
}

func holdsCell(next func(affinity.State, step) (affinity.State, error), from affinity.State, step step, want affinity.State, allowed bool) error {
	got, err := next(from, step)
	switch {
	case got != want:
		return fmt.Errorf("%s from %q leads to %q, want %q", step, from, got, want)
	case allowed && err != nil:
		return fmt.Errorf("%s from %q: %v", step, from, err)
	case !allowed && !errors.Is(err, ErrTransition):
		return fmt.Errorf("%s from %q: error %v, want ErrTransition", step, from, err)
	case !allowed && (!strings.Contains(err.Error(), step.String()) || !strings.Contains(err.Error(), from.String())):
		return fmt.Errorf("%s from %q: error %v does not name them", step, from, err)
	}
	return nil
}

func TestStateNextCellByCell(t *testing.T) {
	must.NoError(t, holdsCells(after))
}

// TestClaimStepCellByCell checks the same through a claim.
func TestClaimStepCellByCell(t *testing.T) {
	property.Slow(t)
	must.NoError(t, holdsCells(func(s affinity.State, step step) (affinity.State, error) {
		c := Claim{Owner: affinity.HostOwner("n"), CIDR: netip.MustParsePrefix("10.0.0.0/26"), State: s}
		err := c.move(step)
		if err != nil && !strings.Contains(err.Error(), "10.0.0.0/26 of host:n") {
			return c.State, fmt.Errorf("error %v does not say whose", err)
		}
		return c.State, err
	}))
}

func TestCellsRejectBrokenMachines(t *testing.T) {
	broken := map[string]func(affinity.State, step) (affinity.State, error){
		"pend demotes a confirmed claim": func(s affinity.State, step step) (affinity.State, error) {
			if s == affinity.Confirmed && step == stepPend {
				return affinity.Pending, nil
			}
			return after(s, step)
		},
		"confirms what is being given up": func(s affinity.State, step step) (affinity.State, error) {
			if s == affinity.PendingDeletion && step == stepConfirm {
				return affinity.Confirmed, nil
			}
			return after(s, step)
		},
		"renews what is not there": func(s affinity.State, step step) (affinity.State, error) {
			if s == affinity.None && step == stepRenew {
				return affinity.Pending, nil
			}
			return after(s, step)
		},
		"dropping nothing is an error": func(s affinity.State, step step) (affinity.State, error) {
			if s == affinity.None && step == stepDrop {
				return affinity.None, ErrTransition
			}
			return after(s, step)
		},
		"a refused step drops the claim": func(s affinity.State, step step) (affinity.State, error) {
			next, err := after(s, step)
			if err != nil {
				return affinity.None, err
			}
			return next, nil
		},
		"unknown states can be released": func(s affinity.State, step step) (affinity.State, error) {
			if s > affinity.PendingDeletion && step == stepRelease {
				return affinity.PendingDeletion, nil
			}
			return after(s, step)
		},
		"unknown steps do nothing": func(s affinity.State, step step) (affinity.State, error) {
			if step > stepDrop {
				return s, nil
			}
			return after(s, step)
		},
		"another error": func(s affinity.State, step step) (affinity.State, error) {
			next, err := after(s, step)
			if err != nil {
				err = errors.New(err.Error())
			}
			return next, err
		},
		"an error that does not say what": func(s affinity.State, step step) (affinity.State, error) {
			next, err := after(s, step)
			if err != nil {
				err = ErrTransition
			}
			return next, err
		},
	}
	for name, next := range broken {
		t.Run(name, func(t *testing.T) {
			err := holdsCells(next)
			must.Error(t, err)
			t.Logf("rejected: %v", err)
		})
	}
}

// TestPutRefuses: a refused Put changes nothing.
func TestPutRefuses(t *testing.T) {
	var x Index
	c := x.Open(affinity.HostOwner("n"))
	cidr := netip.MustParsePrefix("10.0.0.0/26")
	now := time.Unix(100, 0)
	for _, s := range []affinity.State{affinity.None, affinity.PendingDeletion + 1, refused} {
		must.ErrorIs(t, c.Put(cidr, s, now), affinity.ErrInvalidState)
		must.Nil(t, c.Get(cidr))
	}
	must.NoError(t, c.Put(cidr, affinity.Confirmed, now))
	for _, s := range []affinity.State{affinity.None, affinity.PendingDeletion + 1, refused} {
		err := c.Put(cidr, s, now.Add(time.Second))
		must.ErrorIs(t, err, affinity.ErrInvalidState)
		must.ErrorContains(t, err, "cannot be stored")
		must.Eq(t, affinity.Confirmed, c.Get(cidr).State)
	}
	must.EqOp(t, now, c.Get(cidr).Created)
	must.NoError(t, x.Check())
}

func TestStepText(t *testing.T) {
	must.Eq(t, "release", stepRelease.String())
	must.Eq(t, "step(5)", step(5).String())
}
