package web

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/examples/internal/look"
)

// pages are the files of the site that a person wrote.
//
//go:embed site
var pages embed.FS

// The files of the site that come from the go command: the engine, and what loads any
// Go program in a page. The two must be of one release of Go.
const (
	engineFile = "ipamsim.wasm"
	loaderFile = "wasm_exec.js"
)

// The files of the site that other pages have parts of.
const (
	lookFile = "look.css"
	mapFile  = "blockmap.js"
)

// site is all files of the site, by name.
type site map[string][]byte

// names returns the names of the site's files, in order.
func names() []string {
	entries, err := pages.ReadDir("site")
	if err != nil {
		panic(err) // it is compiled in
	}
	all := []string{engineFile, loaderFile, lookFile, mapFile}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	slices.Sort(all)
	return all
}

// newSite compiles the engine from the source that this program was compiled from, and
// returns the whole site.
func newSite(ctx context.Context) (site, error) {
	source, err := sourceFolder()
	if err != nil {
		return nil, err
	}
	s := site{lookFile: []byte(look.CSS()), mapFile: []byte(look.Module())}
	written, err := pages.ReadDir("site")
	if err != nil {
		return nil, err
	}
	for _, e := range written {
		if s[e.Name()], err = pages.ReadFile("site/" + e.Name()); err != nil {
			return nil, err
		}
	}
	if s[engineFile], err = compileEngine(ctx, source); err != nil {
		return nil, err
	}
	root, err := run(ctx, source, "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	s[loaderFile], err = os.ReadFile(filepath.Join(strings.TrimSpace(root), "lib", "wasm", loaderFile))
	return s, err
}

// sourceFolder is the folder of this file on the machine that compiled the program: a
// clone, or Go's own store of modules.
func sourceFolder() (string, error) {
	_, file, _, _ := runtime.Caller(0)
	folder := filepath.Dir(file)
	if _, err := os.Stat(filepath.Join(folder, "wasm", "main.go")); !filepath.IsAbs(folder) || errors.Is(err, fs.ErrNotExist) {
		return "", errors.New("the source is not on this machine, and the page's engine is compiled from it: clone the repository and run go run ./examples/web")
	}
	return folder, nil
}

// seldom are packages of which a reader waits for nothing: without copies of small
// functions in large ones they are a tenth smaller.
var seldom = []string{
	"github.com/ipamsim/ipamsim/affinity", "github.com/ipamsim/ipamsim/examples/...", "github.com/ipamsim/ipamsim/ipam/calico", "github.com/ipamsim/ipamsim/ipam/codes",
	"github.com/ipamsim/ipamsim/ipam/lifecycle", "github.com/ipamsim/ipamsim/ipam/protocol", "github.com/ipamsim/ipamsim/ipam/report",
	"github.com/ipamsim/ipamsim/ipam/sim", "github.com/ipamsim/ipamsim/ipam/snapshot", "github.com/ipamsim/ipamsim/ipam/trace", "github.com/ipamsim/ipamsim/pool",
	"github.com/jedib0t/go-pretty/v6/...", "github.com/mattn/go-runewidth", "github.com/rivo/uniseg", "go.yaml.in/yaml/v3", "golang.org/x/text/...", "sigs.k8s.io/json/...",
	"archive/tar", "bufio", "compress/...", "context", "encoding/json", "fmt", "html", "io/fs", "math/big", "net", "os", "path/filepath", "reflect", "regexp/...",
	"sort", "strconv", "syscall", "text/tabwriter", "time",
}

// compileEngine returns the engine as WebAssembly.
func compileEngine(ctx context.Context, source string) (wasm []byte, err error) {
	folder, err := os.MkdirTemp("", "ipamsim-web-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	out := filepath.Join(folder, engineFile)
	// Without tables for debuggers it is a third smaller.
	args := []string{"build", "-trimpath", "-ldflags=-s -w", "-o", out}
	for _, pattern := range seldom {
		args = append(args, "-gcflags="+pattern+"=-l")
	}
	if _, err := run(ctx, source, append(args, "./wasm")...); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}

// run runs the go command in a folder, for WebAssembly, and returns what it prints.
func run(ctx context.Context, folder string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	var out, complaints bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = folder, &out, &complaints
	cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm", "GOFLAGS=", "GOWORK=off")
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.Is(err, exec.ErrNotFound):
		return "", errors.New("the go command is not in PATH; the page's engine is compiled with it")
	case err != nil:
		return "", fmt.Errorf("go %s: %w\n%s", args[0], err, strings.TrimSpace(complaints.String()))
	}
	return out.String(), nil
}
