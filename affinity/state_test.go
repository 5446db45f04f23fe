package affinity

import (
	"cmp"
	"errors"
	"fmt"
	"testing"

	"github.com/shoenig/test/must"
)

func TestStateText(t *testing.T) {
	for text, want := range map[string]State{"": None, "pending": Pending, "confirmed": Confirmed, "pendingDeletion": PendingDeletion} {
		got, err := ParseState(text)
		must.NoError(t, err)
		must.Eq(t, want, got)
		must.Eq(t, text, want.String())
	}
	for _, text := range []string{"Pending", "CONFIRMED", "pendingdeletion", "pending ", " ", "none", "None", "deleted", "State(9)", "\x00"} {
		got, err := ParseState(text)
		must.ErrorIs(t, err, ErrInvalidState, must.Sprintf("%q", text))
		must.ErrorContains(t, err, fmt.Sprintf("%q", text))
		must.Eq(t, None, got)
	}
	must.Eq(t, "State(4)", State(4).String())
	must.Eq(t, "State(255)", State(255).String())
	var zero State
	must.Eq(t, None, zero, must.Sprint("the zero State is no affinity object"))
}

func TestOwnerText(t *testing.T) {
	must.Eq(t, "", Owner{}.String())
	must.True(t, Owner{}.IsZero())
	must.False(t, HostOwner("n").IsZero())
	must.NotEq(t, HostOwner("n"), VirtualOwner("n"), must.Sprint("one name, two owners"))
	for text, want := range map[string]Owner{
		"":                        {},
		"host:n1":                 HostOwner("n1"),
		"virtual:load-balancer":   VirtualOwner("load-balancer"),
		"host:with:colons:inside": HostOwner("with:colons:inside"),
		"host:virtual":            HostOwner("virtual"),
		"virtual:host:x":          VirtualOwner("host:x"),
	} {
		got, err := ParseOwner(text)
		must.NoError(t, err, must.Sprint(text))
		must.Eq(t, want, got)
		must.Eq(t, text, got.String())
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
		must.ErrorIs(t, err, ErrInvalidOwner, must.Sprintf("%q", text))
		must.ErrorContains(t, err, names)
	}
}

func TestOwnerValidate(t *testing.T) {
	must.NoError(t, HostOwner("n").Validate())
	must.NoError(t, VirtualOwner("n").Validate())
	for _, o := range []Owner{{}, {Type: Host}, {Type: Virtual}, {Name: "n"}, {Type: "Host", Name: "n"}, {Type: "node", Name: "n"}} {
		must.ErrorIs(t, o.Validate(), ErrInvalidOwner, must.Sprintf("%+v", o))
	}
	must.False(t, errors.Is(Owner{}.Validate(), ErrInvalidState))
}

// TestOwnerCompare: by type first, then by name in byte order.
func TestOwnerCompare(t *testing.T) {
	inOrder := []Owner{{}, HostOwner("B"), HostOwner("a"), HostOwner("b"), VirtualOwner("A")}
	for i, x := range inOrder {
		for j, y := range inOrder {
			must.Eq(t, cmp.Compare(i, j), x.Compare(y), must.Sprintf("%v and %v", x, y))
		}
	}
}
