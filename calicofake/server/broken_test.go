package server_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
)

// This file has servers that do something wrong.

// withoutRevisions takes the revision out of the bodies of a method's requests: a
// server that does not compare it.
func withoutRevisions(h http.Handler, method, of string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == method {
			var body map[string]any
			text, _ := io.ReadAll(r.Body)
			if json.Unmarshal(text, &body) == nil {
				if m, ok := body[of].(map[string]any); ok {
					delete(m, "resourceVersion")
					if method == http.MethodPut {
						m["resourceVersion"] = newest(h, r.URL.Path)
					}
				}
				text, _ = json.Marshal(body)
			}
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
		}
		h.ServeHTTP(w, r)
	})
}

// newest returns the revision that an object has now.
func newest(h http.Handler, path string) string {
	r, _ := http.NewRequest(http.MethodGet, path, nil)
	w := &recorder{header: http.Header{}}
	h.ServeHTTP(w, r)
	var o struct {
		Metadata struct{ ResourceVersion string }
	}
	_ = json.Unmarshal(w.body.Bytes(), &o)
	return o.Metadata.ResourceVersion
}

// recorder keeps an answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header            { return r.header }
func (r *recorder) WriteHeader(status int)         { r.status = status }
func (r *recorder) Write(text []byte) (int, error) { return r.body.Write(text) }

// withEvents changes the events of watches: of is told the number of an event, its
// text and those that it wanted later, and says which come now and which later.
func withEvents(h http.Handler, of func(event int, line string, before []string) (now, later []string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("watch") != "" {
			w = &events{ResponseWriter: w, of: of}
		}
		h.ServeHTTP(w, r)
	})
}

type events struct {
	http.ResponseWriter
	of    func(event int, line string, before []string) (now, later []string)
	n     int
	later []string
}

func (e *events) Unwrap() http.ResponseWriter { return e.ResponseWriter }

// Write writes an event: the server writes one at a time.
func (e *events) Write(text []byte) (int, error) {
	var now []string
	now, e.later = e.of(e.n, string(text), e.later)
	e.n++
	for _, line := range now {
		if _, err := io.WriteString(e.ResponseWriter, line); err != nil {
			return 0, err
		}
	}
	return len(text), nil
}
