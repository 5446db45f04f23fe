package snapshot

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/shoenig/test/must"
	"sigs.k8s.io/yaml"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// read reads texts, one file each: a.yaml, b.yaml, ….
func read(o Options, texts ...string) (*Snapshot, error) {
	l := NewLoader(o)
	for i, text := range texts {
		if err := l.Add(string(rune('a'+i))+".yaml", strings.NewReader(text)); err != nil {
			return nil, err
		}
	}
	return l.Snapshot()
}

const somePool = `apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: p}
spec:
  cidr: 10.0.0.0/24
  blockSize: 30
`

const someBlock = `apiVersion: crd.projectcalico.org/v1
kind: IPAMBlock
metadata:
  name: 10-0-0-0-30
spec:
  cidr: 10.0.0.0/30
  affinity: host:a
  affinityClaimTime: "2026-01-01T00:00:00Z"
  allocations: [null, 0, null, 1]
  attributes:
  - handle_id: h
    secondary: {node: a, pod: x}
  - releasedAt: "2026-01-01T00:00:10Z"
  sequenceNumber: 1767225600000161026
  sequenceNumberForAllocation: {"1": 1767225600000161024, "3": 1767225600000161025}
  unallocated: [2, 0]
`

const someAffinity = `apiVersion: projectcalico.org/v3
kind: BlockAffinity
metadata: {name: a-10-0-0-0-30}
spec: {cidr: 10.0.0.0/30, node: a, state: confirmed, deleted: false}
`

const someHandle = `apiVersion: crd.projectcalico.org/v1
kind: IPAMHandle
metadata: {name: h}
spec: {handleID: h, block: {10.0.0.0/30: 1}, deleted: false}
`

const someNode = `apiVersion: v1
kind: Node
metadata: {name: a, labels: {zone: "1"}}
`

// some is a cluster of one object of each kind, which fit together.
const some = somePool + "---\n" + someBlock + "---\n" + someAffinity + "---\n" + someHandle + "---\n" + someNode

// listOf makes a List of documents.
func listOf(documents string) string {
	var out strings.Builder
	out.WriteString("apiVersion: v1\nitems:\n")
	for _, d := range strings.Split(documents, "---\n") {
		for i, line := range strings.Split(strings.TrimSuffix(d, "\n"), "\n") {
			if i == 0 {
				line = "- " + line
			} else {
				line = "  " + line
			}
			out.WriteString(line + "\n")
		}
	}
	return out.String() + "kind: List\nmetadata: {}\n"
}

func TestForms(t *testing.T) {
	want, err := read(Options{}, some)
	must.NoError(t, err)
	must.SliceEmpty(t, want.Problems, must.Sprint(want.Problems))
	p := pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/24"), BlockSize: 30}
	must.Eq(t, []pool.Spec{p.WithDefaults()}, want.Cluster.Pools)
	must.Eq(t, []ipam.Node{{Name: "a", Labels: map[string]string{"zone": "1"}}}, want.Cluster.Nodes)
	must.Eq(t, []int{2, 0}, want.Cluster.Blocks[0].Free)
	must.Eq(t, uint64(1767225600000161026), want.Cluster.Blocks[0].Sequence, must.Sprint("all 64 bits"))
	must.EqOp(t, time.Date(2026, 1, 1, 0, 0, 10, 0, time.UTC), want.Latest)
	must.Eq(t, affinity.HostOwner("a"), want.Cluster.Affinities[0].Owner, must.Sprint("without a type it is a host's"))

	var asJSON, asYAML, zipped bytes.Buffer
	must.NoError(t, writeJSON(&asJSON, want.Cluster, V1))
	must.NoError(t, writeYAML(&asYAML, want.Cluster, V3))
	z := gzip.NewWriter(&zipped)
	_, err = z.Write(asYAML.Bytes())
	must.NoError(t, errors.Join(err, z.Close()))
	var objects []string
	for i, o := range strings.Split(asJSON.String(), "\n") {
		if i > 0 && strings.HasPrefix(o, `{"apiVersion"`) {
			objects = append(objects, strings.TrimSuffix(o, ","))
		}
	}
	must.Len(t, 5, objects)
	parts := strings.Split(some, "---\n")
	for name, texts := range map[string][]string{
		"JSON List":               {asJSON.String()},
		"YAML List":               {asYAML.String()},
		"List from documents":     {listOf(some)},
		"gzip":                    {zipped.String()},
		"several files":           parts,
		"a file and a List":       {parts[1], listOf(parts[0] + "---\n" + strings.Join(parts[2:], "---\n"))},
		"carriage returns":        {strings.ReplaceAll(some, "\n", "\r\n")},
		"List, carriage returns":  {strings.ReplaceAll(listOf(some), "\n", "\r\n")},
		"byte order mark":         {"\ufeff" + some},
		"leading lines":           {"# kubectl\n\n---\n" + some + "---\n"},
		"directive":               {"%YAML 1.1\n---\n" + some + "...\n"},
		"comments in a List":      {strings.Replace(listOf(some), "- apiVersion", "# a comment\n- apiVersion", 3)},
		"indented List":           {indentItems(listOf(some))},
		"JSON lines":              {strings.Join(objects, "\n")},
		"JSON array":              {"[" + strings.Join(objects, ",\n") + "]"},
		"JSON, kind first":        {`{"kind":"List","apiVersion":"v1","items":[` + strings.Join(objects, ",") + `]}`},
		"JSON, no line ends":      {strings.ReplaceAll(asJSON.String(), "\n", " ")},
		"flow style List":         {"apiVersion: v1\nkind: List\nitems: [" + strings.Join(objects, ", ") + "]\n"},
		"no newline at the end":   {strings.TrimSuffix(some, "\n")},
		"Lists in documents":      {listOf(parts[0]+"---\n"+parts[1]) + "---\n" + listOf(strings.Join(parts[2:], "---\n"))},
		"items at the end, twice": {kindFirst(listOf(parts[0]+"---\n"+parts[1])) + kindFirst(listOf(strings.Join(parts[2:], "---\n")))},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := read(Options{}, texts...)
			must.NoError(t, err)
			must.SliceEmpty(t, s.Problems, must.Sprint(s.Problems))
			must.Eq(t, want.Cluster, s.Cluster)
		})
	}
}

