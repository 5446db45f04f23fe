package report

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/shoenig/test/must"
	"sigs.k8s.io/yaml"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
)

// kubectl prints at the moment of the tests, and course as the lab course does.
var kubectl, course = Kubectl{Now: moment}, Kubectl{Now: moment, Name: courseName}

func TestAge(t *testing.T) {
	const s, m, h, d, y = time.Second, time.Minute, time.Hour, 24 * time.Hour, 365 * 24 * time.Hour
	for _, c := range []struct {
		age  time.Duration
		want string
	}{
		{-y, "<invalid>"}, {-2 * s, "<invalid>"}, {-2*s + 1, "0s"}, {-s, "0s"}, {-1, "0s"},
		{0, "0s"}, {s - 1, "0s"}, {s, "1s"}, {45 * s, "45s"}, {2*m - 1, "119s"},
		{2 * m, "2m"}, {3*m + 20*s, "3m20s"}, {4*m + s - 1, "4m"}, {10*m - 1, "9m59s"},
		{10 * m, "10m"}, {12*m + 59*s, "12m"}, {3*h - 1, "179m"},
		{3 * h, "3h"}, {3*h + 5*m, "3h5m"}, {3*h + 59*s, "3h"}, {8*h - 1, "7h59m"},
		{8 * h, "8h"}, {26*h + 59*m, "26h"}, {2*d - 1, "47h"},
		{2 * d, "2d"}, {4*d + 2*h, "4d2h"}, {5*d + 59*m, "5d"}, {8*d - 1, "7d23h"},
		{8 * d, "8d"}, {30*d + 23*h, "30d"}, {2*y - 1, "729d"},
		{2 * y, "2y"}, {2*y + 364*d, "2y364d"}, {3*y + 23*h, "3y"}, {8*y - 1, "7y364d"},
		{8 * y, "8y"}, {9*y + 200*d, "9y"}, {292 * y, "292y"},
	} {
		must.Eq(t, c.want, age(c.age), must.Sprintf("%v", c.age))
	}
}

func TestColumns(t *testing.T) {
	must.Eq(t, "NAME                 A\nshort                1\nsomething-longer-x   2\n",
		Columns([]string{"NAME", "A"}, [][]string{{"short", "1"}, {"something-longer-x", "2"}}))
	must.Eq(t, "A     B\n1     2\n", Columns([]string{"A", "B"}, [][]string{{"1", "2"}}), must.Sprint("columns are six wide at least"))
	must.Eq(t, "NAME   AGE\n", Columns([]string{"NAME", "AGE"}, nil))
}

func TestNodes(t *testing.T) {
	nodes := []Node{
		{Name: "worker2", Ready: false, Created: moment.Add(-45 * time.Second), Version: "v1.28.0"},
		{
			Name: "control-plane", Ready: true, Created: moment.Add(-26 * time.Hour), Version: "v1.28.0",
			Labels: map[string]string{"node-role.kubernetes.io/control-plane": "", "kubernetes.io/hostname": "x"},
		},
		{Name: "worker", Ready: true, Version: "v1.28.0", Labels: map[string]string{"node-role.kubernetes.io/": ""}},
	}
	must.Eq(t, golden(`
NAME            STATUS     ROLES           AGE         VERSION
control-plane   Ready      control-plane   26h         v1.28.0
worker          Ready      <none>          <unknown>   v1.28.0
worker2         NotReady   <none>          45s         v1.28.0
`), kubectl.Nodes(nodes))
	must.Eq(t, "worker2", nodes[0].Name, must.Sprint("the argument is only read"))
	must.Eq(t, "No resources found\n", kubectl.Nodes(nil))
}

// Roles come from a map, but are in byte order.
func TestRoles(t *testing.T) {
	labels := map[string]string{"kubernetes.io/role": "b"}
	var want []string
	for _, r := range strings.Split("abcdefgh", "") {
		labels["node-role.kubernetes.io/"+r] = "true"
		want = append(want, r)
	}
	for range 100 {
		must.Eq(t, strings.Join(want, ","), roles(labels))
	}
	must.Eq(t, "<none>", roles(map[string]string{"kubernetes.io/role": ""}))
}

