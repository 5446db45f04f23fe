package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// Found is what a program found in a file of recordings.
type Found struct {
	File    string
	Holds   string   // what there is in it, in columns
	Differs string   // what of that differs, such as "3 differ"; empty for nothing
	Details []string // of the differences
	Error   string   // why it was not read to its end; empty if it was
	Nothing bool     // was read before that
	JSON    any      // the same for machines
}

// CheckFiles checks every file, and prints a line for it with the details as soon as
// it is known, or a JSON object. At the end comes a line that begins with the number of
// files and goes on with the total. It returns [ErrBad] if a file was not read to its
// end, else [ErrNo] if one differs.
func CheckFiles(cmd *cobra.Command, files []string, asJSON bool, check func(file string) Found, total func() string) error {
	out := bufio.NewWriter(cmd.OutOrStdout())
	unreadable, differs := false, false
	for _, file := range files {
		f := check(file)
		unreadable = unreadable || f.Error != ""
		differs = differs || f.Differs != ""
		if asJSON {
			_ = json.NewEncoder(out).Encode(f.JSON) // a failure shows when flushing
		} else {
			Warn(cmd, f.Error)
			f.show(out)
		}
		_ = out.Flush() // a line as soon as it is known; the last one reports failure
	}
	if !asJSON {
		fmt.Fprintf(out, "%s: %s\n", Count(len(files), "recording"), total())
	}
	if err := out.Flush(); err != nil {
		return err
	}
	switch {
	case unreadable:
		return ErrBad
	case differs:
		return ErrNo
	}
	return nil
}

// show writes what is known of a file.
func (f *Found) show(out io.Writer) {
	verdict := "ok"
	if f.Differs != "" {
		verdict = f.Differs
	}
	if f.Error != "" && f.Nothing {
		verdict = "unreadable"
	} else if f.Error != "" {
		verdict += " so far, then unreadable"
	}
	fmt.Fprintf(out, "%-40s %s  %s\n", f.File, f.Holds, verdict)
	for _, d := range f.Details {
		fmt.Fprintln(out, d)
	}
}
