package snapshot

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
)

// dump loads a file in a shape in which people have it.
func dump(t *testing.T, name string) *Snapshot {
	t.Helper()
	s, err := Load(Options{}, "../../testdata/field/"+name)
	must.NoError(t, err)
	a, err := s.Allocator(ipam.Options{})
	must.NoError(t, err)
	must.NoError(t, a.Check())
	return s
}

// TestStaleSequenceNumbers: those of free ordinals are nothing to report.
func TestStaleSequenceNumbers(t *testing.T) {
	s := dump(t, "10-stale-sequence-numbers.yaml")
	must.SliceEmpty(t, s.Problems, must.Sprint(s.Problems))
	must.SliceEmpty(t, Check(s).Findings)
	must.Eq(t, uint64(1690113884806720472), s.Cluster.Blocks[0].Allocations[0].Seq)
}

// TestBothGroups: an object that both API groups have counts once; one that is not
// equal in both is given twice.
func TestBothGroups(t *testing.T) {
	s := dump(t, "11-both-api-groups.yaml")
	must.SliceEmpty(t, s.Problems, must.Sprint(s.Problems))
	must.Len(t, 1, s.Cluster.Pools)
	must.Len(t, 1, s.Cluster.Affinities)
	must.True(t, s.Cluster.Config.StrictAffinity)

	other := change(somePool, "projectcalico.org/v3", "crd.projectcalico.org/v1")
	_, err := read(Options{}, somePool, other)
	must.NoError(t, err)
	for _, pair := range [][2]string{
		{somePool, change(other, "30", "29")},
		{someAffinity, change(change(someAffinity, "projectcalico.org/v3", "crd.projectcalico.org/v1"), "confirmed", "pending")},
	} {
		_, err = read(Options{}, pair[0], pair[1])
		must.ErrorContains(t, err, "is given twice, first in a.yaml:1")
	}
}

// TestOtherKinds: what else a cluster has is skipped and counted, and so are the
// Node and Cluster of other groups.
func TestOtherKinds(t *testing.T) {
	s := dump(t, "08-other-kinds-beside.yaml")
	must.SliceEmpty(t, s.Problems, must.Sprint(s.Problems))
	must.Eq(t, map[string]int{"FelixConfiguration": 1}, s.Skipped)
	must.Eq(t, "v3.27.0", s.Calico.String())
	must.Eq(t, "ClusterInformation default says v3.27.0", s.CalicoFrom)
	must.Len(t, 1, s.Cluster.Pools)
	must.Len(t, 1, s.Cluster.Nodes)
	must.SliceContains(t, Check(s).Notes, "objects of other kinds were skipped: 1 FelixConfiguration")

	s, err := read(Options{}, `[{"apiVersion":"management.cattle.io/v3","kind":"Node"},{"apiVersion":"cluster.x-k8s.io/v1beta1","kind":"Cluster"}]`)
	must.NoError(t, err)
	must.SliceEmpty(t, s.Cluster.Nodes, must.Sprint(s.Cluster.Nodes))
	must.Eq(t, map[string]int{"Node": 1, "Cluster": 1}, s.Skipped)
}

// TestMessages: lines of kubectl and of a shell are skipped wherever they stand, and
// said, and lines are counted with them.
func TestMessages(t *testing.T) {
	s := dump(t, "09-kubectl-complains-on-top.yaml")
	must.Len(t, 1, s.Cluster.Pools)
	must.Len(t, 1, s.Cluster.Nodes)
	must.Len(t, 1, s.Problems)
	must.True(t, s.Problems[0].Harmless)
	must.ErrorContains(t, s.Problems[0], `.yaml:1: is a message and no resource, and is skipped: "Error from server (NotFound): Unable to list`)

	want, err := read(Options{}, some)
	must.NoError(t, err)
	var asJSON bytes.Buffer
	must.NoError(t, writeJSON(&asJSON, want.Cluster, V1))
	for _, line := range []string{
		"Error from server (NotFound): the server could not find the requested resource", "error: x", "Warning: v1 ComponentStatus is deprecated",
		"E1128 15:34:00.000000   12345 memcache.go:265] couldn't get current server API group list", "```yaml", "```",
		"$ kubectl get ippools -o yaml", "root@master:~# kubectl get ippools -o yaml", "[core@m1 ~]$ oc get ippools -o yaml", "user@host:/tmp$ sudo kubectl get x > y",
	} {
		for _, text := range []string{some, listOf(some), asJSON.String(), strings.ReplaceAll(some, "\n", "\r\n")} {
			text = line + "\n" + text + line + "\n"
			for i := 20; i < len(text)-20; i++ { // between any two objects, too
				if strings.HasPrefix(text[i:], "\n- apiVersion") {
					text = text[:i+1] + line + "\n" + text[i+1:]
					break
				}
			}
			s, err := read(Options{}, text)
			must.NoError(t, err, must.Sprint(line))
			must.Eq(t, want.Cluster, s.Cluster, must.Sprint(line))
			must.SliceNotEmpty(t, s.Problems)
		}
	}
	_, err = read(Options{}, "```\n"+strings.Repeat("Warning: x\n", 9)+someNode+"```\n"+someNode)
	must.ErrorContains(t, err, "a.yaml:15: Node a: is given twice, first in a.yaml:11")
	s, err = read(Options{}, "```\n"+strings.Repeat("Warning: x\n", 9)+someNode+"```\n")
	must.NoError(t, err)
	must.Len(t, maxMessages, s.Problems)
	must.ErrorContains(t, s.Problems[2], `a.yaml:3: is a message and no resource, and is skipped: "Warning: x" (and 8 more)`)
}