// claims is a state with affinities that are not sorted by name.
func claims() ipam.State {
	claim := func(host, cidr string, state affinity.State, age time.Duration) ipam.AffinityState {
		return ipam.AffinityState{Owner: affinity.HostOwner(host), CIDR: netip.MustParsePrefix(cidr), State: state, Created: moment.Add(-age)}
	}
	s := ipam.State{Affinities: []ipam.AffinityState{
		claim("worker2", "192.168.112.128/26", affinity.Pending, 3*time.Minute+20*time.Second),
		claim("worker", "192.168.131.128/26", affinity.Confirmed, 26*time.Hour),
		claim("worker", "fd00::40/122", affinity.PendingDeletion, 30*24*time.Hour),
	}}
	s.Affinities = append(s.Affinities, ipam.AffinityState{
		Owner: affinity.VirtualOwner("load-balancer"), CIDR: netip.MustParsePrefix("10.90.0.16/29"), State: affinity.Confirmed,
	})
	return s
}

func TestAffinities(t *testing.T) {
	must.Eq(t, golden(`
NAME                          AGE
load-balancer-10-90-0-16-29   <unknown>
worker-192-168-131-128-26     26h
worker-fd00--40-122           30d
worker2-192-168-112-128-26    3m20s
`), kubectl.Affinities(claims()))
	must.Eq(t, golden(`
NAME                                     AGE
ipam-block-affinity-10-90-0-16-29        <unknown>
ipam-block-affinity-192-168-112-128-26   3m20s
ipam-block-affinity-192-168-131-128-26   26h
ipam-block-affinity-fd00--40-122         30d
`), course.Affinities(claims()))
	must.Eq(t, "No resources found\n", kubectl.Affinities(ipam.State{}))
}

func TestAffinityColumns(t *testing.T) {
	must.Eq(t, golden(`
NAME                          NODE            CIDR
load-balancer-10-90-0-16-29   load-balancer   10.90.0.16/29
worker-192-168-131-128-26     worker          192.168.131.128/26
worker-fd00--40-122           worker          fd00::40/122
worker2-192-168-112-128-26    worker2         192.168.112.128/26
`), kubectl.AffinityColumns(claims()))
	must.Eq(t, golden(`
NAME                                     NODE            CIDR
ipam-block-affinity-10-90-0-16-29        load-balancer   10.90.0.16/29
ipam-block-affinity-192-168-112-128-26   worker2         192.168.112.128/26
ipam-block-affinity-192-168-131-128-26   worker          192.168.131.128/26
ipam-block-affinity-fd00--40-122         worker          fd00::40/122
`), course.AffinityColumns(claims()))
	must.Eq(t, "NAME   NODE   CIDR\n", course.AffinityColumns(ipam.State{}))
}

func TestAffinitiesYAML(t *testing.T) {
	s := claims()
	s.Affinities = s.Affinities[:1]
	want := `
apiVersion: v1
items:
- apiVersion: crd.projectcalico.org/v1
  kind: BlockAffinity
  metadata:
    creationTimestamp: "2026-01-01T11:56:40Z"
    name: %s
  spec:
    cidr: 192.168.112.128/26
    deleted: "false"
    node: worker2
    state: pending
kind: List
metadata:
  resourceVersion: ""
`
	must.Eq(t, fmt.Sprintf(golden(want), "worker2-192-168-112-128-26"), kubectl.AffinitiesYAML(s))
	must.Eq(t, fmt.Sprintf(golden(want), "ipam-block-affinity-192-168-112-128-26"), course.AffinitiesYAML(s))
	s.Affinities[0].Owner.Type = affinity.Virtual
	must.StrContains(t, kubectl.AffinitiesYAML(s), "\n    state: pending\n    type: virtual\n")
	must.Eq(t, "apiVersion: v1\nitems: []\nkind: List\nmetadata:\n  resourceVersion: \"\"\n", kubectl.AffinitiesYAML(ipam.State{}))
}

// The text is valid YAML with the node's name, for any name.
func TestAffinitiesYAMLQuotes(t *testing.T) {
	for _, host := range []string{"true", "1e3", "null", "0x1f", "a: b", "#", "- x", "\xff", "é"} {
		s := ipam.State{Affinities: []ipam.AffinityState{{
			Owner: affinity.HostOwner(host), CIDR: netip.MustParsePrefix("10.0.0.0/26"), State: affinity.Confirmed,
		}}}
		text := kubectl.AffinitiesYAML(s)
		must.StrContains(t, text, "creationTimestamp: null\n", must.Sprint("unknown"))
		var list affinityList
		must.NoError(t, yaml.UnmarshalStrict([]byte(text), &list))
		must.Eq(t, strings.ToValidUTF8(host, "\ufffd"), list.Items[0].Spec.Node)
	}
}

// courseName names a claim as the lab course does, without its host.
func courseName(_ string, cidr netip.Prefix) string {
	return "ipam-block-affinity-" + affinity.CIDRName(cidr)
}
