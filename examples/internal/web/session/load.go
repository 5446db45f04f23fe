package session

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/lifecycle"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// This file opens clusters from files: what kubectl prints of a live one.

// A dump is a cluster that was opened from a file.
type dump struct {
	name string
	snap *snapshot.Snapshot
	live *snapshot.Live // as the file has it; worlds are copies of it
}

type loadArgs struct {
	Name string `json:"name"`
}

// mostReasons is how many problems of a file the page is told.
const mostReasons = 20

// Load opens a file: YAML or JSON, plain or gzip, or a tar archive.
func (s *Session) Load(name string, data []byte) error {
	if s.slow != nil {
		return errSlow
	}
	if name == "" {
		return errors.New("name: want the name of the file")
	}
	l := snapshot.NewLoader(snapshot.Options{SkipOdd: true})
	err := l.Add(name, bytes.NewReader(data))
	var snap *snapshot.Snapshot
	if err == nil {
		snap, err = l.Snapshot()
	}
	if err == nil && snap.Objects == 0 {
		err = errors.New("it has no resources of Kubernetes: print them with " + snapshot.Command)
	}
	var live *snapshot.Live
	if err == nil {
		live, err = snap.Live()
	}
	if err != nil {
		return refusedFile(name, err)
	}
	return s.begin([]*Op{{Do: "load", Name: name}}, 1, &dump{name, snap, live})
}

// refusedFile is the error about a file that cannot be opened.
func refusedFile(name string, err error) error {
	out := &reasons{what: name + " cannot be opened; the cluster is as it was"}
	var invalid *snapshot.InvalidError
	if errors.As(err, &invalid) {
		for _, p := range invalid.Problems {
			out.why = append(out.why, strings.TrimSuffix(p.Error(), ", which is left out")) // nothing is: the file is refused
		}
	} else {
		out.why = strings.Split(err.Error(), "\n")
	}
	if n := len(out.why); n > mostReasons {
		out.why = append(out.why[:mostReasons], fmt.Sprintf("and %s more", thousands(n-mostReasons)))
	}
	return out
}

// world returns the cluster as the file has it.
func (d *dump) world() (*world, error) {
	live, err := d.live.Copy()
	if err != nil {
		return nil, err
	}
	w := &world{clock: live.Clock(), nodes: make(map[string]*node), pods: make(map[string]*pod), dump: d, live: live}
	w.begin()
	a := live.Allocator()
	for _, n := range a.Nodes() {
		w.found(n.Name, n.Labels, false)
	}
	assumed := d.snap.Unlisted.Nodes
	for name := range d.mentioned(a.State()) {
		if w.nodes[name] == nil {
			if assumed {
				if err := a.SetNode(ipam.Node{Name: name}); err != nil {
					return nil, err
				}
			}
			w.found(name, nil, !assumed)
		}
	}
	slices.SortFunc(w.order, func(a, b *node) int { return strings.Compare(a.name, b.name) })
	for i, n := range w.order {
		n.place = i
	}
	for _, lp := range live.Pods() {
		w.settle(&lp)
	}
	for i := range d.snap.Pods {
		if p := &d.snap.Pods[i]; len(p.IPs) == 0 && !p.HostNetwork && !p.Ended && w.nodes[p.Node] != nil && w.pods[p.Namespace+"/"+p.Name] == nil {
			lp := live.Pending(p)
			w.settle(&lp)
		}
	}
	w.use(a)
	for _, t := range d.snap.Addresses {
		if n := w.nodes[t.Node]; n != nil && t.Tunnel != "" {
			w.holds(&pod{node: n}, t.IP, 1)
		}
	}
	w.begin()
	d.tell(w)
	return w, nil
}

// found enters a node of the file.
func (w *world) found(name string, labels map[string]string, gone bool) {
	if labels == nil {
		labels = map[string]string{}
	}
	n := &node{name: name, labels: labels, gone: gone, blocks: make(map[netip.Prefix]bool)}
	_, n.control = labels[controlPlane]
	w.nodes[name] = n
	w.order = append(w.order, n)
	w.joined++
}

// mentioned are the nodes that blocks, claims and pods name, in order.
func (d *dump) mentioned(s ipam.State) func(yield func(string) bool) {
	names := make(map[string]bool)
	for i := range s.Blocks {
		if o := s.Blocks[i].Owner; o.Type == affinity.Host {
			names[o.Name] = true
		}
	}
	for _, a := range s.Affinities {
		if a.Owner.Type == affinity.Host {
			names[a.Owner.Name] = true
		}
	}
	for _, p := range d.live.Pods() {
		names[p.Node] = true
	}
	delete(names, "")
	return slices.Values(slices.Sorted(maps.Keys(names)))
}

// settle enters a pod of the file.
func (w *world) settle(lp *snapshot.LivePod) {
	n := w.nodes[lp.Node]
	if n == nil {
		return
	}
	p := newPod(lp.Namespace, lp.Name, n)
	for i := 2; w.pods[p.label()] != nil; i++ { // of one name with several handles
		p.name = fmt.Sprintf("%s#%d", lp.Name, i)
	}
	p.handle, p.ips, p.asks = lp.Handle, slices.Clone(lp.IPs), lp
	if p.waits() {
		p.why = "no-address-in-file"
		n.waiting++
	}
	n.pods = append(n.pods, p)
	w.pods[p.label()] = p
}

// oversee makes kube-controllers look at the cluster of a file as it is.
func (d *dump) oversee(w *world) lifecycle.Policy {
	d.snap.AddMachines(w.kubernetes)
	return d.snap.Policy()
}

