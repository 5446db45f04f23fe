// Package cli is what the example programs share in talking to their users. It
// knows flags and no allocation.
package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ipamsim/ipamsim/pool"
)

// InFlags puts what is wrong with a pool, the first thing of several, in terms
// of the flags -pool and -block-size. Other errors come back as they are.
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

// Number writes a number that is not negative, its thousands set apart.
func Number(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// Wrap breaks text into lines of at most n characters, where its words allow.
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
