package cli

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"os"
)

// Open opens a file that a flag or an argument names, plain or gzip; the name "-" is
// standard input. It returns what to call the file in errors, too. The caller closes
// it.
func Open(name string, stdin io.Reader) (in io.ReadCloser, called string, err error) {
	called = name
	file := io.NopCloser(stdin)
	if name == "-" {
		called = "standard input"
	} else if file, err = os.Open(name); err != nil {
		return nil, called, err
	}
	r := bufio.NewReader(file)
	if magic, _ := r.Peek(2); string(magic) != "\x1f\x8b" { // a failure shows when reading
		return input{r, file}, called, nil
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		_ = file.Close() // what could not be read
		return nil, called, fmt.Errorf("%s: %w", called, err)
	}
	return input{z, file}, called, nil
}

// input reads from the one and closes the other.
type input struct {
	io.Reader
	io.Closer
}