// TestUTF16: what PowerShell's > writes.
func TestUTF16(t *testing.T) {
	want, err := read(Options{}, some)
	must.NoError(t, err)
	for _, order := range [][2]int{{0, 8}, {8, 0}} {
		var out bytes.Buffer
		for _, unit := range utf16.Encode([]rune("\ufeff" + some)) {
			out.Write([]byte{byte(unit >> order[0]), byte(unit >> order[1])})
		}
		s, err := read(Options{}, out.String())
		must.NoError(t, err)
		must.Eq(t, want.Cluster, s.Cluster)
	}
}

// TestPrintedOneAfterTheOther: what kubectl printed several times stands in one file
// without a mark in between.
func TestPrintedOneAfterTheOther(t *testing.T) {
	want, err := read(Options{}, some)
	must.NoError(t, err)
	parts := strings.Split(some, "---\n")
	for _, texts := range [][]string{
		{listOf(strings.Join(parts[:2], "---\n")) + listOf(strings.Join(parts[2:], "---\n"))},
		{strings.Join(parts, "")},
		{strings.ReplaceAll(strings.Join(parts, ""), "\n", "\r\n")},
		{strings.Join(parts[:3], "") + listOf(strings.Join(parts[3:], "---\n"))},
	} {
		s, err := read(Options{}, texts...)
		must.NoError(t, err)
		must.Eq(t, want.Cluster, s.Cluster)
	}
}

// TestCutOff: wherever a List or documents are cut off, that is said, and with Lenient
// every object but the one that is cut is read as it stands in the whole.
func TestCutOff(t *testing.T) {
	property.Slow(t)
	whole, err := read(Options{}, some)
	must.NoError(t, err)
	var asJSON bytes.Buffer
	must.NoError(t, writeJSON(&asJSON, whole.Cluster, V1))
	for name, text := range map[string]string{"documents": some, "List": listOf(some), "JSON": asJSON.String()} {
		said := 0
		for n := 200; n < len(text)-1; n += 7 {
			for _, o := range []Options{{Lenient: true}, {Lenient: true, SkipOdd: true}} {
				s, err := read(o, text[:n])
				must.NoError(t, err)
				for _, b := range s.Cluster.Blocks {
					if text[n-1] != '\n' { // behind a whole line nothing looks cut off
						must.Eq(t, whole.Cluster.Blocks[0], b, must.Sprintf("%s of %d", name, n))
					}
				}
				if len(s.Problems) > 0 && strings.Contains(s.Problems[len(s.Problems)-1].Reason, "the file is cut off") {
					said++
				}
			}
			_, err := read(Options{SkipOdd: true}, text[:n])
			if name != "documents" && !strings.Contains(text[:n], "\nkind: List") { // those may end anywhere
				must.ErrorContains(t, err, "cut off", must.Sprintf("%s of %d", name, n))
			}
		}
		must.Greater(t, len(text)/14, said, must.Sprint(name))
	}
}

// TestLargeBlocks: pools and blocks larger than a /20, as older installers wrote them,
// are left out with what is in them, and the others are read.
func TestLargeBlocks(t *testing.T) {
	large := change(change(somePool, "blockSize: 30", "blockSize: 18"), "10.0.0.0/24", "10.9.0.0/16")
	large = change(large, "name: p", "name: large")
	block := "apiVersion: crd.projectcalico.org/v1\nkind: IPAMBlock\nmetadata: {name: 10-9-0-0-18}\nspec: {cidr: 10.9.0.0/18, affinity: 'host:a', allocations: [0, null, 0], unallocated: [1], attributes: [{handle_id: h}]}\n"
	s, err := read(Options{SkipOdd: true}, some, large, block)
	must.NoError(t, err)
	must.Len(t, 1, s.Cluster.Pools)
	must.Len(t, 1, s.Cluster.Blocks)
	must.Eq(t, map[string]int{"IPPool": 1, "IPAMBlock": 1}, s.LeftOut)
	must.ErrorContains(t, s.Problems[0], `IPPool large: spec.blockSize: is "18", must be from 20 to 32: Calico makes no pool of another size`)
	must.ErrorContains(t, s.Problems[1], "IPAMBlock 10-9-0-0-18: spec.cidr: 10.9.0.0/18 has more than the 4,096 addresses of the largest block that Calico makes (§1); 2 addresses are in use there")
	_, err = read(Options{}, large)
	must.ErrorIs(t, err, ErrInvalid)
}
