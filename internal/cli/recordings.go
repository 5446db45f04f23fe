package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// Found is the result of checking a file of recordings.
type Found struct {
	File    string
	Holds   string   // what there is in it, in columns
	Differs string   // how much of that differs, such as "3 differ"; empty for nothing
	Details []string // of the differences
	Error   string   // why it was not read to its end; empty if it was
	Nothing bool     // was read before that
	JSON    any      // the same for programs that read it
}

// CheckFiles checks every file, and prints a line with the details for each as
// soon as it is checked, or a JSON object. The last line has the number of
// recordings and the total, and counts the files that were not read to their end
// apart: the total is no verdict on them. It returns [ErrBad] if there is such a
// file, else [ErrNo] if one differs.
func CheckFiles(cmd *cobra.Command, files []string, asJSON bool, check func(file string) Found, total func() string) error {
	out := bufio.NewWriter(cmd.OutOrStdout())
	unreadable, cutOff, differs := 0, 0, false
	for _, file := range files {
		f := check(file)
		switch {
		case f.Error != "" && f.Nothing:
			unreadable++
		case f.Error != "":
			cutOff++
		}
		differs = differs || f.Differs != ""
		if asJSON {
			_ = json.NewEncoder(out).Encode(f.JSON) // flushing reports a failure
		} else {
			Warn(cmd, f.Error)
			f.show(out)
		}
		_ = out.Flush() // prints each line at once; the last flush reports failure
	}
	if !asJSON {
		fmt.Fprintf(out, "%s: %s", Count(len(files)-unreadable, "recording"), total())
		if unreadable > 0 {
			fmt.Fprintf(out, ", %d unreadable", unreadable)
		}
		if cutOff > 0 {
			fmt.Fprintf(out, ", %d not read to the end", cutOff)
		}
		fmt.Fprintln(out)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	switch {
	case unreadable+cutOff > 0:
		return ErrBad
	case differs:
		return ErrNo
	}
	return nil
}

// show prints the result of a file.
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
