package web

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp/kb"
	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/examples/internal/web/session"
	"github.com/ipamsim/ipamsim/internal/chart"
	"github.com/ipamsim/ipamsim/internal/chromium"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// folder is where the tests' server has the site: not at its root, as on many a static
// server.
const folder = "/deep/er/"

// browser is one that shows the site.
type browser struct {
	*chromium.Chromium
	t      *testing.T
	url    string
	server *requests
}

// requests are the paths that a server was asked for: by the page, or by its threads,
// which the page's own log leaves out.
type requests struct {
	mu    sync.Mutex
	paths []string
}

// log serves as next does, and writes the paths down.
func (r *requests) log(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.mu.Lock()
		r.paths = append(r.paths, request.URL.Path)
		r.mu.Unlock()
		next.ServeHTTP(w, request)
	})
}

// since returns the paths of the requests that follow the first n.
func (r *requests) since(n int) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.paths[n:])
}

// startBrowser compiles the site, serves it and starts a browser.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	c := chromium.Start(t, "the page of the lab")
	s, err := newSite(t.Context())
	must.NoError(t, err)
	asked := new(requests)
	server := httptest.NewServer(asked.log(http.StripPrefix(strings.TrimSuffix(folder, "/"), s)))
	t.Cleanup(server.Close)
	return &browser{c, t, server.URL + folder, asked}
}

// on returns the same browser for a part of the test.
func (b *browser) on(t *testing.T) *browser { return &browser{b.On(t), t, b.url, b.server} }

// open shows the site, at an address of its own, in a new tab of that width.
func (b *browser) open(address string, width int64) {
	b.t.Helper()
	b.Open(b.url+address, width, `"ready" in document.body.dataset`)
}

// openLab shows the lab, and returns when its cells are drawn.
func (b *browser) openLab(address string) {
	b.t.Helper()
	b.open(address, 1280)
	b.drawn()
}

// drawn waits until the lab shows its last view.
func (b *browser) drawn() {
	b.t.Helper()
	b.Wait(`(lab => lab && lab.dataset.turn === lab.querySelector(".nodes").dataset.turn)(document.querySelector("#panel-lab .lab"))`)
}

// silent requires that the page has had nothing to complain of.
func (b *browser) silent() {
	b.t.Helper()
	b.Settle()
	must.SliceEmpty(b.t, b.Complaints())
	must.Eq(b.t, "", b.message())
}

// message is what the page complains of to the reader.
func (b *browser) message() string { return b.Text(`document.getElementById("message").innerText`) }

// find is an expression for the button, or other control, of that name in a panel.
func find(panel, name string) string {
	return fmt.Sprintf(`(() => {
		const e = [...document.querySelectorAll("#panel-%s :is(button, summary, input, select)")].find(e => e.checkVisibility() && ((e.getAttribute("aria-label") || e.textContent).trim() === %q || e.labels && [...e.labels].some(l => l.textContent.trim() === %[2]q)));
		if (!e) throw new Error("there is no control %[2]s");
		return e;
	})()`, panel, name)
}

// click clicks a button of the lab that does an act, and waits for what it does.
func (b *browser) click(name string) {
	b.t.Helper()
	b.Run(`document.body.dataset.fragment = "old"; ` + find("lab", name) + `.click()`)
	b.Wait(`document.body.dataset.fragment !== "old" || !document.getElementById("message").hidden`)
	b.drawn()
}

// fill writes into a field of the lab, by the name in its HTML.
func (b *browser) fill(name, value string) {
	b.t.Helper()
	b.Run(fmt.Sprintf(`{ const e = document.querySelector("#panel-lab [name=%s]"); e.value = %q; e.dispatchEvent(new Event("change")); }`, name, value))
}

// fragment is the state of the lab, as the address has it.
func (b *browser) fragment() string {
	b.t.Helper()
	hash := b.Text("location.hash")
	must.Eq(b.t, "#lab/"+b.Text(`document.body.dataset.fragment`), hash)
	return strings.TrimPrefix(hash, "#lab/")
}

// shown is what the lab shows of a state.
type shown struct {
	Figures map[string]string
	Cells   map[string]string // of the blocks, by CIDR
	Nodes   []string          // a line each
}

// shown returns what the lab shows.
func (b *browser) shown() shown {
	b.t.Helper()
	b.drawn()
	return chromium.Eval[shown](b.Chromium, `({
		Figures: Object.fromEntries([...document.querySelectorAll("#panel-lab .figures [data-figure]")].map(e => [e.dataset.figure, e.textContent])),
		Cells: Object.fromEntries([...document.querySelectorAll("#panel-lab .nodes canvas")].map(e => [e.dataset.cidr, e.dataset.cells])),
		Nodes: [...document.querySelectorAll("#panel-lab article.node")].map(e => [e.querySelector("h3").textContent, ...[...e.querySelectorAll(".tag")].map(t => t.textContent), e.querySelector(".node-facts").textContent].join("|")),
	})`)
}

// call calls a method of a session and reads the answer.
func call[T any](t testing.TB, s *session.Session, method, args string) T {
	t.Helper()
	var reply struct {
		OK    *T
		Error string
	}
	must.NoError(t, json.Unmarshal(s.Call(method, []byte(args), nil), &reply))
	must.Eq(t, "", reply.Error, must.Sprintf("%s %s", method, args))
	return *reply.OK
}

