package predict

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/ipamsim/ipamsim/internal/cli"
)

// readNames returns the names of nodes given as arguments, then those in the
// files. The argument or file "-" is standard input.
func readNames(args, files []string, stdin io.Reader) ([]string, error) {
	var names []string
	read := false
	fromStdin := func() error {
		if read {
			return errors.New("standard input can be read only once")
		}
		read = true
		more, err := scanNames("standard input", stdin)
		names = append(names, more...)
		return err
	}
	for _, arg := range args {
		switch {
		case arg == "-":
			if err := fromStdin(); err != nil {
				return nil, err
			}
		case strings.HasPrefix(arg, "-"):
			return nil, cli.Usagef("%s: not the name of a node", arg)
		default:
			names = append(names, arg)
		}
	}
	for _, file := range files {
		if file == "-" {
			if err := fromStdin(); err != nil {
				return nil, err
			}
			continue
		}
		more, err := readFile(file)
		if err != nil {
			return nil, err
		}
		names = append(names, more...)
	}
	if len(names) == 0 {
		return nil, cli.Usagef("no node is named")
	}
	return names, nil
}

// readFile returns the names in a file.
func readFile(name string) ([]string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return scanNames(name, f)
}

// maxName is how long the name of a node may be, in bytes.
const maxName = 253

// scanNames reads one name a line. Blank lines, and what follows a #, are
// skipped.
func scanNames(source string, r io.Reader) ([]string, error) {
	var names []string
	lines := bufio.NewScanner(r)
	n := 0
	for lines.Scan() {
		n++
		name, _, _ := strings.Cut(lines.Text(), "#")
		name = strings.TrimSpace(strings.TrimPrefix(name, "\ufeff"))
		switch {
		case len(name) > maxName:
			return nil, fmt.Errorf("%s:%d: %q…: longer than the %d bytes of a node's name", source, n, name[:32], maxName)
		case strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f }):
			return nil, fmt.Errorf("%s:%d: %q: one name a line", source, n, name)
		}
		if name != "" {
			names = append(names, name)
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, fmt.Errorf("%s:%d: line is longer than the %d bytes of a node's name", source, n+1, maxName)
	} else if err != nil {
		return nil, fmt.Errorf("%s:%d: %w", source, n+1, err)
	}
	return names, nil
}
