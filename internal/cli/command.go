package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// The exit codes of programs.
const (
	Fine        = 0
	No          = 1   // the answer is no, or there are differences
	Bad         = 2   // bad usage, unreadable input or unwritable output
	Interrupted = 130 // as shells say for Ctrl-C
)

// What a command returns when the error needs no message.
var (
	ErrNo          = errors.New("the answer is no")
	ErrBad         = errors.New("bad input") // of which standard error knows
	ErrInterrupted = errors.New("interrupted")
)

// usageError is an error that the help explains.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Usage marks an error as one of usage: the message points to the help.
func Usage(err error) error { return usageError{err} }

// Usagef is [Usage] of [fmt.Errorf].
func Usagef(format string, args ...any) error { return Usage(fmt.Errorf(format, args...)) }

// New returns a command that prints its help as all programs do: the text, then
// the flags in the order in which they are defined. The command is a subcommand of
// ipamsim as well as a program of its own: "ipamsim NAME" in the text stands for
// how the user called it.
func New(name, short, text string) *cobra.Command {
	cmd := &cobra.Command{Use: name, Short: short, Long: text, Args: cobra.ArbitraryArgs}
	cmd.Flags().SortFlags = false
	cmd.SetHelpFunc(func(cmd *cobra.Command, _ []string) { Help(cmd) })
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return Usage(inWords(cmd.Flags(), err)) })
	return cmd
}

// Main runs a command as the whole process, which ends with it. An interrupt ends the
// command's context, and the process a second later.
func Main(cmd *cobra.Command) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := make(chan int, 1)
	go func() { status <- Execute(ctx, cmd, os.Args[1:], os.Stdin, os.Stdout, os.Stderr) }()
	select {
	case s := <-status:
		os.Exit(s)
	case <-ctx.Done():
	}
	stop() // the next interrupt kills
	select {
	case s := <-status:
		os.Exit(s)
	case <-time.After(time.Second): // the command waits for standard input
		stopAll()
		if sub, _, err := cmd.Find(os.Args[1:]); err == nil {
			cmd = sub
		}
		fmt.Fprintf(os.Stderr, "%s: interrupted\n", cmd.CommandPath())
		os.Exit(Interrupted)
	}
}

// Execute runs a command with these arguments and returns the exit code of the
// process. Flags may begin with one dash or two. It prints errors on stderr.
func Execute(ctx context.Context, cmd *cobra.Command, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetIn(stdin)
	cmd.SetOut(stdout)
	if n := len(args); n > 1 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) && oneDash(args[n-1]) {
		var completions strings.Builder
		cmd.SetOut(&completions)
		defer func() { // a shell takes only completions that begin with the word
			_, _ = io.WriteString(stdout, strings.ReplaceAll("\n"+completions.String(), "\n--", "\n-")[1:])
		}()
	}
	cmd.SetErr(stderr)
	if args == nil {
		args = []string{} // or cobra would take those of the process
	}
	cmd.SetArgs(doubleDashes(cmd, args))
	var unwritten error
	ran, err := cmd.ExecuteContextC(context.WithValue(ctx, unwrittenHelp{}, &unwritten))
	if err == nil {
		err = unwritten
	}
	name := ran.CommandPath()
	stopAll()
	switch {
	case err == nil:
		return Fine
	case errors.Is(err, ErrNo):
		return No
	case errors.Is(err, ErrBad):
		return Bad
	case errors.Is(err, ErrInterrupted), errors.Is(err, context.Canceled):
		fmt.Fprintf(stderr, "%s: interrupted\n", name)
		return Interrupted
	case errors.Is(err, syscall.EPIPE): // the reader of the output closed the pipe
		return Bad
	}
	complain(stderr, name, err)
	return Bad
}

// oneDash reports whether an argument is a flag with one dash, or the beginning of one.
func oneDash(arg string) bool { return strings.HasPrefix(arg, "-") && !strings.HasPrefix(arg, "--") }

// maxComplaints is how many lines of one error are printed.
const maxComplaints = 50

// complain prints an error, each of its lines with the program's name.
func complain(stderr io.Writer, name string, err error) {
	hint := ""
	if errors.As(err, new(usageError)) {
		hint = " (-h for help)"
	}
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		switch {
		case i == maxComplaints:
			fmt.Fprintf(stderr, "%s: … and %d more\n", name, len(lines)-i)
			return
		case i == len(lines)-1:
			line += hint
		}
		fmt.Fprintf(stderr, "%s: %s\n", name, Printable(line))
	}
}

// Warn prints a line after the command's name on standard error; nothing for no text.
func Warn(cmd *cobra.Command, text string) {
	if text != "" {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", cmd.CommandPath(), text)
	}
}

// Wait calls f and returns its error, or [ErrInterrupted] as soon as the context
// ends. In that case f runs on, and the caller must not touch what f writes.
func Wait(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ErrInterrupted
	}
}