// computed returns what the lab is to show of the state in an address: the library's own
// answer, without a browser.
func computed(t testing.TB, fragment string) shown {
	t.Helper()
	s := session.New()
	v := call[session.View](t, s, "open", fmt.Sprintf(`{"fragment":%q}`, fragment))
	f := v.Figures
	out := shown{Cells: map[string]string{}, Figures: map[string]string{"now": strings.NewReplacer("T", " ", "Z", "").Replace(v.Now)}}
	for name, n := range map[string]int{
		"inUse": f.InUse, "blocks": f.Blocks, "borrowed": f.Borrowed, "routes": f.Routes, "cooling": f.Cooling, "pods": f.Pods, "waiting": f.Waiting,
	} {
		out.Figures[name] = chart.Thousands(n)
	}
	for name, digits := range map[string]string{"blocksLeft": f.BlocksLeft, "reserved": f.Reserved} {
		n, err := strconv.Atoi(digits)
		must.NoError(t, err)
		out.Figures[name] = chart.Thousands(n)
	}
	var blocks []string
	add := func(list []session.BlockView) {
		for _, b := range list {
			blocks = append(blocks, b.CIDR)
		}
	}
	for _, n := range v.Nodes {
		line := n.Name
		for word, is := range map[string]bool{"drained": n.Cordoned, "gone": n.Gone} {
			if is {
				line += "|" + word
			}
		}
		facts := "1 pod"
		if n.Pods != 1 {
			facts = chart.Thousands(n.Pods) + " pods"
		}
		if n.Waiting > 0 {
			facts += fmt.Sprintf(", %d waiting", n.Waiting)
		}
		if n.Borrows > 0 {
			facts += fmt.Sprintf(", borrows %d", n.Borrows)
		}
		out.Nodes = append(out.Nodes, line+"|"+facts)
		add(n.Blocks)
	}
	if len(v.Unowned) > 0 {
		out.Nodes = append(out.Nodes, "no node|gone|0 pods")
		add(v.Unowned)
	}
	args, err := json.Marshal(map[string][]string{"blocks": blocks})
	must.NoError(t, err)
	for _, c := range call[[]session.Cells](t, s, "cells", string(args)) {
		out.Cells[c.CIDR] = c.Cells
	}
	return out
}

// same requires that the lab shows what the library computes.
func (b *browser) same() shown {
	b.t.Helper()
	got := b.shown()
	must.Eq(b.t, computed(b.t, b.fragment()), got)
	return got
}

func TestPageInBrowser(t *testing.T) {
	shared := startBrowser(t)
	part := func(name string, test func(b *browser)) {
		t.Run(name, func(t *testing.T) { test(shared.on(t)) })
	}
	part("acts", everyAct)
	part("keyboard", keyboardOnly)
	part("fragments", fragments)
	part("export", exports)
	part("tour", wholeTour)
	part("calls", callByCall)
	part("sizes", blockSizes)
	part("comparison", comparison)
	part("families", families)
	part("narrow table", narrowTable)
	part("dump", droppedDump)
	part("files", filesAtOnce)
	part("silence", nothingLeaves)
	part("looks", looks)
	part("many nodes", manyNodes)
}

// everyAct does each act that has a button, and goes back and forward through all of them.
func everyAct(b *browser) {
	b.openLab("")
	states := []shown{b.same()}
	done := map[string]bool{}
	act := func(name string) {
		b.t.Helper()
		before := b.Text(`document.querySelector("#panel-lab .history [aria-current]").dataset.at`)
		b.click(name)
		must.Eq(b.t, "", b.message(), must.Sprint(name))
		must.NotEq(b.t, before, b.Text(`document.querySelector("#panel-lab .history [aria-current]").dataset.at`), must.Sprint(name))
		must.NotEq(b.t, "", b.Text(`document.querySelector("#panel-lab .says").textContent`), must.Sprint(name))
		states = append(states, b.same())
		done[name] = true
	}
	worker := "calico-ipam-worker"
	open := func(selector string) {
		b.Run(fmt.Sprintf(`for (const d of document.querySelectorAll("#panel-lab " + %q)) d.open = true`, selector))
	}
	act("Add a pod")
	act("Add 10 pods")
	act("Add a pod on " + worker)
	act("Add 10 pods on " + worker)
	act("Add pods on " + worker + " until its block is full")
	act("Remove a pod from " + worker)
	b.fill("scale", "70")
	act("Scale")
	act("Add a node")
	act("Move the clock by 1s")
	act("Move the clock by 1m")
	act("Move the clock by 5m")
	act("Move the clock by 1h")
	act("Strict affinity")
	open("details.pods-box")
	b.Wait(`document.querySelector("[data-node=` + worker + `] .pods .acts button")`)
	pod := b.Text(`document.querySelector("[data-node=` + worker + `] .pods .acts button").getAttribute("aria-label").replace("Restart ", "")`)
	act("Restart " + pod)
	act("Restart " + pod + " until its address returns")
	must.StrContains(b.t, b.Text(`document.querySelector("#panel-lab .says").textContent`), " restarts ")
	b.Wait(`[...document.querySelectorAll("#panel-lab button")].some(e => e.getAttribute("aria-label") === "Remove ` + pod + `")`)
	act("Remove " + pod)
	open("details.menu")
	act("Drain " + worker)
	act("Let " + worker + " take pods again")
	b.Run(`document.querySelector("[data-node=` + worker + `] .menu input").value = "zone=a, ssd"`)
	act("Set the labels of " + worker)
	act("Remove after a drain: calico-ipam-worker3")
	act("Take away at once, as in a power cut: calico-ipam-worker2")
	act("Run kube-controllers")
	open("details.settings")
	b.fill("max-blocks", "2")
	act("Set the limit")
	b.fill("node-name", "extra")
	b.fill("node-labels", "zone=b")
	act("Add this node")
	b.fill("pool-name", "second")
	b.fill("pool-cidr", "10.9.0.0/24")
	b.fill("pool-size", "28")
	b.fill("pool-selector", `zone == "b"`)
	b.fill("pool-reserved", "10.9.0.0/30")
	act("Write the pool")
	act("Add a pod on extra")
	b.fill("pool-name", "second")
	act("Remove the pool")

	// Back through all states, and forward again; more clicks than states are no fault.
	for i := len(states) - 2; i >= 0; i-- {
		b.click("Undo")
		must.Eq(b.t, states[i], b.shown(), must.Sprintf("back to %d", i))
	}
	must.Eq(b.t, "true", b.Text(`String(`+find("lab", "Undo")+`.disabled)`))
	b.click("Redo")
	b.Run(`{ const undo = ` + find("lab", "Undo") + `; for (let i = 0; i < 3; i++) undo.click(); }`)
	b.Wait(find("lab", "Undo") + `.disabled`)
	b.Settle()
	must.Eq(b.t, states[0], b.shown())
	must.Eq(b.t, "", b.message())
	for i := 1; i < len(states); i++ {
		b.click("Redo")
		must.Eq(b.t, states[i], b.shown(), must.Sprintf("forward to %d", i))
	}
	b.Run(`document.querySelectorAll("#panel-lab .history button")[3].click()`)
	b.Wait(`document.querySelector("#panel-lab .history [aria-current]").dataset.at === "4"`)
	must.Eq(b.t, states[3], b.shown(), must.Sprint("by the list of acts"))
	b.click("Reset")
	must.Eq(b.t, states[0], b.shown())

	// A cooldown needs a release that has it; the answer of one that does not is shown.
	b.fill("cooldown", "30s")
	b.click("Set the cooldown")
	must.StrContains(b.t, b.message(), "v3.33")
	must.Eq(b.t, states[0], b.shown(), must.Sprint("a refusal changes nothing"))
	b.fill("setup-calico", "v3.33")
	b.click("Start over with these")
	b.fill("cooldown", "30s")
	b.click("Set the cooldown")
	b.click("Add a pod on " + worker)
	b.click("Remove a pod from " + worker)
	must.Eq(b.t, "1", b.same().Figures["cooling"])
	b.silent()

	// What the tools print is what the library prints.
	s := session.New()
	call[session.View](b.t, s, "open", fmt.Sprintf(`{"fragment":%q}`, b.fragment()))
	for _, which := range chromium.Eval[[]string](b.Chromium, `[...document.querySelectorAll("#panel-lab .tools [role=tab]")].map(e => e.dataset.tab)`) {
		b.Run(fmt.Sprintf(`document.querySelector("#panel-lab .tools [data-tab=%s]").click()`, which))
		b.Wait(fmt.Sprintf(`document.querySelector("#panel-lab .tools pre").dataset.which === %q`, which))
		args := fmt.Sprintf(`{"which":%q}`, which)
		if which == "ipam-show-ip" {
			args = fmt.Sprintf(`{"which":%q,"ip":%q}`, which, b.Text(`document.querySelector("#panel-lab .tools input").value`))
		}
		must.Eq(b.t, call[session.Tab](b.t, s, "tab", args).Text, b.Text(`document.querySelector("#panel-lab .tools pre").textContent`), must.Sprint(which))
	}
	b.silent()
}

