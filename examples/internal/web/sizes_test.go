package web

import (
	"fmt"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/examples/internal/web/session"
	"github.com/ipamsim/ipamsim/internal/chart"
	"github.com/ipamsim/ipamsim/internal/chromium"
)

// The parts of the tab of block sizes, for scripts.
const (
	sliders  = `document.querySelectorAll("#panel-sizes input[type=range]")`
	sizePool = `document.querySelector("#panel-sizes input[type=text]")`
	compared = `document.querySelector("#panel-sizes .scroll")`
)

// openSizes shows the tab of block sizes, with a first plan.
func (b *browser) openSizes(width int64) {
	b.t.Helper()
	b.open("#sizes", width)
	b.Wait(`document.querySelector(".sizes-tab").dataset.ms`)
}

// moveTo is a script that moves the sliders, as one hand does.
func moveTo(nodes, pods int) string {
	return fmt.Sprintf(`for (const [i, n] of [[0, %d], [1, %d]]) { const e = %s[i]; e.value = n; e.dispatchEvent(new Event("input")); }`, nodes, pods, sliders)
}

// poolTo is a script that writes a pool and presses Enter.
func poolTo(cidr string) string {
	return fmt.Sprintf(`{ const e = %s; e.value = %q; e.dispatchEvent(new Event("input")); e.dispatchEvent(new Event("change")); }`, sizePool, cidr)
}

// table is the comparison that the library makes in 10.0.0.0/16, a line a block size.
func table(t testing.TB, nodes, pods int) []string {
	t.Helper()
	s := session.New()
	var lines []string
	for bits := 20; bits <= 32; bits++ {
		p := call[session.Plan](t, s, "plan", fmt.Sprintf(`{"nodes":%d,"pods":%d,"blockSize":%d,"pool":"10.0.0.0/16"}`, nodes, pods, bits))
		line := []string{fmt.Sprintf("/%d", bits)}
		for _, n := range []int{p.Own, p.Borrowed, p.Refused, p.Blocks, p.Routes, p.Without, int(p.Unused)} {
			line = append(line, chart.Thousands(n))
		}
		lines = append(lines, strings.Join(line, "|"))
	}
	return lines
}

// comparison: the table of all block sizes is of the sliders as they are, although they
// move while it is made.
func comparison(b *browser) {
	b.openSizes(1280)
	b.Run(poolTo("10.0.0.0/16"))
	button := find("sizes", "Compare them") + `.click();`
	b.Run(`window.tables = []; new MutationObserver(() => {
		if (` + compared + `.querySelector("table")) tables.push([...` + compared + `.querySelectorAll("tbody tr")].map(r => [...r.children].map(c => c.textContent).join("|")));
	}).observe(` + compared + `, { childList: true });`)
	b.Run(`{` + moveTo(1000, 250) + button + moveTo(10, 5) + button + `}`)
	want := table(b.t, 10, 5)
	must.NotEq(b.t, table(b.t, 1000, 250), want)
	b.Wait(fmt.Sprintf(`window.tables.some(t => t[6] === %q)`, want[6]))
	b.Settle()
	must.Eq(b.t, [][]string{want}, chromium.Eval[[][]string](b.Chromium, `window.tables`))
	b.Run(moveTo(11, 5))
	must.Eq(b.t, "", b.Text(compared+`.textContent`), must.Sprint("it is of others"))
	b.silent()

	b.Run(`{` + poolTo("10.0.0.0/33") + button + `}`)
	b.Wait(`!document.getElementById("message").hidden && ` + compared + `.textContent === ""`)
	must.StrContains(b.t, b.message(), "pool: ")
	must.SliceEmpty(b.t, b.Complaints())
}

// families: a pool of the other family of addresses begins with its usual block size.
func families(b *browser) {
	b.openSizes(1280)
	for _, c := range []struct{ pool, size string }{
		{"fd00::/112", "122"}, {"10.0.0.0/18", "26"}, {"fd00::/112", "122"}, {"fd01::/112", "122"},
	} {
		b.Run(poolTo(c.pool))
		b.Wait(fmt.Sprintf(`document.querySelector(".sizes-tab").dataset.key === %q`, `{"nodes":300,"pods":40,"blockSize":`+c.size+`,"pool":"`+c.pool+`"}`))
	}
	b.Run(`{ const e = ` + sliders + `[2]; e.value = 120; e.dispatchEvent(new Event("input")); }` + poolTo("fd00::/112"))
	must.Eq(b.t, "120", b.Text(sliders+`[2].value`), must.Sprint("of the same family, the reader's choice stays"))
	b.silent()
}

// narrowTable: on a narrow screen the table of all block sizes scrolls, not the page.
func narrowTable(b *browser) {
	b.openSizes(360)
	b.Run(find("sizes", "Compare them") + `.click()`)
	b.Wait(compared + `.querySelector("table")`)
	b.Settle()
	must.LessEq(b.t, int64(360), chromium.Eval[int64](b.Chromium, `document.documentElement.scrollWidth`))
	must.Eq(b.t, "true", b.Text(`String(`+compared+`.scrollWidth > `+compared+`.clientWidth)`), must.Sprint("all columns are there"))
	b.silent()
}
