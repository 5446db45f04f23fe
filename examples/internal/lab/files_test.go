package lab

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoenig/test/must"
)

const (
	customResources = "../../../testdata/custom-resources.yaml"
	kindFile        = "../../../testdata/kind.yaml"
)

// TestFiles: the lab of the course comes from its own files.
func TestFiles(t *testing.T) {
	must.Eq(t, play(t), play(t, "-f", customResources, "-f", kindFile))
	must.Eq(t, play(t, "-nodes", "2"), play(t, "-f", customResources, "-f", kindFile, "-nodes", "2"), must.Sprint("flags win"))
	must.Eq(t, play(t, "-pool", "10.0.0.0/16"), play(t, "-f", customResources, "-pool", "10.0.0.0/16"))
	must.Eq(t, play(t, "-block-size", "28"), play(t, "-f", customResources, "-block-size", "28"))
}

func edited(t *testing.T, file, old, new string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	must.NoError(t, err)
	must.StrContains(t, string(text), old)
	path := filepath.Join(t.TempDir(), filepath.Base(file))
	must.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(text), old, new, 1)), 0o600))
	return path
}

func TestFilesOfOneself(t *testing.T) {
	many := edited(t, kindFile, "- role: worker\n", strings.Repeat("- role: worker\n", 11))
	text := play(t, "-f", edited(t, customResources, "VXLANCrossSubnet", "IPIP"), "-f", edited(t, many, "calico-ipam", "mine"))
	must.StrContains(t, text, "mine-control-plane needs an address for its IPIP tunnel")
	must.StrContains(t, text, "13 nodes, pool 192.168.0.0/16 (blocks of /26: 1024), IPIP, NAT for outgoing packets."[:70])
	must.Less(t, strings.Index(text, "mine-worker10 "), strings.Index(text, "mine-worker2 "))
	must.StrContains(t, play(t, "-f", edited(t, customResources, "Enabled", "Disabled")), "no NAT for")
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
		must.Eq(t, 2, run(c.args, nil, &out, &errs))
		must.StrContains(t, errs.String(), c.want)
		must.Eq(t, "", out.String())
	}
}
