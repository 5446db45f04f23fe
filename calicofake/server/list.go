package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	kerrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/ipamsim/ipamsim/calicofake/fake"
)

// selectors returns which objects the request is for.
func (q *request) selectors() (options fake.ListOptions, err error) {
	query := q.r.URL.Query()
	byLabel, err := labels.Parse(query.Get("labelSelector"))
	if err != nil {
		return options, kerrors.NewBadRequest(fmt.Sprintf("labelSelector: %v", err))
	}
	byField, err := fields.ParseSelector(query.Get("fieldSelector"))
	if err != nil {
		return options, kerrors.NewBadRequest(fmt.Sprintf("fieldSelector: %v", err))
	}
	for _, r := range byField.Requirements() {
		if r.Field != "metadata.name" && r.Field != "metadata.namespace" {
			return options, kerrors.NewBadRequest(fmt.Sprintf("field label not supported: %s (only metadata.name is)", r.Field))
		}
	}
	options.Match = func(o fake.Object) bool {
		return byLabel.Matches(labels.Set(o.GetLabels())) && byField.Matches(fields.Set{"metadata.name": o.GetName()})
	}
	return options, nil
}

// list answers a list or a watch.
func (q *request) list() error {
	options, err := q.selectors()
	if err != nil {
		return err
	}
	query := q.r.URL.Query()
	if query.Get("continue") != "" {
		return kerrors.NewBadRequest("continue key is not valid: this server lists everything at once")
	}
	for _, name := range []string{"limit", "timeoutSeconds"} {
		if text := query.Get(name); text != "" {
			if _, err := strconv.ParseInt(text, 10, 64); err != nil {
				return kerrors.NewBadRequest(fmt.Sprintf("%s: Invalid value: %q: must be a number", name, text))
			}
		}
	}
	if err := checkMatch(query); err != nil {
		return err
	}
	at := query.Get("resourceVersion")
	if _, err := strconv.ParseUint(at, 10, 64); at != "" && err != nil {
		return kerrors.NewBadRequest(fmt.Sprintf("resourceVersion: Invalid value: %q: must be one that this server has returned", at))
	}
	list, now, err := q.resources.List(q.r.Context(), q.kind.New(), options)
	if err != nil {
		return err
	}
	if newest, _ := strconv.ParseUint(now, 10, 64); at != "" {
		if n, _ := strconv.ParseUint(at, 10, 64); n > newest {
			return kerrors.NewTimeoutError(fmt.Sprintf("Too large resource version: %s, current: %s", at, now), 1)
		}
	}
	if watches(query) {
		return q.watch(options, at, now)
	}
	if query.Get("resourceVersionMatch") == string(metav1.ResourceVersionMatchExact) && at != now {
		return kerrors.NewResourceExpired(fmt.Sprintf("The resourceVersion for the provided list is too old: %s, current: %s", at, now))
	}
	return write(q.w, http.StatusOK, q.shapeList(list, now))
}

// watches reports whether a query is for a watch.
func watches(query url.Values) bool {
	w := query.Get("watch")
	return query.Has("watch") && w != "false" && w != "0"
}

// checkMatch returns what an API server has against resourceVersionMatch and
// sendInitialEvents.
func checkMatch(query url.Values) error {
	options := internalversion.ListOptions{
		Watch: watches(query), ResourceVersion: query.Get("resourceVersion"),
		ResourceVersionMatch: metav1.ResourceVersionMatch(query.Get("resourceVersionMatch")),
	}
	if text := query.Get("sendInitialEvents"); text != "" {
		initial := text == "true"
		options.SendInitialEvents = &initial
	}
	if errs := validation.ValidateListOptions(&options, true); len(errs) > 0 {
		return kerrors.NewInvalid(schema.GroupKind{Group: metav1.GroupName, Kind: "ListOptions"}, "", errs)
	}
	return nil
}

// initialEventsEnd is the annotation of the bookmark after the objects that a watch
// begins with.
const initialEventsEnd = "k8s.io/initial-events-end"

// watchEvent is metav1.WatchEvent with an object that is not encoded yet.
type watchEvent struct {
	Type   watch.EventType `json:"type"`
	Object any             `json:"object"`
}

// watch answers a watch that begins after the revision at. If that is too long ago, the
// answer is an event that says so.
func (q *request) watch(options fake.ListOptions, at, now string) error {
	query := q.r.URL.Query()
	initial := query.Get("sendInitialEvents")
	switch {
	case initial == "true" || initial == "" && at == "0":
		options.Revision = ""
	case initial == "false" && (at == "" || at == "0"):
		options.Revision = now
	default:
		options.Revision = at
	}
	ctx := q.r.Context()
	if n, err := strconv.Atoi(query.Get("timeoutSeconds")); err == nil && n > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(n)*time.Second)
		defer cancel()
	}
	w, err := q.resources.Watch(ctx, q.kind.New(), options)
	expired := kerrors.IsResourceExpired(err)
	if err != nil && !expired {
		return err
	}
	q.w.Header().Set("Content-Type", "application/json")
	q.w.WriteHeader(http.StatusOK)
	flush, out := http.NewResponseController(q.w), json.NewEncoder(q.w)
	if expired {
		// An API server finds this out when it has begun to answer.
		_ = out.Encode(watchEvent{watch.Error, statusOf(err)}) // a client that is gone does not matter
		return nil
	}
	defer w.Stop()
	_ = flush.Flush()
	for e := range w.ResultChan() {
		if e.Type == watch.Bookmark {
			if query.Get("allowWatchBookmarks") != "true" || initial != "true" {
				continue
			}
			e.Object.(fake.Object).SetAnnotations(map[string]string{initialEventsEnd: "true"})
		}
		if err := out.Encode(watchEvent{e.Type, q.shape(e.Object)}); err != nil {
			return nil // the client is gone
		}
		if err := flush.Flush(); err != nil {
			return nil
		}
	}
	return nil
}

// list is what answers a list.
type list struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []any `json:"items"`
}

// shapeList returns a list in the form that was asked for.
func (q *request) shapeList(objects []fake.Object, at string) any {
	meta := metav1.ListMeta{ResourceVersion: at}
	if q.form == table {
		return q.table(meta, objects...)
	}
	out := list{metav1.TypeMeta{APIVersion: q.kind.GroupVersion().String(), Kind: q.kind.Kind + "List"}, meta, []any{}}
	if q.form == metadata {
		out.TypeMeta = metav1.TypeMeta{APIVersion: metav1.SchemeGroupVersion.String(), Kind: "PartialObjectMetadataList"}
	}
	for _, o := range objects {
		out.Items = append(out.Items, q.shape(o))
	}
	return &out
}

// shape returns an object in the form that was asked for.
func (q *request) shape(o runtime.Object) any {
	switch o := o.(fake.Object); q.form {
	case table:
		return q.table(metav1.ListMeta{ResourceVersion: o.GetResourceVersion()}, o)
	case metadata:
		return partial(o)
	}
	return o
}
