package whatif

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
)

// TestCleaningHurtsNobody: whatever kinds the files lack, -gc gives back nothing that
// kube-controllers would not, who sees everything, and so no address of a pod that
// lives where it is booked.
func TestCleaningHurtsNobody(t *testing.T) {
	property.Slow(t)
	clusters := recordedClusters(t)
	property.Check(t, 60, 1, func(t *rapid.T) {
		if err := cleaningHurts(clusters, property.Rapid(t), func(*snapshot.Snapshot) {}, func(*world, *snapshot.Snapshot) {}); err != nil {
			t.Fatal(err)
		}
	})
}

// TestBrokenCleaning: the property catches cleanings that take what the files lack for
// what the cluster lacks.
func TestBrokenCleaning(t *testing.T) {
	property.Broken(t)
	clusters := recordedClusters(t)
	for name, misreads := range map[string]func(*snapshot.Snapshot){
		"takes no pods for none": func(s *snapshot.Snapshot) { s.Unlisted.Pods = false },
		"takes no machines for none": func(s *snapshot.Snapshot) {
			if s.Machines == nil {
				s.Machines = make(map[string]bool)
			}
		},
		"takes pods with addresses without IPAM for none": func(s *snapshot.Snapshot) {
			s.Pods = slices.DeleteFunc(slices.Clone(s.Pods), func(p snapshot.Pod) bool { return len(p.Outside) > 0 })
		},
	} {
		t.Run(name, func(t *testing.T) {
			must.True(t, property.Breaks(t, 60, 1, func(t *rapid.T) {
				if err := cleaningHurts(clusters, property.Rapid(t), misreads, func(*world, *snapshot.Snapshot) {}); err != nil {
					t.Fatal(err)
				}
			}))
		})
	}
	t.Run("releases each address that its pod does not report", func(t *testing.T) {
		must.True(t, property.Breaks(t, 60, 1, func(t *rapid.T) {
			if err := cleaningHurts(clusters, property.Rapid(t), func(*snapshot.Snapshot) {}, releasesUnreported); err != nil {
				t.Fatal(err)
			}
		}))
	})
}

// releasesUnreported releases each address that its pod does not report.
func releasesUnreported(w *world, s *snapshot.Snapshot) {
	for _, p := range s.Pods {
		for _, q := range w.Pods() {
			if q.Label() != p.Namespace+"/"+p.Name || len(p.IPs) == 0 {
				continue
			}
			for _, ip := range q.IPs {
				if !slices.Contains(p.IPs, ip) {
					_, _ = w.a.ReleaseIP(ipam.Release{IP: ip})
				}
			}
		}
	}
}

func recordedClusters(t *testing.T) (all []*snapshot.Snapshot) {
	t.Helper()
	for _, name := range []string{"dual-stack-0", "churn-0", "small-pool-0", "crash-0", "owners-0"} {
		s, err := snapshot.Load(snapshot.Options{}, "../../../testdata/snapshots/"+name+".v3.yaml.gz")
		must.NoError(t, err)
		all = append(all, s)
	}
	return all
}

// cleaningHurts peoples a cluster, hides some of it, cleans it, and returns whom that
// hurts.
func cleaningHurts(clusters []*snapshot.Snapshot, src property.Source, misreads func(*snapshot.Snapshot), breaks func(*world, *snapshot.Snapshot)) error {
	whole := *clusters[src.Pick("cluster", len(clusters))]
	people(&whole, src)
	full := snapshot.Check(&whole)
	hidden := whole
	for i, kind := range hideable {
		if src.Pick("hide "+kind, 3) == 2 {
			hide(&hidden, i)
		}
	}
	misreads(&hidden)
	w, err := newWorld(&hidden)
	if err != nil {
		return err
	}
	before := held(w)
	breaks(w, &hidden)
	if err := w.collect(new(change)); err != nil {
		return err
	}
	after := held(w)
	for ip, handle := range before {
		if _, goes := full.Released[ip]; !goes && after[ip] != handle {
			return fmt.Errorf("%s of %s was given back", ip, handle)
		}
	}
	return nil
}

// held returns who holds which address.
func held(w *world) map[netip.Addr]string {
	all := make(map[netip.Addr]string)
	s := w.a.State()
	for i := range s.Blocks {
		for _, al := range s.Blocks[i].Allocations {
			if al.Handle != "" {
				all[s.Blocks[i].Addr(al.Ordinal)] = al.Handle
			}
		}
	}
	return all
}

