package protocol

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
)

// TestBothEnginesFile: a difference leaves a recording and prints the command that
// replays it, to the same difference. The fault is in the reference, as the
// command replays on the real allocator.
func TestBothEnginesFile(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("needs the go command")
	}
	alone(t)
	if !property.Long() {
		t.Skip("shrinks programs, and builds a program")
	}
	dir := t.TempDir()
	out, err := exec.Command(goTool, "build", "-o", dir+string(filepath.Separator), "../../examples/replay").CombinedOutput()
	must.NoError(t, err, must.Sprintf("%s", out))
	replay := filepath.Join(dir, "replay")
	t.Setenv("TMPDIR", dir)
	t.Run("in an outcome", func(t *testing.T) {
		p := found(t, spoilt(client, calls["one address in four is not given"]), allocator)
		replays(t, replay, p, fmt.Sprintf("%d, AutoAssign", len(p.ops)))
	})
	// A difference only in the state shows in the whole state at the end.
	for _, name := range []string{"claims are not confirmed", "a sequence number is used again", "claim times are lost"} {
		t.Run("in the state, "+name, func(t *testing.T) {
			p := found(t, writing(writes[name]), allocator)
			must.ErrorContains(t, p.same(), fmt.Sprintf("operation %d, ", len(p.ops)))
			replays(t, replay, p, fmt.Sprintf("%d, State", len(p.ops)+1))
		})
	}
}

// replays runs the command from the pair's report, which go run would build again
// each time: the first divergence must be at that operation.
func replays(t *testing.T, replay string, p *pair, operation string) {
	t.Helper()
	report := p.report(t.Name())
	must.StrContains(t, report, "go test ./ipam/protocol -run '^"+t.Name()+"$'")
	command := regexp.MustCompile(`go run ./examples/replay (\S+)\n`).FindStringSubmatch(report)
	must.Len(t, 2, command, must.Sprint(report))
	text, err := os.ReadFile(command[1])
	must.NoError(t, err)
	must.StrContains(t, report, string(text), must.Sprint("the recording is printed, too"))

	cmd := exec.Command(replay, command[1])
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	must.ErrorAs[*exec.ExitError](t, err, &exit, must.Sprintf("%s", out))
	must.Eq(t, 1, exit.ExitCode(), must.Sprintf("%s", out))
	must.StrContains(t, string(out), ": operation "+operation+"\n", must.Sprint("the first divergence is printed"))
}
