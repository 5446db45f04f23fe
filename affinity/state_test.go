package affinity

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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
	statesByName = map[string]State{"none": None, "pending": Pending, "confirmed": Confirmed, "pendingDeletion": PendingDeletion}
	stepsByName  = map[string]step{"pend": stepPend, "renew": stepRenew, "confirm": stepConfirm, "release": stepRelease, "drop": stepDrop}
)

// holdsCells checks a step function for every cell, and for unknown states and
// steps.
func holdsCells(next func(State, step) (State, error)) error {
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
			if err := holdsCell(next, State(s), step(by), State(s), false); err != nil {
				return err
			}
		}
	}
	return nil
}

func holdsCell(next func(State, step) (State, error), from State, step step, want State, allowed bool) error {
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
	require.NoError(t, holdsCells(State.next))
}

// TestClaimStepCellByCell checks the same through a claim.
func TestClaimStepCellByCell(t *testing.T) {
	require.NoError(t, holdsCells(func(s State, step step) (State, error) {
		c := Claim{Owner: HostOwner("n"), CIDR: netip.MustParsePrefix("10.0.0.0/26"), State: s}
		err := c.move(step)
		if err != nil && !strings.Contains(err.Error(), "10.0.0.0/26 of host:n") {
			return c.State, fmt.Errorf("error %v does not say whose", err)
		}
		return c.State, err
	}))
}

func TestCellsRejectBrokenMachines(t *testing.T) {
	broken := map[string]func(State, step) (State, error){
		"pend demotes a confirmed claim": func(s State, step step) (State, error) {
			if s == Confirmed && step == stepPend {
				return Pending, nil
			}
			return s.next(step)
		},
		"confirms what is being given up": func(s State, step step) (State, error) {
			if s == PendingDeletion && step == stepConfirm {
				return Confirmed, nil
			}
			return s.next(step)
		},
		"renews what is not there": func(s State, step step) (State, error) {
			if s == None && step == stepRenew {
				return Pending, nil
			}
			return s.next(step)
		},
		"dropping nothing is an error": func(s State, step step) (State, error) {
			if s == None && step == stepDrop {
				return None, ErrTransition
			}
			return s.next(step)
		},
		"a refused step drops the claim": func(s State, step step) (State, error) {
			next, err := s.next(step)
			if err != nil {
				return None, err
			}
			return next, nil
		},
		"unknown states can be released": func(s State, step step) (State, error) {
			if s > PendingDeletion && step == stepRelease {
				return PendingDeletion, nil
			}
			return s.next(step)
		},
		"unknown steps do nothing": func(s State, step step) (State, error) {
			if step > stepDrop {
				return s, nil
			}
			return s.next(step)
		},
		"another error": func(s State, step step) (State, error) {
			next, err := s.next(step)
			if err != nil {
				err = errors.New(err.Error())
			}
			return next, err
		},
		"an error that does not say what": func(s State, step step) (State, error) {
			next, err := s.next(step)
			if err != nil {
				err = ErrTransition
			}
			return next, err
		},
	}
	for name, next := range broken {
		t.Run(name, func(t *testing.T) {
			err := holdsCells(next)
			require.Error(t, err)
			t.Logf("rejected: %v", err)
		})
	}
}

func TestStateText(t *testing.T) {
	for text, want := range map[string]State{"": None, "pending": Pending, "confirmed": Confirmed, "pendingDeletion": PendingDeletion} {
		got, err := ParseState(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, text, want.String())
	}
	for _, text := range []string{"Pending", "CONFIRMED", "pendingdeletion", "pending ", " ", "none", "None", "deleted", "State(9)", "\x00"} {
		got, err := ParseState(text)
		require.ErrorIs(t, err, ErrInvalidState, "%q", text)
		require.ErrorContains(t, err, fmt.Sprintf("%q", text))
		require.Equal(t, None, got)
	}
	require.Equal(t, "State(4)", State(4).String())
	require.Equal(t, "State(255)", State(255).String())
	require.Equal(t, "release", stepRelease.String())
	require.Equal(t, "step(5)", step(5).String())
	var zero State
	require.Equal(t, None, zero, "the zero State is no affinity object")
}

func TestOwnerText(t *testing.T) {
	require.Equal(t, "", Owner{}.String())
	require.True(t, Owner{}.IsZero())
	require.False(t, HostOwner("n").IsZero())
	require.NotEqual(t, HostOwner("n"), VirtualOwner("n"), "one name, two owners")
	for text, want := range map[string]Owner{
		"":                        {},
		"host:n1":                 HostOwner("n1"),
		"virtual:load-balancer":   VirtualOwner("load-balancer"),
		"host:with:colons:inside": HostOwner("with:colons:inside"),
		"host:virtual":            HostOwner("virtual"),
		"virtual:host:x":          VirtualOwner("host:x"),
	} {
		got, err := ParseOwner(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
		require.Equal(t, text, got.String())
	}
	for text, names := range map[string]string{
		"n1":        `"n1"`,
		"host":      `"host"`,
		"host:":     "host without a name",
		"virtual:":  "virtual without a name",
		":n1":       `type ""`,
		"Host:n1":   `type "Host"`,
		"node:n1":   `type "node"`,
		" host:n1":  `type " host"`,
		"host :n1":  `type "host "`,
		":":         `type ""`,
		"none:none": `type "none"`,
	} {
		_, err := ParseOwner(text)
		require.ErrorIs(t, err, ErrInvalidOwner, "%q", text)
		require.ErrorContains(t, err, names)
	}
}

func TestOwnerValidate(t *testing.T) {
	require.NoError(t, HostOwner("n").Validate())
	require.NoError(t, VirtualOwner("n").Validate())
	for _, o := range []Owner{{}, {Type: Host}, {Type: Virtual}, {Name: "n"}, {Type: "Host", Name: "n"}, {Type: "node", Name: "n"}} {
		require.ErrorIs(t, o.Validate(), ErrInvalidOwner, "%+v", o)
	}
	require.NotErrorIs(t, Owner{}.Validate(), ErrInvalidState)
}

// TestPutRefuses: a refused Put changes nothing.
func TestPutRefuses(t *testing.T) {
	var x Index
	c := x.Open(HostOwner("n"))
	cidr := netip.MustParsePrefix("10.0.0.0/26")
	now := time.Unix(100, 0)
	for _, s := range []State{None, PendingDeletion + 1, refused} {
		require.ErrorIs(t, c.Put(cidr, s, now), ErrInvalidState)
		require.Nil(t, c.Get(cidr))
	}
	require.NoError(t, c.Put(cidr, Confirmed, now))
	for _, s := range []State{None, PendingDeletion + 1, refused} {
		err := c.Put(cidr, s, now.Add(time.Second))
		require.ErrorIs(t, err, ErrInvalidState)
		require.ErrorContains(t, err, "cannot be stored")
		require.Equal(t, Confirmed, c.Get(cidr).State)
	}
	require.Equal(t, now, c.Get(cidr).Created)
	require.NoError(t, x.Check())
}