// people adds the pods that the allocations name, each with a fate.
func people(s *snapshot.Snapshot, src property.Source) {
	byName := make(map[string]*snapshot.Pod)
	var names []string
	s.Machines, s.Instances, s.Moving = map[string]bool{"a/other": true, "b/other": true}, make(map[string]bool), make(map[string]bool)
	s.Cluster.Blocks = slices.Clone(s.Cluster.Blocks)
	fates := make(map[string]int)
	for i := range s.Cluster.Blocks {
		b := &s.Cluster.Blocks[i]
		b.Allocations = slices.Clone(b.Allocations)
		for k := range b.Allocations {
			virtual(s, &b.Allocations[k], fates, src)
			al := b.Allocations[k]
			namespace, _ := al.Active.Get(ipam.AttrNamespace)
			name, _ := al.Active.Get(ipam.AttrPod)
			node, _ := al.Active.Get(ipam.AttrNode)
			if name == "" || namespace == "" {
				continue
			}
			key := namespace + "/" + name
			if byName[key] == nil {
				names = append(names, key)
				byName[key] = &snapshot.Pod{Namespace: namespace, Name: name, Node: node}
			}
			byName[key].IPs = append(byName[key].IPs, b.Addr(al.Ordinal))
		}
	}
	slices.Sort(names)
	s.Pods, s.Unlisted = nil, snapshot.KindSet{}
	for _, key := range names {
		p := byName[key]
		switch src.Pick("fate", 10) {
		case 6: // it asks for what it has
			p.Fixed = p.IPs
		case 7: // it has that without IPAM now, and the old allocation is left
			p.Outside = p.IPs
		case 1:
			p.IPs = nil
		case 2:
			p.IPs = p.IPs[:1]
		case 3:
			p.Node = s.Cluster.Nodes[0].Name
		case 4:
			p.Ended = true
		case 5:
			continue
		}
		s.Pods = append(s.Pods, *p)
	}
	s.Pods = append(s.Pods, snapshot.Pod{Namespace: "kube-system", Name: "proxy", HostNetwork: true}) // as everywhere
}

// virtual makes some pods those of virtual machines, which may be gone.
// Allocations of one handle share a record, so they share a fate.
func virtual(s *snapshot.Snapshot, al *block.Allocation, fates map[string]int, src property.Source) {
	namespace, _ := al.Active.Get(ipam.AttrNamespace)
	name, _ := al.Active.Get(ipam.AttrPod)
	if name == "" || namespace == "" {
		return
	}
	fate, known := fates[al.Handle]
	if !known {
		fate = src.Pick("machine", 12)
		fates[al.Handle] = fate
	}
	if fate > 2 {
		return
	}
	attrs := al.Active.Map()
	attrs[ipam.AttrVMI] = name
	al.Active = block.MakeAttrs(attrs)
	switch fate {
	case 1:
		s.Machines[namespace+"/"+name] = true
	case 2:
		s.Instances[namespace+"/"+name] = false
	}
}

// hideable are the kinds that files may lack.
var hideable = []string{"IPPool", "IPAMBlock", "BlockAffinity", "IPAMHandle", "Node", "Pod", "VirtualMachine"}

// hide makes one of these kinds one of which the files have nothing.
func hide(s *snapshot.Snapshot, i int) {
	c := &s.Cluster
	switch hideable[i] {
	case "IPPool":
		c.Pools, s.Unlisted.Pools = nil, true
	case "IPAMBlock":
		c.Blocks, s.Unlisted.Blocks = nil, true
	case "BlockAffinity":
		c.Affinities, s.Unlisted.Affinities = nil, true
	case "IPAMHandle":
		c.Handles, s.Unlisted.Handles = nil, true
	case "Node":
		c.Nodes, s.Addresses, s.Unlisted.Nodes = nil, nil, true
	case "Pod":
		s.Pods, s.Unlisted.Pods = nil, true
	case "VirtualMachine":
		s.Machines = nil
	}
}

