package session

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
)

// digestLine begins the line with which [TestDigest] says what it came to.
const digestLine = "digest of all answers: "

// digest plays random operations through the function that the page calls, and returns a
// digest of all answers and of the allocators' clusters.
func digest(seeds uint64, spoil func(answer []byte) []byte) string {
	sum := sha256.New()
	for seed := range seeds {
		s := New()
		p := &player{property.Seeded(seed), s}
		ops := []string{setups[p.Pick("setup", len(setups))]}
		for range 25 {
			sum.Write(spoil(s.Call("do", []byte(ops[len(ops)-1]), nil)))
			ops = append(ops, p.op())
		}
		for _, method := range []string{"undo", "fragment", "map", "pods"} {
			sum.Write(s.Call(method, nil, nil))
		}
		sum.Write([]byte(state(s)))
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}

// TestDigest prints the digest for [TestWebAssembly], which runs it as WebAssembly.
func TestDigest(t *testing.T) {
	property.Slow(t)
	plain := func(answer []byte) []byte { return answer }
	all := digest(60, plain)
	must.Eq(t, all, digest(60, plain), must.Sprint("the same calls give the same bytes"))
	spoilt := 0
	must.NotEq(t, all, digest(60, func(answer []byte) []byte {
		if spoilt++; spoilt == 700 {
			answer[len(answer)/2]++
		}
		return answer
	}), must.Sprint("a single byte makes a difference"))
	fmt.Println(digestLine + all)
}

// TestWebAssembly: the same operations give the same answers and states, byte for byte, in
// the page's engine and in the library as it is on this machine.
func TestWebAssembly(t *testing.T) {
	if !property.Long() {
		t.Skip("compiles for WebAssembly; IPAMSIM_LONG=1 runs it")
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("there is no node to run WebAssembly")
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	must.NoError(t, err)
	loader := filepath.Join(strings.TrimSpace(string(root)), "lib", "wasm", "go_js_wasm_exec")
	cmd := exec.Command("go", "test", "-count=1", "-v", "-run", "^TestDigest$", "-exec", loader, ".")
	cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm", "GOFLAGS=")
	out, err := cmd.CombinedOutput()
	must.NoError(t, err, must.Sprintf("%s", out))
	_, of, found := strings.Cut(string(out), digestLine)
	must.True(t, found, must.Sprintf("%s", out))
	must.Eq(t, digest(60, func(answer []byte) []byte { return answer }), strings.Fields(of)[0], must.Sprintf("%s differs from WebAssembly", runtime.GOARCH))
}