// keyboardOnly uses no pointer.
func keyboardOnly(b *browser) {
	b.openLab("")
	b.Run(`document.activeElement.blur()`)
	starts := b.Text(`document.querySelector("#panel-lab .overlay").toDataURL()`) // without any node's way
	focused := `(e => (e.getAttribute("aria-label") || e.textContent).trim())(document.activeElement)`
	reach := func(name string) {
		b.t.Helper()
		for range 80 {
			if b.Text(focused) == name {
				return
			}
			b.Press(kb.Tab)
		}
		b.t.Fatalf("Tab never reaches %s; it is at %s", name, b.Text(focused))
	}
	reach("Lab")
	b.Press(kb.ArrowRight)
	b.Wait(`!document.getElementById("panel-slow").hidden`)
	b.Press(kb.ArrowLeft)
	b.Wait(`!document.getElementById("panel-lab").hidden`)
	reach("Add 10 pods on calico-ipam-worker")
	b.Press(kb.Enter)
	b.Wait(`document.querySelector("#panel-lab .history [aria-current]").dataset.at === "2"`)
	b.drawn()
	must.Eq(b.t, "Add 10 pods on calico-ipam-worker", b.Text(focused), must.Sprint("the keyboard stays where it was"))

	// In the block, cell by cell.
	for range 20 {
		if b.Text(`document.activeElement.tagName`) == "CANVAS" {
			break
		}
		b.Press(kb.Tab)
	}
	cursor := `[...document.querySelector("#panel-lab .cell").children].map(e => e.textContent).join("|")`
	must.StrContains(b.t, b.Text(`document.activeElement.getAttribute("aria-label")`), "Block 192.168.131.128/26: ")
	must.StrContains(b.t, b.Text(cursor), "192.168.131.128|State: tunnel|Holder: ")
	b.Press(kb.ArrowRight)
	must.StrContains(b.t, b.Text(cursor), "192.168.131.129|State: pod of the block's owner|Holder: ")
	b.Press(kb.ArrowDown, kb.ArrowDown)
	must.StrContains(b.t, b.Text(cursor), "192.168.131.145|State: free|In the queue: 4th of ")
	b.Press(kb.End)
	must.StrContains(b.t, b.Text(cursor), "192.168.131.191|State: free|In the queue: ")
	b.Press(kb.Home)
	must.StrContains(b.t, b.Text(cursor), "192.168.131.128|")
	b.Wait(fmt.Sprintf(`document.querySelector("#panel-lab .overlay").toDataURL() !== %q`, starts)) // the node's way

	// The pool's map.
	for range 80 {
		if strings.HasPrefix(b.Text(focused), "Pool ") {
			break
		}
		b.Press(kb.Tab)
	}
	b.Press(kb.End)
	must.StrContains(b.t, b.Text(cursor), "192.168.255.192/26|State: no node has claimed it")
	b.Press(kb.Home, kb.PageDown)
	must.StrContains(b.t, b.Text(cursor), "192.168.0.64/26|")

	// What is made anew keeps the keyboard, or hands it on.
	b.Run(`document.querySelector("[data-node=calico-ipam-worker] .pods-box").open = true`)
	b.Wait(`document.querySelector("[data-node=calico-ipam-worker] .pods button")`)
	enter := func(name, then string) {
		b.t.Helper()
		before := b.Text(`document.body.dataset.fragment`)
		b.Run(find("lab", name) + `.focus()`)
		b.Press(kb.Enter)
		b.Wait(fmt.Sprintf(`document.body.dataset.fragment !== %q`, before))
		b.drawn()
		b.Wait(fmt.Sprintf(`%s === %q`, focused, then))
	}
	enter("Restart default/web-2", "Restart default/web-2")
	enter("Remove default/web-2", "Remove default/web-3")
	enter("Undo", "Undo")
	enter("Undo", "Undo")
	enter("restart default/web-2", "restart default/web-2")
	b.Run(find("lab", "Reset") + `.focus()`)
	b.Press(kb.Enter)
	b.Wait(`document.querySelectorAll("#panel-lab .history li").length === 1`)
	must.Eq(b.t, "Add a pod", b.Text(focused))
	enter("Add a pod", "Add a pod")
	b.fill("scale", "")
	b.Run(find("lab", "Scale") + `.click()`)
	must.StrContains(b.t, b.message(), "Pods: want a whole number", must.Sprint("no number is not zero"))
	b.Press(kb.Escape)
	must.Eq(b.t, "", b.message())

	// Undo.
	b.Run(`document.querySelector("#panel-lab .history button").focus()`)
	b.Run(`dispatchEvent(new KeyboardEvent("keydown", { key: "z", ctrlKey: true }))`)
	b.Wait(`document.querySelector("#panel-lab .history [aria-current]").dataset.at === "1"`)
	b.silent()
}

