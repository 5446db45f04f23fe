package ipam

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/pool"
)

// A Lack is something in a cluster that a release of Calico does not have, so that
// the cluster cannot run that release.
type Lack struct {
	Object string         // the first with it, such as "IPPool blue"
	Field  string         // with its value, such as `namespaceSelector "has(x)"`
	First  calico.Version // the first release with it
}

// String returns the object, the field and the first release with it.
func (l Lack) String() string {
	return fmt.Sprintf("%s has %s; Calico %s is the first release with that", l.Object, l.Field, l.First)
}

// Lacks returns what the cluster has and the release of Calico does not, each
// field once and those of the oldest release first (§16): none if the cluster can
// run the release. The release of the last one can run the whole cluster.
func (c *Cluster) Lacks(v calico.Version) []Lack {
	f := lackFinder{rules: v.Rules()}
	f.pools(c.Pools)
	if n := c.Config.IPCooldownSeconds; n > 0 {
		f.add(func(r *calico.Rules) *bool { return &r.Cooldown }, "IPAMConfig default", "ipCooldownSeconds", func() string { return strconv.Itoa(n) })
	}
	for i := range c.Affinities {
		if a := &c.Affinities[i]; a.Owner.Type == affinity.Virtual && !f.rules.LoadBalancer {
			f.add(func(r *calico.Rules) *bool { return &r.LoadBalancer }, "BlockAffinity "+affinity.Name(a.Owner.Name, a.CIDR), "type", func() string { return "virtual" })
		}
	}
	for i := range c.Blocks {
		f.block(&c.Blocks[i])
	}
	slices.SortStableFunc(f.lacks, func(x, y Lack) int { return cmp.Compare(x.First, y.First) })
	return f.lacks
}

type lackFinder struct {
	rules calico.Rules
	lacks []Lack
}

// add adds a field of an object, unless the release has it or another object was
// reported for it.
func (f *lackFinder) add(field func(*calico.Rules) *bool, object, name string, value func() string) {
	if *field(&f.rules) || slices.ContainsFunc(f.lacks, func(l Lack) bool { return strings.HasPrefix(l.Field, name+" ") }) {
		return
	}
	f.lacks = append(f.lacks, Lack{object, name + " " + value(), calico.First(field)})
}

func (f *lackFinder) pools(specs []pool.Spec) {
	for i := range specs {
		for _, n := range newFields(&specs[i]) {
			f.add(n.field, "IPPool "+specs[i].Name, n.name, func() string {
				if n.name == "namespaceSelector" { // which has blanks
					return strconv.Quote(n.value)
				}
				return n.value
			})
		}
	}
}

func (f *lackFinder) block(b *BlockState) {
	object := "IPAMBlock " + affinity.CIDRName(b.CIDR)
	if b.Owner.Type == affinity.Virtual {
		f.add(func(r *calico.Rules) *bool { return &r.LoadBalancer }, object, "affinity", b.Owner.String)
	}
	if !b.Claimed.IsZero() {
		f.add(func(r *calico.Rules) *bool { return &r.ReclaimEmptyBlocks }, object, "affinityClaimTime", func() string { return b.Claimed.UTC().Format(time.RFC3339) })
	}
	for i := range b.Allocations {
		al := &b.Allocations[i]
		if !al.ReleasedAt.IsZero() {
			f.add(func(r *calico.Rules) *bool { return &r.Cooldown }, object, "releasedAt", func() string { return al.ReleasedAt.UTC().Format(time.RFC3339) })
		}
		if al.Alternate.Len() > 0 {
			f.add(func(r *calico.Rules) *bool { return &r.AlternateOwners }, object, "alternateOwnerAttrs", func() string { return "of " + b.Addr(al.Ordinal).String() })
		}
	}
}
