package whatif

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
	"github.com/ipamsim/ipamsim/pool"
)

// small is a cluster of two nodes. One of them has both blocks of the pool, the
// second of them empty; x has the only address.
const small = `apiVersion: crd.projectcalico.org/v1
kind: IPPool
metadata: {name: p}
spec: {cidr: 10.0.0.0/28, blockSize: 29}
---
apiVersion: v1
kind: Node
metadata: {name: a}
---
apiVersion: v1
kind: Node
metadata: {name: b}
---
apiVersion: crd.projectcalico.org/v1
kind: IPAMBlock
metadata: {name: 10-0-0-0-29}
spec:
  cidr: 10.0.0.0/29
  affinity: host:a
  allocations: [0, null, null, null, null, null, null, null]
  attributes: [{handle_id: hX, secondary: {node: a, namespace: shop, pod: x}}]
  unallocated: [1, 2, 3, 4, 5, 6, 7]
---
apiVersion: crd.projectcalico.org/v1
kind: IPAMBlock
metadata: {name: 10-0-0-8-29}
spec:
  cidr: 10.0.0.8/29
  affinity: host:a
  allocations: [null, null, null, null, null, null, null, null]
  attributes: []
  unallocated: [0, 1, 2, 3, 4, 5, 6, 7]
---
apiVersion: crd.projectcalico.org/v1
kind: BlockAffinity
metadata: {name: a-10-0-0-0-29}
spec: {cidr: 10.0.0.0/29, node: a, state: confirmed, deleted: "false"}
---
apiVersion: crd.projectcalico.org/v1
kind: BlockAffinity
metadata: {name: a-10-0-0-8-29}
spec: {cidr: 10.0.0.8/29, node: a, state: confirmed, deleted: "false"}
`

func handleOf(id, counts string) string {
	return fmt.Sprintf("---\napiVersion: crd.projectcalico.org/v1\nkind: IPAMHandle\nmetadata: {name: %s}\nspec: {handleID: %s, block: {%s}}\n", strings.ToLower(id), id, counts)
}

func informationOf(version string) string {
	return "---\napiVersion: crd.projectcalico.org/v1\nkind: ClusterInformation\nmetadata: {name: default}\nspec: {calicoVersion: " + version + "}\n"
}

const cooldownOf30 = "---\napiVersion: crd.projectcalico.org/v1\nkind: IPAMConfig\nmetadata: {name: default}\nspec: {autoAllocateBlocks: true, ipCooldownSeconds: 30}\n"

// about runs the program on a text. What is printed comes with one blank where a line
// or column ends.
func about(text string, args ...string) (status int, out, errs string) {
	var stdout, stderr bytes.Buffer
	status = run(append([]string{"-f", "-"}, args...), strings.NewReader(text), &stdout, &stderr)
	return status, strings.Join(strings.Fields(stdout.String()), " "), strings.Join(strings.Fields(stderr.String()), " ")
}

// TestCalico: which release is taken, and what is said of it.
func TestCalico(t *testing.T) {
	for _, c := range []struct {
		text string
		args []string
		want string
	}{
		{small, nil, "Calico v3.33: nothing in the resources names the release, so it is taken to be the newest, v3.33; add clusterinformations to what kubectl gets; -calico chooses another. POOL"},
		{small + informationOf("v3.28.2"), nil, "Calico v3.28.2: ClusterInformation default says v3.28.2. POOL"},
		{small + informationOf("v3.28.2"), []string{"-calico", "v3.31"}, "Calico v3.31: given with -calico; ClusterInformation default says v3.28.2. POOL"},
		{small, []string{"-calico", "v3.31"}, "Calico v3.31: given with -calico. POOL"},
		{small + informationOf("v3.28.2"), []string{"-calico", "master"}, "Calico v3.33: given with -calico; "},
		{small + informationOf("v3.28.2") + cooldownOf30, nil, "Calico v3.33: ClusterInformation default says v3.28.2; but IPAMConfig default has ipCooldownSeconds 30, so it is raised to v3.33, the first release with that. POOL"},
		{small + informationOf("v3.16.5"), nil, "Calico v3.16.5: ClusterInformation default says v3.16.5. Note: Calico v3.16.5 is answered as v3.22: older allocators were not looked at, and of the cleaning controller none before v3.24. POOL"},
		{small + informationOf("tigera"), nil, "Calico v3.33: ClusterInformation default says tigera, which is not understood; so it is taken to be the newest, v3.33; -calico chooses another. POOL"},
	} {
		status, out, errs := about(c.text, c.args...)
		must.Zero(t, status, must.Sprint(errs))
		must.Eq(t, "", errs)
		must.StrContains(t, out, c.want)

		_, text, _ := about(c.text, append([]string{"-json"}, c.args...)...)
		var r result
		must.NoError(t, json.Unmarshal([]byte(text), &r))
		must.True(t, strings.HasPrefix(c.want, "Calico "+r.Calico.Version+": "), must.Sprint(r.Calico.Version))
		must.StrContains(t, out, r.Calico.Why)
		must.StrContains(t, out, r.Calico.Warning)
	}
	for args, want := range map[string]string{
		"-calico v3.28":  "whatif: -calico v3.28: the cluster cannot run it: IPAMConfig default has ipCooldownSeconds 30; Calico v3.33 is the first release with that",
		"-calico tigera": "-calico tigera: must be a release of Calico such as v3.28",
	} {
		status, out, errs := about(small+cooldownOf30, strings.Fields(args)...)
		must.Eq(t, 2, status)
		must.Eq(t, "", out)
		must.StrContains(t, errs, want)
	}
}

