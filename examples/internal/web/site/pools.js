// The pool, drawn: a cell for each of its blocks, along the report's winding line, with
// the owner's colour; and where a node begins to look for a block, and its way from there.

import { GONE, cellBeside, cellUnder, css, curve, drawMap, layoutMap, ownerColour, placeMark, themes } from "./blockmap.js";
import { count, el, fill, plural } from "./dom.js";
import { hideTip, isDark, onTheme, showTip } from "./cells.js";
import { blockAt } from "./addresses.js";

const most = 1 << 16; // blocks that are drawn

/** nodeColour is the colour of a node's blocks, by its place in the view. */
export const nodeColour = index => index < 0 ? "currentColor" : css(ownerColour(themes[isDark() ? "dark" : "light"], index));

/**
 * makePools draws the pools of a store. tell(lines) hears of the block under the cursor.
 */
export function makePools(store, tell) {
  const element = el("div.pools");
  const views = new Map(); // by the pool's name
  let shown = null; // the node whose way is shown
  let turn = 0;

  function make(name) {
    const v = { name, map: null, cells: null, cursor: -1, size: 0, walk: [], starts: [] };
    v.heading = el("h3");
    v.mark = el("div.cursor", { hidden: true });
    v.canvas = el("canvas", { tabIndex: 0, role: "application", "aria-roledescription": "map of blocks" });
    v.overlay = el("canvas.overlay", { "aria-hidden": "true" });
    v.note = el("p.note");
    v.frame = el("div.frame", {}, v.canvas, v.overlay, v.mark);
    v.element = el("div.pool", {}, v.heading, v.frame, v.note);
    const under = event => cellUnder(v.canvas, v.curve, event);
    v.canvas.addEventListener("pointermove", event => {
      const at = v.map ? under(event) : -1;
      if (at < 0) hideTip();
      else showTip(describe(v, at), event);
    });
    v.canvas.addEventListener("pointerleave", hideTip);
    v.canvas.addEventListener("click", event => { if (v.map && under(event) >= 0) move(v, under(event)); });
    v.canvas.addEventListener("focus", () => { if (v.map) move(v, Math.max(v.cursor, 0)); });
    v.canvas.addEventListener("blur", () => { v.cursor = -1; placeMark(v.mark, v.curve, v.size, -1); });
    v.canvas.addEventListener("keydown", event => {
      if (event.altKey || event.ctrlKey || event.metaKey || !v.map) return;
      const to = cellBeside(v.curve, v.cells.length, Math.max(v.cursor, 0), event.key);
      if (to === undefined) return;
      event.preventDefault();
      hideTip();
      move(v, to);
    });
    return v;
  }

  function move(v, cell) {
    v.cursor = cell;
    placeMark(v.mark, v.curve, v.size, cell);
    v.mark.scrollIntoView({ block: "nearest", inline: "nearest" });
    tell(describe(v, cell));
  }

  function describe(v, cell) {
    const { block, kind, node } = v.cells[cell];
    const name = node >= 0 && store.view.nodes[node] ? store.view.nodes[node].name : "";
    const lines = [blockAt(v.map.cidr, v.map.blockSize, block)];
    const words = { free: "no node has claimed it", pending: "a claim on it has begun", empty: "claimed, nothing in it", used: "in use", full: "full", nobody: "it belongs to nobody" };
    lines.push("State: " + (words[kind] || kind));
    if (name) lines.push("Owner: " + name);
    const starts = v.starts.filter(s => s.index === block).map(s => s.node);
    if (starts.length) lines.push("Here begins the search of " + starts.slice(0, 3).join(", ") + (starts.length > 3 ? ` and ${count(starts.length - 3)} more` : ""));
    const place = v.walk.indexOf(block);
    if (shown && place >= 0) lines.push(`Number ${place + 1} on the way of ${shown}`);
    lines.push(`Block ${count(block)} of ${count(v.map.blocks)}, counted from 0`);
    return lines;
  }

  function draw(v) {
    if (!v.map) return;
    const available = Math.min(v.element.clientWidth || 320, 420);
    v.size = layoutMap(v.canvas, v.curve, available);
    const at = v.cells;
    drawMap(v.canvas, v.curve, v.size, at.length, {
      theme: themes[isDark() ? "dark" : "light"], mode: "owner",
      state: i => at[i].kind === "pending" ? "empty" : at[i].kind, owner: i => at[i].kind === "free" ? GONE : at[i].kind === "nobody" ? -1 : at[i].node, share: () => 1,
    });
    drawWay(v);
    placeMark(v.mark, v.curve, v.size, v.cursor);
  }

  // The way of a node's search, from its start on, over the map.
  function drawWay(v) {
    const { canvas, overlay: o, size, curve: c } = v;
    o.width = canvas.width;
    o.height = canvas.height;
    o.style.width = canvas.style.width;
    o.style.height = canvas.style.height;
    const g = o.getContext("2d"), ink = isDark() ? "#fff" : "#000", halo = isDark() ? "#000" : "#fff";
    const middle = block => {
      const i = v.index ? v.index.get(block) : block;
      return i === undefined ? null : [(c.x[i] + 0.5) * size, (c.y[i] + 0.5) * size];
    };
    const ring = (block, colour) => {
      const m = middle(block);
      if (!m) return;
      for (const [style, width] of [[halo, 5], [colour, 2.5]]) {
        g.strokeStyle = style;
        g.lineWidth = width;
        g.strokeRect(m[0] - size / 2 + 1, m[1] - size / 2 + 1, size - 2, size - 2);
      }
    };
    // Where each node begins: a dot, as long as there are few enough to tell apart.
    if (size >= 6 && v.starts.length <= 200) {
      for (const s of v.starts) {
        const m = middle(s.index);
        if (!m) continue;
        const cell = v.cells[v.index ? v.index.get(s.index) : s.index];
        g.beginPath();
        g.arc(m[0], m[1], Math.max(1.3, size * 0.18), 0, 2 * Math.PI);
        g.fillStyle = cell.kind === "free" ? ink : halo;
        g.fill();
      }
    }
    if (!shown) return;
    const way = v.walk.slice(0, 12).map(middle).filter(m => m);
    for (const [style, width] of [[halo, 4], [ink, 1.75]]) {
      g.strokeStyle = style;
      g.lineWidth = width;
      g.lineJoin = "round";
      g.beginPath();
      way.forEach(([x, y], i) => i ? g.lineTo(x, y) : g.moveTo(x, y));
      g.stroke();
    }
    const start = v.starts.find(s => s.node === shown);
    if (start) ring(start.index, ink);
    v.cells.forEach(b => {
      const n = store.view.nodes[b.node];
      if (n && n.name === shown && b.kind !== "free") ring(b.block, ink);
    });
  }

  // Runs are the blocks that exist or are claimed; all others are free. Of a pool with
  // room for too many, only the runs are drawn.
  function unpack(v, map) {
    const whole = map.blocks <= most, at = new Map();
    v.map = map;
    v.starts = map.starts;
    v.cells = [];
    for (const [first, n, kind, node, percent] of map.runs) {
      const word = kind === 2 ? "nobody" : kind === 3 ? "pending" : percent === 100 ? "full" : percent > 0 ? "used" : "empty";
      for (let i = 0; i < n; i++) at.set(first + i, { block: first + i, kind: word, node });
    }
    if (whole) for (let i = 0; i < map.blocks; i++) v.cells.push(at.get(i) || { block: i, kind: "free", node: -1 });
    else v.cells = [...at.values()].slice(0, most);
    v.index = whole ? null : new Map(v.cells.map((c, i) => [c.block, i]));
    v.curve = curve(Math.max(v.cells.length, 1));
    const pool = store.view.pools.find(p => p.name === v.name);
    fill(v.heading, `${v.name} `, el("small", {}, `${map.cidr}, ${plural(map.blocks, "block")} of /${map.blockSize}, ${count(at.size)} claimed${pool && pool.disabled ? ", disabled" : ""}${pool && pool.nodeSelector && pool.nodeSelector !== "all()" ? `, for ${pool.nodeSelector}` : ""}`));
    v.canvas.setAttribute("aria-label", `Pool ${v.name}, ${map.cidr}: ${count(at.size)} of ${plural(map.blocks, "block")} of /${map.blockSize} claimed. The arrow keys move to the blocks around, Page Up and Page Down in address order.`);
    v.note.textContent = whole ? "" : `The pool has room for ${count(map.blocks)} blocks; only those that are claimed are drawn.`;
    v.frame.hidden = v.cells.length === 0;
  }

  async function update(view) {
    const mine = ++turn;
    const maps = await Promise.all(view.pools.map(p => store.ask("map", { pool: p.name }).catch(error => ({ error }))));
    if (mine !== turn) return;
    const names = new Set(view.pools.map(p => p.name));
    for (const name of [...views.keys()]) if (!names.has(name)) views.delete(name);
    view.pools.forEach((p, i) => {
      if (!views.has(p.name)) views.set(p.name, make(p.name));
      const v = views.get(p.name);
      v.walk = [];
      if (maps[i].error) { // too large to draw
        v.map = null;
        v.frame.hidden = true;
        fill(v.heading, p.name);
        v.note.textContent = maps[i].error.message;
      } else {
        unpack(v, maps[i]);
      }
    });
    element.replaceChildren(...[...views.values()].map(v => v.element));
    if (!views.size) fill(element, el("p.note", {}, "There is no pool."));
    for (const v of views.values()) draw(v);
    if (shown) await showNode(shown);
  }

  /** showNode shows where a node begins to look, and its way; null takes that away. */
  async function showNode(name) {
    shown = name;
    const mine = turn;
    for (const v of views.values()) {
      v.walk = [];
      if (name && v.map) {
        try {
          v.walk = (await store.ask("walk", { pool: v.name, node: name, most: 64 })).steps.map(s => s.index);
        } catch {
          v.walk = []; // a node that is gone looks for nothing
        }
      }
      if (mine !== turn || shown !== name) return;
      drawWay(v);
    }
  }

  const redraw = () => { for (const v of views.values()) draw(v); };
  onTheme(redraw);
  let width = 0;
  new ResizeObserver(() => requestAnimationFrame(() => {
    if (element.clientWidth === width) return;
    width = element.clientWidth;
    redraw();
  })).observe(element);
  return { element, update, showNode };
}
