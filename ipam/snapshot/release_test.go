package snapshot

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
)

const plainPool = `apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: p}
spec: {cidr: 10.0.0.0/24}
`

func information(spec string) string {
	return "---\napiVersion: crd.projectcalico.org/v1\nkind: ClusterInformation\nmetadata: {name: default}\nspec: {" + spec + "}\n"
}

func daemonSetOf(image string) string {
	return "---\napiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: calico-node, namespace: calico-system}\n" +
		"spec: {template: {spec: {containers: [{name: kube-flannel, image: 'flannel:v0.1'}, {name: calico-node, image: '" + image + "'}]}}}\n"
}

func nodePod(i int, phase, image string) string {
	return fmt.Sprintf("---\napiVersion: v1\nkind: Pod\nmetadata: {name: calico-node-%d, namespace: kube-system}\n"+
		"spec: {hostNetwork: true, containers: [{name: calico-node, image: '%s'}]}\nstatus: {phase: %s}\n", i, image, phase)
}

func installationOf(spec, status string) string {
	return "---\napiVersion: operator.tigera.io/v1\nkind: Installation\nmetadata: {name: default}\n" +
		"spec: {calicoNetwork: {ipPools: [{name: p, cidr: 10.0.0.0/24, disableNewAllocations: false}]}" + spec + "}\nstatus: {" + status + "}\n"
}

