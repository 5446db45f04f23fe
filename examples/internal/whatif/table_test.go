package whatif

import (
	"strings"
	"testing"

	"github.com/shoenig/test/must"
)

// usual is a cluster of two families as Calico's installers name it, with pools that are
// out of use.
const usual = `apiVersion: crd.projectcalico.org/v1
kind: IPPool
metadata: {name: default-ipv4-ippool}
spec: {cidr: 192.168.128.0/17, blockSize: 26}
---
apiVersion: crd.projectcalico.org/v1
kind: IPPool
metadata: {name: default-ipv6-ippool}
spec: {cidr: "fd80:24e2:f998:72d6::/64", blockSize: 122}
---
apiVersion: crd.projectcalico.org/v1
kind: IPPool
metadata: {name: zone-x-ipv4-ippool}
spec: {cidr: 192.168.0.0/18, blockSize: 26, nodeSelector: zone == 'x'}
---
apiVersion: crd.projectcalico.org/v1
kind: IPPool
metadata: {name: old-ipv4-ippool}
spec: {cidr: 192.168.64.0/18, blockSize: 26, disabled: true}
---
apiVersion: v1
kind: Node
metadata: {name: ip-10-0-12-34.ec2.internal}
---
apiVersion: v1
kind: Node
metadata: {name: ip-10-0-12-35.ec2.internal}
`

// TestWidth: with usual names every line fits, and no pool loses its numbers.
func TestWidth(t *testing.T) {
	const node = "ip-10-0-12-34.ec2.internal"
	for _, args := range []string{
		"", "-summary", "-scale 3", "-scale 3 -summary -fail-below 600", "-scale 3 -drain " + node, "-disable-pool default-ipv4-ippool",
		"-add-pool new-ipv4-ippool:10.244.0.0/16:26", "-scale 3 -explain-node " + node, "-scale 70 -remove-node " + node,
	} {
		status, out, errs := raw(usual, strings.Fields(args)...)
		must.NotEq(t, 2, status, must.Sprint(errs))
		for line := range strings.Lines(out) {
			must.LessEq(t, width+len("\n"), len([]rune(line)), must.Sprintf("%s: %s", args, line))
		}
	}
	_, out, _ := raw(usual)
	must.StrContains(t, out, `
POOL
  CIDR                       SIZE   BLOCKS   CLAIMED   EMPTY   ONE POD   FREE
default-ipv4-ippool
  192.168.128.0/17           /26    512      0         0       0         512
default-ipv6-ippool
  fd80:24e2:f998:72d6::/64   /122   2.9e17   0         0       0         2.9e17
old-ipv4-ippool (disabled)
  192.168.64.0/18            /26    256      0         0       0         256
`)
	_, out, _ = raw(usual, "-summary")
	must.StrContains(t, out, "\nzone-x-ipv4-ippool (selects no node)\n  192.168.0.0/18            256     256     0              0         0\n")
}

// TestTableLayouts: the first layout that fits, and all names as they are if none does.
func TestTableLayouts(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	for _, c := range []struct {
		name string
		rows [][]string
		want string
	}{
		{"three blanks", [][]string{{"A", "B"}, {long(71), "1"}}, "A" + strings.Repeat(" ", 73) + "B\n" + long(71) + "   1\n"},
		{"two blanks", [][]string{{"A", "B"}, {long(77), "1"}}, "A" + strings.Repeat(" ", 78) + "B\n" + long(77) + "  1\n"},
		{"apart", [][]string{{"A", "B", "C"}, {long(78), "1234567", ""}}, "A\n  B         C\n" + long(78) + "\n  1234567\n"},
		{"nothing but the first", [][]string{{"A", "B"}, {long(79), ""}, {"y", "2"}}, "A\n  B\n" + long(79) + "\ny\n  2\n"},
		{"rounded", [][]string{{"A", "B", "C"}, {long(70), long(60), "12345678901234567890"}}, "A\n  B" + strings.Repeat(" ", 62) + "C\n" + long(70) + "\n  " + long(60) + "   1.2e19\n"},
		{"too long", [][]string{{"A", "B"}, {long(81), "12345678"}}, "A\n  B\n" + long(81) + "\n  12345678\n"},
	} {
		must.Eq(t, c.want, tableText(c.rows), must.Sprint(c.name))
	}
	// What a name holds does not break its row.
	var out strings.Builder
	(&printer{out: &out}).table([]string{"A", "B"}, [][]string{{"x\ny\tz", long(80)}})
	must.Eq(t, "A\n  B\n"+`x\ny\tz`+"\n  "+long(80)+"\n", out.String())
}
