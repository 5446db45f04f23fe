package plan

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/chart"
	"github.com/ipamsim/ipamsim/internal/chromium"
	"github.com/ipamsim/ipamsim/ipam/sim"
)

// writtenReport is the report of a plan.
func writtenReport(t testing.TB, p *plan) []byte {
	t.Helper()
	var b bytes.Buffer
	must.NoError(t, writeReport(&b, p))
	return b.Bytes()
}

// mappedPlan is a plan of these maps, one a block size from /26 on.
func mappedPlan(ms ...*sim.Map) *plan {
	p := &plan{}
	p.Scenario.Pool = netip.MustParsePrefix("10.0.0.0/16")
	for i, m := range ms {
		r := row{BlockSize: 26 + i}
		r.Result.Map = m
		for _, f := range m.Frames {
			r.Result.Samples = append(r.Result.Samples, sim.Sample{At: f.At, Request: f.Request})
		}
		p.Rows = append(p.Rows, r)
	}
	return p
}

// blockLines is what the page is to say of a block.
func blockLines(m *sim.Map, state map[int]sim.Cell, p *sim.MapPool, block int) string {
	addr, size := p.CIDR.Addr(), 1<<(p.CIDR.Addr().BitLen()-p.BlockSize)
	raw := addr.AsSlice()
	for i, carry := len(raw)-1, (block-p.First)*size; carry > 0; i-- {
		carry += int(raw[i])
		raw[i] = byte(carry)
		carry >>= 8
	}
	addr, _ = netip.AddrFromSlice(raw)
	cidr := netip.PrefixFrom(addr, p.BlockSize).String()
	c, exists := state[block]
	if !exists {
		return cidr + "|State: free, no node has claimed it"
	}
	owner, words := "nobody", "belongs to nobody"
	if c.Owner >= 0 {
		owner = m.Owners[c.Owner]
		switch {
		case c.InUse == size:
			words = "full"
		case c.InUse+c.Cooling == size:
			words = "full, counting those that cool down"
		case c.InUse > 0:
			words = "in use"
		default:
			words = "empty, but claimed"
		}
	}
	return fmt.Sprintf("%s|Owner: %s|In use: %s of %s (%d %%)|Borrowed by other nodes: %s|Cooling down: %s|State: %s", cidr, owner,
		chart.Thousands(c.InUse), chart.Thousands(size), 100*c.InUse/size, chart.Thousands(c.Borrowed), chart.Thousands(c.Cooling), words)
}

const (
	// pageHover points at the middle of every cell of every pool and returns what the
	// page says, by pool and by row of cells.
	pageHover = `[...document.querySelectorAll("#map-pools canvas")].map(canvas => {
		const r = canvas.getBoundingClientRect(), [w, h] = canvas.dataset.cells.split("x").map(Number), rows = [];
		for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
			(rows[y] ??= []).push("");
			canvas.dispatchEvent(new PointerEvent("pointermove", { clientX: r.left + (x + 0.5) * r.width / w, clientY: r.top + (y + 0.5) * r.height / h }));
			const tip = document.getElementById("map-tip");
			if (!tip.hidden) rows[y][x] = [...tip.children].map(e => e.textContent).join("|");
		}
		canvas.dispatchEvent(new PointerEvent("pointerleave"));
		return rows;
	})`
	// pagePixels is a sum over what the map shows.
	pagePixels = `[...document.querySelectorAll("#map-pools canvas")].map(c => {
		let sum = 7;
		for (const v of ` + pageCopied + `.getImageData(0, 0, c.width, c.height).data) sum = (sum * 31 + v) % 1000003;
		return sum;
	}).join()`
	// pageCopied is the context of a copy of the canvas c: the browser warns of reading
	// one that is meant to be looked at.
	pageCopied = `(() => {
		const copy = document.createElement("canvas"), g = copy.getContext("2d", { willReadFrequently: true });
		copy.width = c.width;
		copy.height = c.height;
		g.drawImage(c, 0, 0);
		return g;
	})()`
	pageMoment  = `document.getElementById("map-when").textContent`
	pageCursor  = `[...document.getElementById("map-cell").children].map(e => e.textContent).join("|")`
	pageTip     = `[...document.getElementById("map-tip").children].map(e => e.textContent).join("|")`
	pageFocused = `document.activeElement.tagName`
)

