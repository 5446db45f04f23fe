package whatif

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
	"github.com/ipamsim/ipamsim/pool"
)

// An explanation says why a pod on a node gets the addresses that it gets, or none.
type explanation struct {
	About string   `json:"about"`
	Has   []string `json:"has,omitempty"` // what it has now, in sentences
	// Pools are all of the families that it wants, used ones first in the order in
	// which they are tried.
	Pools  []poolWhy  `json:"pools"`
	Blocks []blockWhy `json:"blocks"` // the node's, in the order in which they are tried
	Next   []string   `json:"next"`   // what it would get now, step by step
	OK     bool       `json:"ok"`     // it would get all that it wants
}

// poolWhy says whether a pool is used, and why.
type poolWhy struct {
	Pool string `json:"pool"`
	CIDR string `json:"cidr"`
	Used bool   `json:"used"`
	Why  string `json:"why"`

	is4 bool
}

// blockWhy is a block of the node.
type blockWhy struct {
	Block string `json:"block"`
	Pool  string `json:"pool"`
	Free  int    `json:"free"`
	Why   string `json:"why"`

	usable bool
	is4    bool
}

// asker is who asks: a pod, or the next pod of a node.
type asker struct {
	snapshot.LivePod
	labels map[string]string // of its namespace
	about  string            // what is known of it
}

// explainPod explains the pod that is called NAMESPACE/NAME.
func (w *world) explainPod(s *snapshot.Snapshot, name string) (*explanation, error) {
	namespace, pod1, found := strings.Cut(name, "/")
	if !found || namespace == "" || pod1 == "" {
		return nil, fmt.Errorf("-explain %s: must be NAMESPACE/POD; -explain-node explains a node's next pod", name)
	}
	e := &explanation{About: "Pod " + name}
	a := asker{LivePod: snapshot.LivePod{Namespace: namespace, Name: pod1}}
	i := slices.IndexFunc(s.Pods, func(p snapshot.Pod) bool { return p.Namespace == namespace && p.Name == pod1 })
	pods := w.Pods()
	k := slices.IndexFunc(pods, func(p snapshot.LivePod) bool { return p.Label() == name })
	if i >= 0 {
		e.Has = beside(&s.Pods[i])
	}
	switch {
	case k >= 0:
		a.LivePod = pods[k]
		var has []string
		for _, ip := range a.IPs {
			has = append(has, w.hasText(ip, a.Node))
		}
		e.Has = append(has, e.Has...)
	case i < 0:
		var names []string
		for _, p := range s.Pods {
			names = append(names, p.Namespace+"/"+p.Name)
		}
		if s.Unlisted.Pods {
			return nil, fmt.Errorf("-explain %s: no allocation names this pod, and no pods are among the files: kubectl get pods -A -o json", name)
		}
		return nil, fmt.Errorf("-explain %s: there is no such pod; there are %s", name, listText(names))
	default:
		p := &s.Pods[i]
		switch {
		case len(p.Outside) > 0 && !p.HostNetwork && !p.Ended:
			e.OK = p.Faulty == ""
			return e, nil
		case p.HostNetwork:
			e.Has, e.OK = []string{"it uses the network of its node, so it needs no address of a pool"}, true
			return e, nil
		case p.Ended:
			e.Has, e.OK = []string{"it has ended, so it needs no address"}, true
			return e, nil
		case p.Node == "":
			e.Has = []string{"it is on no node yet: what it gets depends on the node, see -explain-node"}
			return e, nil
		}
		a.LivePod = w.Pending(p)
		e.Has = append(e.Has, "it has no address")
		for _, ip := range p.IPs {
			e.Has = append(e.Has, "it reports "+ip.String()+", which is not allocated to it")
		}
	}
	w.explain(s, &a, e)
	return e, nil
}

// explainNode explains the next pod of a node, which asks for nothing in particular.
func (w *world) explainNode(s *snapshot.Snapshot, node string) (*explanation, error) {
	if err := w.nodeCalled(node); err != nil {
		return nil, fmt.Errorf("-explain-node: %w", err)
	}
	a := asker{LivePod: snapshot.LivePod{Namespace: "whatif", Name: "next", Node: node}}
	a.Num4, a.Num6 = w.Usual()
	e := &explanation{About: "the next pod on " + node}
	w.explain(s, &a, e)
	return e, nil
}

