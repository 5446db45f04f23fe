package affinity

import (
	"cmp"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

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

// TestOwnerCompare: by type first, then by name in byte order.
func TestOwnerCompare(t *testing.T) {
	inOrder := []Owner{{}, HostOwner("B"), HostOwner("a"), HostOwner("b"), VirtualOwner("A")}
	for i, x := range inOrder {
		for j, y := range inOrder {
			require.Equal(t, cmp.Compare(i, j), x.Compare(y), "%v and %v", x, y)
		}
	}
}