// besideSample is a pool of two allocations that no pod reports: of a virtual machine that
// is stopped, and one by hand for a floating address of a pod; and of a pod with an
// address of it that IPAM does not book.
const besideSample = `---
apiVersion: v1
items:
- apiVersion: crd.projectcalico.org/v1
  kind: IPPool
  metadata: {name: vms}
  spec: {cidr: 10.90.0.0/24, blockSize: 29, nodeSelector: '!all()'}
- apiVersion: crd.projectcalico.org/v1
  kind: IPAMBlock
  metadata: {name: 10-90-0-8-29}
  spec:
    cidr: 10.90.0.8/29
    affinity: host:node-00
    allocations: [null, 0, 1, null, null, null, null, null]
    unallocated: [0, 3, 4, 5, 6, 7]
    attributes:
    - {handle_id: k8s-pod-network.vm, secondary: {namespace: vms, node: node-00, pod: launcher-1, vmi-name: vm1}}
    - {handle_id: by-hand, secondary: {note: floating}}
- apiVersion: crd.projectcalico.org/v1
  kind: BlockAffinity
  metadata: {name: node-00-10-90-0-8-29}
  spec: {cidr: 10.90.0.8/29, node: node-00, state: confirmed, deleted: "false"}
- apiVersion: crd.projectcalico.org/v1
  kind: IPAMHandle
  metadata: {name: k8s-pod-network.vm}
  spec: {handleID: k8s-pod-network.vm, block: {10.90.0.8/29: 1}}
- apiVersion: crd.projectcalico.org/v1
  kind: IPAMHandle
  metadata: {name: by-hand}
  spec: {handleID: by-hand, block: {10.90.0.8/29: 1}}
- apiVersion: kubevirt.io/v1
  kind: VirtualMachine
  metadata: {name: vm1, namespace: vms}
- apiVersion: kubevirt.io/v1
  kind: VirtualMachine
  metadata: {name: other, namespace: shop}
- apiVersion: kubevirt.io/v1
  kind: VirtualMachineInstance
  metadata: {name: other, namespace: shop}
- apiVersion: v1
  kind: Pod
  metadata: {name: out-0, namespace: edge, annotations: {cni.projectcalico.org/ipAddrsNoIpam: '["10.90.0.11"]', cni.projectcalico.org/floatingIPs: '["10.90.0.10"]'}}
  spec: {nodeName: node-00}
  status: {phase: Running, podIPs: [{ip: 10.90.0.11}]}
kind: List
`

// TestSampleWithoutKinds: the sample without one of its kinds or two, through the
// program. It advises to release nothing that a pod or tunnel uses, and says what it
// did not look at.
func TestSampleWithoutKinds(t *testing.T) {
	property.Slow(t)
	text, err := os.ReadFile(sample)
	must.NoError(t, err)
	text = append(text, besideSample...)
	l := snapshot.NewLoader(snapshot.Options{})
	must.NoError(t, l.Add("sample", bytes.NewReader(text)))
	whole, err := l.Snapshot()
	must.NoError(t, err)
	full := snapshot.Check(whole)
	used := map[string]string{"10.90.0.9": "a stopped machine", "10.90.0.10": "a floating address"}
	for _, p := range whole.Pods {
		for _, ip := range p.IPs {
			used[ip.String()] = p.Namespace + "/" + p.Name
		}
	}
	for _, f := range full.Findings {
		must.Eq(t, "", used[f.Address], must.Sprintf("%+v", f))
	}
	command := map[string]string{
		"IPPool": "ippools", "IPAMBlock": "ipamblocks", "BlockAffinity": "blockaffinities",
		"IPAMHandle": "ipamhandles", "Node": "nodes", "Pod": "pods -A",
		"VirtualMachine": "virtualmachines,virtualmachineinstances,virtualmachineinstancemigrations -A",
	}
	for i, first := range hideable {
		for _, second := range hideable[i:] {
			path := filepath.Join(t.TempDir(), "cluster.yaml")
			must.NoError(t, os.WriteFile(path, withoutKinds(text, first, second), 0o600))
			_, out, errs := do("-f", path, "-json", "-check", "-gc")
			must.Eq(t, "", errs)
			var r result
			must.NoError(t, json.Unmarshal([]byte(out), &r))
			must.SliceNotEmpty(t, r.Check.Unjudged, must.Sprint(first))
			must.SliceEmpty(t, r.Moves, must.Sprint("nothing is on its way here"))
			said := strings.Join(r.Check.Unjudged, "\n")
			must.True(t, strings.Contains(said, "kubectl get "+command[first]+" -o yaml") || strings.Contains(said, "kubectl get "+command[second]+" -o yaml"), must.Sprint(said))
			for _, f := range r.Check.Findings {
				for _, fix := range f.Fixes {
					switch fix.Does {
					case "release-address":
						must.Eq(t, "", used[fix.Object], must.Sprintf("%+v", f))
					case "delete-pod", "delete-handle":
						must.True(t, slices.ContainsFunc(full.Findings, func(x snapshot.Finding) bool { return slices.Contains(x.Fixes, fix) }), must.Sprintf("%+v", f))
					}
				}
			}
			gone := 0
			for i, of := range r.Cluster.Families {
				gone += of.InUse - r.Steps[0].After.Families[i].InUse
			}
			must.LessEq(t, len(full.Released), gone)
		}
	}
}

// withoutKinds returns a text of Lists without the items of these kinds.
func withoutKinds(text []byte, kinds ...string) []byte {
	var out strings.Builder
	lines := strings.SplitAfter(string(text), "\n")
	skips := false
	for i, line := range lines {
		if strings.HasPrefix(line, "- ") {
			kind, _ := strings.CutPrefix(strings.TrimSpace(lines[i+1]), "kind: ")
			skips = slices.Contains(kinds, kind)
		} else if !strings.HasPrefix(line, " ") {
			skips = false
		}
		if !skips {
			out.WriteString(line)
		}
	}
	return []byte(out.String())
}
