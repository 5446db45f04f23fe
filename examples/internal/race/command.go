// Package race is the program race: what happens when hosts race each other.
package race

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Run runs the program with its arguments and returns its exit status.
func Run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return run(args, stdin, stdout, stderr)
}

const usage = `race shows what happens when hosts race each other for blocks and addresses.

  go run ./examples/race -seed 7               a small race, step by step
  go run ./examples/race -seed 7 -explore      every way in which that can go
  go run ./examples/race -check FILE...        recorded races, call by call
  go run ./examples/race -storm 40             40 nodes at once: what it costs

-h after one of these tells more.

Exit status: 0, 1 an invariant or a recording does not hold or a pod got no
address, 2 bad usage, unreadable file or unwritable output.
`

// modes are what the program can do, by the flag that asks for it. A storm has a
// seed, too, so it comes first.
var modes = []struct {
	flag string
	run  func(args []string, stdin io.Reader, stdout, stderr io.Writer) int
}{
	{"storm", runStorm},
	{"check", check},
	{"seed", seeded},
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	for _, mode := range modes {
		for _, arg := range args {
			if arg == "--" {
				break
			}
			name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
			if name == mode.flag && strings.HasPrefix(arg, "-") {
				return mode.run(args, stdin, stdout, stderr)
			}
		}
	}
	for _, help := range []string{"-h", "--h", "-help", "--help"} {
		if slices.Contains(args, help) {
			fmt.Fprint(stdout, usage)
			return 0
		}
	}
	if len(args) > 0 {
		fmt.Fprintf(stderr, "race: %s: want -seed, -check or -storm (-h for help)\n", args[0])
		return 2
	}
	fmt.Fprint(stderr, "race: nothing to do\n\n", usage)
	return 2
}
