package snapshot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// envelope is what all objects share. Parts are read once the kind is known.
type envelope struct {
	APIVersion field[string] `json:"apiVersion"`
	Kind       field[string] `json:"kind"`
	Metadata   metadata      `json:"metadata"`
	Spec       rawField      `json:"spec"`
	Status     rawField      `json:"status"`
	Items      rawField      `json:"items"`
	Data       rawField      `json:"data"` // of a ConfigMap

	// A Kind cluster's file has these instead of a spec.
	Name  field[string] `json:"name"`
	Nodes rawField      `json:"nodes"`

	ahead parts
}

// parts are the parts of an object that were read with its envelope.
type parts struct {
	block *blockSpec
	pod   *podParts
	node  *nodeStatus
}

// rawField is a part of an object that is still JSON.
type rawField = json.RawMessage

type metadata struct {
	Name        field[string]            `json:"name"`
	Namespace   field[string]            `json:"namespace"`
	Created     field[string]            `json:"creationTimestamp"`
	Labels      field[map[string]string] `json:"labels"`
	Annotations json.RawMessage          `json:"annotations"`
	Owners      json.RawMessage          `json:"ownerReferences"`
}

// An object is one Kubernetes object that is being read.
type object struct {
	envelope
	l     *Loader
	at    place
	title string // kind and name, for problems
	kind  string
	name  string
	bad   bool // something harmful is wrong with it
	kept  bool // although it is bad
}

// place is where an object begins.
type place struct {
	file  int32 // index into the loader's files
	line  int32 // from 1
	order int32 // its number among all places, in the order of reading
	v3    bool  // it is of the group of Calico's API server
}

// The API groups that Calico's resources come in, and others that are read.
const (
	groupV1       = "crd.projectcalico.org/v1"
	groupV3       = "projectcalico.org/v3"
	groupCore     = "v1"
	groupApps     = "apps/v1"
	groupOperator = "operator.tigera.io/v1"
	groupKind     = "kind.x-k8s.io/v1alpha4"
)

// readers are the kinds that are understood, by API group and kind.
var readers = map[string]func(*object){
	groupV1 + " IPPool":        (*object).pool,
	groupV1 + " IPReservation": (*object).reservation,
	groupV1 + " IPAMBlock":     (*object).block,
	groupV1 + " BlockAffinity": (*object).affinity,
	groupV1 + " IPAMHandle":    (*object).handle,
	groupV1 + " IPAMConfig":    (*object).config,

	groupV3 + " IPPool":            (*object).pool,
	groupV3 + " IPReservation":     (*object).reservation,
	groupV3 + " IPAMBlock":         (*object).block,
	groupV3 + " BlockAffinity":     (*object).affinity,
	groupV3 + " IPAMHandle":        (*object).handle,
	groupV3 + " IPAMConfiguration": (*object).config,

	groupCore + " Node": (*object).node,
	groupCore + " Pod":  (*object).pod,

	groupV3 + " Node":             (*object).calicoNode,
	groupV3 + " WorkloadEndpoint": (*object).workloadEndpoint,

	groupKubeVirt + " " + kindMachine:      (*object).machine,
	groupKubeVirt + " " + kindInstance:     (*object).instance,
	groupKubeVirt + " " + kindMigration:    (*object).migration,
	groupKubeVirtOld + " " + kindMachine:   (*object).machine,
	groupKubeVirtOld + " " + kindInstance:  (*object).instance,
	groupKubeVirtOld + " " + kindMigration: (*object).migration,

	groupOperator + " Installation": (*object).installation,
	groupKind + " Cluster":          (*object).kindCluster,
}

// objectText reads one object from its JSON text.
func (l *Loader) objectText(at place, text []byte, kind, group string) {
	if n, _ := l.quickText(at, text, kind, group, true); n > 0 {
		return
	}
	var e envelope
	err := decode(text, &e)
	l.objectOr(at, &e, err, text, kind, group)
}

// objectOr reads one object from its envelope, or what else its text holds if it is
// none, such as values from etcd.
func (l *Loader) objectOr(at place, e *envelope, err error, text []byte, kind, group string) {
	if err == nil && kind == "" && !e.Kind.given {
		if l.shape(at, text, 0) {
			return
		}
		if l.kindComes {
			l.kindless = append(l.kindless, located[[]byte]{at, bytes.Clone(text)})
			return
		}
	}
	l.object(at, e, err, kind, group)
}

// endKindless reads the items of a list that wait for its kind.
func (l *Loader) endKindless(of listHead) {
	l.kindComes = false
	items := l.kindless
	l.kindless = nil
	for _, item := range items {
		l.objectText(item.at, item.T, of.itemKind(), of.itemGroup())
	}
}

