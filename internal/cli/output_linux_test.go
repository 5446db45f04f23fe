package cli

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/shoenig/test/must"
)

// TestOutputWithoutPermission: a file that may not be written is refused before
// the work. A file that may be written, in a directory that may not, is written in
// place.
func TestOutputWithoutPermission(t *testing.T) {
	dir := t.TempDir()
	must.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	closed, open, absent := filepath.Join(dir, "closed"), filepath.Join(dir, "open"), filepath.Join(dir, "absent")
	must.NoError(t, os.WriteFile(closed, []byte("old"), 0o400))
	must.NoError(t, os.WriteFile(open, []byte("old"), 0o600))
	must.NoError(t, os.Chmod(open, 0o666))
	must.NoError(t, os.Chmod(dir, 0o555))
	t.Cleanup(func() { _ = os.Chmod(dir, 0o755) })
	if os.Geteuid() == 0 { // root may do anything, so this thread becomes another user
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		const nobody = 65534
		must.NoError(t, syscall.Setfsuid(nobody))
		defer syscall.Setfsuid(0)
	}
	for _, path := range []string{closed, absent} {
		_, err := NewOutput("-o", path, nil)
		must.EqError(t, err, "-o "+path+": permission denied")
	}
	must.NoError(t, put(open, "new"))
	text, err := os.ReadFile(open)
	must.NoError(t, err)
	must.Eq(t, "new", string(text))
}
