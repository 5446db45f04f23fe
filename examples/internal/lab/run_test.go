package lab

import (
	"context"
	"io"

	"github.com/ipamsim/ipamsim/internal/cli"
)

// run is the program without its process.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return cli.Execute(context.Background(), Command(), args, stdin, stdout, stderr)
}
