package server

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/ipamsim/ipamsim/calicofake/fake"
)

// patch changes an object in one step, so that it meets no conflict unless it names a
// revision.
func (q *request) patch() error {
	media, _, _ := mime.ParseMediaType(q.r.Header.Get("Content-Type"))
	merge := types.PatchType(media) == types.MergePatchType
	if !merge && !(types.PatchType(media) == types.StrategicMergePatchType && q.kind.Plural == "nodes") {
		message := fmt.Sprintf("the body of the request was in an unknown format (%s): this server takes %s", media, types.MergePatchType)
		if q.kind.Plural == "nodes" {
			message += " and " + string(types.StrategicMergePatchType)
		}
		return &kerrors.StatusError{ErrStatus: metav1.Status{
			Status: metav1.StatusFailure, Code: http.StatusUnsupportedMediaType, Reason: metav1.StatusReasonUnsupportedMediaType, Message: message,
		}}
	}
	change, err := q.readBody()
	if err != nil {
		return err
	}
	o, err := q.resources.Patch(q.r.Context(), q.kind.New(), q.name, func(o fake.Object) (fake.Object, error) {
		text, err := json.Marshal(o)
		if err != nil {
			return nil, err
		}
		if merge {
			text, err = mergePatch(text, change)
		} else {
			text, err = strategicpatch.StrategicMergePatch(text, change, corev1.Node{})
		}
		if err != nil {
			return nil, kerrors.NewBadRequest(fmt.Sprintf("the patch cannot be applied: %v", err))
		}
		return q.body(text, nil)
	})
	if err != nil {
		return err
	}
	return q.answer(http.StatusOK, o)
}

// mergePatch applies a merge patch (RFC 7396).
func mergePatch(to, patch []byte) ([]byte, error) {
	var old, change map[string]any
	if err := json.Unmarshal(to, &old); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(patch, &change); err != nil {
		return nil, err
	}
	return json.Marshal(merged(old, change))
}

func merged(old, change map[string]any) map[string]any {
	if old == nil {
		old = make(map[string]any)
	}
	for key, v := range change {
		switch v := v.(type) {
		case nil:
			delete(old, key)
		case map[string]any:
			below, _ := old[key].(map[string]any)
			old[key] = merged(below, v)
		default:
			old[key] = v
		}
	}
	return old
}