// fragments: the address has the state, for whoever opens it, and one that is broken
// loses nothing.
func fragments(b *browser) {
	b.openLab("")
	b.click("Add 10 pods on calico-ipam-worker")
	b.click("Add a node")
	b.click("Undo")
	want, fragment := b.same(), b.fragment()

	other := &browser{chromium.Start(b.t, "the page of the lab"), b.t, b.url, b.server} // with a profile of its own
	other.openLab("#lab/" + fragment)
	must.Eq(b.t, want, other.same())
	must.Eq(b.t, fragment, other.fragment())

	// Another address in the same tab.
	other.click("Redo")
	other.Run(fmt.Sprintf(`document.body.dataset.fragment = "old"; location.hash = "#lab/%s"`, fragment))
	other.Wait(fmt.Sprintf(`document.body.dataset.fragment === %q`, fragment))
	must.Eq(b.t, want, other.shown())
	other.silent()

	for _, broken := range []string{fragment[:len(fragment)/2], "x", "%00", strings.ToUpper(fragment)} {
		other.Run(`location.hash = "#lab/` + broken + `"`)
		other.Wait(`!document.getElementById("message").hidden`)
		must.StrContains(b.t, other.message(), "The address does not hold a state that can be opened")
		must.Eq(b.t, want, other.shown(), must.Sprint("nothing is lost"))
		other.Run(`document.querySelector("#message button").click()`)
	}
	must.SliceEmpty(b.t, other.Complaints())
	other.openLab("#lab/broken")
	must.StrContains(b.t, other.message(), "The address does not hold a state that can be opened")
	other.same()
}

// saved clicks a button that saves a file, and returns what is in it.
func (b *browser) saved(what string) string {
	b.t.Helper()
	return b.Text(fmt.Sprintf(`(async () => {
		const make = URL.createObjectURL, click = HTMLAnchorElement.prototype.click;
		const blob = await new Promise(done => {
			URL.createObjectURL = blob => { done(blob); return make.call(URL, blob); };
			HTMLAnchorElement.prototype.click = () => {};
			document.querySelector("[data-export=%s]").click();
		});
		URL.createObjectURL = make;
		HTMLAnchorElement.prototype.click = click;
		return blob.text();
	})()`, what))
}

// exports: a recording that replays, resources that open, and a list that does.
func exports(b *browser) {
	b.openLab("")
	for _, name := range []string{"Add 10 pods on calico-ipam-worker", "Add pods on calico-ipam-worker2 until its block is full", "Remove a pod from calico-ipam-worker", "Add a node", "Run kube-controllers"} {
		b.click(name)
	}
	want := b.same()
	r, err := trace.NewReader("saved", strings.NewReader(b.saved("trace")))
	must.NoError(b.t, err)
	result, err := trace.Replay(r, nil)
	must.NoError(b.t, err)
	must.SliceEmpty(b.t, result.Divergences, must.Sprint(result.Divergences))
	must.Greater(b.t, 70, result.Operations)

	operations := b.saved("operations")
	b.click("Reset")
	b.Run(fmt.Sprintf(`(files => {
		files.items.add(new File([%q], "acts.json"));
		const input = document.querySelector("#panel-lab .share input[type=file]");
		input.files = files.files;
		input.dispatchEvent(new Event("change"));
	})(new DataTransfer())`, operations))
	b.Wait(`document.querySelector("#panel-lab .history [aria-current]").dataset.at === "6"`)
	must.Eq(b.t, want, b.shown())

	resources := b.saved("resources")
	b.drop("cluster.yaml", resources)
	b.Wait(`document.querySelector(".cluster").dataset.loaded === "cluster.yaml"`)
	must.Eq(b.t, want.Figures["inUse"], b.Text(`document.querySelector("#panel-cluster [data-figure=inUse]").textContent`))
	b.silent()
}

