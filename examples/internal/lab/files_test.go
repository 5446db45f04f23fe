package lab

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	customResources = "../../../testdata/custom-resources.yaml"
	kindFile        = "../../../testdata/kind.yaml"
)

// TestFiles: the lab of the course comes from its own files.
func TestFiles(t *testing.T) {
	require.Equal(t, play(t), play(t, "-f", customResources, "-f", kindFile))
	require.Equal(t, play(t, "-nodes", "2"), play(t, "-f", customResources, "-f", kindFile, "-nodes", "2"), "flags win")
	require.Equal(t, play(t, "-pool", "10.0.0.0/16"), play(t, "-f", customResources, "-pool", "10.0.0.0/16"))
	require.Equal(t, play(t, "-block-size", "28"), play(t, "-f", customResources, "-block-size", "28"))
}

func edited(t *testing.T, file, old, new string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(text), old)
	path := filepath.Join(t.TempDir(), filepath.Base(file))
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(text), old, new, 1)), 0o600))
	return path
}

func TestFilesOfOneself(t *testing.T) {
	many := edited(t, kindFile, "- role: worker\n", strings.Repeat("- role: worker\n", 11))
	text := play(t, "-f", edited(t, customResources, "VXLANCrossSubnet", "IPIP"), "-f", edited(t, many, "calico-ipam", "mine"))
	require.Contains(t, text, "mine-control-plane needs an address for its IPIP tunnel")
	require.Contains(t, text, "13 nodes, pool 192.168.0.0/16 (blocks of /26: 1024), IPIP, NAT for outgoing packets."[:70])
	require.Less(t, strings.Index(text, "mine-worker2 "), strings.Index(text, "mine-worker10 "))
	require.Contains(t, play(t, "-f", edited(t, customResources, "Enabled", "Disabled")), "no NAT for")
}

func TestBadFiles(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-f", "missing.yaml"}, "missing.yaml: no such file"},
		{[]string{"-f", "lab.go"}, "lab.go:"},
		{[]string{"-f", "."}, "holds no file with resources"},
		{[]string{"-f", edited(t, customResources, "VXLANCrossSubnet", "None")}, "encapsulation None"},
		{[]string{"-f", edited(t, edited(t, customResources, "VXLANCrossSubnet", "IPIP"), "192.168.0.0/16\n", "fd00::/112\n      blockSize: 122\n")}, `"blockSize" already set`},
		{[]string{"-f", edited(t, customResources, "    - name", "    - cidr: 10.0.0.0/16\n    - name")}, "pick one with -pool"},
		{[]string{"-f", edited(t, kindFile, "role: worker", "role: boss")}, "nodes[1].role: is \"boss\", must be control-plane or worker"},
	} {
		var out, errs bytes.Buffer
		require.Equal(t, 2, run(c.args, nil, &out, &errs))
		require.Contains(t, errs.String(), c.want)
		require.Empty(t, out.String())
	}
}
