package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/shoenig/test/must"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ipamsim/ipamsim/calicofake/fake"
	"github.com/ipamsim/ipamsim/calicofake/server"
)

func nodes() *corev1.NodeList { return &corev1.NodeList{} }

// do makes a request. Headers are pairs.
func do(t *testing.T, s *server.Server, method, path, body string, headers ...string) (status int, answer string) {
	t.Helper()
	r, err := http.NewRequest(method, s.URL()+path, strings.NewReader(body))
	must.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	out, err := http.DefaultClient.Do(r)
	must.NoError(t, err)
	defer func() { _ = out.Body.Close() }()
	text, err := io.ReadAll(out.Body)
	must.NoError(t, err)
	return out.StatusCode, string(text)
}

func get(t *testing.T, s *server.Server, path string) string {
	t.Helper()
	status, body := do(t, s, http.MethodGet, path, "")
	must.Eq(t, http.StatusOK, status, must.Sprint(body))
	return body
}

const calico = "/apis/crd.projectcalico.org/v1/"

// TestRefusals: what cannot be done, and that the message says what to do.
func TestRefusals(t *testing.T) {
	f, s := started(t, fake.Options{Reservations: fake.Reservations("10.0.0.1")})
	c := clientOf(t, s.Config())
	must.NoError(t, c.Create(ctx, pool("blue", "10.0.0.0/24")))
	_, err := assign(f, "a", 1)
	must.NoError(t, err)
	object := func(kind, metadata, spec string) string {
		return `{"apiVersion":"crd.projectcalico.org/v1","kind":"` + kind + `","metadata":{` + metadata + `},"spec":{` + spec + `}}`
	}
	affinity := `"state":"confirmed","node":"n","cidr":"10.0.0.0/26","deleted":"false"`
	for _, c := range []struct {
		method, path, body string
		status             int
		reason, message    string
	}{
		{"GET", "/api/v1/pods", "", 404, "NotFound", "this server has no /api/v1/pods: it serves blockaffinities, ipamblocks, ipamconfigs, ipamhandles, ippools, ipreservations, nodes"},
		{"GET", calico + "felixconfigurations", "", 404, "NotFound", "it serves blockaffinities"},
		{"GET", calico + "ippools/blue/status", "", 404, "NotFound", "it serves blockaffinities"},
		{"GET", calico + "ippools/red", "", 404, "NotFound", `ippools.crd.projectcalico.org "red" not found`},
		{"GET", calico + "ippools?resourceVersion=new", "", 400, "BadRequest", `resourceVersion: Invalid value: "new": must be one that this server has returned`},
		{"GET", calico + "ippools?resourceVersion=999", "", 504, "Timeout", "Too large resource version: 999"},
		{"GET", calico + "ippools?resourceVersion=1&resourceVersionMatch=Exact", "", 410, "Expired", "too old"},
		{"GET", calico + "ippools?resourceVersionMatch=Exact", "", 422, "Invalid", "resourceVersionMatch is forbidden unless resourceVersion is provided"},
		{"GET", calico + "ippools?resourceVersionMatch=NotOlderThan", "", 422, "Invalid", "resourceVersionMatch is forbidden unless resourceVersion is provided"},
		{"GET", calico + "ippools?resourceVersion=0&resourceVersionMatch=Exact", "", 422, "Invalid", "is forbidden for resourceVersion \"0\""},
		{"GET", calico + "ippools?resourceVersion=1&resourceVersionMatch=Newest", "", 422, "Invalid", `resourceVersionMatch: Unsupported value: "Newest"`},
		{"GET", calico + "ippools?watch=1&resourceVersion=1&resourceVersionMatch=NotOlderThan", "", 422, "Invalid", "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"},
		{"GET", calico + "ippools?watch=1&sendInitialEvents=true", "", 422, "Invalid", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"},
		{"GET", calico + "ippools?sendInitialEvents=true", "", 422, "Invalid", "sendInitialEvents is forbidden for list"},
		{"GET", calico + "ippools?continue=x", "", 400, "BadRequest", "this server lists everything at once"},
		{"GET", calico + "ippools?labelSelector=a%3D%3D%3Db", "", 400, "BadRequest", "labelSelector"},
		{"GET", calico + "ippools?fieldSelector=a", "", 400, "BadRequest", "fieldSelector"},
		{"GET", calico + "ippools?fieldSelector=spec.cidr%3Dx", "", 400, "BadRequest", "field label not supported: spec.cidr (only metadata.name is)"},
		{"POST", calico + "ippools/blue", "", 405, "MethodNotAllowed", "POST and DELETE are for all objects"},
		{"POST", "/version", "", 405, "MethodNotAllowed", ""},
		{"POST", calico + "ippools", `{"apiVersion":`, 400, "BadRequest", "the body is no IPPool"},
		{"POST", calico + "ippools", ``, 422, "Invalid", "metadata.name: Required value"},
		{"POST", calico + "ippools", object("IPPool", `"name":"p"`, `"cidr":5`), 400, "BadRequest", "cannot unmarshal number"},
		{"POST", calico + "ippools", object("BlockAffinity", `"name":"p"`, ``), 400, "BadRequest", "the body is of kind BlockAffinity of crd.projectcalico.org/v1: this path is for kind IPPool"},
		{"POST", calico + "ippools", object("Pod", `"name":"p"`, ``), 400, "BadRequest", "the body is of kind Pod of crd.projectcalico.org/v1: this path is for kind IPPool"},
		{"POST", calico + "ippools", strings.Replace(object("IPPool", `"name":"p"`, `"cidr":"10.1.0.0/24"`), "crd.projectcalico.org/v1", "projectcalico.org/v3", 1), 400, "BadRequest", "the body is of kind IPPool of projectcalico.org/v3: this path is for kind IPPool of crd.projectcalico.org/v1"},
		{"GET", calico + "ippools?limit=few", "", 400, "BadRequest", `limit: Invalid value: "few": must be a number`},
		{"GET", calico + "ippools?watch=1&timeoutSeconds=1s", "", 400, "BadRequest", `timeoutSeconds: Invalid value: "1s": must be a number`},
		{"POST", calico + "ippools", object("IPPool", `"name":"Blue pool"`, `"cidr":"10.1.0.0/24"`), 422, "Invalid", `metadata.name: Invalid value: "Blue pool": a lowercase RFC 1123 subdomain`},
		{"POST", "/api/v1/nodes", `{"metadata":{"name":"n","labels":{"a b":"c"}}}`, 422, "Invalid", `metadata.labels: Invalid value: "a b"`},
		{"PUT", "/api/v1/nodes/node-1", `{"metadata":{"name":"node-1","labels":{"a":"b c"}}}`, 422, "Invalid", `metadata.labels: Invalid value: "b c"`},
		{"POST", calico + "ippools?fieldValidation=Strict", object("IPPool", `"name":"p"`, `"cidr":"10.1.0.0/24","size":26`), 400, "BadRequest", `unknown field "spec.size"`},
		{"POST", calico + "ippools?dryRun=All", object("IPPool", `"name":"p"`, `"cidr":"10.1.0.0/24"`), 400, "BadRequest", "leave dryRun out"},
		{"POST", calico + "ippools", object("IPPool", `"name":"p","namespace":"n"`, `"cidr":"10.1.0.0/24"`), 400, "BadRequest", "has no namespace: leave it out"},
		{"POST", calico + "ippools", object("IPPool", `"name":"p","resourceVersion":"1"`, `"cidr":"10.1.0.0/24"`), 400, "BadRequest", "resourceVersion should not be set"},
		{"POST", calico + "ippools", object("IPPool", `"generateName":"p-"`, `"cidr":"10.1.0.0/24"`), 422, "Invalid", "metadata.name: Required value: every object needs a name: generateName is not supported"},
		{"POST", calico + "ippools", object("IPPool", `"name":"p"`, ``), 422, "Invalid", "spec.cidr: Required value: such as 10.0.0.0/26"},
		{"POST", calico + "ippools", object("IPPool", `"name":"p"`, `"cidr":"10.1.0.1/24"`), 422, "Invalid", "must be a CIDR without host bits"},
		{"POST", calico + "ippools", object("IPPool", `"name":"p"`, `"cidr":"10.0.0.0/16"`), 422, "Invalid", "overlap"},
		{"POST", calico + "ippools", object("IPPool", `"name":"blue"`, `"cidr":"10.1.0.0/24"`), 409, "AlreadyExists", `ippools.crd.projectcalico.org "blue" already exists`},
		{"POST", calico + "ipreservations", object("IPReservation", `"name":"r"`, ``), 405, "MethodNotAllowed", "they come from an accessor in fake.Options; leave it nil to write them here"},
		{"POST", calico + "blockaffinities", object("BlockAffinity", `"name":"odd"`, affinity), 422, "Invalid", "must be n-10-0-0-0-26, the name under which Calico looks for it"},
		{"POST", calico + "blockaffinities", object("BlockAffinity", `"name":"n-10-0-0-0-26"`, strings.Replace(affinity, "confirmed", "odd", 1)), 422, "Invalid", "must be pending, confirmed or pendingDeletion"},
		{"POST", calico + "blockaffinities", object("BlockAffinity", `"name":"n"`, `"cidr":"10.0.0.0/26"`), 422, "Invalid", "spec.node: Required value"},
		{"POST", calico + "ipamblocks", object("IPAMBlock", `"name":"10-0-0-0-26"`, `"cidr":"10.0.0.0/26","allocations":[],"unallocated":[]`), 422, "Invalid", "spec.allocations: Invalid value: 0: must have an entry for each of 64 addresses"},
		{"POST", calico + "ipamhandles", object("IPAMHandle", `"name":"x"`, ``), 422, "Invalid", "spec.handleID: Required value"},
		{"POST", calico + "ipamhandles", object("IPAMHandle", `"name":"X"`, `"handleID":"X"`), 422, "Invalid", "must be x, the name"},
		{"POST", calico + "ipamconfigs", object("IPAMConfig", `"name":"mine"`, ``), 422, "Invalid", "must be default"},
		{"PUT", calico + "ippools/red", object("IPPool", `"name":"blue"`, ``), 400, "BadRequest", "the name of the object (blue) does not match the name on the URL (red)"},
		{"PUT", calico + "ippools/red", object("IPPool", `"name":"red"`, ``), 404, "NotFound", `"red" not found`},
		{"PUT", calico + "ippools/blue", object("IPPool", `"name":"blue"`, `"cidr":"10.0.0.0/24"`), 422, "Invalid", "metadata.resourceVersion: Invalid value: \"\": must be specified for an update"},
		{"PUT", calico + "ippools/blue", object("IPPool", `"name":"blue","resourceVersion":"77"`, `"cidr":"10.0.0.0/24"`), 409, "Conflict", "please apply your changes to the latest version and try again"},
		{"PATCH", calico + "ippools/blue", `{}`, 415, "UnsupportedMediaType", "this server takes application/merge-patch+json"},
		{"DELETE", calico + "ippools/red", "", 404, "NotFound", `"red" not found`},
		{"DELETE", calico + "ippools/blue", `{"preconditions":{"uid":"x"}}`, 409, "Conflict", "the object of this name is another one"},
		{"DELETE", calico + "ippools/blue", `{"preconditions":{"resourceVersion":"77"}}`, 409, "Conflict", "read the object again"},
		{"DELETE", calico + "ippools/blue", `{"preconditions":`, 400, "BadRequest", "the body is no DeleteOptions"},
		{"DELETE", calico + "ippools/blue", `{"dryRun":["All"]}`, 400, "BadRequest", "leave dryRun out"},
		{"DELETE", calico + "ippools/blue", object("IPPool", `"name":"blue"`, ``), 400, "BadRequest", "must be a DeleteOptions, or empty"},
		{"POST", "/api/v1/nodes", strings.Repeat(" ", 3<<20+1), 413, "RequestEntityTooLarge", "limit is 3145728"},
	} {
		status, body := do(t, s, c.method, c.path, c.body, "Content-Type", "application/json")
		what := c.method + " " + c.path + " " + c.body[:min(len(c.body), 200)]
		must.Eq(t, c.status, status, must.Sprintf("%s: %s", what, body))
		var of metav1.Status
		must.NoError(t, json.Unmarshal([]byte(body), &of))
		must.Eq(t, metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, of.TypeMeta, must.Sprint(what))
		must.Eq(t, "Failure", of.Status, must.Sprint(what))
		must.Eq(t, c.status, int(of.Code), must.Sprint(what))
		must.Eq(t, c.reason, string(of.Reason), must.Sprint(what))
		must.StrContains(t, of.Message, c.message, must.Sprint(what))
	}
	status, body := do(t, s, http.MethodPatch, calico+"ippools/blue", `[1`, "Content-Type", "application/merge-patch+json")
	must.Eq(t, http.StatusBadRequest, status, must.Sprint(body))
	status, body = do(t, s, http.MethodPatch, "/api/v1/nodes/node-1", `[1`, "Content-Type", "application/json-patch+json")
	must.Eq(t, http.StatusUnsupportedMediaType, status, must.Sprint(body))
	must.StrContains(t, body, "application/strategic-merge-patch+json")
	status, body = do(t, s, http.MethodGet, calico+"ippools", ``, "Accept", "application/yaml")
	must.Eq(t, http.StatusNotAcceptable, status, must.Sprint(body))
}

// TestWarning: an unknown field is said and left out, unless the client wants it
// refused.
func TestWarning(t *testing.T) {
	_, s := started(t, fake.Options{})
	r, err := http.Post(s.URL()+calico+"ippools", "application/yaml",
		strings.NewReader("apiVersion: crd.projectcalico.org/v1\nkind: IPPool\nmetadata: {name: blue}\nspec: {cidr: 10.0.0.0/24, size: 26}\n"))
	must.NoError(t, err)
	must.NoError(t, r.Body.Close())
	must.Eq(t, http.StatusCreated, r.StatusCode)
	must.Eq(t, `299 - "strict decoding error: unknown field \"spec.size\""`, r.Header.Get("Warning"))
	must.StrNotContains(t, get(t, s, calico+"ippools/blue"), "size")
}

// TestForms: tables as kubectl asks for them, and metadata alone.
func TestForms(t *testing.T) {
	f, s := started(t, fake.Options{})
	f.Clock().Advance(90e9)
	answer := func(path, accept string) string {
		status, body := do(t, s, http.MethodGet, path, "", "Accept", accept)
		must.Eq(t, http.StatusOK, status, must.Sprint(body))
		return body
	}
	table := answer("/api/v1/nodes", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json")
	var out metav1.Table
	must.NoError(t, json.Unmarshal([]byte(table), &out))
	must.Eq(t, []any{"node-1", "Unknown", "<none>", "90s", ""}, out.Rows[0].Cells)
	must.StrContains(t, string(out.Rows[0].Object.Raw), `"kind":"PartialObjectMetadata"`)
	must.StrContains(t, answer("/api/v1/nodes?includeObject=Object", "application/json;as=Table;v=v1;g=meta.k8s.io"), `"kind":"Node"`)
	must.StrNotContains(t, answer("/api/v1/nodes?includeObject=None", "application/json;as=Table;v=v1;g=meta.k8s.io"), `"uid"`)
	list := answer("/api/v1/nodes", "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json")
	must.StrContains(t, list, `{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"1"},"items":[{"kind":"PartialObjectMetadata"`)
	must.StrContains(t, answer(calico+"ippools", "*/*"), `"items":[]`)
}

// TestDiscovery: what kubectl and client-go read first.
func TestDiscovery(t *testing.T) {
	_, s := started(t, fake.Options{})
	for path, want := range map[string]string{
		"/version":                       `"gitVersion":"v1.29.15"`,
		"/readyz":                        `"ok"`,
		"/api":                           `"versions":["v1"]`,
		"/api/v1":                        `{"name":"nodes","singularName":"node","namespaced":false,"kind":"Node"`,
		"/apis":                          `"preferredVersion":{"groupVersion":"crd.projectcalico.org/v1","version":"v1"}`,
		"/apis/crd.projectcalico.org":    `"kind":"APIGroup"`,
		"/apis/crd.projectcalico.org/v1": `"name":"blockaffinities","singularName":"blockaffinity"`,
		"/openapi/v3":                    `"apis/crd.projectcalico.org/v1":{"serverRelativeURL":"/openapi/v3/apis/crd.projectcalico.org/v1"}`,
		"/openapi/v3/api/v1":             `"/api/v1/nodes/{name}"`,
		"/openapi/v2":                    "fieldValidation",
	} {
		must.StrContains(t, get(t, s, path), want, must.Sprint(path))
	}
}