// hasText says whose block an address is of.
func (w *world) hasText(ip netip.Addr, node string) string {
	in := "of no pool"
	if p := poolOf(w.a.Pools(), ip); p != nil {
		in = "of pool " + p.Name
	}
	cidr, owner, exists := w.a.BlockOf(ip)
	switch {
	case !exists:
		return fmt.Sprintf("it has %s %s, in no block", ip, in)
	case owner == affinity.HostOwner(node):
		return fmt.Sprintf("it has %s %s, in block %s of its own node", ip, in, cidr)
	case owner.IsZero():
		return fmt.Sprintf("it has %s %s, borrowed from block %s, which is nobody's", ip, in, cidr)
	}
	return fmt.Sprintf("it has %s %s, borrowed from block %s of %s", ip, in, cidr, owner.Name)
}

// explain fills in pools, blocks and what comes next (docs/calico.md §3 to
// docs/calico.md §8).
func (w *world) explain(s *snapshot.Snapshot, a *asker, e *explanation) {
	a.about = "its namespace is not in the files (kubectl get namespaces -o json)"
	for _, n := range s.Namespaces {
		if n.Name == a.Namespace {
			a.labels, a.about = n.Labels, ""
		}
	}
	for _, is4 := range []bool{true, false} {
		want, asked := a.Num4, a.Pools4
		if !is4 {
			want, asked = a.Num6, a.Pools6
		}
		if want == 0 {
			continue
		}
		if len(a.Fixed) > 0 {
			e.Pools = append(e.Pools, w.poolsOfFixed(a, is4)...)
			continue
		}
		pools := w.poolsFor(a, is4, asked)
		blocks := w.blocksOf(a.Node, is4, pools)
		e.Pools, e.Blocks = append(e.Pools, pools...), append(e.Blocks, blocks...)
	}
	if len(a.Fixed) > 0 {
		e.Next, e.OK = w.nextFixed(a)
	} else {
		e.Next, e.OK = w.next(a, e)
	}
	if a.Faulty != "" {
		e.Next, e.OK = append([]string{"it is refused: " + a.Faulty + "; once that is right:"}, e.Next...), false
	}
}

// poolsFor says of each pool of a family whether it is used: used ones first.
func (w *world) poolsFor(a *asker, is4 bool, asked []netip.Prefix) []poolWhy {
	var labels map[string]string
	known := false
	for _, n := range w.a.Nodes() {
		if n.Name == a.Node {
			labels, known = n.Labels, true
		}
	}
	var used, others []poolWhy
	for i, spec := range w.a.Pools() {
		if spec.CIDR.Addr().Is4() != is4 {
			continue
		}
		why := poolWhy{Pool: spec.Name, CIDR: spec.CIDR.String(), is4: is4}
		p, err := pool.New(spec)
		switch {
		case err != nil:
			why.Why = err.Error()
		case len(asked) > 0 && !slices.Contains(asked, spec.CIDR):
			why.Why = "the pod asks for other pools"
		case p.Disabled():
			why.Why = "it is disabled"
		case len(asked) == 0 && !p.Automatic():
			why.Why = "its assignment mode is Manual: a pod must ask for it"
		case len(asked) == 0 && !known:
			why.Why = "node " + a.Node + " is not in the files"
		case len(asked) == 0 && !p.SelectsNode(labels):
			why.Why = "its nodeSelector " + unmatched(spec.NodeSelector, "the node", labels)
		case len(asked) == 0 && !p.SelectsNamespace(a.labels):
			why.Why = "its namespaceSelector " + unmatched(spec.NamespaceSelector, "the namespace", a.labels)
			if a.about != "" {
				why.Why += "; " + a.about
			}
		case !p.Allows(pool.Workload):
			why.Why = "its allowedUses have no Workload"
		default:
			why.Used = true
			why.Why = fmt.Sprintf("%s left", bigPlural(w.last.Pools[i].Free, "block"))
			if len(asked) > 0 {
				why.Why = "the pod asks for it, so its selectors are not looked at; " + why.Why
			}
		}
		if why.Used {
			used = append(used, why)
		} else {
			others = append(others, why)
		}
	}
	slices.SortStableFunc(used, func(x, y poolWhy) int { // requested ones in the order of the request
		at := func(p poolWhy) int {
			return slices.IndexFunc(asked, func(c netip.Prefix) bool { return c.String() == p.CIDR })
		}
		return at(x) - at(y)
	})
	return append(used, others...)
}

