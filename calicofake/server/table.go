package server

import (
	"mime"
	"net/http"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/ipamsim/ipamsim/calicofake/fake"
)

// form is how objects are answered.
type form int

const (
	plain    form = iota
	table         // rows and columns, as kubectl get prints them
	metadata      // nothing but metadata
)

// formOf returns the first form of an Accept header that the server has.
func formOf(accept string) (form, error) {
	if accept == "" {
		return plain, nil
	}
	for _, part := range strings.Split(accept, ",") {
		media, parameters, err := mime.ParseMediaType(part)
		if err != nil || media != "application/json" && media != "application/*" && media != "*/*" {
			continue
		}
		as := parameters["as"]
		if as == "" {
			return plain, nil
		}
		if parameters["g"] != metav1.GroupName || parameters["v"] != "v1" {
			continue
		}
		switch as {
		case "Table":
			return table, nil
		case "PartialObjectMetadata", "PartialObjectMetadataList":
			return metadata, nil
		}
	}
	return plain, &kerrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusNotAcceptable, Reason: metav1.StatusReasonNotAcceptable,
		Message: "only application/json is served, also as Table and as PartialObjectMetadata of meta.k8s.io/v1",
	}}
}

// partial returns an object's metadata.
func partial(o fake.Object) *metav1.PartialObjectMetadata {
	out := &metav1.PartialObjectMetadata{ObjectMeta: *o.(metav1.ObjectMetaAccessor).GetObjectMeta().(*metav1.ObjectMeta)}
	out.APIVersion, out.Kind = metav1.SchemeGroupVersion.String(), "PartialObjectMetadata"
	return out
}

// table returns objects as rows, with the columns of a resource that defines none:
// name and age. Nodes have theirs.
func (q *request) table(meta metav1.ListMeta, objects ...fake.Object) *metav1.Table {
	columns := []string{"Name", "Age"}
	if q.kind.Plural == "nodes" {
		columns = []string{"Name", "Status", "Roles", "Age", "Version"}
	}
	out := &metav1.Table{
		TypeMeta: metav1.TypeMeta{APIVersion: metav1.SchemeGroupVersion.String(), Kind: "Table"}, ListMeta: meta, Rows: []metav1.TableRow{},
	}
	for _, name := range columns {
		c := metav1.TableColumnDefinition{Name: name, Type: "string"}
		if name == "Name" {
			c.Format = "name"
		}
		out.ColumnDefinitions = append(out.ColumnDefinitions, c)
	}
	include := metav1.IncludeObjectPolicy(q.r.URL.Query().Get("includeObject"))
	for _, o := range objects {
		row := metav1.TableRow{Cells: []any{o.GetName(), q.age(o)}}
		if n, ok := o.(*corev1.Node); ok {
			row.Cells = []any{n.Name, nodeStatus(n), nodeRoles(n), q.age(n), n.Status.NodeInfo.KubeletVersion}
		}
		switch include {
		case metav1.IncludeNone:
		case metav1.IncludeObject:
			row.Object = runtime.RawExtension{Object: o}
		default:
			row.Object = runtime.RawExtension{Object: partial(o)}
		}
		out.Rows = append(out.Rows, row)
	}
	return out
}

// age returns how long ago an object was created by the fake's clock.
func (q *request) age(o fake.Object) string {
	at := o.GetCreationTimestamp()
	if at.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(q.fake.Now().Sub(at.Time))
}

func nodeStatus(n *corev1.Node) string {
	text := "Unknown"
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			if text = "NotReady"; c.Status == corev1.ConditionTrue {
				text = "Ready"
			}
		}
	}
	if n.Spec.Unschedulable {
		text += ",SchedulingDisabled"
	}
	return text
}

func nodeRoles(n *corev1.Node) string {
	var roles []string
	for label, value := range n.Labels {
		if role, ok := strings.CutPrefix(label, "node-role.kubernetes.io/"); ok && role != "" {
			roles = append(roles, role)
		} else if label == "kubernetes.io/role" && value != "" {
			roles = append(roles, value)
		}
	}
	if len(roles) == 0 {
		return "<none>"
	}
	slices.Sort(roles)
	return strings.Join(slices.Compact(roles), ",")
}
