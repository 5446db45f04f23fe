package ipam_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
)

// programEnv makes TestDeterministicProgram print its transcript, for the test
// that runs it in another process.
const programEnv = "IPAMSIM_TEST_PROGRAM"

// transcript is every answer of an allocator in a program, and everything
// observable at its end.
func transcript(t *testing.T, seed uint64, make makeSubject) string {
	m, err := run(seed, 200, make, true)
	must.NotNil(t, m)
	text := append(m.log, fmt.Sprint(err), stateText(&m.state), fmt.Sprint(m.got.GetUtilization()), fmt.Sprint(m.got.Check()))
	for _, id := range []string{"h1", "h2", "h3"} {
		ips, err := m.got.IPsByHandle(id)
		text = append(text, fmt.Sprint(id, ips, err))
	}
	return strings.Join(text, "\n")
}

func programHash(t *testing.T) string {
	hash := sha256.New()
	for seed := range uint64(5) {
		hash.Write([]byte(transcript(t, seed, realAllocator)))
	}
	return "program " + hex.EncodeToString(hash.Sum(nil))
}

// TestDeterministic: the same operations give the same answers and the same
// state, byte for byte.
func TestDeterministic(t *testing.T) {
	property.Slow(t)
	for seed := range uint64(property.Times(10)) {
		once, again := transcript(t, seed, realAllocator), transcript(t, seed, realAllocator)
		if once != again {
			must.Eq(t, strings.Split(once, "\n"), strings.Split(again, "\n"), must.Sprintf("seed %d", seed))
		}
	}
}

// TestDeterministicRejects: the test finds an allocator that shows an order that
// is not fixed, such as a map's.
func TestDeterministicRejects(t *testing.T) {
	property.Broken(t)
	differs := func(seeds uint64, how func(*broken)) bool {
		for seed := range seeds {
			once, again := transcript(t, seed, breaking(how)), transcript(t, seed, breaking(how))
			if once != again {
				t.Logf("caught by seed %d", seed)
				return true
			}
		}
		return false
	}
	must.False(t, differs(3, func(*broken) {}), must.Sprint("a sound one"))
	// Of two allocators the second has another order.
	made := 0
	second := func() bool { made++; return made%2 == 0 }
	must.True(t, differs(40, func(b *broken) {
		other := second()
		b.ipsByHandle = func(id string) ([]netip.Addr, error) {
			ips, err := b.Allocator.IPsByHandle(id)
			return reversed(other, ips), err
		}
	}), must.Sprint("the order of the addresses of a handle"))
	must.True(t, differs(40, func(b *broken) {
		other := second()
		b.releaseIPs = func(rs ...ipam.Release) (unallocated, released []netip.Addr, err error) {
			unallocated, released, err = b.Allocator.ReleaseIPs(rs...)
			return unallocated, reversed(other, released), err
		}
	}), must.Sprint("the order of what was released"))
	must.True(t, differs(40, func(b *broken) {
		other := second()
		b.autoAssign = func(r ipam.AutoAssignArgs) (v4, v6 ipam.Assignment, err error) {
			r.Pools4 = reversed(other, r.Pools4)
			return b.Allocator.AutoAssign(r)
		}
	}), must.Sprint("the order of the pools"))
}

func reversed[T any](really bool, list []T) []T {
	if really {
		list = slices.Clone(list)
		slices.Reverse(list)
	}
	return list
}

func TestDeterministicProgram(t *testing.T) {
	if os.Getenv(programEnv) == "" {
		t.Skip("for TestDeterministicInAnotherProcess")
	}
	fmt.Println(programHash(t))
}

// TestDeterministicInAnotherProcess: answers do not depend on the process, such as
// its seeds of maps and hashes.
func TestDeterministicInAnotherProcess(t *testing.T) {
	property.Slow(t)
	want := programHash(t)
	processes := 2
	if testing.Short() {
		processes = 1
	}
	for range processes {
		cmd := exec.Command(os.Args[0], "-test.run=^TestDeterministicProgram$", "-test.v")
		cmd.Env = append(os.Environ(), programEnv+"=1", "GOMAXPROCS=1")
		out, err := cmd.CombinedOutput()
		must.NoError(t, err, must.Sprintf("%s", out))
		must.Eq(t, want, regexp.MustCompile(`program [0-9a-f]+`).FindString(string(out)))
	}
}
