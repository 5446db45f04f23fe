package snapshot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
)

// entry is a key of etcd with its value.
type entry struct{ key, value string }

// etcdOf is a cluster as it stands in etcd.
func etcdOf(t *testing.T, c ipam.Cluster) []entry {
	t.Helper()
	var out bytes.Buffer
	must.NoError(t, writeJSON(&out, c, V3))
	var list struct {
		Items []struct {
			APIVersion string          `json:"apiVersion"`
			Kind       string          `json:"kind"`
			Metadata   json.RawMessage `json:"metadata"`
			Spec       json.RawMessage `json:"spec"`
		} `json:"items"`
	}
	must.NoError(t, json.Unmarshal(out.Bytes(), &list))
	family := func(cidr netip.Prefix) string {
		if cidr.Addr().Is4() {
			return "ipv4"
		}
		return "ipv6"
	}
	entries := []entry{{"/calico/bgp/v1/global/as_num", "64512"}, {"/calico/felix/v2/no-region/host/a/status", `{"uptime":1}`}}
	for _, o := range list.Items {
		var meta struct {
			Name string `json:"name"`
		}
		must.NoError(t, json.Unmarshal(o.Metadata, &meta))
		switch o.Kind {
		case "IPAMBlock":
			var spec struct {
				CIDR netip.Prefix `json:"cidr"`
			}
			must.NoError(t, json.Unmarshal(o.Spec, &spec))
			entries = append(entries, entry{"/calico/ipam/v2/assignment/" + family(spec.CIDR) + "/block/" + strings.ReplaceAll(spec.CIDR.String(), "/", "-"), string(o.Spec)})
		case "IPAMHandle":
			entries = append(entries, entry{"/calico/ipam/v2/handle/" + meta.Name, string(o.Spec)})
		case "BlockAffinity":
			var spec struct {
				CIDR              netip.Prefix `json:"cidr"`
				Type, Node, State string
			}
			must.NoError(t, json.Unmarshal(o.Spec, &spec))
			if spec.Type == "" {
				spec.Type = "host"
			}
			entries = append(entries, entry{fmt.Sprintf("/calico/ipam/v2/%s/%s/%s/block/%s", spec.Type, spec.Node, family(spec.CIDR), strings.ReplaceAll(spec.CIDR.String(), "/", "-")),
				fmt.Sprintf(`{"state":%q,"deleted":false}`, spec.State)})
		case "IPAMConfiguration":
			var spec map[string]any
			must.NoError(t, json.Unmarshal(o.Spec, &spec))
			for _, name := range [][2]string{{"strictAffinity", "strict_affinity"}, {"autoAllocateBlocks", "auto_allocate_blocks"}} {
				if spec[name[0]] == true {
					spec[name[1]] = true
				}
				delete(spec, name[0])
			}
			text, err := json.Marshal(spec)
			must.NoError(t, err)
			entries = append(entries, entry{"/calico/ipam/v2/config", string(text)})
		default:
			text, err := json.Marshal(map[string]any{"kind": o.Kind, "apiVersion": "projectcalico.org/v3", "metadata": o.Metadata, "spec": o.Spec})
			must.NoError(t, err)
			entries = append(entries, entry{"/calico/resources/v3/projectcalico.org/" + strings.ToLower(o.Kind) + "s/" + meta.Name, string(text)})
		}
	}
	return entries
}

// TestEtcd: a cluster goes on from what etcdctl prints of it, in all its forms, and
// from values within other values, as from its resources.
func TestEtcd(t *testing.T) {
	files := recorded(t)
	if testing.Short() {
		files = files[:1]
	}
	for _, name := range files {
		want := loadFile(t, name+".v3.yaml.gz").Cluster
		for i := range want.Affinities {
			want.Affinities[i].Created = want.Affinities[i].Created.Truncate(0)
		}
		var both, values strings.Builder
		var kvs []map[string][]byte
		var inside []json.RawMessage
		confirmed := true
		for _, a := range want.Affinities {
			confirmed = confirmed && a.State == affinity.Confirmed
		}
		for _, e := range etcdOf(t, want) {
			fmt.Fprintf(&both, "%s\n%s\n", e.key, e.value)
			kvs = append(kvs, map[string][]byte{"key": []byte(e.key), "value": []byte(e.value)})
			if strings.HasPrefix(e.value, "{") {
				inside = append(inside, json.RawMessage(e.value))
				values.WriteString(e.value + "\n")
			}
		}
		values.WriteString("64512\n\n")
		asJSON, err := json.Marshal(map[string]any{"header": map[string]any{"revision": 7}, "kvs": kvs})
		must.NoError(t, err)
		nested, err := json.MarshalIndent(map[string]any{"Blocks": map[string]any{"KVPairs": inside}}, "", " ")
		must.NoError(t, err)
		for form, text := range map[string]string{
			"keys and values": both.String(), "carriage returns": strings.ReplaceAll(both.String(), "\n", "\r\n"),
			"prompt": "$ etcdctl get --prefix /calico\n" + both.String(), "json": string(asJSON), "values": values.String(), "nested": string(nested),
		} {
			s, err := read(Options{}, text)
			must.NoError(t, err, must.Sprintf("%s: %s", name, form))
			got, expected := s.Cluster, want
			if form == "values" || form == "nested" { // affinities are known from the blocks alone
				must.Len(t, min(1, len(want.Affinities)), s.Problems, must.Sprint(form))
				got.Affinities, expected.Affinities = nil, nil
				if confirmed && len(want.Affinities) > 0 {
					must.SliceNotEmpty(t, s.Cluster.Affinities)
				}
			}
			for i := range expected.Affinities { // moments stand in the resources only
				expected.Affinities[i].Created = got.Affinities[i].Created
			}
			must.Eq(t, expected, got, must.Sprintf("%s: %s", name, form))
		}
	}
}

