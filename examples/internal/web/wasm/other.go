//go:build !js || !wasm

package main

// main makes "go build ./..." build everywhere.
func main() { panic("this is for WebAssembly: GOOS=js GOARCH=wasm; run ipamsim web") }