// callByCall lets two nodes race for one block.
func callByCall(b *browser) {
	b.open("#slow", 1280)
	begin := func() {
		b.Wait(`document.querySelectorAll("#panel-slow select.node-of").length === 2`)
		b.Run(find("slow", "Begin") + `.focus()`)
		b.Press(kb.Enter)
		b.Wait(`document.querySelectorAll("#panel-slow .client-card").length === 2`)
		must.Eq(b.t, "step-0", b.Text(`document.activeElement.dataset.act`), must.Sprint("the keyboard goes on there"))
	}
	step := func(which int, doing string) {
		before := b.Text(`document.querySelector("#panel-slow .slow-body").textContent`)
		b.Run(fmt.Sprintf(`document.querySelector('#panel-slow [data-act="%s-%d"]').click()`, doing, which))
		b.Wait(fmt.Sprintf(`document.querySelector("#panel-slow .slow-body").textContent !== %q`, before))
	}
	waits := func(which int) bool {
		return b.Text(fmt.Sprintf(`String(!!document.querySelector('#panel-slow [data-act="step-%d"]'))`, which)) == "true"
	}
	finish := func() {
		b.Wait(`!document.querySelector('#panel-slow [data-act="end"]').disabled`)
		b.Run(`document.querySelector('#panel-slow [data-act="end"]').click()`)
		b.Wait(`document.querySelector("#panel-slow .says-card h2")?.textContent === "What came of it"`)
	}
	begin()
	must.Eq(b.t, "true", b.Text(`String(document.querySelector('#panel-slow [data-act="end"]').disabled)`), must.Sprint("nobody has ended"))
	pending := false
	for waits(0) || waits(1) {
		for _, i := range []int{0, 1} {
			if waits(i) {
				step(i, "step")
			}
		}
		pending = pending || strings.Contains(b.Text(`document.querySelector("#panel-slow .slow-things").textContent`), "pending")
	}
	must.True(b.t, pending, must.Sprint("a claim is pending on the way"))
	must.Eq(b.t, "end", b.Text(`document.activeElement.dataset.act`))
	finish()
	came := b.Text(`document.querySelector("#panel-slow .says-card").textContent`)
	must.Eq(b.t, 2, strings.Count(came, " gets 192.168.0."), must.Sprint(came))
	b.Run(`document.querySelector('#panel-slow [data-act="to-lab"]').click()`)
	b.Wait(`!document.getElementById("panel-lab").hidden`)
	b.Wait(`document.querySelector("#panel-lab .history [aria-current]").dataset.at === "2"`)
	must.Eq(b.t, "1", b.same().Figures["borrowed"], must.Sprint("the loser borrows"))

	// One dies, and what is dropped leaves no trace.
	b.Run(`document.getElementById("tab-slow").click()`)
	b.Run(`{ const s = document.querySelector("#panel-slow select"); s.value = "empty"; s.dispatchEvent(new Event("change")); }`)
	b.Wait(`[...document.querySelectorAll("#panel-slow select.node-of option")].length === 8`)
	begin()
	step(0, "step")
	step(0, "die")
	must.StrContains(b.t, b.Text(`document.querySelector("#panel-slow .client-card").textContent`), "dead")
	for waits(1) {
		step(1, "step")
	}
	finish()
	begin()
	step(0, "step")
	b.Run(`document.querySelector('#panel-slow [data-act="cancel"]').click()`)
	b.Wait(`document.querySelector("#panel-slow .slow-body").children.length === 0`)
	b.silent()
}

// blockSizes moves the sliders.
func blockSizes(b *browser) {
	b.open("#sizes", 1280)
	b.Wait(`document.querySelector(".sizes-tab").dataset.ms`)
	figures := `Object.fromEntries([...document.querySelectorAll("#panel-sizes [data-figure]")].map(e => [e.dataset.figure, e.textContent]))`
	s := session.New()
	for _, c := range []string{`{"nodes":300,"pods":40,"blockSize":26,"pool":"10.0.0.0/18"}`, `{"nodes":300,"pods":40,"blockSize":28,"pool":"10.0.0.0/18"}`, `{"nodes":7,"pods":110,"blockSize":28,"pool":"10.0.0.0/18"}`} {
		b.Run(fmt.Sprintf(`{ const a = %s, [nodes, pods, size] = document.querySelectorAll("#panel-sizes input[type=range]");
			nodes.value = a.nodes; pods.value = a.pods; size.value = a.blockSize;
			nodes.dispatchEvent(new Event("input")); }`, c))
		b.Wait(fmt.Sprintf(`document.querySelector(".sizes-tab").dataset.key === %q`, c))
		p := call[session.Plan](b.t, s, "plan", c)
		must.Eq(b.t, map[string]string{
			"own": chart.Thousands(p.Own), "borrowed": chart.Thousands(p.Borrowed), "refused": chart.Thousands(p.Refused), "blocks": chart.Thousands(p.Blocks),
			"routes": chart.Thousands(p.Routes), "without": chart.Thousands(p.Without), "unused": chart.Thousands(int(p.Unused)),
		}, chromium.Eval[map[string]string](b.Chromium, figures))
	}
	b.Run(`document.querySelector('[data-act="bench"]').click()`)
	b.Wait(`document.querySelector(".sizes-tab").dataset.median`)
	b.t.Log("300 nodes of 40 pods are computed and drawn in a median of ", b.Text(`document.querySelector(".sizes-tab").dataset.median`), " ms")
	b.silent()
	b.Run(`{ const e = document.querySelector("#panel-sizes input[type=text]"); e.value = "10.0.0.0/33"; e.dispatchEvent(new Event("change")); }`)
	b.Wait(`!document.getElementById("message").hidden`)
	must.StrContains(b.t, b.message(), "pool: ")
	must.SliceEmpty(b.t, b.Complaints())
}

// drop drops a file on the tab of the reader's own cluster.
func (b *browser) drop(name, text string) {
	b.t.Helper()
	b.Run(`document.getElementById("tab-cluster").click()`)
	b.Run(fmt.Sprintf(`(data => {
		data.items.add(new File([%q], %q));
		document.querySelector(".drop").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
	})(new DataTransfer())`, text, name))
}