// moveTo moves the slider.
func moveTo(c *browser, frame int) {
	c.Run(fmt.Sprintf(`{ const s = document.getElementById("map-moment"); s.value = %d; s.dispatchEvent(new Event("input")); }`, frame))
}

// winding returns what is wrong with a map of rows of blocks, of which there are so
// many: each must be there once, and beside the one before.
func winding(rows [][]string, blocks []string) error {
	at := map[string][2]int{}
	for y := range rows {
		for x, text := range rows[y] {
			block, _, _ := strings.Cut(text, "|")
			if _, twice := at[block]; twice && block != "" {
				return fmt.Errorf("%s is there twice", block)
			}
			at[block] = [2]int{x, y}
		}
	}
	for i, block := range blocks {
		here, ok := at[block]
		if !ok {
			return fmt.Errorf("%s is not there", block)
		}
		if i == 0 {
			continue
		}
		before := at[blocks[i-1]]
		if d := math.Abs(float64(here[0]-before[0])) + math.Abs(float64(here[1]-before[1])); d != 1 {
			return fmt.Errorf("%s is not beside %s", block, blocks[i-1])
		}
	}
	return nil
}

func TestReportInBrowser(t *testing.T) {
	shared := startBrowser(t)
	part := func(name string, test func(t *testing.T, c *browser)) {
		t.Run(name, func(t *testing.T) { test(t, shared.on(t)) })
	}

	// Of any of these somebody would hear: the test that nothing is amiss can fail.
	part("complaints", func(t *testing.T, c *browser) {
		page := writtenReport(t, mappedPlan(randomMap(rand.New(rand.NewPCG(1, 1)), poolsOf([]int{28}, "10.0.0.0/24"), 3, 9)))
		for _, broken := range []struct{ old, new string }{
			{"</body>", "<script>1</script></body>"},
			{"</body>", `<img src="https://example.com/x.png"></body>`},
			{"</main>", `<p style="color:red">x</p></main>`},
			{`"use strict";`, `"use  strict";`},
			{`"deflate"`, `"inflate"`},
		} {
			must.StrContains(t, string(page), broken.old)
			c.open([]byte("<title>x</title>"), 1200)
			c.silent()
			text := strings.Replace(string(page), broken.old, broken.new, 1)
			if broken.old == `"deflate"` { // the script is to run, and to fail
				text = strings.Replace(text, "Content-Security-Policy", "x", 1)
				text = strings.Replace(text, `id="map-card"`, `id="map-card" data-ready`, 1)
			}
			if broken.old == `"use strict";` {
				text = strings.Replace(text, `id="map-card"`, `id="map-card" data-ready`, 1)
			}
			c.open([]byte(text), 1200)
			c.Run("new Promise(done => setTimeout(done, 50))")
			must.SliceNotEmpty(t, c.Complaints(), must.Sprint(broken.new))
		}
	})

	// What the page says of every block, at every moment, forwards and backwards.
	part("every block", func(t *testing.T, c *browser) {
		pools := [][]sim.MapPool{
			poolsOf([]int{28, 26, 29, 32}, "10.0.0.0/22", "10.8.0.0/21", "10.9.0.8/29", "10.255.255.240/28"),
			poolsOf([]int{122, 124, 122, 116, 128}, "fd00:0:0:1::/118", "2001:db8:1:2:3:0:5:6000/119", "2001:db8::1:0:0:0/121", "0:0:1::/113", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0/124"),
		}
		r := rand.New(rand.NewPCG(1, 2))
		p := mappedPlan(randomMap(r, pools[0], 6, 70), randomMap(r, pools[1], 4, 50))
		c.open(writtenReport(t, p), 1200)
		for i := range p.Rows {
			m := p.Rows[i].Result.Map
			if i > 0 {
				c.Run(fmt.Sprintf(`{ const s = document.getElementById("map-size"); s.selectedIndex = %d; s.dispatchEvent(new Event("change")); }`, i))
				c.Wait(fmt.Sprintf(`document.getElementById("map-card").dataset.ready === "/%d"`, 26+i))
			}
			states := statesOf(m)
			for _, frame := range []int{len(states) - 1, 0, 2, 1, 3} {
				moveTo(c, frame)
				must.Eq(t, fmt.Sprintf("request %d of %d, after %ds", frame*100, len(states)*100-100, frame), c.Text(pageMoment))
				got := chromium.Eval[[][][]string](c.Chromium, pageHover)
				must.Len(t, len(m.Pools), got)
				for j, pool := range m.Pools {
					want := map[string]bool{}
					var blocks []string
					for b := range pool.Blocks {
						text := blockLines(m, states[frame], &pool, pool.First+b)
						want[text] = true
						block, _, _ := strings.Cut(text, "|")
						blocks = append(blocks, block)
					}
					must.NoError(t, winding(got[j], blocks))
					for _, row := range got[j] {
						for _, text := range row {
							must.True(t, want[text], must.Sprintf("%q, at %d", text, frame))
						}
					}
				}
			}
		}
		c.silent()
		// Blocks in rows, as text is written, are no winding line.
		must.ErrorContains(t, winding([][]string{{"a|x", "b"}, {"c", "d"}}, []string{"a", "b", "c", "d"}), "c is not beside b")
		must.NoError(t, winding([][]string{{"a|x", "b"}, {"d", "c"}}, []string{"a", "b", "c", "d"}))
		must.Error(t, winding([][]string{{"a", "a"}}, []string{"a"}))
		must.Error(t, winding([][]string{{"a", ""}}, []string{"a", "b"}))
	})

	part("keyboard and mouse", func(t *testing.T, c *browser) {
		m := randomMap(rand.New(rand.NewPCG(3, 1)), poolsOf([]int{28}, "10.0.0.0/24"), 5, 6)
		m.Owners[0] = "</script><b>bold</b>"
		for i := range m.Frames {
			m.Frames[i].Cells = append(m.Frames[i].Cells, sim.Cell{Block: 0, InUse: i + 1})
		}
		states, pool := statesOf(m), m.Pools[0]
		c.open(writtenReport(t, mappedPlan(m)), 1200)
		must.Eq(t, "0", c.Text(`String(document.querySelectorAll("main b").length)`), must.Sprint("names are text"))

		c.Run(`document.getElementById("map-moment").focus()`)
		before := c.Text(pagePixels)
		c.Press(kb.ArrowLeft)
		must.Eq(t, "request 300 of 400, after 3s", c.Text(pageMoment))
		must.Eq(t, c.Text(pageMoment), c.Text(`document.getElementById("map-moment").getAttribute("aria-valuetext")`))
		must.NotEq(t, before, c.Text(pagePixels), must.Sprint("the slider moves the map"))
		c.Press(kb.ArrowRight)
		must.Eq(t, before, c.Text(pagePixels), must.Sprint("and back"))
		c.Press(kb.Home)
		must.Eq(t, "request 0 of 400, after 0s", c.Text(pageMoment))
		must.NotEq(t, before, c.Text(pagePixels))

		c.Press(kb.Tab)
		must.Eq(t, "CANVAS", c.Text(pageFocused))
		must.Eq(t, blockLines(m, states[0], &pool, 0), c.Text(pageCursor))
		must.StrContains(t, c.Text(pageCursor), "Owner: </script><b>bold</b>|In use: 1 of 16")
		c.Press(kb.End)
		must.Eq(t, blockLines(m, states[0], &pool, 15), c.Text(pageCursor))
		c.Press(kb.Home)
		must.Eq(t, blockLines(m, states[0], &pool, 0), c.Text(pageCursor))
		for block := 1; block < 16; block++ {
			c.Press(kb.PageDown)
			must.Eq(t, blockLines(m, states[0], &pool, block), c.Text(pageCursor))
		}
		c.Press(kb.PageDown) // there is no more
		c.Press(kb.PageUp)
		must.Eq(t, blockLines(m, states[0], &pool, 14), c.Text(pageCursor))
		// The arrows move in the picture: to the left until its edge, and then up.
		rows := chromium.Eval[[][][]string](c.Chromium, pageHover)
		for range 4 {
			c.Press(kb.ArrowLeft)
		}
		for range 4 {
			c.Press(kb.ArrowDown)
		}
		must.Eq(t, rows[0][3][0], c.Text(pageCursor))
		c.Press(kb.ArrowRight)
		must.Eq(t, rows[0][3][1], c.Text(pageCursor))
		c.Press(kb.ArrowUp)
		must.Eq(t, rows[0][2][1], c.Text(pageCursor))
		moveTo(c, 4)
		rows = chromium.Eval[[][][]string](c.Chromium, pageHover)
		must.Eq(t, rows[0][2][1], c.Text(pageCursor), must.Sprint("what is told of the block is of the moment"))

		c.Point("#map-pools canvas", 1, 1)
		c.Wait(`!document.getElementById("map-tip").hidden`)
		tip := c.Text(pageTip)
		rows = chromium.Eval[[][][]string](c.Chromium, pageHover)
		must.Eq(t, rows[0][2][2], tip)
		show, hidden := func() {
			c.Point("#map-pools canvas", -1, 1)
			c.Point("#map-pools canvas", 1, 1)
			c.Wait(`!document.getElementById("map-tip").hidden`)
		}, `document.getElementById("map-tip").hidden`
		show()
		moveTo(c, 0)
		was := c.Text(pageTip)
		moveTo(c, 4)
		must.Eq(t, tip, c.Text(pageTip), must.Sprint("what is shown is of the moment"))
		must.NotEq(t, was, tip)
		c.Point("#map-note", 0, 0)
		c.Wait(hidden)
		show()
		c.Press(kb.End)
		c.Wait(hidden)
		show()
		c.Run("scrollTo(0, 0)")
		c.Wait(hidden)

		moveTo(c, 3)
		c.Run(`document.getElementById("map-play").click()`)
		c.Wait(pageMoment + ` === "request 400 of 400, after 4s" && document.getElementById("map-play").textContent === "Play"`)
		c.Run(`document.getElementById("map-play").click()`)
		must.Eq(t, "request 0 of 400, after 0s", c.Text(pageMoment), must.Sprint("from the end it begins again"))
		must.Eq(t, "Stop", c.Text(`document.getElementById("map-play").textContent`))
		c.silent()
	})

	part("states look different", statesLookDifferent)

	part("large", func(t *testing.T, c *browser) {
		m := randomMap(rand.New(rand.NewPCG(4, 4)), poolsOf([]int{30}, "10.0.0.0/10"), 3, 60_000)
		c.open(writtenReport(t, mappedPlan(m)), 1200)
		took := chromium.Eval[float64](c.Chromium, `{ const s = document.getElementById("map-moment"), from = performance.now(); s.value = 1; s.dispatchEvent(new Event("input")); performance.now() - from }`)
		t.Logf("a moment of 1,048,576 blocks is drawn in %.0f ms", took)
		must.Eq(t, "1024 1024", c.Text(`(c => c.width + " " + c.height)(document.querySelector("#map-pools canvas"))`))
		c.Run(`document.querySelector("#map-pools canvas").focus()`)
		c.Press(kb.End)
		must.Eq(t, blockLines(m, statesOf(m)[1], &m.Pools[0], 1<<20-1), c.Text(pageCursor))
		c.Wait(`document.querySelector(".frame").scrollLeft > 100`) // it is at the right
		c.silent()
	})

	part("nearly nothing", func(t *testing.T, c *browser) {
		pools := poolsOf([]int{122}, "fd00::/64")
		last := pools[0].Blocks - 1
		huge := &sim.Map{Pools: pools, Owners: []string{"a"}, Frames: []sim.Frame{{}, {Cells: []sim.Cell{{Block: last, InUse: 3}}}}}
		for _, p := range []*plan{
			{},
			{Rows: []row{{BlockSize: 26}}},
			mappedPlan(&sim.Map{Pools: poolsOf([]int{26}, "10.0.0.0/26"), Frames: []sim.Frame{{}}}),
			mappedPlan(&sim.Map{Pools: poolsOf([]int{122}, "fd00::/64"), Frames: []sim.Frame{{}}}),
			mappedPlan(&sim.Map{Pools: poolsOf([]int{26}, "10.0.0.0/24")}),
			mappedPlan(huge),
		} {
			c.open(writtenReport(t, p), 400)
			c.silent()
		}
		c.Run(`document.querySelector("#map-pools canvas").focus()`)
		must.Eq(t, "fd00::ffff:ffff:ffff:ffc0/122|Owner: a|In use: 3 of 64 (4 %)|Borrowed by other nodes: 0|Cooling down: 0|State: in use", c.Text(pageCursor))
	})

	part("screens and paper", func(t *testing.T, c *browser) {
		f := filled{pools: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/20")}, nodes: 60, pods: 40, moments: 20}
		page := writtenReport(t, planOf(t, f, 24, 25, 26, 27, 28))
		for _, width := range []int64{320, 400, 700, 1000, 1600} {
			c.open(page, width)
			must.LessEq(t, fmt.Sprintf("%5d", width), c.Text(`String(document.documentElement.scrollWidth).padStart(5)`), must.Sprint("nothing sticks out"))
			c.silent()
		}
		light := c.Text(pagePixels)
		wide := c.Text(`document.querySelector("#map-pools canvas").style.width`)
		c.Resize(400)
		c.Wait(`parseFloat(document.querySelector("#map-pools canvas").style.width) < 400`)
		c.Resize(1600)
		c.Wait(fmt.Sprintf(`document.querySelector("#map-pools canvas").style.width === %q`, wide))
		must.Eq(t, light, c.Text(pagePixels), must.Sprint("a map drawn anew is the same"))
		c.silent()
		folded := `String(document.querySelectorAll("details:not([open])").length)`
		must.NotEq(t, "0", c.Text(folded))
		colours := func(theme string) (background, chart string) {
			c.Media("", theme)
			c.Settle()
			return c.Text(`getComputedStyle(document.body).backgroundColor`), c.Text(`getComputedStyle(document.querySelector(".f-text")).fill`)
		}
		b1, t1 := colours("light")
		ink := c.Text(`getComputedStyle(document.querySelector("h3")).color`)
		b2, t2 := colours("dark")
		must.NotEq(t, b1, b2)
		must.NotEq(t, t1, t2, must.Sprint("charts follow the page"))
		must.NotEq(t, light, c.Text(pagePixels), must.Sprint("and so does the map"))
		c.Run(`dispatchEvent(new Event("beforeprint"))`)
		must.Eq(t, light, c.Text(pagePixels), must.Sprint("paper is white"))
		must.Eq(t, "0", c.Text(folded), must.Sprint("and shows everything"))
		c.Run(`dispatchEvent(new Event("afterprint"))`)
		must.NotEq(t, "0", c.Text(folded))
		c.Media("print", "dark")
		must.Eq(t, "rgb(255, 255, 255)", c.Text(`getComputedStyle(document.body).backgroundColor`))
		must.Eq(t, ink, c.Text(`getComputedStyle(document.querySelector("h3")).color`))
		c.silent()
	})
}

// statesLookDifferent: what a block is can be seen, in both themes and both ways to
// colour.
func statesLookDifferent(t *testing.T, c *browser) {
	m := &sim.Map{Pools: poolsOf([]int{28}, "10.0.0.0/26"), Owners: []string{"a"}, Frames: []sim.Frame{{Cells: []sim.Cell{
		{Block: 1}, {Block: 2, InUse: 5}, {Block: 3, Owner: sim.Nobody, InUse: 5}, // and 0 is free
	}}}}
	c.open(writtenReport(t, mappedPlan(m)), 1200)
	for _, theme := range []string{"light", "dark"} {
		c.Media("", theme)
		for _, mode := range []string{"owner", "fullness"} {
			c.Run(fmt.Sprintf(`document.querySelector("input[value=%s]").click()`, mode))
			c.Settle()
			// A pixel near the corner of each, and the one in the middle.
			looks := chromium.Eval[[][]float64](c.Chromium, `(c => {
				const side = c.width / 2, g = `+pageCopied+`;
				return [0, 1, 2, 3].map(i => [0.06, 0.5].flatMap(d => [...g.getImageData((i % 2 + d) * side, ((i >> 1) + d) * side, 1, 1).data.slice(0, 3)]));
			})(document.querySelector("#map-pools canvas"))`)
			for i := range looks {
				for j := range i {
					distance := 0.0
					for k := range looks[i] {
						distance += math.Abs(looks[i][k] - looks[j][k])
					}
					must.Greater(t, 60.0, distance, must.Sprintf("%s, by %s: %v, %v", theme, mode, looks[i], looks[j]))
				}
			}
			// The line goes down, to the right, and up.
			must.Eq(t, looks[3][:3], looks[3][3:], must.Sprint("what is in use is filled"))
			must.NotEq(t, looks[2][:3], looks[2][3:], must.Sprint("what is empty is hollow"))
			must.NotEq(t, looks[1][:3], looks[1][3:], must.Sprint("what is nobody's is struck through"))
		}
	}
	c.silent()
}
