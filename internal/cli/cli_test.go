package cli

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/pool"
)

func TestInFlags(t *testing.T) {
	p := pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/24"), BlockSize: 33}
	must.ErrorContains(t, InFlags(p.Validate()), "-block-size 33: ")
	p.CIDR, p.BlockSize = netip.MustParsePrefix("10.0.0.1/24"), 26
	must.ErrorContains(t, InFlags(p.Validate()), "-pool 10.0.0.1/24: ")
	p = pool.Spec{CIDR: netip.MustParsePrefix("10.0.0.0/24")}
	must.ErrorIs(t, InFlags(p.Validate()), pool.ErrInvalid, must.Sprint("a field that no flag sets"))
	other := errors.New("other")
	must.Eq(t, other, InFlags(other))
	must.NoError(t, InFlags(nil))
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 races", 1: "1 race", 999: "999 races", 1000: "1,000 races", 1234567: "1,234,567 races"} {
		must.Eq(t, want, Count(n, "race"))
	}
	must.Eq(t, "12,300", Number(12300))
}

func TestWrap(t *testing.T) {
	must.Eq(t, []string{"a b", "c"}, Wrap(" a  b c", 3))
	must.Eq(t, []string{"longer", "a"}, Wrap("longer a", 3))
	must.Eq(t, []string{"…… …"}, Wrap("…… …", 4), must.Sprint("characters, not bytes"))
}

func TestTerminal(t *testing.T) {
	must.False(t, Terminal(new(bytes.Buffer)))
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	must.NoError(t, err)
	must.False(t, Terminal(f))
	must.NoError(t, f.Close())
	must.False(t, Terminal(f), must.Sprint("closed"))

	null, err := os.Open(os.DevNull) // a device, like a terminal
	must.NoError(t, err)
	defer null.Close()
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "xterm")
	must.True(t, Terminal(null))
	must.True(t, Colours(null))
	t.Setenv("TERM", "dumb")
	must.False(t, Colours(null))
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "1")
	must.False(t, Colours(null))
}
