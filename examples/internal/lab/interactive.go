package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/ipamsim/ipamsim/internal/cli"
)

// A pager waits between the parts for the reader.
type pager struct {
	in    *bufio.Reader
	out   io.Writer
	ended bool // the input: nobody is there to wait for
}

// wait asks for Enter before the part with this title. Input that ends asks for the rest
// at once. It returns [cli.ErrInterrupted] when the context ends.
func (p *pager) wait(ctx context.Context, title string) error {
	if p.ended {
		return ctx.Err()
	}
	if _, err := fmt.Fprintf(p.out, "Press Enter for %q ", title); err != nil {
		return err
	}
	err := cli.Wait(ctx, func() error {
		_, err := p.in.ReadString('\n')
		return err
	})
	if err != nil {
		fmt.Fprintln(p.out) // nobody has ended the line
	}
	if errors.Is(err, io.EOF) {
		p.ended = true
		return nil
	}
	return err
}
