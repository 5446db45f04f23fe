package cli

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"os"
)

// Open opens a file that a flag or an argument names, plain or gzip; the name "-"
// is standard input. It also returns the name of the file for errors. The caller
// closes the file.
func Open(name string, stdin io.Reader) (in io.ReadCloser, called string, err error) {
	called = name
	file := io.NopCloser(stdin)
	if name == "-" {
		called = "standard input"
	} else if file, err = os.Open(name); err != nil {
		return nil, called, err
	}
	r := bufio.NewReader(file)
	if magic, _ := r.Peek(2); string(magic) != "\x1f\x8b" { // reading reports a failure
		return input{r, file}, called, nil
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		_ = file.Close() // what could not be read
		return nil, called, fmt.Errorf("%s: %w", called, err)
	}
	return input{z, file}, called, nil
}

// input reads from one stream and closes the other.
type input struct {
	io.Reader
	io.Closer
}
