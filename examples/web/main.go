// Command web is "ipamsim web" alone: the lab as a page in the browser.
//
//	$ go run ./examples/web              serves the page and opens it
//	$ go run ./examples/web -no-open     says where it is
//	$ go run ./examples/web -o site/     writes it, for any static web server
//
// The page runs the allocator itself, as WebAssembly. It asks no server for anything
// once it is loaded, and what is dropped on it stays in the browser.
//
// Its help, -h, tells the rest.
package main

import (
	"github.com/ipamsim/ipamsim/examples/internal/web"
	"github.com/ipamsim/ipamsim/internal/cli"
)

func main() { cli.Main(web.Command()) }