// droppedDump: a cluster from a file, and a file that is none.
func droppedDump(b *browser) {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "testdata", "sample.yaml"))
	must.NoError(b.t, err)
	b.openLab("")
	want := b.same()
	b.Run(`document.getElementById("tab-cluster").click()`)
	b.Wait(`document.querySelector(".drop pre").textContent === ` + strconv.Quote(snapshot.Command))
	b.drop("sample.yaml", string(text))
	b.Wait(`document.querySelector(".cluster").dataset.loaded === "sample.yaml"`)
	s := session.New()
	var loaded struct{ OK session.View }
	must.NoError(b.t, json.Unmarshal(s.Call("load", []byte(`{"name":"sample.yaml"}`), text), &loaded))
	found := call[session.Findings](b.t, s, "findings", "{}")
	must.SliceNotEmpty(b.t, found.Findings)
	must.Eq(b.t, fmt.Sprintf("%d findings", len(found.Findings)), b.Text(`document.querySelector(".found h2").textContent`))
	inUse := `document.querySelector("#panel-cluster [data-figure=inUse]").textContent`
	must.Eq(b.t, chart.Thousands(loaded.OK.Figures.InUse), b.Text(inUse))
	b.Wait(`document.querySelector("#panel-cluster .nodes canvas")?.dataset.cells`)

	// What if? A drain, and back.
	name := loaded.OK.Nodes[0].Name
	b.Run(`for (const d of document.querySelectorAll("#panel-cluster details.menu")) d.open = true`)
	b.Run(find("cluster", "Drain "+name) + `.click()`)
	b.Wait(`document.querySelector("#panel-cluster article.node .tags").textContent === "drained"`)
	after := call[session.View](b.t, s, "do", fmt.Sprintf(`{"do":"drain","node":%q}`, name))
	must.Eq(b.t, chart.Thousands(after.Figures.InUse), b.Text(inUse))
	b.Run(find("cluster", "Undo") + `.click()`)
	b.Wait(`document.querySelector("#panel-cluster article.node .tags").textContent === ""`)
	b.silent()

	for name, text := range map[string]string{"notes.txt": "shopping list", "cut.yaml": string(text[:3000]), "empty.json": "", "cut.json": `{"kind":"List","items":[`} {
		b.drop(name, text)
		b.Wait(`!document.getElementById("message").hidden`)
		must.StrContains(b.t, b.message(), name)
		must.Eq(b.t, chart.Thousands(loaded.OK.Figures.InUse), b.Text(inUse), must.Sprint("nothing is lost"))
	}
	b.Run(`document.getElementById("tab-lab").click()`)
	must.Eq(b.t, "", b.message())
	must.Eq(b.t, want, b.same(), must.Sprint("nor in the lab"))
	must.SliceEmpty(b.t, b.Complaints())
}

// vast is a cluster whose pool has 2^66 blocks.
const vast = "apiVersion: crd.projectcalico.org/v1\nkind: IPPool\nmetadata: {name: six}\nspec: {cidr: \"fd00:42::/56\", blockSize: 122, nodeSelector: all()}\n" +
	"---\napiVersion: v1\nkind: Node\nmetadata: {name: n1}\n"

// filesAtOnce: whatever files come while another is read, the page shows the cluster that
// the engine has.
func filesAtOnce(b *browser) {
	sample, err := os.ReadFile(filepath.Join("..", "..", "..", "testdata", "sample.yaml"))
	must.NoError(b.t, err)
	s := session.New()
	var loaded struct{ OK session.View }
	must.NoError(b.t, json.Unmarshal(s.Call("load", []byte(`{"name":"sample.yaml"}`), sample), &loaded))
	const bad, other = "hello: world\n", "kind: Node\napiVersion: v1\nmetadata: {name: other}\n"
	status := `document.querySelector("#panel-cluster [role=status]").textContent`
	figure := func(name string) string {
		return b.Text(`document.querySelector("#panel-cluster [data-figure=` + name + `]").textContent`)
	}
	nodes := `document.querySelector("#panel-cluster .head small").textContent`
	b.openLab("")
	b.drop("vast.yaml", vast)
	b.Wait(`document.querySelector(".cluster").dataset.loaded === "vast.yaml"`)
	must.Eq(b.t, "73,786,976,294,838,206,464", figure("blocksLeft"))
	b.Resize(360)
	b.Settle()
	must.LessEq(b.t, int64(360), chromium.Eval[int64](b.Chromium, `document.documentElement.scrollWidth`), must.Sprint("figures of many digits"))
	b.Resize(1280)

	b.drop("sample.yaml", string(sample))
	b.drop("bad.yaml", bad)
	b.Wait(`!document.getElementById("message").hidden`)
	b.Settle()
	must.StrContains(b.t, b.message(), "bad.yaml cannot be opened")
	must.Eq(b.t, "The file was not read. The cluster below is the one before.", b.Text(status))
	must.Eq(b.t, fmt.Sprint(" ", len(loaded.OK.Nodes)), b.Text(nodes))
	must.Eq(b.t, chart.Thousands(loaded.OK.Figures.InUse), figure("inUse"))
	b.Run(find("cluster", "Add a pod") + `.click()`)
	b.Wait(`document.querySelectorAll("#panel-cluster .history li").length === 2`)
	after := call[session.View](b.t, s, "do", `{"do":"add-pods","count":1}`)
	must.Eq(b.t, chart.Thousands(after.Figures.InUse), figure("inUse"))
	must.Eq(b.t, fmt.Sprint(" ", len(after.Nodes)), b.Text(nodes), must.Sprint("the act is one on the cluster that was shown"))

	// The last of many, whether it is read or not; and an act in the midst of them.
	b.drop("bad.yaml", bad)
	b.drop("vast.yaml", vast)
	b.drop("other.yaml", other)
	b.Run(find("cluster", "Add a pod") + `.click()`)
	b.drop("sample.yaml", string(sample))
	b.Wait(`document.querySelector(".cluster").dataset.loaded === "sample.yaml" && ` + status + `.startsWith("sample.yaml: ")`)
	b.Settle()
	must.Eq(b.t, fmt.Sprint(" ", len(loaded.OK.Nodes)), b.Text(nodes))
	must.Eq(b.t, chart.Thousands(loaded.OK.Figures.InUse), figure("inUse"))
	must.Eq(b.t, fmt.Sprintf("%d findings", len(call[session.Findings](b.t, s, "findings", "{}").Findings)), b.Text(`document.querySelector(".found h2").textContent`))
	b.silent()
}