var (
	quotedText = regexp.MustCompile(`'[^']*'|"[^"]*"`)
	labelName  = regexp.MustCompile(`[A-Za-z0-9_./-]+`)
)

// words of selectors that are no labels.
var selectorWords = []string{"has", "all", "global", "in", "not", "notin", "contains", "starts", "startswith", "ends", "endswith", "with"}

// unmatched says which labels a selector looks at, and what they are.
func unmatched(selector, who string, labels map[string]string) string {
	var has, lacks []string
	for _, name := range labelName.FindAllString(quotedText.ReplaceAllString(selector, " "), -1) {
		if slices.Contains(selectorWords, name) {
			continue
		}
		if value, there := labels[name]; !there {
			if !slices.Contains(lacks, name) {
				lacks = append(lacks, name)
			}
		} else if text := fmt.Sprintf("%s=%s", name, value); !slices.Contains(has, text) {
			has = append(has, text)
		}
	}
	says := selector + " does not match: " + who
	if len(has) > 0 {
		says += " has " + strings.Join(has, ", ")
		if len(lacks) > 0 {
			says += " and"
		}
	}
	if len(lacks) > 0 {
		says += " has no label " + strings.Join(lacks, ", ")
	}
	return says
}

// blocksOf says of each block of a node whether a request for those pools uses it, in
// the order in which it tries them (docs/calico.md §3).
func (w *world) blocksOf(node string, is4 bool, pools []poolWhy) []blockWhy {
	s := w.a.State()
	specs := w.a.Pools()
	at := make(map[netip.Prefix]*ipam.BlockState)
	for i := range s.Blocks {
		at[s.Blocks[i].CIDR] = &s.Blocks[i]
	}
	var all []blockWhy
	for _, aff := range s.Affinities {
		if aff.Owner != affinity.HostOwner(node) || aff.CIDR.Addr().Is4() != is4 {
			continue
		}
		why := blockWhy{Block: aff.CIDR.String(), is4: is4}
		if p := poolOf(specs, aff.CIDR.Addr()); p != nil {
			why.Pool = p.Name
		}
		used := slices.ContainsFunc(pools, func(p poolWhy) bool { return p.Used && p.Pool == why.Pool })
		b := at[aff.CIDR]
		if count, exists := w.a.CountBlock(aff.CIDR); exists {
			why.Free = count.Free
		}
		switch {
		case why.Pool == "":
			why.Why = "no pool has it"
		case !used:
			why.Why = "pool " + why.Pool + " is not used"
		case b == nil:
			why.Why, why.usable = "it does not exist; it is made where all before it are full", true
		case b.Owner != aff.Owner:
			why.Why = "it is another's by now: the affinity is stale, and goes"
		case len(b.Free) == 0:
			why.Why = "full"
		case why.Free == 0:
			why.Why = "what is free of it is reserved"
		default:
			why.Why, why.usable = "it has free addresses", true
		}
		if aff.State != affinity.Confirmed {
			why.Why += " (the affinity is " + aff.State.String() + ")"
		}
		all = append(all, why)
	}
	return all
}