// kindFirst puts what a List says behind its items before them.
func kindFirst(list string) string {
	const behind = "kind: List\nmetadata: {}\n"
	return strings.Replace(strings.TrimSuffix(list, behind), "items:\n", behind+"items:\n", 1)
}

// indentItems moves the items of a List two columns in.
func indentItems(list string) string {
	lines := strings.Split(list, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "- ") || strings.HasPrefix(line, "  ") {
			lines[i] = "  " + line
		}
	}
	return strings.Join(lines, "\n")
}

// TestKeysInOtherLetters: the API server takes a key for a field only if it is written in
// the field's letters.
func TestKeysInOtherLetters(t *testing.T) {
	const meant = "{cidr: 10.0.0.0/24, blockSize: 30}"
	for _, spec := range []string{meant, "{blocksize: 28, cidr: 10.0.0.0/24, blockSize: 30}", "{cidr: 10.0.0.0/24, blockSize: 30, BLOCKSIZE: 28, Cidr: 7}"} {
		yml := "apiVersion: crd.projectcalico.org/v1\nkind: IPPool\nmetadata: {name: p}\nspec: " + spec + "\n"
		asJSON, err := yaml.YAMLToJSON([]byte(yml))
		must.NoError(t, err)
		for _, text := range []string{yml, string(asJSON), `{"kind":"List","items":[` + string(asJSON) + `]}`} {
			s, err := read(Options{}, text)
			must.NoError(t, err, must.Sprint(text))
			must.Len(t, 1, s.Cluster.Pools)
			must.Eq(t, 30, s.Cluster.Pools[0].BlockSize, must.Sprint(text))
		}
	}
}