// nothingLeaves: the page asks for its own files, and for nothing else, and it cannot.
func nothingLeaves(b *browser) {
	earlier := len(b.server.since(0))
	b.openLab("")
	var files []string
	for _, path := range b.server.since(earlier) {
		name, own := strings.CutPrefix(path, folder)
		must.True(b.t, own, must.Sprint(path))
		if name == "" {
			name = "index.html"
		}
		files = append(files, name)
	}
	slices.Sort(files)
	must.Eq(b.t, names(), slices.Compact(files), must.Sprint("each file of the site is needed"))
	first, answered := b.Requests(), len(b.server.since(0))
	for _, url := range first {
		must.True(b.t, strings.HasPrefix(url, b.url) || strings.HasPrefix(url, "data:") || strings.HasPrefix(url, "blob:"+strings.TrimSuffix(b.url, folder)), must.Sprint(url))
	}

	for _, tab := range []string{"slow", "course", "cluster", "sizes", "lab"} {
		b.Run(fmt.Sprintf(`document.getElementById("tab-%s").click()`, tab))
	}
	b.click("Add 10 pods on calico-ipam-worker")
	b.drop("cluster.yaml", "kind: Node\napiVersion: v1\nmetadata: {name: a}\n")
	b.Wait(`"loaded" in document.querySelector(".cluster").dataset || !document.getElementById("message").hidden`)
	b.Settle()
	must.SliceEmpty(b.t, b.Complaints())
	for _, url := range b.Requests()[len(first):] {
		must.True(b.t, strings.HasPrefix(url, "blob:"), must.Sprint(url))
	}
	must.SliceEmpty(b.t, b.server.since(answered))

	// Whatever a script of the page might try.
	tries := map[string]string{
		"fetch":       `fetch("main.js").then(() => "sent", () => "refused")`,
		"fetch away":  `fetch("http://127.0.0.1:9/").then(() => "sent", e => String(e).includes("Failed to fetch") ? "refused" : "sent")`,
		"socket":      `new Promise(done => { try { const s = new WebSocket("ws://127.0.0.1:9/"); s.onerror = () => done("refused"); s.onopen = () => done("sent"); } catch { done("refused"); } })`,
		"picture":     `new Promise(done => { const i = new Image(); i.onerror = () => done("refused"); i.onload = () => done("sent"); i.src = "http://127.0.0.1:9/x.png"; })`,
		"from a text": `new Promise(done => { const w = new Worker(URL.createObjectURL(new Blob(["fetch('` + b.url + `main.js').then(() => postMessage('sent'), () => postMessage('refused'))"]))); w.onmessage = e => done(e.data); })`,
	}
	before := len(b.Requests())
	for _, name := range slices.Sorted(maps.Keys(tries)) {
		must.Eq(b.t, "refused", b.Text(tries[name]), must.Sprint(name))
	}
	complaints := strings.Join(b.Complaints(), "\n")
	for _, directive := range []string{"connect-src 'none'", "img-src 'self' data:"} {
		must.StrContains(b.t, complaints, directive, must.Sprint("it is the policy that refuses"))
	}
	must.SliceEmpty(b.t, b.server.since(answered))
	for _, url := range b.Requests()[before:] {
		must.False(b.t, strings.HasPrefix(url, "http") && !strings.HasSuffix(url, "/x.png") && !strings.HasSuffix(url, ":9/") && !strings.HasSuffix(url, "main.js"), must.Sprint(url))
	}
}

// nameless is the first thing without a name for a screen reader.
const nameless = `([...document.querySelectorAll("button, input, select, canvas, summary, pre, progress, output, [role=tabpanel], [role=group], [role=list], nav, fieldset")].find(e =>
	!(e.getAttribute("aria-label") || (document.getElementById(e.getAttribute("aria-labelledby")) || "").textContent || e.labels && [...e.labels].map(l => l.textContent).join("")
		|| e.matches("button, summary, fieldset, output") && e.textContent || e.closest("[aria-hidden=true]"))) || "").outerHTML?.slice(0, 200) || ""`

