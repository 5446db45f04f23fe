// Package web is the program web: the lab as a page in the browser. The page runs the
// allocator as WebAssembly; the program compiles that and serves the page, or writes
// it to a folder.
package web

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ipamsim/ipamsim/internal/cli"
)

const usage = `See blocks being claimed, in the browser: the lab as a page.

Usage: ipamsim web [flags]

Serves the page on this machine alone and opens it; Ctrl-C ends it. With -o it
writes the page to a folder instead, from which any static web server can serve
it, under any path.

  ipamsim web
  ipamsim web -no-open -port 8080
  ipamsim web -o site/

The page runs the allocator itself, as WebAssembly; the go command compiles it
first. The page asks for nothing once it is loaded: the files of a cluster that
are dropped on it stay in the browser.

Exit status: 0; 2 bad usage, no go command, or what cannot be written or served;
130 interrupted before the page was served.
`

// options are the flags.
type options struct {
	folder string
	noOpen bool
	port   int
}

// Command returns the program.
func Command() *cobra.Command {
	o := &options{}
	cmd := cli.New("web", "the lab as a page in the browser: see a block being claimed", usage)
	flags := cmd.Flags()
	flags.StringVarP(&o.folder, "output", "o", "", "write the page to the `FOLDER` instead of serving it; files of other names that it has stay")
	flags.BoolVar(&o.noOpen, "no-open", false, "do not open the browser; print the page's address only")
	flags.IntVar(&o.port, "port", 0, "the port to serve on, 1 to 65535 (default: one that is free)")
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return cli.Usagef("%q: there are no arguments, only flags", args[0])
		}
		if flags.Changed("port") && (o.port < 1 || o.port > 65535) {
			return cli.Usagef("-port %d: want 1 to 65535", o.port)
		}
		if flags.Changed("output") {
			if flags.Changed("port") || o.noOpen {
				return cli.Usagef("-o writes the page and serves nothing: it goes without -port and -no-open")
			}
			return o.write(cmd)
		}
		return o.serve(cmd)
	}
	return cmd
}

// write writes the site to the folder.
func (o *options) write(cmd *cobra.Command) error {
	if o.folder == "" || o.folder == "-" {
		return cli.Usagef("-o %q: want the name of a folder", o.folder)
	}
	if err := os.MkdirAll(o.folder, 0o777); err != nil {
		return fmt.Errorf("-o %s: %w", o.folder, errors.Unwrap(err))
	}
	outputs := make(map[string]*cli.Output)
	for _, name := range names() {
		to, err := cli.NewOutput("-o", filepath.Join(o.folder, name), cmd.OutOrStdout())
		if err != nil {
			return err
		}
		outputs[name] = to
	}
	s, err := compile(cmd)
	if err != nil {
		return err
	}
	for _, name := range names() {
		err := outputs[name].Write(cmd.Context(), cmd.OutOrStdout(), func(w io.Writer) error {
			_, err := w.Write(s[name])
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// compile returns the whole site. On a terminal it says what takes the time.
func compile(cmd *cobra.Command) (site, error) {
	if cli.Terminal(cmd.ErrOrStderr()) {
		cli.Warn(cmd, "compiling the engine for the browser; the first time this may take a minute")
	}
	return newSite(cmd.Context())
}
