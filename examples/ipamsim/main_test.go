package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/shoenig/test/must"
	"github.com/spf13/pflag"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/internal/property"
)

func do(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = cli.Execute(context.Background(), command(), args, strings.NewReader(""), &out, &errs)
	return status, out.String(), errs.String()
}

// TestHelp: every program's help fits 80 columns, and says how it ends and what it
// takes, in the words of this program.
func TestHelp(t *testing.T) {
	status, out, errs := do("-h")
	must.Zero(t, status)
	must.Eq(t, "", errs)
	helps := [][]string{{"-h"}, {"race", "-seed", "7", "-h"}, {"race", "-check", "-h"}, {"race", "-storm", "4", "-h"}}
	for _, cmd := range command().Commands() {
		must.StrContains(t, out, "\n  "+cmd.Name()+" ")
		helps = append(helps, []string{cmd.Name(), "--help"})
	}
	must.Len(t, 4+8, helps)
	for _, args := range helps {
		status, out, errs := do(args...)
		must.Zero(t, status, must.Sprint(args))
		must.Eq(t, "", errs, must.Sprint(args))
		must.StrContains(t, out, "Usage: ipamsim "+strings.TrimSuffix(args[0], "-h"))
		must.StrNotContains(t, out, "go run ./examples")
		if len(args) > 1 {
			must.StrContains(t, out, "Exit status: 0")
			must.RegexMatch(t, regexp.MustCompile(`(?s)Exit status: .*;\s130\sinterrupted`), out, must.Sprint(args))
		}
		for line := range strings.Lines(out) {
			must.LessEq(t, 80+len("\n"), len([]rune(line)), must.Sprint(line))
		}
	}
}

// TestFull: where standard output cannot be written, every program says so once, without
// the words of what wrote it, and so does every help.
func TestFull(t *testing.T) {
	const field = "../../testdata/field/05-pod-asks-for-its-pool.yaml"
	for _, args := range []string{"help", "-h", "help plan", "plan -h", "race -seed 7 -h", "completion -h", "-version", "whatif -f " + field + " -o -", "whatif -f " + field} {
		var errs bytes.Buffer
		status := cli.Execute(context.Background(), command(), strings.Fields(args), strings.NewReader(""), full{}, &errs)
		must.Eq(t, cli.Bad, status, must.Sprint(args))
		must.RegexMatch(t, regexp.MustCompile(`^ipamsim( [a-z]+)?: no space left on device\n$`), errs.String(), must.Sprint(args))
	}
}

// full is a device without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestMistyped(t *testing.T) {
	for args, want := range map[string]string{
		"plna":            "ipamsim: plna: no such command; did you mean plan? (-h for help)\n",
		"whatfi -f x":     "ipamsim: whatfi: no such command; did you mean whatif? (-h for help)\n",
		"kubectl":         "ipamsim: kubectl: no such command (-h for help)\n",
		"plan -nodse 3":   "ipamsim plan: -nodse: no such flag; did you mean -nodes? (-h for help)\n",
		"churn -for 3":    "ipamsim churn: -for 3: write 3s or 3m (-h for help)\n",
		"race":            "ipamsim race: nothing to do: want -seed N, -check FILE or -storm N (-h for help)\n",
		"replay":          "ipamsim replay: no recording given: name a FILE, or - for standard input (-h for help)\n",
		"predict -pool x": "ipamsim predict: -pool x: not a CIDR such as 10.244.0.0/16 (-h for help)\n",
	} {
		status, out, errs := do(strings.Fields(args)...)
		must.Eq(t, cli.Bad, status, must.Sprint(args))
		must.Eq(t, "", out, must.Sprint(args))
		must.Eq(t, want, errs)
	}
	status, out, errs := do()
	must.Eq(t, cli.Bad, status)
	must.Eq(t, "", out)
	must.StrContains(t, errs, "Usage: ipamsim COMMAND")
}

func TestVersion(t *testing.T) {
	status, out, _ := do("-version")
	must.Zero(t, status)
	must.RegexMatch(t, regexp.MustCompile(`^ipamsim \S+\n$`), out)
}

// TestOneVocabulary: a flag that several programs have takes the same in each, but for
// those that are about something else.
func TestOneVocabulary(t *testing.T) {
	// What whatif takes is a change, in its place among others, and a race is known by
	// a number or a file.
	other := []string{"drain", "seed", "strict", "max-blocks", "cooldown"}
	kinds := make(map[string]string)
	for _, cmd := range command().Commands() {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Hidden {
				return
			}
			kind, ok := kinds[f.Name]
			if ok && !slices.Contains(other, f.Name) {
				must.Eq(t, kind, f.Value.Type(), must.Sprintf("%s -%s", cmd.Name(), f.Name))
			}
			kinds[f.Name] = f.Value.Type()
			must.Eq(t, f.Name == "file", f.Shorthand == "f", must.Sprintf("%s -%s", cmd.Name(), f.Name))
			must.Eq(t, f.Name == "output", f.Shorthand == "o", must.Sprintf("%s -%s", cmd.Name(), f.Name))
		})
	}
	for _, name := range []string{"nodes", "pods", "pool", "block-size", "cooldown", "max-blocks", "strict", "json", "file", "output"} {
		must.MapContainsKey(t, kinds, name)
	}
}