// looks: narrow screens, themes, paper, and the forms of the cells.
func looks(b *browser) {
	shots := os.Getenv("IPAMSIM_SCREENSHOTS")
	shot := func(name string, whole bool) {
		if shots != "" {
			must.NoError(b.t, os.MkdirAll(shots, 0o777))
			b.Screenshot(filepath.Join(shots, name+".png"), whole)
		}
	}
	b.openLab("")
	// A neighbour borrows: two nodes, and a pool of two blocks of 16.
	b.Run(`document.querySelector("#panel-lab details.settings").open = true`)
	b.fill("setup-pool", "192.168.0.0/26")
	b.fill("setup-size", "28")
	b.click("Start over with these")
	b.Run(`document.querySelector("#panel-lab details.settings").open = false`)
	for _, name := range []string{"Add pods on calico-ipam-worker until its block is full", "Add 10 pods on calico-ipam-worker", "Add 10 pods on calico-ipam-worker", "Remove a pod from calico-ipam-worker", "Add 10 pods on calico-ipam-worker2", "Add a pod on calico-ipam-worker"} {
		b.click(name)
	}
	must.NotEq(b.t, "0", b.same().Figures["borrowed"])
	b.Run(`document.activeElement.blur(); scrollTo(0, 0)`)
	b.Run(`Promise.all(document.getAnimations().map(a => a.finished))`)
	shot("web", false)
	shot("lab", true)
	light := b.Text(`getComputedStyle(document.body).backgroundColor`)
	b.Media("", "dark")
	b.Settle()
	must.NotEq(b.t, light, b.Text(`getComputedStyle(document.body).backgroundColor`))
	shot("lab-dark", true)
	for _, theme := range []string{"dark", "light"} {
		b.Media("", theme)
		b.Settle()
		// Of each cell of the legend, its colours from the most to the least: any two states
		// differ in colour, and all but free and a pod's have a form.
		legend := chromium.Eval[[][][3]float64](b.Chromium, `[...document.querySelectorAll("#panel-lab .cells-legend canvas")].map(c => {
			const g = document.createElement("canvas").getContext("2d"), n = {};
			g.drawImage(c, 0, 0);
			const d = g.getImageData(0, 0, c.width, c.height).data;
			for (let i = 0; i < d.length; i += 4) n[d.slice(i, i + 3)] = (n[d.slice(i, i + 3)] || 0) + 1;
			return Object.entries(n).sort((a, b) => b[1] - a[1]).map(([k]) => k.split(",").map(Number));
		})`)
		must.Len(b.t, 8, legend)
		for i, colours := range legend {
			if i > 1 {
				must.Greater(b.t, 1, len(colours), must.Sprintf("state %d has a form", i))
			}
			for j := range i {
				d := 0.0
				for k := range 3 {
					d += max(colours[0][k]-legend[j][0][k], legend[j][0][k]-colours[0][k])
				}
				must.Greater(b.t, 60.0, d, must.Sprintf("%s: states %d and %d", theme, i, j))
			}
		}
	}
	b.silent()
	for _, tab := range []string{"slow", "course", "cluster", "sizes", "lab"} {
		b.Run(fmt.Sprintf(`document.getElementById("tab-%s").click()`, tab))
		b.Wait(fmt.Sprintf(`document.getElementById("panel-%s").children.length`, tab))
		b.Settle()
		must.Eq(b.t, "", b.Text(nameless), must.Sprintf("each control and region of %s has a name", tab))
		if tab == "cluster" {
			b.drop("cluster.yaml", "kind: Node\napiVersion: v1\nmetadata: {name: a-node-with-quite-a-long-name.of.a.domain.example}\n")
			b.Wait(`"loaded" in document.querySelector(".cluster").dataset || !document.getElementById("message").hidden`)
		}
		for _, width := range []int64{1280, 700, 360} {
			b.Resize(width)
			b.Settle()
			must.LessEq(b.t, width, chromium.Eval[int64](b.Chromium, `document.documentElement.scrollWidth`), must.Sprintf("%s at %d", tab, width))
			shot(fmt.Sprintf("%s-%d", tab, width), true)
		}
		must.SliceEmpty(b.t, b.Complaints())
	}
	b.Resize(1000)
	b.Media("print", "dark")
	b.Settle()
	must.Eq(b.t, "rgb(255, 255, 255)", b.Text(`getComputedStyle(document.body).backgroundColor`))
	must.Eq(b.t, "none", b.Text(`getComputedStyle(document.querySelector("#panel-lab .bar")).display`))
	must.Eq(b.t, "241,244,247", b.Text(`(c => { const g = new OffscreenCanvas(c.width, c.height).getContext("2d"); g.drawImage(c, 0, 0); return [...g.getImageData(8, 8, 1, 1).data.slice(0, 3)].join(); })(document.querySelector("#panel-lab .cells-legend canvas"))`), must.Sprint("a free cell is light on paper"))
	shot("print", true)
	must.SliceEmpty(b.t, b.Complaints())
}

// manyNodes: of 5,000 nodes, only those in view are drawn.
func manyNodes(b *browser) {
	b.openLab("")
	b.t.Log("usable after ", b.Text(`document.body.dataset.ready`), " ms")
	b.Run(`document.querySelector("#panel-lab details.settings").open = true`)
	b.fill("setup-nodes", "5000")
	b.fill("setup-pool", "10.0.0.0/12")
	b.click("Start over with these")
	must.Eq(b.t, " 5,000", b.Text(`document.querySelector("#panel-lab .head small").textContent`))
	drawn := func() int {
		return chromium.Eval[int](b.Chromium, `document.querySelectorAll("#panel-lab article.node").length`)
	}
	must.Less(b.t, 100, drawn())
	took := chromium.Eval[float64](b.Chromium, `(async () => {
		const began = performance.now();
		`+find("lab", "Add a pod")+`.click();
		for (const was = document.querySelector("#panel-lab .nodes").dataset.turn; was === document.querySelector("#panel-lab .nodes").dataset.turn;) await new Promise(requestAnimationFrame);
		return performance.now() - began;
	})()`)
	b.t.Logf("with 5,000 nodes an act is done and drawn in %.0f ms", took)
	b.Run(`document.querySelector("#panel-lab .nodes").lastElementChild.scrollIntoView({ block: "end" })`)
	b.Wait(`document.querySelector('[data-node="calico-ipam-worker4999"] canvas')?.dataset.cells`)
	must.Less(b.t, 100, drawn())
	b.Run(`{ const e = document.querySelector("#panel-lab input[type=search]"); e.value = "worker4321"; e.dispatchEvent(new Event("input")); }`)
	b.Wait(`document.querySelectorAll("#panel-lab article.node").length === 1 && document.querySelector('[data-node="calico-ipam-worker4321"] canvas')?.dataset.cells`)
	b.silent()
}