// TestRelease: where the release is found, and what is said of it.
func TestRelease(t *testing.T) {
	const unnamed = "nothing in the resources names the release, so it is taken to be the newest, v3.33; add clusterinformations to what kubectl gets"
	pods := nodePod(1, "Running", "calico/node:v3.26.1") + nodePod(2, "Running", "calico/node:v3.27.0") + nodePod(3, "Running", "calico/node:v3.27.0")
	for _, c := range []struct{ text, version, why string }{
		{"", "", unnamed},
		{information("calicoVersion: v3.28.2"), "v3.28.2", "ClusterInformation default says v3.28.2"},
		{strings.ReplaceAll(information("calicoVersion: v3.28.2"), "crd.projectcalico.org/v1", "projectcalico.org/v3"), "v3.28.2", "ClusterInformation default says v3.28.2"},
		{information("calicoVersion: 3.30"), "v3.30", "ClusterInformation default says 3.30"},
		{information("calicoVersion: master"), "v3.33", "ClusterInformation default says master"},
		{information("calicoVersion: ''"), "", unnamed},
		{information("calicoVersion: [1]"), "", unnamed},
		{information("calicoVersion: v2.6.1"), "", "ClusterInformation default says v2.6.1, which is not understood; so it is taken to be the newest, v3.33"},
		{information("calicoVersion: v3.28.0, cnxVersion: v3.19.1"), "", "ClusterInformation default says Calico Enterprise v3.19.1, which is not understood; so it is taken to be the newest, v3.33"},
		{information("calicoVersion: v3.19.1, variant: TigeraSecureEnterprise"), "", "ClusterInformation default says Calico Enterprise v3.19.1, which is not understood; so it is taken to be the newest, v3.33"},
		{information("calicoVersion: v3.28.2, variant: Calico"), "v3.28.2", "ClusterInformation default says v3.28.2"},
		{information("calicoVersion: v3.16.1"), "v3.16.1", "ClusterInformation default says v3.16.1"},

		{daemonSetOf("docker.io/calico/node:v3.26.4"), "v3.26.4", "the calico-node image in DaemonSet calico-system/calico-node says v3.26.4"},
		{daemonSetOf("registry:5000/calico/node:v3.26.4@sha256:0123"), "v3.26.4", "the calico-node image in DaemonSet calico-system/calico-node says v3.26.4"},
		{daemonSetOf("rancher/hardened-calico:v3.28.1-build20240806"), "v3.28.1", "the calico-node image in DaemonSet calico-system/calico-node says v3.28.1-build20240806"},
		{daemonSetOf("registry:5000/calico/node"), "", unnamed},
		{daemonSetOf("calico/node@sha256:0123"), "", unnamed},
		{daemonSetOf("calico/node:latest"), "", "the calico-node image in DaemonSet calico-system/calico-node says latest, which is not understood; so it is taken to be the newest, v3.33"},
		{daemonSetOf("quay.io/tigera/cnx-node:v3.19.1"), "", "the calico-node image in DaemonSet calico-system/calico-node says Calico Enterprise v3.19.1, which is not understood; so it is taken to be the newest, v3.33"},
		{strings.ReplaceAll(daemonSetOf("calico/node:v3.26.4"), "name: calico-node, image", "name: other, image"), "", unnamed},
		{"---\napiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: x}\nspec: {template: [1]}\n", "", unnamed},

		{nodePod(1, "Running", "calico/node:v3.26.1"), "v3.26.1", "the calico-node image in Pod kube-system/calico-node-1 says v3.26.1"},
		{nodePod(1, "Running", "calico/node:v3.26.1") + nodePod(2, "Running", "calico/node:v3.26.1"), "v3.26.1", "the calico-node image in all 2 pods says v3.26.1"},
		{pods, "v3.27.0", "the calico-node image in 2 of 3 pods says v3.27.0, and is believed; the calico-node image in 1 of 3 pods says v3.26.1"},
		{nodePod(1, "Running", "calico/node:v3.26.10") + nodePod(2, "Running", "calico/node:v3.26.9"), "v3.26.9", "the calico-node image in 1 of 2 pods says v3.26.9, and is believed; the calico-node image in 1 of 2 pods says v3.26.10"},
		{nodePod(1, "Failed", "calico/node:v3.26.1"), "", unnamed},

		{installationOf("", "calicoVersion: v3.29.1, variant: Calico"), "v3.29.1", "Installation default says v3.29.1"},
		{installationOf("", "calicoVersion: v3.19.1, variant: TigeraSecureEnterprise"), "", "Installation default says Calico Enterprise v3.19.1, which is not understood; so it is taken to be the newest, v3.33"},
		{installationOf(", variant: Calico", ""), "", unnamed},

		// The order of the sources, however the objects stand.
		{installationOf("", "calicoVersion: v3.28.2") + pods + daemonSetOf("calico/node:v3.31.0") + information("calicoVersion: v3.28.2"), "v3.28.2",
			"ClusterInformation default says v3.28.2, and is believed; the calico-node image in DaemonSet calico-system/calico-node says v3.31.0; " +
				"the calico-node image in 2 of 3 pods says v3.27.0; the calico-node image in 1 of 3 pods says v3.26.1"},
		{installationOf("", "calicoVersion: v3.28.2") + pods + daemonSetOf("calico/node:v3.28.2"), "v3.28.2",
			"the calico-node image in DaemonSet calico-system/calico-node says v3.28.2, and is believed; " +
				"the calico-node image in 2 of 3 pods says v3.27.0; the calico-node image in 1 of 3 pods says v3.26.1"},
		{installationOf("", "calicoVersion: v3.27.0") + nodePod(1, "Running", "calico/node:v3.27.0"), "v3.27.0", "the calico-node image in Pod kube-system/calico-node-1 says v3.27.0"},
		{daemonSetOf("calico/node:v3.27.0") + information("calicoVersion: private"), "v3.27.0",
			"the calico-node image in DaemonSet calico-system/calico-node says v3.27.0; ClusterInformation default says private, which is not understood"},
	} {
		s, err := read(Options{}, plainPool+c.text)
		must.NoError(t, err, must.Sprint(c.text))
		must.SliceEmpty(t, s.Problems, must.Sprint(c.text))
		must.MapEmpty(t, s.Skipped, must.Sprint(c.text))
		must.Len(t, 1, s.Cluster.Pools, must.Sprint("that of an Installation is the IPPool"))
		must.Eq(t, c.why, s.CalicoFrom, must.Sprint(c.text))
		a, err := s.Allocator(ipam.Options{})
		must.NoError(t, err)
		if c.version == "" {
			must.Zero(t, s.Calico, must.Sprint(c.text))
			must.Eq(t, calico.V3(33), a.Calico())
			continue
		}
		must.Eq(t, c.version, s.Calico.String(), must.Sprint(c.text))
		must.Eq(t, s.Calico, a.Calico(), must.Sprint("restored as that release"))
		a, err = s.Allocator(ipam.Options{Calico: calico.V3(24)})
		must.NoError(t, err)
		must.Eq(t, calico.V3(24), a.Calico(), must.Sprint("the caller's counts"))
	}
}

