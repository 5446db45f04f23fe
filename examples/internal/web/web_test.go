package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/internal/property"
)

func do(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = cli.Execute(t.Context(), Command(), args, strings.NewReader(""), &out, &errs)
	return status, out.String(), errs.String()
}

func TestBadUsage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must.NoError(t, os.WriteFile(file, nil, 0o600))
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	must.NoError(t, err)
	defer taken.Close()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	must.NoError(t, err)
	for _, c := range []struct{ args, want string }{
		{"page", `web: "page": there are no arguments, only flags (-h for help)`},
		{"-port 0", "web: -port 0: want 1 to 65535 (-h for help)"},
		{"-port 70000", "web: -port 70000: want 1 to 65535 (-h for help)"},
		{"-prot 80", "web: -prot: no such flag; did you mean -port? (-h for help)"},
		{"-o -", `web: -o "-": want the name of a folder (-h for help)`},
		{"-o site -port 8080", "web: -o writes the page and serves nothing: it goes without -port and -no-open (-h for help)"},
		{"-o " + file, "web: -o " + file + ": not a directory"},
		{"-port " + port, "web: -port " + port + ": bind: address already in use; leave the flag out for one that is free"},
	} {
		status, out, errs := do(t, strings.Fields(c.args)...)
		must.Eq(t, cli.Bad, status, must.Sprint(c.args))
		must.Eq(t, "", out, must.Sprint(c.args))
		must.Eq(t, c.want+"\n", errs)
	}
}

func TestServeHTTP(t *testing.T) {
	s := site{"index.html": []byte("<p>page</p>"), engineFile: []byte("\x00asm"), "main.js": []byte("1")}
	for _, c := range []struct {
		host, path string
		status     int
		kind       string
	}{
		{"127.0.0.1:80", "/", http.StatusOK, "text/html; charset=utf-8"},
		{"localhost:80", "/index.html", http.StatusOK, "text/html; charset=utf-8"},
		{"[::1]:80", "/main.js", http.StatusOK, "text/javascript; charset=utf-8"},
		{"127.0.0.1:80", "/" + engineFile, http.StatusOK, "application/wasm"},
		{"127.0.0.1:80", "/../web.go", http.StatusNotFound, "text/plain; charset=utf-8"},
		{"ipamsim.example:80", "/", http.StatusForbidden, "text/plain; charset=utf-8"},
		{"ipamsim.example", "/", http.StatusForbidden, "text/plain; charset=utf-8"},
	} {
		r := httptest.NewRequest(http.MethodGet, c.path, nil)
		r.Host = c.host
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		must.Eq(t, c.status, w.Code, must.Sprint(c.host+c.path))
		must.Eq(t, c.kind, w.Header().Get("Content-Type"), must.Sprint(c.host+c.path))
	}
}

// TestServeEnds: the end of the context is no error.
func TestServeEnds(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	must.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	must.NoError(t, site{}.serve(ctx, listener))
}

// TestWrite: the folder has all that the page consists of, each file of a known type,
// and the engine stays small enough to load at once.
func TestWrite(t *testing.T) {
	if !property.Long() {
		t.Skip("compiling takes long; IPAMSIM_LONG=1 does it")
	}
	folder := filepath.Join(t.TempDir(), "a", "site")
	status, out, errs := do(t, "-o", folder)
	must.Zero(t, status, must.Sprint(errs))
	must.Eq(t, "", out+errs)
	entries, err := os.ReadDir(folder)
	must.NoError(t, err)
	var found []string
	for _, e := range entries {
		found = append(found, e.Name())
		must.MapContainsKey(t, types, filepath.Ext(e.Name()))
	}
	must.Eq(t, names(), found)

	const most = 3_000_000
	engine, err := os.ReadFile(filepath.Join(folder, engineFile))
	must.NoError(t, err)
	must.Less(t, most, gzipped(t, engine))
}

// gzipped returns how many bytes it has once compressed.
func gzipped(t *testing.T, text []byte) int {
	t.Helper()
	var small bytes.Buffer
	w, err := gzip.NewWriterLevel(&small, gzip.BestCompression)
	must.NoError(t, err)
	_, err = w.Write(text)
	must.NoError(t, err)
	must.NoError(t, w.Close())
	return small.Len()
}
