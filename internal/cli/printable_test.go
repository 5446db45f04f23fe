package cli

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/shoenig/test/must"
)

// TestPrintable: printed text contains no commands to a terminal.
func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "",
		`plain "text", π … \d`:         `plain "text", π … \d`,
		"a\x1b[2Jb":                    `a\x1b[2Jb`,
		"two\rtexts\t":                 `two\rtexts\t`,
		"c1 \u009b2J \u202e backwards": `c1 \u009b2J \u202e backwards`,
		"no UTF-8 \xff":                `no UTF-8 \xff`,
		"\x1b \"\\":                    `\x1b "\\`,
	} {
		must.Eq(t, want, Printable(text))
	}
	var out bytes.Buffer
	n, err := fmt.Fprint(PrintableLines(&out), "one\ntwo\a\n")
	must.NoError(t, err)
	must.Eq(t, 9, n)
	must.Eq(t, "one\ntwo\\a\n", out.String())
	_, err = PrintableLines(failing{}).Write([]byte("x"))
	must.Error(t, err)

	out.Reset()
	complain(&out, "x", errors.New("one\x1b\ntwo"))
	must.Eq(t, "x: one\\x1b\nx: two\n", out.String())
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("full") }