// TestByRelease: changes go by the release. Since v3.32 b takes the empty block of a,
// before it can only borrow.
func TestByRelease(t *testing.T) {
	for release, refused := range map[string]bool{"v3.28": true, "v3.31": true, "v3.32": false, "v3.33": false} {
		for _, args := range [][]string{{"-calico", release}, nil} {
			status, out, _ := about(small+informationOf(release), append(args, "-strict")...)
			must.Eq(t, refused, status == 1, must.Sprintf("%s %v", release, args))
			must.Eq(t, refused, strings.Contains(out, "one more pod on b: no block is left to claim"), must.Sprint(out))
		}
	}
	status, out, _ := about(small, "-calico", "v3.28", "-cooldown", "30s")
	must.Eq(t, 1, status)
	must.StrContains(t, out, "the change itself: invalid ipCooldownSeconds \"30\": Calico v3.28 has no ipCooldownSeconds; v3.33 is the first release that does")

	w := worldOf(t, small+handleOf("z", "10.0.0.0/29: 1")+informationOf("v3.26.1"))
	must.Eq(t, "v3.26.1", w.a.Calico().String())
	trial, err := w.trial()
	must.NoError(t, err)
	must.Eq(t, w.a.Calico(), trial.a.Calico())
	gone, err := w.Collect()
	must.NoError(t, err)
	must.Eq(t, 1, gone.Handles)
	must.Eq(t, "v3.26.1", w.a.Calico().String())
}

func worldOf(t *testing.T, text string) *world {
	t.Helper()
	l := snapshot.NewLoader(snapshot.Options{})
	must.NoError(t, l.Add("x.yaml", strings.NewReader(text)))
	s, err := l.Snapshot()
	must.NoError(t, err)
	w, err := newWorld(s)
	must.NoError(t, err)
	return w
}

// TestHandles: those that count too much, where they come from, and how they go.
func TestHandles(t *testing.T) {
	const pod = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: other, namespace: shop}\nspec: {nodeName: a}\nstatus: {phase: Running}\n"
	text := small + handleOf("hX", "10.0.0.0/29: 3") + handleOf("Gone1", "10.0.0.0/29: 2") + handleOf("gone2", "10.0.0.8/29: 1")
	const counted = "Note: of 3 handles, 2 hold no address at all and 1 counts more than it holds. "
	const end = "They do no harm but take room in the datastore; -gc clears those without addresses."
	const leaves = " leaves such handles behind: of several addresses of a handle in one block that one call releases, its count there is lowered by one only."
	const stops = " An upgrade to v3.33 stops it; requests that a block can serve only in part leave some in every release. "
	for release, want := range map[string]string{
		"v3.28.2": "Calico v3.28.2" + leaves + stops,
		"v3.31":   "Calico v3.31" + leaves + " Since v3.31 kube-controllers releases leaks in such calls." + stops,
		"v3.33":   "They are left from releases before v3.33, or from requests that a block could serve only in part. ",
	} {
		status, out, _ := about(text, "-check", "-calico", release)
		must.Zero(t, status)
		must.StrContains(t, out, counted+want+end)
	}
	_, out, _ := about(text, "-calico", "v3.28")
	must.StrNotContains(t, out, "handles", must.Sprint("only a check counts them"))

	_, out, _ = about(small+handleOf("hX", "10.0.0.0/29: 1"), "-check", "-calico", "v3.28")
	must.StrNotContains(t, out, "no address at all")
	_, out, _ = about(small+handleOf("hX", "10.0.0.0/29: 2"), "-check", "-calico", "v3.33")
	must.StrContains(t, out, "of 1 handle, 1 counts more than it holds. They")
	must.StrNotContains(t, out, "-gc clears")
	// Another handle's id in other letters is the same handle.
	_, out, _ = about(small+handleOf("Hx", "10.0.0.0/29: 1"), "-json", "-check")
	must.StrContains(t, out, `"handles": { "total": 1, "withoutAddresses": 0, "countMore": 0 }`)

	// The address of hX has leaked here. Cleaning empties the handle, but in the real
	// cluster it holds an address.
	_, out, _ = about(text+pod, "-gc", "-check")
	must.StrContains(t, out, "1 address that leaked, 1 block, 0 stale affinities and 3 handles without addresses were given back.")
	must.StrContains(t, out, "first as it stands here, which changes nothing, then without --dry-run.")
	must.Eq(t, 4, strings.Count(out, "--dry-run=server"), must.Sprint("of the check, and of the cleaning"))
	must.StrContains(t, out, "kubectl delete ipamhandle gone1 --dry-run=server kubectl delete ipamhandle gone2 --dry-run=server")
	_, out, _ = about(text, "-gc", "-gc")
	must.Eq(t, 2, strings.Count(out, "--dry-run=server"), must.Sprint("the second has nothing left"))
	_, out, _ = about(small, "-gc")
	must.StrNotContains(t, out, "dry-run")

	// Where blocks may be missing nothing is to be deleted.
	_, out, _ = about(handleOf("gone", "10.0.0.0/29: 1"), "-gc")
	must.StrNotContains(t, out, "dry-run")
	must.StrContains(t, out, "0 handles without addresses were given back. Whether handles hold what they count was not looked at: of the blocks, none are among the resources (kubectl get ipamblocks -o yaml).")
	_, out, _ = about(text+"---\napiVersion: v1\nkind: Node\nmetadata: {name: a, labels: {other: x}}\n", "-gc", "-lenient")
	must.StrNotContains(t, out, "dry-run")

	many := small
	for i := range most + 3 {
		many += handleOf(fmt.Sprintf("gone-%02d", i), "10.0.0.0/29: 1")
	}
	_, out, _ = about(many, "-gc")
	must.Eq(t, most, strings.Count(out, "--dry-run=server"))
	must.StrContains(t, out, "… and 3 more; -json has all")
	_, out, _ = about(many, "-gc", "-json")
	must.Eq(t, most+3, strings.Count(out, "--dry-run=server"))
}