// TestTypedList: what the API server itself prints, where items need not say what
// they are, with the kind before or behind them.
func TestTypedList(t *testing.T) {
	const items = "- metadata: {name: b}\n- metadata:\n    name: a\n"
	for _, text := range []string{
		`{"kind":"NodeList","apiVersion":"v1","metadata":{},"items":[{"metadata":{"name":"b"}},{"metadata":{"name":"a"}}]}`,
		`{"apiVersion":"v1","items":[{"metadata":{"name":"b"}},{"metadata":{"name":"a"}}],"kind":"NodeList"}`,
		`{"items":[{"metadata":{"name":"b"}},{"metadata":{"name":"a"}}],"kind":"NodeList","apiVersion":"v1"}`,
		"---\n" + `{"kind":"NodeList","apiVersion":"v1","items":[{"metadata":{"name":"b"}},{"metadata":{"name":"a"}}]}`,
		"{kind: NodeList, apiVersion: v1, items: [{metadata: {name: b}}, {metadata: {name: a}}]}\n",
		"apiVersion: v1\nkind: NodeList\nitems:\n" + items,
		"apiVersion: v1\nitems:\n" + items + "kind: NodeList\n",
		"items:\n" + items + "kind: NodeList\napiVersion: v1\n",
		"\"apiVersion\": \"v1\"\n\"kind\": \"NodeList\"\n\"items\":\n" + items,
		"apiVersion: v1 # of Kubernetes\nkind : NodeList\t# of nodes\nitems:\n" + items,
		"items:\n- metadata: {name: b}\nkind: NodeList\napiVersion: v1\nitems:\n- metadata: {name: a}\nkind: NodeList\napiVersion: v1\n",
	} {
		s, err := read(Options{}, text)
		must.NoError(t, err, must.Sprint(text))
		must.SliceEmpty(t, s.Problems, must.Sprint(text))
		must.Eq(t, []ipam.Node{{Name: "a"}, {Name: "b"}}, s.Cluster.Nodes, must.Sprint(text))
		must.False(t, s.Unlisted.Nodes, must.Sprint(text))
	}
	for _, text := range []string{
		"apiVersion: v1\nitems:\n" + items + "kind: List\n",
		`{"apiVersion":"v1","items":[{"metadata":{"name":"b"}},{"metadata":{"name":"a"}}],"kind":"List"}`,
		`{"items":[{"metadata":{"name":"b"}},{"metadata":{"name":"a"}}],`,
		"items:\n" + items,
	} {
		s, err := read(Options{Lenient: true}, text)
		must.NoError(t, err)
		must.SliceNotEmpty(t, harmful(s.Problems), must.Sprint(text))
		must.SliceEmpty(t, s.Cluster.Nodes, must.Sprint(text))
	}
}

// TestListsWithoutHead: calicoctl prints several objects as a list that is nothing but
// its items.
func TestListsWithoutHead(t *testing.T) {
	const node = "- apiVersion: v1\n  kind: Node\n  metadata: {name: "
	s, err := read(Options{}, node+"b}\n"+node+"a}\n")
	must.NoError(t, err)
	must.SliceEmpty(t, s.Problems, must.Sprint(s.Problems))
	must.Eq(t, []ipam.Node{{Name: "a"}, {Name: "b"}}, s.Cluster.Nodes)

	_, err = read(Options{}, node+"b}\n"+node)
	must.ErrorContains(t, err, "a.yaml:4: the file is cut off in this object")
}

// TestByteOrderMarks: files that are joined have theirs in between.
func TestByteOrderMarks(t *testing.T) {
	for _, mark := range []string{"\ufeff", "\ufeff---\n", "---\n\ufeff"} {
		s, err := read(Options{}, "\ufeff"+someNode+mark+change(someNode, "name: a", "name: b"))
		must.NoError(t, err)
		must.SliceEmpty(t, s.Problems, must.Sprint(s.Problems))
		must.Len(t, 2, s.Cluster.Nodes)
	}
	s, err := read(Options{}, `{"apiVersion":"v1","kind":"Node","metadata":{"name":"a"}}`+"\n\ufeff"+`{"apiVersion":"v1","kind":"Node","metadata":{"name":"b"}}`)
	must.NoError(t, err)
	must.Len(t, 2, s.Cluster.Nodes)
}

// TestGivenTwice: pods and nodes of two dumps that differ are not taken for sound.
func TestGivenTwice(t *testing.T) {
	const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: shop}\nspec: {nodeName: a}\nstatus: {podIP: 10.0.0.1}\n"
	s, err := read(Options{}, pod, pod)
	must.NoError(t, err)
	must.Len(t, 1, s.Pods)

	other := change(pod, "10.0.0.1", "10.0.0.2")
	_, err = read(Options{}, pod, other)
	must.ErrorContains(t, err, "b.yaml:1: Pod shop/x: is given twice, first in a.yaml:1")
	s, err = read(Options{SkipOdd: true}, pod, other)
	must.NoError(t, err)
	must.Eq(t, []netip.Addr{netip.MustParseAddr("10.0.0.1")}, s.Pods[0].IPs)
	must.Len(t, 1, s.Pods)
	must.True(t, unknown(s).Pods)

	const node = "apiVersion: v1\nkind: Node\nmetadata:\n  name: a\n  annotations: {projectcalico.org/IPv4VXLANTunnelAddr: 10.0.0.1}\n"
	s, err = read(Options{SkipOdd: true}, node, node)
	must.NoError(t, err)
	must.SliceEmpty(t, s.Problems, must.Sprint(s.Problems))
	s, err = read(Options{SkipOdd: true}, node, change(node, "10.0.0.1", "10.0.0.2"))
	must.NoError(t, err)
	must.Len(t, 1, s.Problems)
	must.ErrorContains(t, s.Problems[0], "Node a: is given twice")
	must.True(t, unknown(s).Nodes)
}

