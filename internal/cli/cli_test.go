package cli

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ipamsim/ipamsim/pool"
)

func TestInFlags(t *testing.T) {
	p := pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/24"), BlockSize: 33}
	require.ErrorContains(t, InFlags(p.Validate()), "-block-size 33: ")
	p.CIDR, p.BlockSize = netip.MustParsePrefix("10.0.0.1/24"), 26
	require.ErrorContains(t, InFlags(p.Validate()), "-pool 10.0.0.1/24: ")
	p = pool.Spec{CIDR: netip.MustParsePrefix("10.0.0.0/24")}
	require.ErrorIs(t, InFlags(p.Validate()), pool.ErrInvalid, "a field that no flag sets")
	other := errors.New("other")
	require.Equal(t, other, InFlags(other))
	require.NoError(t, InFlags(nil))
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 races", 1: "1 race", 999: "999 races", 1000: "1,000 races", 1234567: "1,234,567 races"} {
		require.Equal(t, want, Count(n, "race"))
	}
}

func TestWrap(t *testing.T) {
	require.Equal(t, []string{"a b", "c"}, Wrap(" a  b c", 3))
	require.Equal(t, []string{"longer", "a"}, Wrap("longer a", 3))
	require.Equal(t, []string{"…… …"}, Wrap("…… …", 4), "characters, not bytes")
}