// object reads one object from its envelope, whose decoding may have failed.
// Objects of a typed list may do without kind and API group: then they are those
// of the list.
func (l *Loader) object(at place, e *envelope, err error, kind, group string) {
	l.objects++
	o := &object{envelope: *e, l: l, at: at}
	if err != nil {
		o.wrong("", "is no Kubernetes object: %s", plain(err))
		return
	}
	if v := o.label("kind", o.Kind); v != "" {
		kind = v
	}
	if v := o.label("apiVersion", o.APIVersion); v != "" {
		group = v
	}
	o.kind = kind
	o.at.v3 = group == groupV3
	o.title = o.kind
	o.name = o.label("metadata.name", o.Metadata.Name)
	if o.kind != "" {
		o.title = strings.TrimSpace(o.kind + " " + o.name)
	}
	if kind != "" && isKind(kind) {
		l.known++
	}
	defer o.count()
	if o.bad {
		return
	}
	read := readers[group+" "+kind]
	switch {
	case kind == "":
		o.wrong("kind", "is missing: this is no Kubernetes object, or the file is cut off")
	case strings.HasSuffix(kind, "List") || len(o.Items) > 0:
		o.wrong("kind", "a List within a List is not read")
	case read != nil:
		l.listed.set(kind)
		read(o)
	case besideReaders[group+" "+kind] != nil:
		besideReaders[group+" "+kind](o)
	case !isKind(kind) || isMisplaced(kind, group):
		o.wrong("kind", "%s of %s is not read; known are IPPool, IPReservation, IPAMBlock, BlockAffinity, IPAMHandle, IPAMConfig "+
			"(%s), IPAMConfiguration (%s), Node, Pod, Installation, and Kind's Cluster", quote(kind), quote(group), groupV1, groupV3)
	default:
		l.skipped[kind]++
	}
}

// count counts an object that is left out, for something is wrong with it.
func (o *object) count() {
	if !o.bad || o.kept || o.title == "" {
		return
	}
	kind := o.kind
	if !isKind(kind) {
		kind = "object"
	}
	o.l.leftOut[kind]++
}

// isKind reports whether a text can be the name of a kind.
func isKind(kind string) bool {
	return strings.Trim(kind, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == ""
}

// isMisplaced reports whether a kind that is read comes in a group of Kubernetes or
// Calico where it is not known. Other groups have kinds of the same names.
func isMisplaced(kind, group string) bool {
	if strings.Contains(group, "/") && !strings.Contains(group, "projectcalico.org/") {
		return false
	}
	for known := range readers {
		if strings.HasSuffix(known, " "+kind) {
			return true
		}
	}
	return false
}

// label returns a text that is short enough for a problem's title.
func (o *object) label(name string, f field[string]) string {
	text, _ := o.short(name, f, maxName)
	return text
}

// plain says in plain words why a text is no object.
func plain(err error) string {
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong) && wrong.Field == "":
		return "it is " + withArticle(wrong.Value) + ", must be a map"
	case errors.As(err, &wrong):
		return wrong.Field + " is " + withArticle(wrong.Value)
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// withArticle names a kind of JSON value as a user of YAML calls it.
func withArticle(kind string) string {
	switch kind {
	case "array":
		return "a list"
	case "object":
		return "a map"
	case "string":
		return "a text"
	case "bool":
		return "a boolean"
	}
	return "a " + kind
}

// wrong reports what is wrong with a field, or with the whole object.
func (o *object) wrong(field, format string, args ...any) {
	o.bad = true
	o.report(&Problem{Field: field, Reason: fmt.Sprintf(format, args...), Kind: kindUnreadable})
}

// odd reports something harmless: it has no effect.
func (o *object) odd(field, format string, args ...any) {
	o.report(&Problem{Field: field, Reason: fmt.Sprintf(format, args...), Kind: kindUnreadable, Harmless: true})
}

// report adds a problem with the object.
func (o *object) report(p *Problem) {
	p.File, p.Line, p.Object, p.order = o.l.files[o.at.file], int(o.at.line), o.title, o.at.order
	o.l.problems = append(o.l.problems, p)
}

// part reads a part of the object, such as its spec, into a struct of fields. It
// returns false and reports a problem if the part is missing or malformed.
func (o *object) part(name string, text rawField, into any) bool {
	if len(text) == 0 || string(text) == "null" {
		o.wrong(name, "is missing")
		return false
	}
	if err := decode(text, into); err != nil {
		o.wrong(name, "%s", mismatch(err, text))
		return false
	}
	return true
}

// skip reports whether the object is marked deleted, and counts it if it is.
func (o *object) skip(deleted flag) bool {
	if get(o, "spec.deleted", deleted.field) {
		o.l.deleted++
		return true
	}
	return false
}
