package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path"
	"runtime"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/ipamsim/ipamsim/internal/cli"
)

// serve serves the site on the loopback address until the context ends.
func (o *options) serve(cmd *cobra.Command) error {
	listener, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(o.port)))
	if err != nil {
		if o.port != 0 {
			return fmt.Errorf("-port %d: %w; leave the flag out for one that is free", o.port, errors.Unwrap(err))
		}
		return err
	}
	defer listener.Close()
	s, err := compile(cmd)
	if err != nil {
		return err
	}
	url := "http://" + listener.Addr().String() + "/"
	fmt.Fprintf(cmd.OutOrStdout(), "%s\n", url)
	if cli.Terminal(cmd.ErrOrStderr()) {
		cli.Warn(cmd, "serves the page until Ctrl-C")
	}
	if !o.noOpen {
		if err := openBrowser(url); err != nil {
			cli.Warn(cmd, "no browser to open it with: "+err.Error())
		}
	}
	return s.serve(cmd.Context(), listener)
}

// serve serves the site until the context ends, which is no error.
func (s site) serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// types are the media types of the site's files, by suffix. A machine's own table may
// say otherwise, and a browser compiles only what is called application/wasm.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".png":  "image/png",
	".wasm": "application/wasm",
}

// ServeHTTP answers with a file of the site. It answers to local names only: a page
// elsewhere whose name leads to this machine gets nothing.
func (s site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if host, _, err := net.SplitHostPort(r.Host); err != nil || host != "localhost" && !net.ParseIP(host).IsLoopback() {
		http.Error(w, "this page is for this machine only", http.StatusForbidden)
		return
	}
	name := r.URL.Path[1:]
	if name == "" {
		name = "index.html"
	}
	file, exists := s[name]
	if !exists {
		http.NotFound(w, r)
		return
	}
	header := w.Header()
	header.Set("Content-Type", types[path.Ext(name)])
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-cache") // the next run may serve another version
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(file))
}

// openBrowser opens the page with what the system opens pages with.
func openBrowser(url string) error {
	opener := map[string][]string{
		"darwin":  {"open"},
		"windows": {"rundll32", "url.dll,FileProtocolHandler"},
	}[runtime.GOOS]
	if opener == nil {
		opener = []string{"xdg-open"}
	}
	return exec.Command(opener[0], append(opener[1:], url)...).Start()
}