func TestSkipsDeleted(t *testing.T) {
	for _, deleted := range []string{`true`, `"true"`} {
		s, err := read(Options{}, strings.ReplaceAll(some, "deleted: false", "deleted: "+deleted))
		must.NoError(t, err)
		must.SliceEmpty(t, s.Cluster.Affinities, must.Sprint(s.Cluster.Affinities))
		must.SliceEmpty(t, s.Cluster.Handles, must.Sprint(s.Cluster.Handles))
		must.Eq(t, 2, s.Deleted)
	}
	s, err := read(Options{}, strings.ReplaceAll(some, "deleted: false", `deleted: "false"`))
	must.NoError(t, err)
	must.Len(t, 1, s.Cluster.Affinities)
}

func TestOldBlocks(t *testing.T) {
	s, err := read(Options{}, somePool, `apiVersion: crd.projectcalico.org/v1
kind: IPAMBlock
metadata: {name: 10-0-0-0-30}
spec: {cidr: 10.0.0.0/30, affinity: "host:a", allocations: [null, 0, null, null], unallocated: [2, 0, 3], attributes: [{handle_id: h}]}
`)
	must.NoError(t, err)
	must.SliceEmpty(t, s.Problems, must.Sprint(s.Problems))
	b := s.Cluster.Blocks[0]
	must.Zero(t, b.Sequence)
	must.True(t, b.Claimed.IsZero())
	s.Unlisted = KindSet{} // else the block implies an affinity and a handle
	a, err := s.Allocator(ipam.Options{})
	must.NoError(t, err)
	must.Eq(t, s.Cluster.State, a.State())
}

// TestReservationsInOrder: those of all objects, by their names.
func TestReservationsInOrder(t *testing.T) {
	object := func(name, entries string) string {
		return "apiVersion: projectcalico.org/v3\nkind: IPReservation\nmetadata: {name: " + name + "}\nspec: {reservedCIDRs: [" + entries + "]}\n"
	}
	s, err := read(Options{}, object("z", `10.0.0.1, " 10.0.0.2 ", ""`)+"---\n"+object("a", "10.0.0.3/32, nonsense"))
	must.NoError(t, err)
	must.Eq(t, []string{"10.0.0.3/32", "nonsense", "10.0.0.1", " 10.0.0.2 ", ""}, s.Cluster.Reservations)
	must.Len(t, 1, s.Problems)
	must.True(t, s.Problems[0].Harmless)
	must.Eq(t, `a.yaml:6: IPReservation a: spec.reservedCIDRs: "nonsense" is ignored, as Calico does: not an address or CIDR`, s.Problems[0].Error())
}

// TestStoredPoolUses: stored pools have the default uses written out, also where a
// new pool could not say so.
func TestStoredPoolUses(t *testing.T) {
	s, err := read(Options{}, somePool+"  namespaceSelector: env == 'prod'\n  allowedUses: [Workload, Tunnel]\n")
	must.NoError(t, err)
	must.SliceEmpty(t, s.Cluster.Pools[0].AllowedUses)
	var text bytes.Buffer
	must.NoError(t, writeYAML(&text, s.Cluster, V3))
	must.StrContains(t, text.String(), "    allowedUses:\n    - Workload\n    - Tunnel\n")
}

