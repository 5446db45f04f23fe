package report

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
)

// Kubectl prints what kubectl does. It may be copied, and used by several goroutines
// if Name may.
type Kubectl struct {
	// Now is the moment at which it prints, for ages.
	Now time.Time
	// Name names the affinity of a host on a block. Nil is [affinity.Name], for what a
	// cluster shows; a course may show another.
	Name func(host string, cidr netip.Prefix) string
}

// Affinities returns what `kubectl get blockaffinities` prints: names, in their order,
// and ages.
func (k Kubectl) Affinities(s ipam.State) string {
	list := k.affinities(s)
	if len(list) == 0 {
		return noResources
	}
	rows := make([][]string, len(list))
	for i, a := range list {
		rows[i] = []string{a.name, k.Age(a.Created)}
	}
	return Columns([]string{"NAME", "AGE"}, rows)
}

// AffinityColumns returns the formatted listing of block affinities, what
//
//	kubectl get blockaffinities -o custom-columns=NAME:.metadata.name,NODE:.spec.node,CIDR:.spec.cidr
//
// prints: name, node and CIDR of each, in the order of names.
func (k Kubectl) AffinityColumns(s ipam.State) string {
	var rows [][]string
	for _, a := range k.affinities(s) {
		rows = append(rows, []string{a.name, a.Owner.Name, a.CIDR.String()})
	}
	return Columns([]string{"NAME", "NODE", "CIDR"}, rows)
}

// AffinitiesYAML returns what `kubectl get blockaffinities -o yaml` prints: a List
// of crd.projectcalico.org/v1 objects in the order of names, each with the fields
// that the simulation has. Resource versions, uids and labels come from the API
// server and are left out.
func (k Kubectl) AffinitiesYAML(s ipam.State) string {
	l := affinityList{APIVersion: "v1", Kind: "List", Items: []blockAffinity{}}
	for _, a := range k.affinities(s) {
		o := blockAffinity{APIVersion: "crd.projectcalico.org/v1", Kind: "BlockAffinity"}
		o.Metadata.Name = a.name
		if !a.Created.IsZero() {
			created := a.Created.UTC().Format(time.RFC3339)
			o.Metadata.CreationTimestamp = &created
		}
		o.Spec.CIDR = a.CIDR.String()
		o.Spec.Deleted = "false" // as it is in every live object (§1)
		o.Spec.Node = a.Owner.Name
		o.Spec.State = a.State.String()
		if a.Owner.Type != affinity.Host {
			// The course's clusters have no types yet; an affinity without a type
			// is a host's.
			o.Spec.Type = string(a.Owner.Type)
		}
		l.Items = append(l.Items, o)
	}
	var text strings.Builder
	e := yaml.NewEncoder(&text)
	e.SetIndent(2)
	e.CompactSeqIndent()
	if err := errors.Join(e.Encode(l), e.Close()); err != nil {
		panic("report: " + err.Error()) // strings can always be marshalled
	}
	return text.String()
}

// affinityList is kubectl's List of several objects.
type affinityList struct {
	APIVersion string          `yaml:"apiVersion"`
	Items      []blockAffinity `yaml:"items"`
	Kind       string          `yaml:"kind"`
	Metadata   struct {
		ResourceVersion string `yaml:"resourceVersion"`
	} `yaml:"metadata"`
}

// blockAffinity is the resource as Kubernetes stores it: deleted is a string.
type blockAffinity struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   struct {
		CreationTimestamp *string `yaml:"creationTimestamp"`
		Name              string  `yaml:"name"`
	} `yaml:"metadata"`
	Spec struct {
		CIDR    string `yaml:"cidr"`
		Deleted string `yaml:"deleted"`
		Node    string `yaml:"node"`
		State   string `yaml:"state"`
		Type    string `yaml:"type,omitempty"`
	} `yaml:"spec"`
}

// named is an affinity with its name.
type named struct {
	name string
	ipam.AffinityState
}

// affinities names the affinities and sorts them as kubectl lists them.
func (k Kubectl) affinities(s ipam.State) []named {
	name := k.Name
	if name == nil {
		name = affinity.Name
	}
	list := make([]named, len(s.Affinities))
	for i, a := range s.Affinities {
		list[i] = named{name(a.Owner.Name, a.CIDR), a}
	}
	// Two hosts may claim one block for a moment, under one course name.
	slices.SortStableFunc(list, func(a, b named) int { return cmp.Compare(a.name, b.name) })
	return list
}
