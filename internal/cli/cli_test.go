package cli

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
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
	require.Equal(t, "12,300", Number(12300))
}

func TestWrap(t *testing.T) {
	require.Equal(t, []string{"a b", "c"}, Wrap(" a  b c", 3))
	require.Equal(t, []string{"longer", "a"}, Wrap("longer a", 3))
	require.Equal(t, []string{"…… …"}, Wrap("…… …", 4), "characters, not bytes")
}

func TestTerminal(t *testing.T) {
	require.False(t, Terminal(new(bytes.Buffer)))
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	require.NoError(t, err)
	require.False(t, Terminal(f))
	require.NoError(t, f.Close())
	require.False(t, Terminal(f), "closed")

	null, err := os.Open(os.DevNull) // a device, like a terminal
	require.NoError(t, err)
	defer null.Close()
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "xterm")
	require.True(t, Terminal(null))
	require.True(t, Colours(null))
	t.Setenv("TERM", "dumb")
	require.False(t, Colours(null))
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "1")
	require.False(t, Colours(null))
}
