//go:build js && wasm

// Command wasm is the engine of the page: the session of one reader, as WebAssembly.
// It gives the page one function, ipamsim(method, arguments, file), and then waits.
package main

import (
	"syscall/js"

	"github.com/ipamsim/ipamsim/examples/internal/web/session"
)

func main() {
	s := session.New()
	js.Global().Set("ipamsim", js.FuncOf(func(_ js.Value, args []js.Value) any {
		var file []byte
		if len(args) > 2 && !args[2].IsNull() && !args[2].IsUndefined() {
			file = make([]byte, args[2].Length())
			js.CopyBytesToGo(file, args[2])
		}
		return string(s.Call(args[0].String(), []byte(args[1].String()), file))
	}))
	select {} // the functions of a Go program that has ended cannot be called
}
