package block

import (
	"strings"
	"testing"

	"github.com/shoenig/test/must"
)

// TestSimple: in ids of every length, a byte in any place keeps the id from being
// simple if it is a capital letter, a control character, not ASCII, or one of six
// others.
func TestSimple(t *testing.T) {
	long := "k8s-pod-network.0123456789abcdef{}`~"
	must.False(t, Handle{}.Simple())
	for n := 1; n <= len(long); n++ {
		must.True(t, MakeHandle(long[:n]).Simple(), must.Sprintf("%d bytes", n))
		for i := range n {
			for c := range 0x100 {
				id := long[:i] + string([]byte{byte(c)}) + long[i+1:n]
				want := c >= 0x20 && c < 0x80 && (c < 'A' || c > 'Z') && !strings.ContainsRune("@[\\]^_", rune(c))
				if MakeHandle(id).Simple() != want {
					t.Fatalf("%q: simple %t", id, !want)
				}
			}
		}
	}
}

// TestSharing: a handle takes over the string of an equal id, and no other.
func TestSharing(t *testing.T) {
	h, id := MakeHandle("pod-a"), strings.Clone("pod-a")
	must.EqOp(t, h, h.Sharing(id))
	must.EqOp(t, h, h.Sharing("Pod-A"))
	must.EqOp(t, h, h.Sharing(""))
}