// TestEtcdFaults: what is no value of its key is refused with the key.
func TestEtcdFaults(t *testing.T) {
	for text, want := range map[string]string{
		"/calico/ipam/v2/handle/h\n{\"handleID\":\"h\",\"blo":    `a.yaml:1: the value of "/calico/ipam/v2/handle/h" is no JSON, or the file is cut off`,
		"/calico/resources/v3/projectcalico.org/ippools/p\n{":    "is no JSON, or the file is cut off",
		"{\"state\":\"confirmed\"}\n{\"handleID\":\"h\",\"blo\n": "a.yaml:2: is no whole JSON value: the file is cut off",
		"/calico/ipam/v2/assignment/ipv4/block/10.0.0.0-26\n{}":  "IPAMBlock 10-0-0-0-26: spec.cidr: is missing",
		"/calico/ipam/v2/host/a/ipv4/block/10.0.0.0-99\n{}":      "spec.cidr: \"invalid Prefix\" is not a CIDR",
	} {
		_, err := read(Options{}, text, someNode)
		must.ErrorContains(t, err, want)
	}
	s, err := read(Options{}, "/calico/ipam/v2/host/a/ipv4/block/10.0.0.0-30\n\n/calico/ipam/v2/config\n{}\n")
	must.NoError(t, err)
	must.Eq(t, affinity.Confirmed, s.Cluster.Affinities[0].State, must.Sprint("written before there were states"))
	must.False(t, s.Cluster.Config.AutoAllocateBlocks, must.Sprint("what is false is not written"))
}

// TestCalicoctl: what calicoctl get prints of nodes and pods, and an export.
func TestCalicoctl(t *testing.T) {
	const nodes = `apiVersion: projectcalico.org/v3
items:
- apiVersion: projectcalico.org/v3
  kind: Node
  metadata: {name: a, labels: {zone: x}}
  spec:
    addresses: [{address: 172.18.0.2, type: InternalIP}]
    bgp: {ipv4Address: 172.18.0.2/16, ipv4IPIPTunnelAddr: 10.0.0.9}
    ipv4VXLANTunnelAddr: 10.0.0.10
    orchRefs: [{nodeName: a.example, orchestrator: k8s}]
- apiVersion: projectcalico.org/v3
  kind: Node
  metadata: {name: b}
  spec: {}
kind: NodeList
metadata: {resourceVersion: "7"}
`
	const endpoints = `apiVersion: projectcalico.org/v3
kind: WorkloadEndpointList
items:
- apiVersion: projectcalico.org/v3
  kind: WorkloadEndpoint
  metadata: {name: a-k8s-web--0-eth0, namespace: shop}
  spec: {node: a, orchestrator: k8s, pod: web-0, endpoint: eth0, ipNetworks: [10.0.0.1/32]}
- apiVersion: projectcalico.org/v3
  kind: WorkloadEndpoint
  metadata: {name: a-k8s-web--0-eth1, namespace: shop}
  spec: {node: a, orchestrator: k8s, pod: web-0, endpoint: eth1, ipNetworks: [10.0.0.2/32, "fd00::2/128"]}
`
	addr := netip.MustParseAddr
	s, err := read(Options{}, nodes, endpoints)
	must.NoError(t, err)
	must.SliceEmpty(t, s.Problems, must.Sprint(s.Problems))
	must.Eq(t, []ipam.Node{{Name: "a", Labels: map[string]string{"zone": "x"}}, {Name: "b"}}, s.Cluster.Nodes)
	must.False(t, s.Unlisted.Pods)
	must.Eq(t, []Pod{{Namespace: "shop", Name: "web-0", Node: "a", IPs: []netip.Addr{addr("10.0.0.1"), addr("10.0.0.2"), addr("fd00::2")}}}, s.Pods)
	must.Eq(t, []NodeAddress{
		{"a", addr("10.0.0.9"), "ipipTunnelAddress"}, {"a", addr("10.0.0.10"), "vxlanTunnelAddress"}, {"a", addr("172.18.0.2"), ""},
	}, s.Addresses)

	// Where Kubernetes' own objects are there, too, they count.
	s, err = read(Options{}, nodes, endpoints, change(someNode, "name: a", "name: a.example"), `
apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: shop}
spec: {nodeName: a.example}
status: {podIP: 10.0.0.3}
`)
	must.NoError(t, err)
	must.Eq(t, []string{"a.example", "b"}, nodeNames(s))
	must.Eq(t, []netip.Addr{addr("10.0.0.3")}, s.Pods[0].IPs)

	// An export parts resources and IPAM's own data with lines of equal signs.
	want, err := read(Options{}, some)
	must.NoError(t, err)
	var inside []json.RawMessage
	for _, e := range etcdOf(t, want.Cluster) {
		if strings.HasPrefix(e.key, "/calico/ipam/v2/assignment") || strings.HasPrefix(e.key, "/calico/ipam/v2/handle") {
			inside = append(inside, json.RawMessage(e.value))
		}
	}
	data, err := json.MarshalIndent(map[string]any{"ipam": inside, "BlockAffinities": []any{map[string]any{"host": "a", "cidr": "10.0.0.0/30", "state": "confirmed"}}}, "", "  ")
	must.NoError(t, err)
	s, err = read(Options{}, somePool+"---\n"+change(someNode, "v1", "projectcalico.org/v3")+"===\n"+string(data)+"\n")
	must.NoError(t, err)
	must.Eq(t, want.Cluster, s.Cluster)
}
