package server

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	openapi_v2 "github.com/google/gnostic-models/openapiv2"
	"google.golang.org/protobuf/proto"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
)

// tree is a JSON object.
type tree = map[string]any

// document returns what the server has at a path beside objects: what it serves.
func (h *handler) document(path string) (answer any, ok bool) {
	switch path {
	case "healthz", "livez", "readyz":
		return "ok", true
	case "version":
		return version.Info{Major: "1", Minor: "29", GitVersion: "v1.29.15", Platform: "fake/ipamsim"}, true
	case "api":
		return metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}}, true
	case "apis":
		list := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
		for _, g := range h.groups() {
			if g.Group != "" {
				list.Groups = append(list.Groups, apiGroup(g))
			}
		}
		return list, true
	case "openapi/v3":
		paths := tree{}
		for _, g := range h.groups() {
			paths[root(g)] = tree{"serverRelativeURL": "/openapi/v3/" + root(g)}
		}
		return tree{"paths": paths}, true
	}
	for _, g := range h.groups() {
		switch {
		case path == root(g):
			return h.apiResources(g), true
		case path == "openapi/v3/"+root(g):
			return h.openAPI(g), true
		case g.Group != "" && path == "apis/"+g.Group:
			of := apiGroup(g)
			of.TypeMeta = metav1.TypeMeta{Kind: "APIGroup", APIVersion: "v1"}
			return of, true
		}
	}
	return nil, false
}

// groups returns the groups and versions that are served.
func (h *handler) groups() []schema.GroupVersion {
	var groups []schema.GroupVersion
	for i := range h.kinds {
		if g := h.kinds[i].GroupVersion(); len(groups) == 0 || groups[len(groups)-1] != g {
			groups = append(groups, g)
		}
	}
	return groups
}

func apiGroup(g schema.GroupVersion) metav1.APIGroup {
	v := metav1.GroupVersionForDiscovery{GroupVersion: g.String(), Version: g.Version}
	return metav1.APIGroup{Name: g.Group, Versions: []metav1.GroupVersionForDiscovery{v}, PreferredVersion: v}
}

func (h *handler) apiResources(g schema.GroupVersion) metav1.APIResourceList {
	list := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: g.String()}
	for i := range h.kinds {
		k := &h.kinds[i]
		if k.GroupVersion() != g {
			continue
		}
		r := metav1.APIResource{
			Name: k.Plural, SingularName: strings.ToLower(k.Kind), Kind: k.Kind,
			Verbs: metav1.Verbs{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"},
		}
		if k.Plural == "nodes" {
			r.ShortNames = []string{"no"}
		}
		list.APIResources = append(list.APIResources, r)
		if k.Plural == "nodes" {
			list.APIResources = append(list.APIResources, metav1.APIResource{Name: "nodes/status", Kind: k.Kind, Verbs: metav1.Verbs{"get", "patch", "update"}})
		}
	}
	return list
}

// openAPI returns what kubectl create looks for: that the server itself complains of
// unknown fields. Nothing else of a schema is there.
func (h *handler) openAPI(g schema.GroupVersion) tree {
	return tree{"openapi": "3.0.0", "info": openAPIInfo, "paths": h.patches(g)}
}

var openAPIInfo = tree{"title": "Kubernetes", "version": "v1.29.15"}

// patches describes how objects are patched.
func (h *handler) patches(groups ...schema.GroupVersion) tree {
	paths := tree{}
	for i := range h.kinds {
		k := &h.kinds[i]
		if !slices.Contains(groups, k.GroupVersion()) {
			continue
		}
		paths["/"+root(k.GroupVersion())+"/"+k.Plural+"/{name}"] = tree{"patch": tree{
			"parameters":                      []any{tree{"name": "fieldValidation", "in": "query", "type": "string"}},
			"responses":                       tree{"200": tree{"description": "OK"}},
			"x-kubernetes-group-version-kind": tree{"group": k.Group, "version": k.Version, "kind": k.Kind},
		}}
	}
	return paths
}

// openAPI2 answers what kubectl before v1.28 asks for, in the only form that it reads.
func (h *handler) openAPI2(w http.ResponseWriter) error {
	text, err := json.Marshal(tree{"swagger": "2.0", "info": openAPIInfo, "paths": h.patches(h.groups()...)})
	if err != nil {
		return err
	}
	document, err := openapi_v2.ParseDocument(text)
	if err != nil {
		return err
	}
	if text, err = proto.Marshal(document); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/com.github.proto-openapi.spec.v2.v1.0+protobuf")
	_, _ = w.Write(text)
	return nil
}
