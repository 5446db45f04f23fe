package snapshot

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
)

// This file finds out which release of Calico the cluster runs. What it reads only
// for that is never a problem: an object that does not look as expected says nothing.

// source is what may name the release. The first source that does is believed.
type source int

const (
	clusterInformation source = iota
	daemonSet
	nodePods
	installation
)

// A sighting is a release that a source names.
type sighting struct {
	source     source
	object     string // the first that names it
	text       string // such as v3.28.2
	enterprise bool
	count      int // objects that name it
}

// maxSightings is how many releases are noted that one source names. While a cluster
// is upgraded there are two.
const maxSightings = 4

// saw notes a release that an object names.
func (l *Loader) saw(from source, object, text string, enterprise bool) {
	if text == "" {
		return
	}
	of := 0
	for i := range l.sightings {
		s := &l.sightings[i]
		if s.source == from && s.text == text && s.enterprise == enterprise {
			s.count++
			return
		}
		if s.source == from {
			of++
		}
	}
	if of < maxSightings {
		l.sightings = append(l.sightings, sighting{from, object, text, enterprise, 1})
	}
}

// version returns the release, and false for one that is not understood.
func (s *sighting) version() (calico.Version, bool) {
	v, err := calico.Parse(s.text)
	if err != nil || s.enterprise {
		return 0, false
	}
	return v.Known(), true
}

// says returns what names the release, with that release.
func (s *sighting) says(all []sighting) string {
	who := s.object
	switch s.source {
	case daemonSet:
		who = "the calico-node image in " + s.object
	case nodePods:
		total := 0
		for i := range all {
			if all[i].source == nodePods {
				total += all[i].count
			}
		}
		switch {
		case total == 1:
			who = "the calico-node image in " + s.object
		case s.count == total:
			who = fmt.Sprintf("the calico-node image in all %d pods", total)
		default:
			who = fmt.Sprintf("the calico-node image in %d of %d pods", s.count, total)
		}
	}
	text := s.text
	if len(text) > maxQuoted {
		text = clip(text)
	}
	if s.enterprise {
		text = "Calico Enterprise " + text
	}
	return who + " says " + text
}

// release returns the release that the cluster runs and how that was found.
func (l *Loader) release(c *ipam.Cluster) (calico.Version, string) {
	seen := slices.Clone(l.sightings)
	// While a cluster is upgraded its pods differ: most of them decide, else the older.
	slices.SortStableFunc(seen, func(x, y sighting) int {
		a, _ := x.version()
		b, _ := y.version()
		return cmp.Or(cmp.Compare(x.source, y.source), cmp.Compare(y.count, x.count), cmp.Compare(a, b), strings.Compare(x.text, y.text))
	})
	var best *sighting
	var found calico.Version
	var unknown, others []string
	for i := range seen {
		s := &seen[i]
		switch v, understood := s.version(); {
		case !understood:
			unknown = append(unknown, s.says(seen)+", which is not understood")
		case best == nil:
			best, found = s, v
		case v != found:
			others = append(others, s.says(seen))
		}
	}
	if best == nil {
		if len(unknown) > 0 {
			return 0, fmt.Sprintf("%s; so it is taken to be the newest, %s", strings.Join(unknown, "; "), calico.Version(0))
		}
		return 0, fmt.Sprintf("nothing in the resources names the release, so it is taken to be the newest, %s; add clusterinformations to what kubectl gets", calico.Version(0))
	}
	why := best.says(seen)
	if len(others) > 0 {
		why += ", and is believed; " + strings.Join(others, "; ")
	}
	if len(unknown) > 0 {
		why += "; " + strings.Join(unknown, "; ")
	}
	if lacks := c.Lacks(found); len(lacks) > 0 {
		last := lacks[len(lacks)-1]
		why += fmt.Sprintf("; but %s has %s, so it is raised to %s, the first release with that", last.Object, last.Field, last.First)
		found = last.First
	}
	return found, why
}

// word is a text that may be anything else, too: then it is empty. A number, such
// as 3.30 without quotes, counts as written.
type word string

// UnmarshalJSON never fails.
func (w *word) UnmarshalJSON(text []byte) error {
	var plain string
	if decode(text, &plain) != nil && text[0] >= '0' && text[0] <= '9' {
		plain = string(text)
	}
	*w = word(strings.TrimSpace(plain))
	return nil
}

// loose reads a part of an object as far as it has the expected form.
func loose(text rawField, into any) { _ = decode(text, into) }

// isEnterprise reports whether a variant is not the open-source Calico.
func isEnterprise(variant word) bool { return variant != "" && variant != "Calico" }

func (o *object) clusterInformation() {
	var spec struct {
		Version    word `json:"calicoVersion"`
		Enterprise word `json:"cnxVersion"`
		Variant    word `json:"variant"`
	}
	if loose(o.Spec, &spec); spec.Enterprise != "" {
		spec.Version = spec.Enterprise
	}
	o.l.saw(clusterInformation, o.title, string(spec.Version), spec.Enterprise != "" || isEnterprise(spec.Variant))
}

func (o *object) installationVersion() {
	var spec, status struct {
		Version word `json:"calicoVersion"`
		Variant word `json:"variant"`
	}
	loose(o.Spec, &spec)
	loose(o.Status, &status)
	o.l.saw(installation, o.title, string(cmp.Or(status.Version, spec.Version)), isEnterprise(cmp.Or(status.Variant, spec.Variant)))
}

// containers are those of a pod.
type containers struct {
	Containers []struct {
		Name  word `json:"name"`
		Image word `json:"image"`
	} `json:"containers"`
}

func (o *object) daemonSet() {
	var spec struct {
		Template struct {
			Spec containers `json:"spec"`
		} `json:"template"`
	}
	loose(o.Spec, &spec)
	o.sawImage(daemonSet, &spec.Template.Spec)
}

// podVersion looks for calico-node in a pod. Few pods have it, so it looks at the
// text first.
func (o *object) podVersion() {
	if bytes.Contains(o.Spec, []byte(nodeContainer)) {
		var spec containers
		loose(o.Spec, &spec)
		o.sawImage(nodePods, &spec)
	}
}

// nodeContainer is the container that every node runs.
const nodeContainer = "calico-node"

func (o *object) sawImage(from source, spec *containers) {
	object := o.kind + " " + o.name
	if namespace := o.Metadata.Namespace.value; namespace != "" && len(namespace) <= maxName {
		object = o.kind + " " + namespace + "/" + o.name
	}
	for _, c := range spec.Containers {
		if c.Name == nodeContainer {
			repository, tag := splitImage(string(c.Image))
			o.l.saw(from, object, tag, slices.Contains(strings.Split(repository, "/"), "tigera"))
			return
		}
	}
}

// splitImage returns the repository and the tag of an image such as
// registry:5000/calico/node:v3.28.2@sha256:….
func splitImage(image string) (repository, tag string) {
	image, _, _ = strings.Cut(image, "@")
	i := strings.LastIndexByte(image, ':')
	if i < 0 || strings.Contains(image[i:], "/") { // the colon is that of a port
		return image, ""
	}
	return image[:i], image[i+1:]
}
