// Which block size? Three sliders, and what comes of them at once.

import { button, count, el, field, fill } from "./dom.js";
import { curve, drawMap, layoutMap, themes } from "./blockmap.js";
import { isDark, onTheme } from "./cells.js";
import { complain, tried } from "./store.js";

/** makeSizes makes the tab. */
export function makeSizes(session) {
  const slider = (min, max, value) => el("input", { type: "range", min, max, value, step: 1 });
  const nodes = slider(1, 1000, 300), pods = slider(0, 250, 40), size = slider(20, 32, 26);
  const pool = el("input", { type: "text", value: "10.0.0.0/18", spellcheck: false, autocomplete: "off" });
  const shown = new Map([nodes, pods, size].map(s => [s, el("output")]));
  const row = (name, input) => el("label.slider", {}, el("span", {}, name), input, shown.get(input));
  const result = el("dl.facts.figures"), says = el("div.says", { role: "status", "aria-live": "polite" });
  const canvas = el("canvas", { role: "img", "aria-label": "The pool" }), took = el("p.note"), bench = el("p.note", { role: "status" });
  const all = el("div.scroll");
  const element = el("div.sizes-tab", {},
    el("section.card", {}, el("h2", {}, "Which block size?"),
      el("p", {}, "Every node and every pod asks for an address, in turns, from an empty pool. Drag, and see how many blocks that takes, what is borrowed and what is refused."),
      el("div.sliders", {}, row("Nodes", nodes), row("Pods on each", pods), row("Block size", size), field("Pool", pool))),
    el("div.sizes-columns", {},
      el("section.card", {}, el("h2", {}, "What comes of it"), result, says, took),
      el("section.card", {}, el("h2", {}, "The pool"), canvas)),
    el("section.card", {}, el("h2", {}, "All block sizes beside each other"), el("p.note", {}, "For these nodes and pods."), button("Compare them", tried(compare)), all),
    el("section.card", {}, el("h2", {}, "How fast?"), el("p.note", {}, "The time from a slider's move to the new picture, for 300 nodes of 40 pods, in this browser."), button("Measure", tried(measure), { "data-act": "bench" }), bench));
  let plan = null, busy = false, again = false, failed = "", compared = 0;

  const args = () => ({ nodes: Number(nodes.value), pods: Number(pods.value), blockSize: Number(size.value), pool: pool.value.trim() });
  function label() {
    for (const [input, output] of shown) {
      output.textContent = (input === size ? "/" : "") + count(Number(input.value));
      input.setAttribute("aria-valuetext", output.textContent);
    }
  }

  // Of many moves while one is drawn, the last one counts.
  async function change() {
    label();
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      do {
        again = false;
        await redraw(args());
      } while (again);
    } finally {
      busy = false;
    }
  }

  async function redraw(a) {
    const began = performance.now();
    try {
      plan = await session.call("plan", a);
      if (failed) document.getElementById("message").hidden = true;
      failed = "";
    } catch (error) {
      failed = error.message;
      complain(error);
      return NaN;
    }
    draw();
    const ms = performance.now() - began;
    took.textContent = `Computed and drawn in ${ms.toFixed(1)} ms.`;
    element.dataset.ms = ms.toFixed(1);
    element.dataset.key = JSON.stringify(a);
    return ms;
  }

  const known = [["own", "From own blocks"], ["borrowed", "Borrowed"], ["refused", "Refused"], ["blocks", "Blocks claimed"], ["routes", "Routes"], ["without", "Nodes without a block"], ["unused", "Unused in blocks"]];
  function draw() {
    fill(result, ...known.map(([key, name]) => el("div" + (plan[key] > 0 && ["borrowed", "refused", "without"].includes(key) ? ".bad" : ""), {}, el("dt", {}, name), el("dd", { "data-figure": key }, count(plan[key])))));
    fill(says, ...plan.says.map(s => el("p", {}, s)));
    drawPool();
  }

  function drawPool() {
    const cells = Math.min(plan.room, 1 << 16), owner = new Int32Array(cells).fill(-2), share = new Uint8Array(cells);
    for (const [first, n, kind, node, percent] of plan.runs) {
      for (let i = first; i < Math.min(first + n, cells); i++) {
        owner[i] = kind === 2 ? -1 : node;
        share[i] = percent;
      }
    }
    const c = curve(Math.max(cells, 1)), px = layoutMap(canvas, c, Math.min(canvas.parentElement.clientWidth - 40 || 400, 520));
    drawMap(canvas, c, px, cells, {
      theme: themes[isDark() ? "dark" : "light"], mode: "owner",
      state: i => owner[i] === -2 ? "free" : owner[i] === -1 ? "nobody" : share[i] === 0 ? "empty" : "used", owner: i => owner[i], share: i => share[i] / 100,
    });
    canvas.setAttribute("aria-label", `The pool: ${count(plan.blocks)} of ${count(plan.room)} blocks claimed. A colour is a node.`);
  }

  // A comparison ends without a word when the sliders that it is of have moved on.
  async function compare() {
    const rows = [], from = args(), mine = ++compared;
    fill(all, el("p.note", { role: "status" }, "Comparing …"));
    const length = Number(from.pool.split("/")[1]) || 16, six = from.pool.includes(":"), most = six ? 128 : 32;
    try {
      for (let bits = Math.min(Math.max(six ? 116 : 20, length), most); bits <= most; bits++) { // at least one, which says what is wrong
        const row = await session.call("plan", { ...from, blockSize: bits });
        if (mine !== compared) return;
        rows.push([bits, row]);
      }
    } catch (error) {
      if (mine !== compared) return;
      fill(all);
      throw error;
    }
    fill(all, el("table.plain", {},
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Block size"), ...known.map(([, name]) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, ...rows.map(([bits, r]) => el("tr" + (bits === Number(size.value) ? ".take" : ""), {}, el("th", { scope: "row" }, "/" + bits), ...known.map(([key]) => el("td", {}, count(r[key]))))))));
  }

  function forget() {
    compared++;
    fill(all);
  }

  /** measure moves a slider to and fro and reports the median. */
  async function measure() {
    const times = [];
    bench.textContent = "Measuring …";
    for (let i = 0; i < 31; i++) {
      const ms = await redraw({ nodes: 300, pods: 40, blockSize: 26, pool: "10.0.0.0/18" });
      if (Number.isNaN(ms)) return;
      if (i > 0) times.push(ms); // the first one warms up
      await new Promise(requestAnimationFrame);
    }
    times.sort((a, b) => a - b);
    bench.textContent = `Median ${times[times.length >> 1].toFixed(1)} ms, fastest ${times[0].toFixed(1)} ms, slowest ${times[times.length - 1].toFixed(1)} ms, of ${times.length} redraws.`;
    element.dataset.median = times[times.length >> 1].toFixed(1);
    await redraw(args());
  }

  for (const s of [nodes, pods, size]) s.addEventListener("input", change);
  for (const s of [nodes, pods, pool]) s.addEventListener("input", forget); // the comparison is of others
  pool.addEventListener("change", () => {
    const six = pool.value.includes(":"), was = Number(size.value); // the browser moves it into the new bounds
    size.min = six ? 116 : 20;
    size.max = six ? 128 : 32;
    if (was < Number(size.min) || was > Number(size.max)) size.value = six ? 122 : 26;
    change();
  });
  onTheme(() => { if (plan) drawPool(); });
  label();
  change().then(() => { if (new URLSearchParams(location.search).has("bench")) tried(measure)(); });
  return element;
}
