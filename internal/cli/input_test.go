package cli

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOpen(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := io.WriteString(z, "text")
	require.NoError(t, err)
	require.NoError(t, z.Close())
	for _, content := range []string{"text", zipped.String(), "", "t"} {
		want := content
		if content == zipped.String() {
			want = "text"
		}
		path := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		for name, called := range map[string]string{path: path, "-": "standard input"} {
			in, got, err := Open(name, strings.NewReader(content))
			require.NoError(t, err)
			require.Equal(t, called, got)
			text, err := io.ReadAll(in)
			require.NoError(t, err)
			require.Equal(t, want, string(text))
			require.NoError(t, in.Close())
		}
	}
	_, _, err = Open(filepath.Join(t.TempDir(), "none"), nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, _, err = Open("-", strings.NewReader(zipped.String()[:5]))
	require.ErrorContains(t, err, "standard input: ")
}
