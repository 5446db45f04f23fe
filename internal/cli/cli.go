// Package cli has the command lines of the example programs: flags, help, output
// files and progress. It knows nothing of allocation.
package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ipamsim/ipamsim/pool"
)

// InFlags words the first fault of a pool in terms of the flags -pool and
// -block-size. It returns other errors unchanged.
func InFlags(err error) error {
	var wrong *pool.InvalidError
	if !errors.As(err, &wrong) {
		return err
	}
	name := map[string]string{"cidr": "pool", "blockSize": "block-size"}[wrong.Field]
	if name == "" {
		return err
	}
	return fmt.Errorf("-%s %s: %s", name, wrong.Value, wrong.Reason)
}

// Count writes a number, its thousands set apart, with its noun.
func Count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return Number(n) + " " + noun
}

// Number writes a non-negative number with its thousands set apart.
func Number(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// Wrap breaks text into lines of at most n characters, or of one longer word.
func Wrap(text string, n int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case len([]rune(line))+1+len([]rune(word)) > n:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}
