package whatif

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
)

// pageOf writes the report of what the arguments say.
func pageOf(t *testing.T, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.html")
	_, _, errs := do(append(args, "-o", path)...)
	must.Eq(t, "", errs)
	text, err := os.ReadFile(path)
	must.NoError(t, err)
	return string(text)
}

// TestPage: the map has a cell for each block, with its owner and how full it is.
func TestPage(t *testing.T) {
	property.Slow(t)
	text := pageOf(t, "-f", sample)
	must.Eq(t, text, pageOf(t, "-f", sample), must.Sprint("the same bytes"))
	for _, want := range []string{
		"<h1>The cluster as it stands</h1>", "<h3>blue 10.10.0.0/23</h3>", "32 blocks of 32 of /28", "<h3>six fd00:10::/112</h3>", "43 blocks of 1024 of /122",
		"<title>10.10.1.64/28: node-07; 11 of 16 in use, 5 cooling down</title>", "node-old, which is gone", "by other nodes</title>", ": not made yet</title>",
		"<h3>Allocated not used: ", "is allocated to Pod shop/old-0, which does not exist",
	} {
		must.StrContains(t, text, want)
	}
	must.Eq(t, 32+8+1024, strings.Count(text, "<g><title>"))
	must.StrNotContains(t, text, "http://")
	must.StrNotContains(t, text, "<script")
	must.StrNotContains(t, text, " style=", must.Sprint("the policy would not let it"))

	// It is well formed but for the few elements that HTML never closes.
	d := xml.NewDecoder(strings.NewReader(text))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		must.NoError(t, err)
	}

	text = pageOf(t, "-f", sample, "-gc", "-drain", "node-07")
	must.StrContains(t, text, "<h1>The cluster after the changes</h1>")
	must.StrContains(t, text, "After -gc -drain node-07; the findings are those of before.")

	// Names are text and no part of the page, blocks of other sizes are drawn, and of
	// a large pool only what is there.
	path := fileOf(t, "x.yaml", strings.ReplaceAll(small, "host:b", "host:<b>"))
	must.StrNotContains(t, pageOf(t, "-f", path), "<b>")
	text = pageOf(t, "-f", "../../../testdata/field/04-old-blocks-after-a-new-block-size.yaml")
	must.StrContains(t, text, "1 block of 16 of /28, and 2 blocks of another size")
	must.StrContains(t, text, "<title>10.63.0.8/29: n2; 1 of 8 in use</title>")
	must.Eq(t, 18, strings.Count(text, "<g><title>"))
	text = pageOf(t, "-f", fileOf(t, "y.yaml", strings.Replace(small, "10.0.0.0/28", "10.0.0.0/8", 1)))
	must.StrContains(t, text, "those that are not made yet are not drawn")
	must.Less(t, 10, strings.Count(text, "<g><title>"))
}
