package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shoenig/test/must"
	"github.com/spf13/cobra"
)

// sample is a program with a flag of every kind. It prints the values of its
// flags.
func sample() *cobra.Command {
	cmd := New("sample", "a sample", "A sample.\n\nUsage: ipamsim sample [flags]\n")
	var told struct {
		Nodes    int
		Strict   bool
		Files    []string
		Cooldown time.Duration
		Pool     netip.Prefix
		Scale    string
	}
	flags := cmd.Flags()
	flags.IntVar(&told.Nodes, "nodes", 3, "nodes")
	flags.BoolVar(&told.Strict, "strict", false, "strict affinity")
	flags.StringArrayVarP(&told.Files, "file", "f", nil, "a `FILE`")
	DurationVar(flags, &told.Cooldown, "cooldown", 0, "how long")
	PrefixVar(flags, &told.Pool, "pool", "10.0.0.0/16", "", "the pool")
	flags.Float64("rate", 1, "calls")
	flags.Func("scale", "`N`", func(text string) error {
		told.Scale = text
		return nil
	})
	Renamed(flags, map[string]string{"max-nodes": "nodes"})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), told, args)
		return err
	}
	return cmd
}

func execute(cmd *cobra.Command, args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = Execute(context.Background(), cmd, args, strings.NewReader(""), &out, &errs)
	return status, out.String(), errs.String()
}

// TestDashes: one dash works like two, before arguments and after them, and the
// value of a flag is never taken for a flag.
func TestDashes(t *testing.T) {
	for args, want := range map[string]string{
		"":                               "{3 false [] 0s 10.0.0.0/16 } []",
		"-nodes 4 -strict x":             "{4 true [] 0s 10.0.0.0/16 } [x]",
		"--nodes 4 --strict x":           "{4 true [] 0s 10.0.0.0/16 } [x]",
		"x -nodes=4 --strict=true":       "{4 true [] 0s 10.0.0.0/16 } [x]",
		"-max-nodes 4":                   "{4 false [] 0s 10.0.0.0/16 } []",
		"-scale -1 -strict=false":        "{3 false [] 0s 10.0.0.0/16 -1} []",
		"-scale -strict":                 "{3 false [] 0s 10.0.0.0/16 -strict} []",
		"-f a -f=b --file c --file=d -":  "{3 false [a b c d] 0s 10.0.0.0/16 } [-]",
		"-f -nodes -f=":                  "{3 false [-nodes ] 0s 10.0.0.0/16 } []",
		"-nodes 4 -- -nodes 5":           "{4 false [] 0s 10.0.0.0/16 } [-nodes 5]",
		"-cooldown 1m30s -pool fd00::/8": "{3 false [] 1m30s fd00::/8 } []",
	} {
		status, out, errs := execute(sample(), strings.Fields(args)...)
		must.Zero(t, status, must.Sprint(errs))
		must.Eq(t, want+"\n", out, must.Sprint(args))
	}
}

// TestFlagErrors: one line says what to write.
func TestFlagErrors(t *testing.T) {
	for args, want := range map[string]string{
		"-nodse 4":                    "-nodse: no such flag; did you mean -nodes?",
		"-node 4":                     "-node: no such flag; did you mean -nodes?",
		"-flie x":                     "-flie: no such flag; did you mean -f?",
		"-bogus":                      "-bogus: no such flag",
		"-x":                          "-x: no such flag",
		"-nodes":                      "-nodes: needs a value: -nodes N",
		"-f":                          "-f: needs a value: -f FILE",
		"-nodes many":                 "-nodes many: must be a whole number",
		"-nodes 1.5":                  "-nodes 1.5: must be a whole number",
		"-nodes 1" + "e99":            "-nodes 1e99: must be a whole number",
		"-nodes 99999999999999999999": "-nodes 99999999999999999999: is too large or too small a number",
		"-rate fast":                  "-rate fast: must be a number",
		"-strict=maybe":               "-strict maybe: must be true or false",
		"-cooldown 300":               "-cooldown 300: write 300s or 5m",
		"-cooldown 15":                "-cooldown 15: write 15s or 15m",
		"-cooldown 1.5":               "-cooldown 1.5: write 1.5s or 1.5m",
		"-cooldown soon":              "-cooldown soon: must be a time span such as 30s, 5m or 1h30m",
		"-pool 10.0.0.0":              "-pool 10.0.0.0: not a CIDR such as 10.0.0.0/16",
	} {
		status, out, errs := execute(sample(), strings.Fields(args)...)
		must.Eq(t, Bad, status, must.Sprint(args))
		must.Eq(t, "", out, must.Sprint(args))
		must.Eq(t, "sample: "+want+" (-h for help)\n", errs, must.Sprint(args))
	}
}

