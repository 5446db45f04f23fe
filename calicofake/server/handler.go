package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	kerrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	"github.com/ipamsim/ipamsim/calicofake/fake"
)

// maxBody is how many bytes a request may have, as in a cluster.
const maxBody = 3 << 20

// handler answers requests from the objects of a fake.
type handler struct {
	fake      *fake.Fake
	resources *fake.Resources
	kinds     []fake.Kind
	decoder   runtime.Decoder // of JSON, YAML and Kubernetes' protobuf
}

// Handler returns what answers the requests of a [Server]: for a server of the
// caller's.
func Handler(f *fake.Fake) http.Handler {
	scheme := runtime.NewScheme()
	if err := fake.AddToScheme(scheme); err != nil {
		panic(err) // cannot be
	}
	metav1.AddToGroupVersion(scheme, metav1.SchemeGroupVersion)
	codecs := serializer.NewCodecFactory(scheme, serializer.EnableStrict)
	return &handler{fake: f, resources: f.Resources(), kinds: fake.Kinds(), decoder: codecs.UniversalDeserializer()}
}

// request is a request for objects of a kind.
type request struct {
	*handler
	w    http.ResponseWriter
	r    *http.Request
	kind *fake.Kind
	name string // of one object; empty for all
	form form

	resources *fake.Resources // the handler's, or their status
}

// ServeHTTP answers a request.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := h.serve(w, r); err != nil {
		fail(w, err)
	}
}

func (h *handler) serve(w http.ResponseWriter, r *http.Request) error {
	path := strings.Trim(r.URL.Path, "/")
	if answer, ok := h.document(path); ok || path == "openapi/v2" {
		if r.Method != http.MethodGet {
			return notAllowed(r.Method, r.URL.Path)
		}
		if !ok {
			return h.openAPI2(w)
		}
		return write(w, http.StatusOK, answer)
	}
	form, err := formOf(r.Header.Get("Accept"))
	if err != nil {
		return err
	}
	q := &request{handler: h, w: w, r: r, form: form, resources: h.resources}
	if err := q.find(path); err != nil {
		return err
	}
	if r.URL.Query().Get("dryRun") != "" {
		return kerrors.NewBadRequest("this server does not do dry runs: leave dryRun out")
	}
	switch {
	case r.Method == http.MethodGet && q.name == "":
		return q.list()
	case r.Method == http.MethodGet:
		return q.get()
	case r.Method == http.MethodPost && q.name == "":
		return q.create()
	case r.Method == http.MethodPut && q.name != "":
		return q.update()
	case r.Method == http.MethodPatch && q.name != "":
		return q.patch()
	case r.Method == http.MethodDelete && q.name == "":
		return q.deleteAll()
	case r.Method == http.MethodDelete:
		return q.delete()
	}
	return notAllowed(r.Method, r.URL.Path)
}

func notAllowed(method, path string) error {
	err := kerrors.NewMethodNotSupported(schema.GroupResource{}, method)
	err.ErrStatus.Message = fmt.Sprintf("%s is not allowed on %s: POST and DELETE are for all objects, PUT, PATCH and DELETE for one", method, path)
	return err
}

// find finds kind and name in a path: GROUP/RESOURCE, GROUP/RESOURCE/NAME or, of a
// node, nodes/NAME/status.
func (q *request) find(path string) error {
	for i := range q.kinds {
		rest, ok := strings.CutPrefix(path+"/", root(q.kinds[i].GroupVersion())+"/"+q.kinds[i].Plural+"/")
		if !ok {
			continue
		}
		q.kind = &q.kinds[i]
		rest = strings.TrimSuffix(rest, "/")
		if q.kind.Plural == "nodes" {
			if of, ok := strings.CutSuffix(rest, "/status"); ok {
				rest, q.resources = of, q.resources.Status()
			}
		}
		if q.name = rest; !strings.Contains(rest, "/") {
			return nil
		}
	}
	var served []string
	for i := range q.kinds {
		served = append(served, q.kinds[i].Plural)
	}
	err := kerrors.NewNotFound(schema.GroupResource{}, "")
	err.ErrStatus.Message = fmt.Sprintf("this server has no /%s: it serves %s", path, strings.Join(served, ", "))
	return err
}

// root returns the path of a group without the slashes around it.
func root(g schema.GroupVersion) string {
	if g.Group == "" {
		return "api/" + g.Version
	}
	return "apis/" + g.String()
}

func (q *request) get() error {
	o, err := q.resources.Get(q.r.Context(), q.kind.New(), q.name)
	if err != nil {
		return err
	}
	return q.answer(http.StatusOK, o)
}

func (q *request) create() error { return q.write(q.resources.Create, http.StatusCreated) }

func (q *request) update() error { return q.write(q.resources.Update, http.StatusOK) }

// write has the object of the body written, and answers with what has become of it.
func (q *request) write(as func(context.Context, fake.Object) (fake.Object, error), status int) error {
	o, err := q.body(q.readBody())
	if err != nil {
		return err
	}
	if o, err = as(q.r.Context(), o); err != nil {
		return err
	}
	return q.answer(status, o)
}