// TestReleaseRaised: a cluster that has what the release does not runs a later one.
func TestReleaseRaised(t *testing.T) {
	for _, c := range []struct{ text, version, why string }{
		{"---\napiVersion: crd.projectcalico.org/v1\nkind: IPAMConfig\nmetadata: {name: default}\nspec: {autoAllocateBlocks: true, ipCooldownSeconds: 30}\n",
			"v3.33", "; but IPAMConfig default has ipCooldownSeconds 30, so it is raised to v3.33, the first release with that"},
		{strings.ReplaceAll("---\n"+plainPool, "{name: p}\nspec: {cidr: 10.0.0.0/24", "{name: q}\nspec: {namespaceSelector: 'has(x)', cidr: 10.1.0.0/24"),
			"v3.31", `; but IPPool q has namespaceSelector "has(x)", so it is raised to v3.31, the first release with that`},
		{strings.ReplaceAll("---\n"+plainPool, "{name: p}\nspec: {cidr: 10.0.0.0/24", "{name: q}\nspec: {assignmentMode: Manual, cidr: 10.1.0.0/24"),
			"v3.30", "; but IPPool q has assignmentMode Manual, so it is raised to v3.30, the first release with that"},
		{"---\n" + strings.ReplaceAll(someBlock, `  affinityClaimTime: "2026-01-01T00:00:00Z"`+"\n", ""),
			"v3.33", "; but IPAMBlock 10-0-0-0-30 has releasedAt 2026-01-01T00:00:10Z, so it is raised to v3.33, the first release with that"},
		{"---\n" + strings.ReplaceAll(someBlock, `releasedAt: "2026-01-01T00:00:10Z"`, "secondary: {}"),
			"v3.32", "; but IPAMBlock 10-0-0-0-30 has affinityClaimTime 2026-01-01T00:00:00Z, so it is raised to v3.32, the first release with that"},
	} {
		s, err := read(Options{}, plainPool+information("calicoVersion: v3.28.2")+c.text)
		must.NoError(t, err, must.Sprint(c.text))
		must.Eq(t, "ClusterInformation default says v3.28.2"+c.why, s.CalicoFrom)
		must.Eq(t, c.version, s.Calico.String())
		_, err = s.Allocator(ipam.Options{})
		must.NoError(t, err)
		must.SliceEmpty(t, s.Cluster.Lacks(s.Calico))

		s, err = read(Options{}, plainPool+information("calicoVersion: v3.33.1")+c.text)
		must.NoError(t, err)
		must.Eq(t, "v3.33.1", s.Calico.String(), must.Sprint("it has all of it"))
	}
}

// TestReleaseWritten: a snapshot that is written keeps its release.
func TestReleaseWritten(t *testing.T) {
	for _, version := range []string{"v3.28.2", "v3.31", ""} {
		s, err := read(Options{}, plainPool+information("calicoVersion: '"+version+"'"))
		must.NoError(t, err)
		for _, g := range []Group{V1, V3} {
			for _, write := range []func(io.Writer, Group) error{s.WriteYAML, s.WriteJSON} {
				var out bytes.Buffer
				must.NoError(t, write(&out, g))
				back, err := read(Options{}, out.String())
				must.NoError(t, err)
				must.Eq(t, s.Calico, back.Calico)
				must.Eq(t, s.CalicoFrom, back.CalicoFrom)
				must.Eq(t, s.Cluster, back.Cluster)
			}
		}
	}
}

// TestInstallationBesideItsPools: the pools of an Installation count where they are
// no IPPools yet.
func TestInstallationBesideItsPools(t *testing.T) {
	s, err := read(Options{}, installationOf("", "")+strings.ReplaceAll("---\n"+plainPool, "10.0.0.0/24", "10.0.0.0/24, disabled: true"))
	must.NoError(t, err)
	must.Len(t, 1, s.Cluster.Pools)
	must.True(t, s.Cluster.Pools[0].Disabled, must.Sprint("the IPPool counts"))
	s, err = read(Options{}, installationOf("", "")+strings.ReplaceAll("---\n"+plainPool, "{name: p}\nspec: {cidr: 10.0", "{name: q}\nspec: {cidr: 10.1"))
	must.NoError(t, err)
	must.Len(t, 2, s.Cluster.Pools)
	_, err = read(Options{}, installationOf("", "")+strings.ReplaceAll("---\n"+plainPool, "10.0.0.0/24", "10.1.0.0/24"))
	must.ErrorContains(t, err, "IPPool p: is given twice")
}