// TestStatus: the error of a command decides the exit code.
func TestStatus(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		says   string
	}{
		{nil, Fine, ""},
		{ErrNo, No, ""},
		{ErrBad, Bad, ""},
		{ErrInterrupted, Interrupted, "sample: interrupted\n"},
		{fmt.Errorf("writing: %w", context.Canceled), Interrupted, "sample: interrupted\n"},
		{fmt.Errorf("write: %w", syscall.EPIPE), Bad, ""},
		{errors.New("no space left"), Bad, "sample: no space left\n"},
		{Usagef("-x: %d", 3), Bad, "sample: -x: 3 (-h for help)\n"},
		{errors.New("a\nb"), Bad, "sample: a\nsample: b\n"},
		{errors.New(strings.Repeat("a\n", 60) + "b"), Bad, strings.Repeat("sample: a\n", 50) + "sample: … and 11 more\n"},
	} {
		cmd := sample()
		cmd.RunE = func(*cobra.Command, []string) error { return c.err }
		status, out, errs := execute(cmd)
		must.Eq(t, c.status, status, must.Sprint(c.err))
		must.Eq(t, "", out)
		must.Eq(t, c.says, errs)
	}
}

// TestCalled: the help names the program as the user called it.
func TestCalled(t *testing.T) {
	status, out, errs := execute(sample(), "-h")
	must.Zero(t, status)
	must.Eq(t, "", errs)
	must.StrContains(t, out, "Usage: go run ./examples/sample [flags]\n")
	must.StrContains(t, out, "\n  -nodes N            nodes (default 3)\n  -strict ")
	for _, args := range [][]string{{"sample", "-h"}, {"help", "sample"}, {"sample", "-nodes", "3", "--help"}} {
		root := New("ipamsim", "", "")
		root.AddCommand(sample())
		status, out, errs = execute(root, args...)
		must.Zero(t, status)
		must.Eq(t, "", errs)
		must.StrContains(t, out, "Usage: ipamsim sample [flags]\n")
	}
	root := New("ipamsim", "", "")
	root.AddCommand(sample())
	status, _, errs = execute(root, "sample", "-nodse", "3")
	must.Eq(t, Bad, status)
	must.Eq(t, "ipamsim sample: -nodse: no such flag; did you mean -nodes? (-h for help)\n", errs)
}

// TestCompletions: completions have as many dashes as the user typed, one or two.
func TestCompletions(t *testing.T) {
	for begun, want := range map[string]string{"-no": "-nodes\tnodes\n:4\n", "--no": "--nodes\tnodes\n:4\n"} {
		root := New("ipamsim", "", "")
		root.AddCommand(sample())
		status, out, _ := execute(root, "__complete", "sample", begun)
		must.Zero(t, status)
		must.Eq(t, want, out)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		root := New("ipamsim", "", "")
		root.AddCommand(sample())
		status, out, errs := execute(root, "completion", shell)
		must.Zero(t, status, must.Sprint(errs))
		must.StrContains(t, out, "ipamsim")
	}
}

func TestWait(t *testing.T) {
	want := errors.New("other")
	must.Eq(t, want, Wait(context.Background(), func() error { return want }))
	ctx, stop := context.WithCancel(context.Background())
	never := make(chan error)
	must.Eq(t, ErrInterrupted, Wait(ctx, func() error {
		stop()
		return <-never
	}))
}

func TestShort(t *testing.T) {
	for want, d := range map[string]time.Duration{"0s": 0, "15m": 15 * time.Minute, "24h": 24 * time.Hour, "1h30m": 90 * time.Minute, "1m30s": 90 * time.Second, "1h0m5s": time.Hour + 5*time.Second} {
		must.Eq(t, want, Short(d))
	}
}

func TestNearest(t *testing.T) {
	names := []string{"lab", "plan", "whatif", "churn", "race", "replay", "predict"}
	for mistyped, want := range map[string]string{"plna": "plan", "whatfi": "whatif", "wahtif": "whatif", "pla": "plan", "repl": "replay", "predcit": "predict", "chrun": "churn", "xyz": "", "": "", "kubectl": ""} {
		must.Eq(t, want, Nearest(mistyped, names), must.Sprint(mistyped))
	}
}