// tell says what the file has.
func (d *dump) tell(w *world) {
	report := d.live.Report()
	w.say("%s has %s, %s, %s and %s.", d.name, count(len(w.order), "node"), count(report.Blocks, "block"), count(report.Allocated, "address")+" in use", count(report.Pods, "pod"))
	from := ""
	if d.snap.CalicoFrom != "" {
		from = " (" + d.snap.CalicoFrom + ")"
	}
	w.say("It goes on as Calico %s%s.", w.ipam.Calico(), from)
	if n := len(report.Findings); n > 0 {
		w.say("%s: see the findings.", are(n, "thing is not as it should be", "things are not as they should be"))
	} else {
		w.say("Nothing in it is wrong, as far as it tells.")
	}
	for _, text := range report.Unjudged {
		w.say("%s", text)
	}
}

// liveRequest is what a pod of a cluster from a file asks for.
func (w *world) liveRequest(p *pod) (ipam.AutoAssignArgs, trace.In) {
	lp := snapshot.LivePod{}
	if p.asks != nil {
		lp = *p.asks
	} else {
		lp.Namespace, lp.Name = p.namespace, p.name
		lp.Num4, lp.Num6 = w.live.Usual()
		if lp.Num4+lp.Num6 == 0 {
			lp.Num4, lp.Num6 = w.families()
		}
	}
	lp.Node, lp.Handle = p.node.name, p.handle
	return w.live.Request(&lp), trace.In{}
}

// assign has the allocator choose addresses for the pod, or takes those that it asks for.
func (w *world) assign(p *pod, args ipam.AutoAssignArgs) (v4, v6 ipam.Assignment, err error) {
	switch {
	case p.asks == nil:
		return w.ipam.AutoAssign(args)
	case p.asks.NoPool != "":
		v4.Asked, v4.Msgs = 1, []string{"pool-not-enabled"}
		return v4, v6, nil
	case len(p.asks.Fixed) == 0:
		return w.ipam.AutoAssign(args)
	}
	for _, ip := range p.asks.Fixed {
		one := ipam.AssignIPArgs{IP: ip, Host: args.Host, Handle: args.Handle, Attrs: args.Attrs, Use: args.Use, Windows: args.Windows, HostReserved: args.HostReserved4}
		v4.Asked++
		if ip.Is6() {
			one.HostReserved = args.HostReserved6
		}
		if err := w.ipam.AssignIP(one); err != nil {
			return v4, v6, err
		}
		v4.IPs = append(v4.IPs, netip.PrefixFrom(ip, ip.BitLen()))
	}
	return v4, v6, nil
}

// Finding is one fault of a cluster from a file.
type Finding struct {
	Kind    string   `json:"kind"`
	Address string   `json:"address"`
	Objects []string `json:"objects"`
	What    string   `json:"what"`
	Mend    string   `json:"mend"`
	Fixes   []Remedy `json:"fixes"`
}

// Remedy is a command that mends a finding.
type Remedy struct {
	Does    string `json:"does"`
	Object  string `json:"object"`
	Command string `json:"command"`
	DryRun  bool   `json:"dryRun"` // it says what would be done, and does nothing
}

// commandReply is what prints a file for load.
type commandReply struct {
	Command string `json:"command"`
}

// Findings is what there is to say about a file.
type Findings struct {
	Name      string    `json:"name"`
	Findings  []Finding `json:"findings"`
	Text      string    `json:"text"` // all of it, for people
	Unjudged  []string  `json:"unjudged"`
	Notes     []string  `json:"notes"`
	Problems  []string  `json:"problems"` // with the text of the file, harmless ones too
	Blocks    int       `json:"blocks"`
	Allocated int       `json:"allocated"`
	Cooling   int       `json:"cooling"`
	Handles   int       `json:"handles"`
	Pods      int       `json:"pods"`
	Objects   int       `json:"objects"`
	Calico    string    `json:"calico"`
	Latest    string    `json:"latest"` // the latest time in the file; empty for none
}

// Findings returns what is wrong with the cluster, as the file has it.
func (s *Session) Findings() (*Findings, error) {
	if s.dump == nil {
		return nil, errors.New("no file is open: findings are of a cluster that was opened from one (load)")
	}
	r, snap := s.dump.live.Report(), s.dump.snap
	f := &Findings{
		Name: s.dump.name, Findings: []Finding{}, Unjudged: notNil(r.Unjudged), Notes: notNil(r.Notes), Problems: []string{},
		Blocks: r.Blocks, Allocated: r.Allocated, Cooling: r.Cooling, Handles: r.Handles, Pods: r.Pods,
		Objects: snap.Objects, Calico: s.dump.live.Allocator().Calico().String(),
	}
	if !snap.Latest.IsZero() {
		f.Latest = snap.Latest.UTC().Format("2006-01-02T15:04:05Z")
	}
	for _, one := range r.Findings {
		to := Finding{string(one.Kind), one.Address, notNil(one.Objects), one.What, one.Mend, []Remedy{}}
		for _, fix := range one.Fixes {
			to.Fixes = append(to.Fixes, Remedy{string(fix.Does), fix.Object, fix.Command, fix.DryRun})
		}
		f.Findings = append(f.Findings, to)
	}
	for i, p := range snap.Problems {
		if i == mostReasons {
			f.Problems = append(f.Problems, fmt.Sprintf("and %s more", thousands(len(snap.Problems)-i)))
			break
		}
		f.Problems = append(f.Problems, p.Error())
	}
	var text strings.Builder
	if err := r.WriteText(&text, mostReasons); err != nil {
		return nil, err
	}
	f.Text = text.String()
	return f, nil
}
