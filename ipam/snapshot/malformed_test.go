package snapshot

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
)

// change returns the text with a part of it changed, which must be there.
func change(text, old, new string) string {
	if !strings.Contains(text, old) {
		panic("no " + old)
	}
	return strings.Replace(text, old, new, 1)
}

func zipped(text string) string {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write([]byte(text))
	_ = z.Close()
	return out.String()
}

// fault is a text with one fault, and what is said of it.
type fault struct {
	name, text string
	kind       Kind
	want       string
}

// malformed are resources with one fault each.
var malformed = []fault{
	{"empty", "", kindUnreadable, "a.yaml:1: holds no objects"},
	{"blank", "\n\n# nothing\n---\n", kindUnreadable, "a.yaml:1: holds no objects"},
	{"UTF-16 that is no resource", "\xff\xfea\x00", kindUnreadable, "a.yaml:1: is no Kubernetes object"},
	{"nothing but a message", "error: the server doesn't have a resource type \"ipreservations\"\n", kindUnreadable,
		`a.yaml:1: holds no objects, only "error: the server doesn't have a resource type \"ipreservations\""; kubectl prints nothing where`},
	{"table", "NAME     AGE\nblue     5d\n", kindUnreadable, "a.yaml:1: is a table; add -o yaml"},
	{"description", "\nName:         blue\nNamespace:\n", kindUnreadable, "a.yaml:2: is what kubectl describe prints; what is needed"},
	{"calicoctl's table", "$ calicoctl ipam show\n+----------+------\n| GROUPING |\n", kindUnreadable, "a.yaml:2: is a table of calicoctl"},
	{"calicoctl's check", "Checking IPAM for inconsistencies...\n", kindUnreadable, "is what calicoctl ipam check prints"},
	{"no YAML", "{]", kindUnreadable, "a.yaml:1: invalid character ']'"},
	{"binary", "\x00\x01\x02", kindUnreadable, "a.yaml:1: "},
	{"not UTF-8", change(somePool, "name: p", "name: \xff"), kindUnreadable, "is not UTF-8"},
	{"not UTF-8 in JSON", "{\"apiVersion\":\"\xff\"}", kindUnreadable, "is not UTF-8"},
	{"plain text", "hello", kindUnreadable, "a.yaml:1: is no Kubernetes object"},
	{"a scalar list", "- a\n- b\n", kindUnreadable, "is no Kubernetes object"},
	{"numbers in JSON", "[1, 2]", kindUnreadable, "is no Kubernetes object"},
	{"no kind", "metadata: {name: x}\n", kindUnreadable, "a.yaml:1: kind: is missing"},
	{"kind is no text", "kind: 3\n", kindUnreadable, "kind: is the number 3, must be text"},
	{"a kind that can be none", "apiVersion: v1\nkind: \"Se\\e[cret\"\nmetadata: {name: s}\n", kindUnreadable, `is not read; known are IPPool`},
	{"wrong version", change(somePool, "org/v3", "org/v4"), kindUnreadable, `"IPPool" of "projectcalico.org/v4" is not read; known are IPPool`},
	{"wrong group", change(someNode, "v1", "v3"), kindUnreadable, `"Node" of "v3" is not read`},
	{"kind of the other group", change(change(someHandle, "IPAMHandle", "IPAMConfiguration"), "handleID: h,", ""), kindUnreadable, "is not read"},
	{"List in a List", listOf(listOf(somePool)), kindUnreadable, "a List within a List"},
	{"cut off List", listOf(some)[:700], kindUnreadable, "a.yaml:25: the file is cut off in this object, which is left out"},
	{"cut off within a value", strings.TrimSuffix(someHandle, "deleted: false}\n"), kindUnreadable, "a.yaml:1: the file is cut off in this object"},
	{"cut off JSON", `{"apiVersion":"v1","items":[{"apiVersion":"v1","kind":"Node","metadata":{"name":"a"}},{"api`, kindUnreadable, "a.yaml:1: the file is cut off"},
	{"cut off behind an item", `{"apiVersion":"v1","items":[{"apiVersion":"v1","kind":"Node","metadata":{"name":"a"}}`, kindUnreadable, "the file is cut off"},
	{"cut off gzip", zipped(some)[:100], kindUnreadable, "the file is cut off"},
	{"broken gzip", zipped(some)[:300] + "xxxxxxxxxxxxxxxx", kindUnreadable, "a.yaml"},
	{"gzip header only", "\x1f\x8b", kindUnreadable, "a.yaml:1: "},
	{"items of no List", change(listOf(some), "kind: List", "kind: Pot"), kindUnreadable, `has items, but its kind is "Pot"`},
	{"JSON without a colon", `{"a" 1}`, kindUnreadable, "expected colon after object key"},
	{"JSON without a comma", `{"a":1 "b":2}`, kindUnreadable, "after object key:value pair; the rest of the file is not read"},
	{"items without a comma", `{"items":[{} {}]}`, kindUnreadable, "a.yaml:1: expected comma after array element; the rest"},
	{"JSON key twice", `{"kind":"Node","kind":"Pod"}`, kindUnreadable, `key "kind" is given twice`},
	{"YAML key twice", somePool + "  blockSize: 29\n", kindUnreadable, `key "blockSize" already set`},
	{"tabs", "a:\n\t- b\n", kindUnreadable, "a.yaml:2: found character that cannot start any token"},
	{"YAML key twice behind items", listOf(some) + "# more\nmetadata: {}\n", kindUnreadable, fmt.Sprintf("a.yaml:%d: key \"metadata\" already set", strings.Count(listOf(some), "\n")+2)},
	{"YAML that goes on behind its end", "{}\nkind: Node\n", kindUnreadable, "a.yaml:1: "},
	{"YAML that goes on behind a flow", "!!map {}\nkind: Node\n", kindUnreadable, "did not find expected <document start>"},
	{"line of a fault in JSON", "[{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"c\"}},\n{\"kind\":\n\"Node\",\n\"metadata\" 1}]", kindUnreadable, "a.yaml:4: invalid character '1' after object key"},
	{"line where JSON is cut off", "[{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"c\"}},\n{\"kind\":\n\"No", kindUnreadable, "a.yaml:3: the file is cut off"},
	{"line of an object in JSON", "[{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"c\"}},\n\n{\"kind\":\n\"Node\"}]", kindUnreadable, "a.yaml:3: Node: kind:"},

	{"no spec", "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: p}\n", kindUnreadable, "IPPool p: spec: is missing"},
	{"spec is a text", "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: p}\nspec: x\n", kindUnreadable, "IPPool p: spec: is the text \"x\", must be"},
	{"CIDR that does not parse", change(somePool, "10.0.0.0/24", "10.0.0/24"), kindUnreadable, `a.yaml:1: IPPool p: spec.cidr: "10.0.0/24" is not a CIDR such as 10.0.0.0/26`},
	{"CIDR with host bits", change(somePool, "10.0.0.0/24", "10.0.0.1/24"), kindUnreadable, "10.0.0.1/24 has host bits, the network is 10.0.0.0/24"},
	{"mapped CIDR", change(somePool, "10.0.0.0/24", "'::ffff:10.0.0.0/120'"), kindUnreadable, "IPv4-mapped"},
	{"CIDR is a number", change(somePool, "10.0.0.0/24", "10"), kindUnreadable, "spec.cidr: is the number 10, must be text"},
	{"no CIDR", change(somePool, "cidr", "kidr"), kindUnreadable, "spec.cidr: is missing"},
	{"block size is a text", change(somePool, "30", "'30'"), kindUnreadable, `spec.blockSize: is the text "30", must be a whole number`},
	{"block size out of range", change(somePool, "30", "33"), kindUnreadable, `spec.blockSize: is "33", must be from 20 to 32`},
	{"a selector that does not parse", somePool + "  nodeSelector: 'a =='\n", kindUnreadable, "spec.nodeSelector"},
	{"a pool without a name", change(somePool, "{name: p}", "{}"), kindUnreadable, "IPPool: metadata.name: must not be empty"},
	{"pool twice", somePool + "---\n" + somePool, kindDuplicate, "a.yaml:8: IPPool p: is given twice, first in a.yaml:1"},
	{"pools overlap", somePool + "---\n" + change(change(somePool, "10.0.0.0/24", "10.0.0.0/25"), "name: p", "name: q"), kindUnreadable, "IPPool q: pool: overlaps another pool"},
	{"no reservations", "apiVersion: projectcalico.org/v3\nkind: IPReservation\nmetadata: {name: r}\nspec: {reservedCIDRs: 10.0.0.1}\n", kindUnreadable, "spec.reservedCIDRs: is the text"},
	{"persistence of no kind", "apiVersion: projectcalico.org/v3\nkind: IPAMConfiguration\nmetadata: {name: default}\nspec: {kubeVirtVMAddressPersistence: 'on'}\n", kindUnreadable, `spec.kubeVirtVMAddressPersistence: is "on", must be Enabled or Disabled`},
	{"cooldown out of range", "apiVersion: projectcalico.org/v3\nkind: IPAMConfiguration\nmetadata: {name: default}\nspec: {ipCooldownSeconds: 1201}\n", kindUnreadable, "spec.ipCooldownSeconds: is 1201, must be 0 to 1200"},
	{"strict is a word", "apiVersion: projectcalico.org/v3\nkind: IPAMConfiguration\nmetadata: {name: default}\nspec: {strictAffinity: 'very'}\n", kindUnreadable, `spec.strictAffinity: is "very", must be true or false`},
	{"negative limit", "apiVersion: projectcalico.org/v3\nkind: IPAMConfiguration\nmetadata: {name: default}\nspec: {maxBlocksPerHost: -1}\n", kindUnreadable, "spec.maxBlocksPerHost: is -1"},

	{"node without a name", change(someNode, "name: a, ", ""), kindUnreadable, "Node: metadata.name: is missing"},
	{"a label that is a boolean", change(someNode, `"1"`, "yes"), kindUnreadable, `metadata.labels: has the key "zone", which is the boolean true, must be text (in YAML, write it in quotes)`},
	{"node twice", someNode + "---\n" + someNode, kindDuplicate, "a.yaml:5: Node a: is given twice, first in a.yaml:1"},
	{"pod without a namespace", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n", kindUnreadable, "a pod has a name and a namespace"},
	{"pod's address", "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: ns}\nstatus: {podIP: 10.0.0}\n", kindUnreadable, `Pod ns/p: status.podIP: "10.0.0" is not an IP address`},

	{"affinity of no node", change(someAffinity, "node: a, ", ""), kindUnreadable, "spec.node: is missing"},
	{"affinity in no state", change(someAffinity, "confirmed", "sure"), kindUnreadable, `spec.state: is "sure", must be pending, confirmed or pendingDeletion`},
	{"affinity of no type", change(someAffinity, "node: a,", "node: a, type: pod,"), kindUnreadable, `spec.type: is "pod", must be host or virtual`},
	{"deleted is a number", change(someAffinity, "deleted: false", "deleted: 1"), kindUnreadable, "spec.deleted: is 1, must be true or false"},
	{"affinity twice", someAffinity + "---\n" + someAffinity, kindDuplicate, "a.yaml:6: BlockAffinity a-10-0-0-0-30: is given twice"},
	{"affinity's CIDR", change(someAffinity, "10.0.0.0/30", "a/30"), kindUnreadable, `spec.cidr: "a/30" is not a CIDR`},
	{"no time", change(someAffinity, "{name: ", "{creationTimestamp: yesterday, name: "), kindUnreadable, `metadata.creationTimestamp: "yesterday" is not a time`},
	{"a time too early", change(someAffinity, "{name: ", "{creationTimestamp: '0001-01-01T00:00:00Z', name: "), kindUnreadable, "not within the years"},

	{"handle without an id", change(change(someHandle, "handleID: h,", ""), "name: h", ""), kindUnreadable, "spec.handleID: is missing"},
	{"handle twice", someHandle + "---\n" + someHandle, kindDuplicate, "IPAMHandle h: is given twice"},
	{"handle's block", change(someHandle, "10.0.0.0/30", "10.0.0.0"), kindUnreadable, `spec.block: "10.0.0.0" is not a CIDR`},
	{"handle's huge block", change(someHandle, "10.0.0.0/30", "10.0.0.0/8"), kindUnreadable, "spec.block.10.0.0.0/8: is no block"},
	{"handle counts less than nothing", change(someHandle, ": 1}", ": -1}"), kindUnreadable, "spec.block.10.0.0.0/30: is -1"},
	{"handle counts words", change(someHandle, ": 1}", ": one}"), kindUnreadable, "spec.block: is "},

	{"block of no size", change(someBlock, "cidr: 10.0.0.0/30", "cidr: 10.0.0.0/8"), kindUnreadable, "spec.cidr: 10.0.0.0/8 has more than the 4,096 addresses"},
	{"block twice", someBlock + "---\n" + someBlock, kindDuplicate, "IPAMBlock 10-0-0-0-30: is given twice, first in a.yaml:1"},
	{"block of nobody known", change(someBlock, "host:a", "a"), kindUnreadable, `spec.affinity: "a" is neither host:NAME nor virtual:NAME`},
	{"claim time", change(someBlock, "2026-01-01T00:00:00Z", "2026"), kindUnreadable, "spec.affinityClaimTime"},
	{"sequence number below 0", change(someBlock, "sequenceNumber: 1", "sequenceNumber: -1"), kindUnreadable, "spec.sequenceNumber: is the number -1767225600000161026, must be a whole number in range"},
	{"sequence number as a float", change(someBlock, "sequenceNumber: 1767225600000161026", "sequenceNumber: 1.5"), kindUnreadable, "spec.sequenceNumber: is the number 1.5"},
	{"too few allocations", change(someBlock, "[null, 0, null, 1]", "[null, 0, 1]"), kindBlockContradiction, "spec.allocations: has 3 entries for 4 addresses"},
	{"no allocations", change(someBlock, "  allocations: [null, 0, null, 1]\n", ""), kindBlockContradiction, "spec.allocations: has 0 entries for 4 addresses"},
	{"attribute out of range", change(someBlock, "[null, 0, null, 1]", "[null, 0, null, 2]"), kindBlockContradiction, "spec.allocations[3]: is 2, but there are 2 attributes"},
	{"attribute below 0", change(someBlock, "[null, 0, null, 1]", "[null, 0, null, -3]"), kindBlockContradiction, "spec.allocations[3]: is -3, must be a whole number"},
	{"attribute is a text", change(someBlock, "[null, 0, null, 1]", "[null, '0', null, 1]"), kindBlockContradiction, `spec.allocations[1]: is "0", must be`},
	{"attribute is a list", change(someBlock, "[null, 0, null, 1]", "[null, [0,1], null, 1]"), kindBlockContradiction, "spec.allocations[1]: is [0,1], must be"},
	{"allocations are no list", change(someBlock, "[null, 0, null, 1]", "{}"), kindBlockContradiction, "spec.allocations: is no list"},
	{"ordinal out of range", change(someBlock, "[2, 0]", "[2, 0, 4]"), kindBlockContradiction, "spec.unallocated[2]: is 4, must be an ordinal of the block, 0 to 3"},
	{"ordinal null", change(someBlock, "[2, 0]", "[2, 0, null]"), kindBlockContradiction, "spec.unallocated[2]: is null, must be"},
	{"ordinal twice", change(someBlock, "[2, 0]", "[2, 0, 2]"), kindBlockContradiction, "spec.unallocated[2]: ordinal 2 is in the queue twice"},
	{"queued and allocated", change(someBlock, "[2, 0]", "[2, 1, 0]"), kindBlockContradiction, "spec.unallocated[1]: ordinal 1 is in the queue, but allocated"},
	{"neither queued nor allocated", change(someBlock, "[2, 0]", "[2]"), kindBlockContradiction, "spec.unallocated: neither in the queue nor allocated: ordinals 0; they"},
	{"number of no ordinal", change(someBlock, `"3": `, `"4": `), kindBlockContradiction, `spec.sequenceNumberForAllocation: "4" is no ordinal`},
	{"released with a handle", change(someBlock, "- releasedAt", "- handle_id: x\n    releasedAt"), kindBlockContradiction, "spec.attributes[1]: was released, but still has a handle"},
	{"attributes are texts", change(someBlock, "{node: a, pod: x}", "[node]"), kindUnreadable, "spec.attributes[0].secondary: is of type array, must be a map of texts"},

	{"alias", "apiVersion: v1\nkind: Node\nmetadata:\n  name: &n a\n  labels: {x: *n}\n", kindUnreadable, "a.yaml:4: anchors and aliases (& and *) are not read"},
	{"alias bomb", aliasBomb(), kindUnreadable, "anchors and aliases"},
	{"huge text", change(someHandle, "handleID: h", "handleID: "+strings.Repeat("h", 1<<17)), kindUnreadable, "spec.handleID: is 131072 bytes long, at most 65536 are allowed"},
	{"huge text in JSON", `{"apiVersion":"v1","kind":"Node","metadata":{"name":"` + strings.Repeat("h", 1<<17) + `"}}`, kindUnreadable, "metadata.name: is 131072 bytes long, at most 253 are allowed"},
	{"deep JSON", `[` + strings.Repeat(`{"a":`, 20_000) + `1` + strings.Repeat(`}`, 20_000) + `]`, kindUnreadable, "exceeded max depth"},
	{"deep flow", "a: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000), kindUnreadable, "nests deeper"},
	{"deep lists", strings.Repeat("- ", 5000) + "a", kindUnreadable, "nests deeper"},
	{"a line's end that is none", change(someNode, "name: a", "name: 'a\rb'"), kindUnreadable, "line break"},
}

// tooLarge are texts of more than the 16 MiB that an object may have. They are made
// only where they are read: that takes half a second.
func tooLarge() []fault {
	return []fault{
		{"huge object", `[{"apiVersion":"v1","kind":"Node","metadata":{"name":"` + strings.Repeat("h", 17<<20) + `"}}]`, kindUnreadable, "a.yaml:1: object is larger than 16777216 bytes"},
		{"huge YAML object", someNode + "# " + "\nx: " + strings.Repeat("y", 17<<20) + "\n", kindUnreadable, "a.yaml:1: object is larger than"},
	}
}

func aliasBomb() string {
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 9 {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	return bomb
}

// TestMalformed: every fault is refused, with the place; and taken leniently it is
// a finding, the rest being read.
func TestMalformed(t *testing.T) {
	for _, c := range malformed {
		t.Run(c.name, func(t *testing.T) { refused(t, c) })
	}
	t.Run("too large", func(t *testing.T) {
		property.Slow(t)
		for _, c := range tooLarge() {
			t.Run(c.name, func(t *testing.T) { refused(t, c) })
		}
	})
}

func refused(t *testing.T, c fault) {
	_, err := read(Options{}, c.text, someNodeB)
	must.ErrorIs(t, err, ErrInvalid)
	must.StrContains(t, clip2(err.Error()), c.want)
	var all *InvalidError
	must.ErrorAs[*InvalidError](t, err, &all)
	must.Eq(t, c.kind, all.Problems[0].Kind)
	must.Less(t, 4096, len(err.Error()))

	s, err := read(Options{Lenient: true}, c.text, someNodeB)
	must.NoError(t, err)
	must.Eq(t, all.Problems, harmful(s.Problems))
	must.SliceContains(t, nodeNames(s), "b", must.Sprint("the rest is read"))
	must.Positive(t, Check(s).Count(c.kind))
	a, err := s.Allocator(ipam.Options{})
	must.NoError(t, err)
	must.False(t, errors.Is(a.Check(), ipam.ErrStructure))
}

const someNodeB = "apiVersion: v1\nkind: Node\nmetadata: {name: b}\n"

func clip2(text string) string { return text[:min(len(text), 4096)] }

func harmful(problems []*Problem) (out []*Problem) {
	for _, p := range problems {
		if !p.Harmless {
			out = append(out, p)
		}
	}
	return out
}

func nodeNames(s *Snapshot) (names []string) {
	for _, n := range s.Cluster.Nodes {
		names = append(names, n.Name)
	}
	return names
}

// TestAllAtOnce: many faults, in several files and within one object, are reported
// together and in order.
func TestAllAtOnce(t *testing.T) {
	var texts []string
	for _, c := range malformed[30:60] {
		texts = append(texts, c.text)
	}
	bad := change(change(someBlock, "[2, 0]", "[2, 2, 9]"), "host:a", "nobody")
	bad = change(change(bad, "[null, 0, null, 1]", "[null, 0, null, 7]"), "handle_id: h", "handle_id: 8")
	texts = append([]string{bad}, texts...)
	l := NewLoader(Options{})
	for i, text := range texts {
		must.NoError(t, l.Add(fmt.Sprintf("file%02d", i), strings.NewReader(text)))
	}
	_, err := l.Snapshot()
	var all *InvalidError
	must.ErrorAs[*InvalidError](t, err, &all)
	for i := range texts {
		must.StrContains(t, err.Error(), fmt.Sprintf("file%02d:", i))
	}
	for _, want := range []string{"file00:1: IPAMBlock 10-0-0-0-30: spec.affinity:", "spec.attributes[0].handle_id:", "spec.allocations[3]:", "spec.unallocated[1]:", "spec.unallocated[2]:", "spec.unallocated: neither in the queue nor allocated: ordinals 0;"} {
		must.StrContains(t, err.Error(), want)
	}
	files := make([]string, 0, len(all.Problems))
	for _, p := range all.Problems {
		files = append(files, p.File)
	}
	must.Ascending(t, files)
	var one *Problem
	must.True(t, errors.As(err, &one))
}

// TestMended: what a lenient reading makes of a block that contradicts itself.
func TestMended(t *testing.T) {
	s, err := read(Options{Lenient: true}, change(change(someBlock, "[2, 0]", "[3, 2, 2, 17]"), "[null, 0, null, 1]", "[null, 0, null, 5]"))
	must.NoError(t, err)
	b := s.Cluster.Blocks[0]
	must.Eq(t, []int{2, 0}, b.Free)
	must.Len(t, 2, b.Allocations)
	must.Eq(t, "h", b.Allocations[0].Handle)
	must.Eq(t, "", b.Allocations[1].Handle)
	a, err := s.Allocator(ipam.Options{})
	must.NoError(t, err)
	must.Eq(t, b.Free, a.State().Blocks[0].Free)
}

// TestHarmless: what has no effect is no error, and is not kept back.
func TestHarmless(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{change(someBlock, "name: 10-0-0-0-30", "name: mine"), "metadata.name: is not 10-0-0-0-30"},
		{change(someBlock, "  affinity: host:a\n", ""), "spec.affinityClaimTime: has no effect"},
		{change(someBlock, "  sequenceNumber:", "  - handle_id: unused\n  sequenceNumber:"), "spec.attributes[2]: is used by no address"},
		{change(someHandle, ": 1}", ": 1, 10.0.0.4/30: 0}"), "spec.block.10.0.0.4/30: counts nothing"},
		{change(somePool, "blockSize:", "blocksize: 26\n  blockSize:"), `spec: has the key "blocksize", which is not read: the field is called blockSize`},
		{"apiVersion: projectcalico.org/v3\nkind: IPAMConfiguration\nmetadata: {name: default}\nspec: {StrictAffinity: true}\n", "the field is called strictAffinity"},
		{"apiVersion: projectcalico.org/v3\nkind: IPAMConfiguration\nmetadata: {name: other}\nspec: {strictAffinity: true}\n", "only the configuration called default"},
	} {
		s, err := read(Options{}, c.text)
		must.NoError(t, err)
		must.Len(t, 1, s.Problems)
		must.True(t, s.Problems[0].Harmless)
		must.ErrorContains(t, s.Problems[0], c.want)
		must.Eq(t, ipam.DefaultConfig(), s.Cluster.Config)
	}
}

// TestNoAliases: text that looks like an anchor or alias is text.
func TestNoAliases(t *testing.T) {
	for _, text := range []string{
		"'*a'", `"*a &b"`, "a *b &c", "a&b", "x: '*'", "|\n      *bold*\n      &x\n     ", ">-\n      *bold*",
		"a\n      *b", `"a
      *b"`, "'it''s\n      &x'", "a # *b", "# &c\n      a",
	} {
		full := "apiVersion: v1\nkind: Node\nmetadata:\n  name: a\n  annotations:\n    note: " + text + "\n"
		if strings.HasPrefix(text, "x: ") {
			full = change(full, "note: x: ", "note: ")
		}
		_, err := read(Options{}, full)
		must.NoError(t, err, must.Sprintf("%s", full))
	}
	for _, text := range []string{
		"*a", "&b x", "[*a]", "[x, *a]", "{k: *a}", "{*a : k}", "{<<: *a}", "\n      - *a", "\n      ? *a", "\n      x: *a", "\n      &k x: y", "\n      - - &z q",
		`{"k":*a}`, "\n      x:\t*a", "\n      \"q\": *a",
	} {
		full := "apiVersion: v1\nkind: Node\nmetadata:\n  name: a\n  annotations:\n    note: " + text + "\n"
		_, err := read(Options{}, full)
		must.ErrorContains(t, err, "anchors and aliases", must.Sprintf("%s", full))
	}
}