// readBody reads the body of the request.
func (q *request) readBody() ([]byte, error) {
	text, err := io.ReadAll(http.MaxBytesReader(q.w, q.r.Body, maxBody))
	if errors.As(err, new(*http.MaxBytesError)) {
		return nil, kerrors.NewRequestEntityTooLargeError(fmt.Sprintf("limit is %d", maxBody))
	} else if err != nil {
		return nil, kerrors.NewBadRequest(err.Error())
	}
	return text, nil
}

// body decodes an object of the request's kind and name.
func (q *request) body(text []byte, err error) (fake.Object, error) {
	if err != nil {
		return nil, err
	}
	decoded, kind, err := q.decoder.Decode(text, &q.kind.GroupVersionKind, nil)
	if err != nil && runtime.IsStrictDecodingError(err) && decoded != nil {
		switch q.r.URL.Query().Get("fieldValidation") {
		case metav1.FieldValidationStrict:
			return nil, kerrors.NewBadRequest(err.Error())
		case metav1.FieldValidationIgnore:
		default:
			q.w.Header().Add("Warning", fmt.Sprintf("299 - %q", err.Error()))
		}
	} else if err != nil && !runtime.IsNotRegisteredError(err) {
		return nil, kerrors.NewBadRequest(fmt.Sprintf("the body is no %s: %v", q.kind.Kind, err))
	}
	o, ok := decoded.(fake.Object)
	if !ok || *kind != q.kind.GroupVersionKind {
		return nil, kerrors.NewBadRequest(fmt.Sprintf("the body is of kind %s of %s: this path is for kind %s of %s",
			kind.Kind, kind.GroupVersion(), q.kind.Kind, q.kind.GroupVersion()))
	}
	if q.name != "" && o.GetName() != q.name {
		return nil, kerrors.NewBadRequest(fmt.Sprintf("the name of the object (%s) does not match the name on the URL (%s)", o.GetName(), q.name))
	}
	if ns := o.GetNamespace(); ns != "" {
		return nil, kerrors.NewBadRequest(fmt.Sprintf("metadata.namespace is %s, but a %s has no namespace: leave it out", ns, q.kind.Kind))
	}
	return o, nil
}

// preconditions returns those of a deletion.
func (q *request) preconditions() (*metav1.Preconditions, error) {
	text, err := q.readBody()
	if err != nil || len(text) == 0 {
		return nil, err
	}
	kind := metav1.SchemeGroupVersion.WithKind("DeleteOptions")
	decoded, _, err := q.decoder.Decode(text, &kind, nil)
	if err != nil && !runtime.IsStrictDecodingError(err) {
		return nil, kerrors.NewBadRequest(fmt.Sprintf("the body is no DeleteOptions: %v", err))
	}
	options, ok := decoded.(*metav1.DeleteOptions)
	if !ok {
		return nil, kerrors.NewBadRequest("the body of a deletion must be a DeleteOptions, or empty")
	}
	if len(options.DryRun) > 0 {
		return nil, kerrors.NewBadRequest("this server does not do dry runs: leave dryRun out")
	}
	return options.Preconditions, nil
}

func (q *request) delete() error {
	pre, err := q.preconditions()
	if err != nil {
		return err
	}
	o, err := q.resources.Delete(q.r.Context(), q.kind.New(), q.name, pre)
	if err != nil {
		return err
	}
	if o.GetDeletionTimestamp() != nil && len(o.GetFinalizers()) > 0 {
		return q.answer(http.StatusOK, o) // it is still there
	}
	return write(q.w, http.StatusOK, q.success(&metav1.StatusDetails{Name: q.name, Group: q.kind.Group, Kind: q.kind.Plural, UID: o.GetUID()}))
}

func (q *request) success(d *metav1.StatusDetails) *metav1.Status {
	return &metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess, Details: d}
}

// deleteAll deletes what a list with the same selectors has.
func (q *request) deleteAll() error {
	pre, err := q.preconditions()
	if err != nil {
		return err
	}
	options, err := q.selectors()
	if err != nil {
		return err
	}
	list, _, err := q.resources.List(q.r.Context(), q.kind.New(), options)
	if err != nil {
		return err
	}
	for _, o := range list {
		_, err := q.resources.Delete(q.r.Context(), o, o.GetName(), pre)
		if err != nil && !kerrors.IsNotFound(err) {
			return err
		}
	}
	return write(q.w, http.StatusOK, q.success(&metav1.StatusDetails{Group: q.kind.Group, Kind: q.kind.Plural}))
}

// answer writes an object in the form that was asked for.
func (q *request) answer(status int, o fake.Object) error {
	return write(q.w, status, q.shape(o))
}

// write writes an answer.
func write(w http.ResponseWriter, status int, answer any) error {
	text, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // a client that is gone does not matter
	return nil
}

// fail writes an error as a Status.
func fail(w http.ResponseWriter, err error) {
	status := statusOf(err)
	if d := status.Details; d != nil && d.RetryAfterSeconds > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(d.RetryAfterSeconds)))
	}
	_ = write(w, int(status.Code), status)
}

// statusOf returns an error as an object of the API.
func statusOf(err error) *metav1.Status {
	var of kerrors.APIStatus
	if !errors.As(err, &of) {
		of = kerrors.NewInternalError(err)
	}
	status := of.Status()
	status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	return &status
}