func TestPods(t *testing.T) {
	s, err := read(Options{}, `{"apiVersion":"v1","kind":"List","items":[
		{"apiVersion":"v1","kind":"Pod","metadata":{"name":"b","namespace":"n"},"spec":{"nodeName":"x"},"status":{"phase":"Running","podIP":"10.0.0.1","podIPs":[{"ip":"10.0.0.1"},{"ip":"fd00::1"}]}},
		{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"n"},"spec":{"hostNetwork":true},"status":{"phase":"Failed","podIP":"10.0.0.2"}},
		{"apiVersion":"v1","kind":"Pod","metadata":{"name":"c","namespace":"n"}}]}`)
	must.NoError(t, err)
	must.Eq(t, KindSet{Pools: true, Blocks: true, Affinities: true, Handles: true, Nodes: true}, s.Unlisted)
	must.Eq(t, []Pod{
		{Namespace: "n", Name: "a", IPs: []netip.Addr{netip.MustParseAddr("10.0.0.2")}, HostNetwork: true, Ended: true},
		{Namespace: "n", Name: "b", Node: "x", IPs: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")}},
		{Namespace: "n", Name: "c"},
	}, s.Pods)
}

func TestNodeAddresses(t *testing.T) {
	s, err := read(Options{}, `
apiVersion: v1
kind: Node
metadata:
  name: x
  annotations: {projectcalico.org/IPv4VXLANTunnelAddr: 10.0.0.9, other: "1"}
status:
  addresses: [{type: InternalIP, address: 172.18.0.2}, {type: Hostname, address: x}]
`)
	must.NoError(t, err)
	must.Eq(t, []NodeAddress{
		{"x", netip.MustParseAddr("10.0.0.9"), "vxlanTunnelAddress"},
		{"x", netip.MustParseAddr("172.18.0.2"), ""},
	}, s.Addresses)
}

// TestManifests: what a cluster is made from.
func TestManifests(t *testing.T) {
	s, err := read(Options{}, `# This section includes base Calico installation configuration.
apiVersion: operator.tigera.io/v1
kind: Installation
metadata:
  name: default
spec:
  # Configures Calico networking.
  calicoNetwork:
    ipPools:
    - name: default-ipv4-ippool
      blockSize: 26
      cidr: 192.168.0.0/16
      encapsulation: VXLANCrossSubnet
      natOutgoing: Enabled
      nodeSelector: all()
    - cidr: 10.0.0.0/16
      disableNewAllocations: "true"
    - cidr: fd00::/48

---
apiVersion: operator.tigera.io/v1
kind: APIServer
metadata:
  name: default
spec: {}
`, `kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
name: calico-ipam
networking:
  disableDefaultCNI: true
nodes:
- role: control-plane
- role: worker
  labels: {zone: a}
- role: worker
`)
	must.NoError(t, err)
	must.SliceEmpty(t, s.Problems, must.Sprint(s.Problems))
	var names []string
	for _, p := range s.Cluster.Pools {
		names = append(names, fmt.Sprint(p.Name, " ", p.CIDR, " ", p.BlockSize, " ", p.Disabled))
	}
	must.Eq(t, []string{
		"default-ipv4-ippool 192.168.0.0/16 26 false", "default-ipv6-ippool fd00::/48 122 false", "10-0-0-0-16 10.0.0.0/16 26 true",
	}, []string{names[1], names[2], names[0]})
	must.Eq(t, Network{"default-ipv4-ippool", "VXLANCrossSubnet", true}, s.Networks[0])
	must.Eq(t, Network{"10-0-0-0-16", "IPIP", true}, s.Networks[1])
	must.Len(t, 3, s.Cluster.Nodes)
	must.Eq(t, "calico-ipam-control-plane", s.Cluster.Nodes[0].Name)
	must.MapContainsKey(t, s.Cluster.Nodes[0].Labels, "node-role.kubernetes.io/control-plane")
	must.Eq(t, "calico-ipam-worker", s.Cluster.Nodes[1].Name)
	must.Eq(t, "a", s.Cluster.Nodes[1].Labels["zone"])
	must.Eq(t, "calico-ipam-worker2", s.Cluster.Nodes[2].Name)

	s, err = read(Options{}, "apiVersion: operator.tigera.io/v1\nkind: Installation\nmetadata: {name: default}\nspec: {variant: Calico}\n",
		"kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n")
	must.NoError(t, err)
	must.EqOp(t, defaultPool, s.Cluster.Pools[0].CIDR)
	must.Eq(t, "kind-control-plane", s.Cluster.Nodes[0].Name)
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c.yaml")
	must.NoError(t, os.WriteFile(path, []byte(some), 0o600))
	s, err := Load(Options{}, path)
	must.NoError(t, err)
	must.Eq(t, 5, s.Objects)
	_, err = Load(Options{}, path, filepath.Join(dir, "missing.yaml"))
	must.ErrorIs(t, err, os.ErrNotExist)
	s, err = Load(Options{}, dir)
	must.NoError(t, err)
	must.Eq(t, 5, s.Objects)

	// What the reader itself fails with is its own, lenient or not.
	failure := errors.New("disk on fire")
	l := NewLoader(Options{Lenient: true})
	err = l.Add("x", io.MultiReader(strings.NewReader(some), iotest.ErrReader(failure)))
	must.ErrorIs(t, err, failure)
	must.False(t, errors.Is(err, ErrInvalid), must.Sprint(err))
}

func TestProgress(t *testing.T) {
	var last int64
	calls := 0
	_, err := func() (*Snapshot, error) {
		l := NewLoader(Options{Progress: func(n int64) {
			must.GreaterEq(t, last, n)
			last = n
			calls++
		}})
		must.NoError(t, l.Add("x", strings.NewReader(some)))
		return l.Snapshot()
	}()
	must.NoError(t, err)
	must.Eq(t, int64(len(some)), last)
	must.Positive(t, calls)
}
