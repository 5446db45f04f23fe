package cli

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoenig/test/must"
)

func TestOpen(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := io.WriteString(z, "text")
	must.NoError(t, err)
	must.NoError(t, z.Close())
	for _, content := range []string{"text", zipped.String(), "", "t"} {
		want := content
		if content == zipped.String() {
			want = "text"
		}
		path := filepath.Join(t.TempDir(), "file")
		must.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		for name, called := range map[string]string{path: path, "-": "standard input"} {
			in, got, err := Open(name, strings.NewReader(content))
			must.NoError(t, err)
			must.Eq(t, called, got)
			text, err := io.ReadAll(in)
			must.NoError(t, err)
			must.Eq(t, want, string(text))
			must.NoError(t, in.Close())
		}
	}
	_, _, err = Open(filepath.Join(t.TempDir(), "none"), nil)
	must.ErrorIs(t, err, os.ErrNotExist)
	_, _, err = Open("-", strings.NewReader(zipped.String()[:5]))
	must.ErrorContains(t, err, "standard input: ")
}
