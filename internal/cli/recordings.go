package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/ipamsim/ipamsim/ipam/trace"
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

// Misplaced says what a file of recordings holds that is for another program than this
// one, and how to call that; empty if it does not know the file. Wanted is what this
// program reads.
func Misplaced(cmd *cobra.Command, file, wanted string) string {
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
		return "" // a pipe cannot be read again
	}
	l, err := trace.OpenLines(file)
	if err != nil {
		return ""
	}
	defer l.Close()
	var first map[string]json.RawMessage
	if err := l.Next(&first); err != nil {
		return ""
	}
	has := func(name string) bool { return first[name] != nil }
	var holds, name, flag string
	switch {
	case has("op"): // an operation without the first line of its recording
	case has("pool") && has("nodes"):
		holds, name, flag = "scenarios with results", "plan", "-check "
	case has("setting"):
		holds, name, flag = "recorded races", "race", "-check "
	case has("version") && has("start"):
		holds, name = "a recording of operations", "replay"
	}
	if name == "" || name == cmd.Name() {
		return ""
	}
	return fmt.Sprintf("%s: holds %s, not %s: use %s %s%s", file, holds, wanted, Sibling(cmd, name), flag, file)
}
