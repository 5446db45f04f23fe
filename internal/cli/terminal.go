package cli

import (
	"io"
	"os"
)

// Terminal reports whether w is a terminal, where a person reads and lines can be
// overwritten.
func Terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Colours reports whether w is a terminal that wants them: NO_COLOR is not set.
func Colours(w io.Writer) bool { return Terminal(w) && os.Getenv("NO_COLOR") == "" }