// next tries what would come next, in a copy, and says how it comes about.
func (w *world) next(a *asker, e *explanation) (says []string, ok bool) {
	if a.NoPool != "" {
		return []string{"it is refused: its annotation asks for pool " + a.NoPool + ", which does not exist"}, false
	}
	t, err := w.trial()
	if err != nil {
		return []string{err.Error()}, false
	}
	ok = true
	for _, is4 := range []bool{true, false} {
		args := t.Request(&a.LivePod)
		args.Handle, args.Namespace = "k8s-pod-network.whatif-next", a.labels
		want, family := a.Num4, "IPv4"
		if is4 {
			args.Num6, args.Pools6 = 0, nil
		} else {
			want, family = a.Num6, "IPv6"
			args.Num4, args.Pools4 = 0, nil
		}
		if want == 0 {
			continue
		}
		before := make(map[netip.Prefix]affinity.Owner)
		for _, b := range t.a.State().Blocks {
			before[b.CIDR] = b.Owner
		}
		v4, v6, err := t.a.AutoAssign(args)
		got := v4
		if !is4 {
			got = v6
		}
		says = append(says, familySteps(e, is4, family)...)
		for _, ip := range got.IPs {
			says = append(says, family+": "+t.cameText(ip.Addr(), a.Node, before))
		}
		if err == nil {
			err = got.Err()
		}
		if err != nil {
			m := snapshot.Move{Err: err, Msgs: got.Msgs}
			says = append(says, family+": it is refused: "+m.Why())
			ok = false
		}
	}
	return says, ok
}

// familySteps says which pools and own blocks are tried first.
func familySteps(e *explanation, is4 bool, family string) []string {
	var pools, blocks []string
	for _, p := range e.Pools {
		if p.is4 == is4 && p.Used {
			pools = append(pools, p.Pool)
		}
	}
	if len(pools) == 0 {
		return []string{family + ": no pool may be used"}
	}
	usable := 0
	for _, b := range e.Blocks {
		if b.is4 != is4 || !slices.Contains(pools, b.Pool) {
			continue
		}
		text := b.Block + " (none free)"
		if b.usable {
			text = fmt.Sprintf("%s (%d free)", b.Block, b.Free)
			usable++
		}
		blocks = append(blocks, text)
	}
	own := "the node owns no block of them"
	if len(blocks) > 0 {
		own = "the node's own blocks of them are " + listText(blocks)
	}
	return []string{fmt.Sprintf("%s: the pools are %s, in this order", family, strings.Join(pools, ", ")), family + ": " + own}
}

// cameText says where an address came from.
func (w *world) cameText(ip netip.Addr, node string, before map[netip.Prefix]affinity.Owner) string {
	cidr, owner, _ := w.a.BlockOf(ip)
	had, existed := before[cidr]
	self := affinity.HostOwner(node)
	switch {
	case owner == self && existed && had == self:
		return fmt.Sprintf("it takes %s, the first in the queue of %s", ip, cidr)
	case owner == self && existed:
		return fmt.Sprintf("no block is left that nobody has, so the node takes %s over, which stood empty and was %s, and %s of it", cidr, ownerText(had), ip)
	case owner == self:
		return fmt.Sprintf("none has a free address, so the node claims %s, the first block on its walk that nobody has, and takes %s", cidr, ip)
	}
	return fmt.Sprintf("no block is left to claim, so it borrows %s from %s, which is %s", ip, cidr, ownerText(owner))
}

func ownerText(o affinity.Owner) string {
	if o.IsZero() {
		return "nobody's"
	}
	return o.Name + "'s"
}

// explained prints an explanation.
func (p *printer) explained(e *explanation) {
	p.line("== Why %s gets what it gets\n", e.About)
	for _, s := range e.Has {
		p.text("", "%s.", strings.ToUpper(s[:1])+s[1:])
	}
	if len(e.Has) > 0 && len(e.Pools) > 0 {
		p.line("")
	}
	if len(e.Pools) > 0 {
		p.line("Pools:")
		for _, w := range e.Pools {
			used := "not used"
			if w.Used {
				used = "used"
			}
			p.text("  ", "%s %s: %s: %s", w.Pool, w.CIDR, used, w.Why)
		}
	}
	if len(e.Blocks) > 0 {
		var rows [][]string
		for _, b := range e.Blocks {
			rows = append(rows, []string{b.Block, b.Pool, fmt.Sprint(b.Free), b.Why})
		}
		p.line("")
		p.table([]string{"BLOCK OF THE NODE", "POOL", "FREE", "WHY"}, rows)
	}
	if len(e.Next) > 0 {
		p.line("\nIf it asked now:")
		for i, s := range e.Next {
			p.text("  ", "%d. %s", i+1, s)
		}
	}
}