// TestOutputs: whatever writes a file refuses one that cannot be written before
// the work, leaves devices what they are, and says which flag it was.
func TestOutputs(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need a privilege, and errors have other words")
	}
	programs := map[string]string{
		"plan":   "plan -nodes 2 -pods 2 -pool 10.0.0.0/24 -o",
		"whatif": "whatif -f ../../testdata/sample.yaml -o",
		"churn":  "churn -nodes 2 -pods 2 -pool 10.0.0.0/24 -for 1h -compare=false -o",
		"race":   "race -seed 7 -o",
	}
	if testing.Short() { // the same code for all
		delete(programs, "plan")
		delete(programs, "whatif")
		delete(programs, "race")
	}
	for name, args := range programs {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write := func(to string) (int, string, string) { return do(append(strings.Fields(args), to)...) }
			status, out, errs := write(dir)
			must.Eq(t, cli.Bad, status)
			must.Eq(t, "", out, must.Sprint("nothing is done before"))
			must.StrContains(t, errs, "-o "+dir+": is a directory")
			status, out, errs = write(filepath.Join(dir, "no", "file"))
			must.Eq(t, cli.Bad, status)
			must.Eq(t, "", out)
			must.StrContains(t, errs, "no such file or directory")

			path := filepath.Join(dir, "file")
			link := filepath.Join(dir, "link")
			must.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
			must.NoError(t, os.Symlink("file", link))
			status, out, errs = write(link)
			must.Zero(t, status, must.Sprint(errs))
			must.NotEq(t, "", out)
			written, err := os.ReadFile(path)
			must.NoError(t, err)
			must.NotEq(t, "old", string(written))
			info, err := os.Lstat(link)
			must.NoError(t, err)
			must.NonZero(t, info.Mode()&os.ModeSymlink)

			// On standard output there is that and nothing else.
			status, out, errs = write("-")
			must.Zero(t, status, must.Sprint(errs))
			must.Eq(t, string(written), out)

			if _, err := os.Stat("/dev/full"); err != nil {
				t.Skip("there is no /dev/full here")
			}
			status, _, errs = write("/dev/full")
			must.Eq(t, cli.Bad, status)
			must.StrContains(t, errs, "-o /dev/full: no space left on device")
			info, err = os.Stat("/dev/full")
			must.NoError(t, err)
			must.NonZero(t, info.Mode()&os.ModeDevice)
		})
	}
}

// TestAlone: programs are there alone as well, and print what the subcommand does. It
// builds some, which takes seconds; the others have the same main.
func TestAlone(t *testing.T) {
	if !property.Long() {
		t.Skip("building takes seconds")
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go in PATH")
	}
	dir := t.TempDir()
	build := exec.Command(goTool, "build", "-o", dir+string(filepath.Separator), "../ipamsim", "../lab", "../plan")
	text, err := build.CombinedOutput()
	must.NoError(t, err, must.Sprint(string(text)))
	run := func(name string, args ...string) (int, string) {
		cmd := exec.Command(filepath.Join(dir, name), args...)
		cmd.Dir = filepath.Join("..", "..")
		out, err := cmd.Output()
		if exit := new(exec.ExitError); !errors.As(err, &exit) {
			must.NoError(t, err)
		}
		return cmd.ProcessState.ExitCode(), string(out)
	}
	called := regexp.MustCompile(`go run ./examples/`)
	for args, want := range map[string]int{
		"lab -step 4": 0,
		"plan -nodes 20 -pods 60 -pool 10.0.0.0/24 -strict": 1,
		"plan -nodes 20 -pools 10.0.0.0/24":                 2,
	} {
		fields := strings.Fields(args)
		status, out := run("ipamsim", fields...)
		must.Eq(t, want, status, must.Sprint(args))
		alone, same := run(fields[0], fields[1:]...)
		must.Eq(t, status, alone, must.Sprint(args))
		must.Eq(t, out, called.ReplaceAllString(same, "ipamsim "), must.Sprint(args))
	}
	if runtime.GOOS == "windows" {
		return
	}
	// Whoever reads the output may stop, and hears no complaint.
	sh := exec.Command("sh", "-c", `"$0" lab -nodes 300 2>&1 >&3 3>&- | cat >&2 3>&-`, filepath.Join(dir, "ipamsim"))
	reader, writer, err := os.Pipe()
	must.NoError(t, err)
	sh.ExtraFiles = []*os.File{writer}
	var errs bytes.Buffer
	sh.Stderr = &errs
	must.NoError(t, reader.Close())
	must.NoError(t, sh.Run())
	must.NoError(t, writer.Close())
	must.Eq(t, "", errs.String())
}