// TestSurplusOfOldReleases: what releases before v3.33 leave behind is what is counted.
func TestSurplusOfOldReleases(t *testing.T) {
	for version, want := range map[calico.Version]int{calico.V3(31): 1, calico.V3(33): 0} {
		w := worldOf(t, small)
		c := w.a.Cluster()
		a, err := ipam.Restore(c, ipam.Options{Now: w.Clock().Now, Calico: version})
		must.NoError(t, err)
		v4, _, err := a.AutoAssign(ipam.AutoAssignArgs{Host: "a", Num4: 3, Handle: "batch", Use: pool.Workload})
		must.NoError(t, err)
		var releases []ipam.Release
		for _, ip := range v4.IPs {
			releases = append(releases, ipam.Release{IP: ip.Addr(), Handle: "batch"})
		}
		_, _, err = a.ReleaseIPs(releases...)
		must.NoError(t, err)
		w.a = a
		must.Eq(t, want, w.handleFigures().Empty, must.Sprint(version))
	}
}

// TestHarmlessAndSkipped: what is harmless is not counted, and what was skipped is
// said once.
func TestHarmlessAndSkipped(t *testing.T) {
	const other = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\n"
	text := "Error from server (NotFound): nothing of the kind\n" + small + other + other
	_, out, _ := about(text)
	must.StrNotContains(t, out, "not as")
	must.StrContains(t, out, "Note: objects of other kinds were skipped: 2 Deployment, 2 Secret.")
	_, out, _ = about(text, "-check")
	must.Eq(t, 1, strings.Count(out, "objects of other kinds were skipped: 2 Deployment, 2 Secret."))
	_, out, _ = about(text, "-json")
	must.StrContains(t, out, `"skipped": { "Deployment": 2, "Secret": 2 }`)
	_, out, _ = about(small)
	must.StrNotContains(t, out, "skipped")

	harmful := text + "---\napiVersion: v1\nkind: Node\nmetadata: {name: a, labels: {other: x}}\n"
	_, out, _ = about(harmful, "-lenient")
	must.StrContains(t, out, "Note: 1 thing is not as it should be in the files; -check names them.")
}

// TestField: a dump as people have it names its release.
func TestField(t *testing.T) {
	text, err := os.ReadFile(filepath.FromSlash("../../../testdata/field/08-other-kinds-beside.yaml"))
	must.NoError(t, err)
	_, out, _ := about(string(text))
	must.StrContains(t, out, "Calico v3.27.0: ClusterInformation default says v3.27.0. POOL")
	must.StrContains(t, out, "Note: objects of other kinds were skipped: 1 FelixConfiguration.")
}

// TestHandlesOfTheLastDay: where handles say when they were made, the page says how
// many stay behind in a day.
func TestHandlesOfTheLastDay(t *testing.T) {
	made := func(id, at string) string {
		return "---\napiVersion: crd.projectcalico.org/v1\nkind: IPAMHandle\nmetadata: {name: " + id + ", creationTimestamp: '" + at + "'}\nspec: {handleID: " + id + ", block: {10.0.0.0/29: 1}}\n"
	}
	text := small + made("old", "2026-11-01T00:00:00Z") + made("new", "2026-11-27T12:00:00Z") + made("newest", "2026-11-28T00:00:00Z")
	_, out, errs := about(text, "-check", "-calico", "v3.31")
	must.StrContains(t, strings.Join(strings.Fields(out), " "), "Of those without an address 2 were made in the last day: so many a day stay behind.", must.Sprint(errs))
	_, out, _ = about(text, "-check", "-calico", "v3.33")
	must.StrNotContains(t, out, "last day")
	_, out, _ = about(small+handleOf("gone", "10.0.0.0/29: 1"), "-check", "-calico", "v3.31")
	must.StrNotContains(t, out, "last day")
}
