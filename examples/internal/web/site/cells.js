// A block's addresses, drawn: a cell each, row by row. Each state has a colour that
// colour-blind people tell from the others (most are of Okabe and Ito), and a form.

import { count, el } from "./dom.js";
import { placeTip, say } from "./blockmap.js";
import { addressAt } from "./addresses.js";

/** The states of a cell, by the letter that the engine gives them. */
export const states = {
  ".": { name: "free", says: "free" },
  p: { name: "pod", says: "pod of the block's owner" },
  b: { name: "borrowed", says: "borrowed by another node's pod" },
  t: { name: "tunnel", says: "tunnel" },
  s: { name: "service", says: "service or other" },
  c: { name: "cooling", says: "cooling down" },
  r: { name: "reserved", says: "reserved" },
  u: { name: "unknown", says: "holder unknown" },
};

const light = {
  line: "#c4ccd6", ink: "#1c2330", on: "#ffffff",
  ".": "#f1f4f7", p: "#0072b2", b: "#d55e00", t: "#009e73", s: "#b4609a", c: "#bfe2f7", r: "#9aa3af", u: "#e6c619", glyph: { c: "#0b5c8f", u: "#1c2330", r: "#ffffff" },
};
const dark = {
  line: "#4a5462", ink: "#ffffff", on: "#12151a",
  ".": "#242b35", p: "#4aa5e0", b: "#f08a3c", t: "#2fc79a", s: "#d98cc0", c: "#23485f", r: "#6b7684", u: "#f0e442", glyph: { c: "#8fd0f5", u: "#12151a", r: "#12151a" },
};
const night = matchMedia("(prefers-color-scheme: dark)");
const print = matchMedia("print");
/** onTheme calls a function whenever colours change. */
export function onTheme(redraw) {
  night.addEventListener("change", redraw);
  print.addEventListener("change", redraw);
}
export const isDark = () => night.matches && !print.matches;
const theme = () => isDark() ? dark : light;

/** shape is how many columns and rows so many addresses are drawn in. */
export function shape(addresses) {
  const columns = 2 ** Math.ceil(Math.log2(addresses) / 2);
  return { columns, rows: Math.max(1, addresses / columns) };
}

// The form of a state, within a cell.
function glyph(g, state, x, y, side, t) {
  const c = x + side / 2, m = y + side / 2, r = side * 0.24;
  g.lineWidth = Math.max(1, side / 9);
  g.strokeStyle = g.fillStyle = t.glyph[state] || t.on;
  g.beginPath();
  switch (state) {
    case "b": // a band from corner to corner
      g.moveTo(x + side * 0.15, y + side * 0.85);
      g.lineTo(x + side * 0.85, y + side * 0.15);
      g.stroke();
      break;
    case "t": // a ring
      g.arc(c, m, r, 0, 2 * Math.PI);
      g.stroke();
      break;
    case "s": // a diamond
      g.moveTo(c, m - r);
      g.lineTo(c + r, m);
      g.lineTo(c, m + r);
      g.lineTo(c - r, m);
      g.fill();
      break;
    case "c": // two lines
      for (const d of [-0.14, 0.14]) {
        g.moveTo(c - r, m + d * side);
        g.lineTo(c + r, m + d * side);
      }
      g.stroke();
      break;
    case "r": // a cross
      for (const d of [-1, 1]) {
        g.moveTo(c - r, m - d * r);
        g.lineTo(c + r, m + d * r);
      }
      g.stroke();
      break;
    case "u":
      g.textAlign = "center";
      g.textBaseline = "middle";
      g.font = `bold ${Math.round(side * 0.7)}px Arial, sans-serif`;
      g.fillText("?", c, m + side * 0.05);
      break;
  }
}

// cell draws one cell; side is without the gap.
function cell(g, state, x, y, side, t) {
  g.fillStyle = t[state] || t.u;
  g.fillRect(x, y, side, side);
  if (side < 8) return;
  if (state === ".") {
    g.strokeStyle = t.line;
    g.lineWidth = 1;
    g.strokeRect(x + 0.5, y + 0.5, side - 1, side - 1);
    return;
  }
  glyph(g, state, x, y, side, t);
}

/** legend lists the states that a reader may meet. */
export function legend() {
  const list = el("ul.legend.cells-legend", { "aria-label": "What the cells mean" });
  function draw() {
    const t = theme(), ratio = devicePixelRatio || 1;
    list.replaceChildren(...Object.entries(states).map(([letter, { says }]) => {
      const swatch = el("canvas", { width: 18 * ratio, height: 18 * ratio, "aria-hidden": "true" });
      cell(swatch.getContext("2d"), letter, 0, 0, 18 * ratio, t);
      return el("li", {}, swatch, el("span", {}, says));
    }));
  }
  draw();
  onTheme(draw);
  return list;
}

const ordinalWord = n => {
  const last = n % 10, teen = n % 100 > 10 && n % 100 < 14;
  return n + (teen ? "th" : ["th", "st", "nd", "rd"][last] || "th");
};

/** describe tells a cell in lines; the first is the address. */
export function describe(block, ordinal) {
  const state = block.cells[ordinal] || ".";
  const lines = [addressAt(block.cidr, ordinal), "State: " + (states[state] || states.u).says];
  if (block.who[ordinal]) lines.push("Holder: " + block.who[ordinal]);
  const place = state === "." ? block.next.indexOf(ordinal) : -1;
  if (place === 0) lines.push("In the queue: the next to be given out");
  else if (place > 0) lines.push(`In the queue: ${ordinalWord(place + 1)} of ${count(block.next.length)}`);
  lines.push(`Ordinal ${ordinal} of block ${block.cidr}`);
  return lines;
}

const tip = () => document.getElementById("tip");
export const hideTip = () => { tip().hidden = true; };
/** showTip shows lines beside the pointer. */
export function showTip(lines, event) {
  const e = tip();
  say(e, lines);
  placeTip(e, event);
}
addEventListener("scroll", () => hideTip(), { capture: true, passive: true });

/**
 * makeGrid draws a block and lets the reader walk through its cells. Options: its cidr, by
 * which a screen reader names it until its cells are there, width in
 * pixels that it may take, tell(lines) hears of the cell under the cursor, and leave(way)
 * of a key that leads out of the block: -1 to the one before, 1 to the next. It says
 * whether there is one.
 */
export function makeGrid({ cidr, width, tell, leave }) {
  const mark = el("div.cursor", { hidden: true });
  const canvas = el("canvas.block-cells", { tabIndex: -1, role: "application", "aria-roledescription": "grid of addresses", "aria-label": `Block ${cidr}` });
  const frame = el("div.frame", {}, canvas, mark);
  const grid = { element: frame, canvas, block: null, numbers: false, fresh: new Set(), cursor: -1, focus, draw, show, room };
  let columns = 1, rows = 1, step = 1;

  function room(pixels) {
    width = pixels;
    draw();
  }

  /** show draws a block as the engine told it; fresh are the ordinals that just changed. */
  function show(block, fresh, numbers) {
    grid.block = block;
    grid.fresh = fresh;
    grid.numbers = numbers;
    draw();
    if (document.activeElement === canvas && grid.cursor >= 0) told();
  }

  function draw() {
    const block = grid.block;
    frame.hidden = !block || !block.cells; // a claim on a block that is not there yet
    if (frame.hidden) return;
    const ratio = devicePixelRatio || 1, t = theme();
    ({ columns, rows } = shape(block.cells.length));
    step = Math.max(2, Math.min(Math.floor(width / columns), 24));
    const gap = step >= 14 ? 2 : step >= 5 ? 1 : 0;
    canvas.width = Math.round(columns * step * ratio);
    canvas.height = Math.round(rows * step * ratio);
    canvas.style.width = columns * step + "px";
    canvas.style.height = rows * step + "px";
    const g = canvas.getContext("2d");
    g.scale(ratio, ratio);
    const place = new Map(grid.numbers ? block.next.map((ordinal, i) => [ordinal, i + 1]) : []);
    const used = {};
    for (let i = 0; i < block.cells.length; i++) {
      const state = block.cells[i], x = i % columns * step, y = Math.floor(i / columns) * step;
      used[state] = (used[state] || 0) + 1;
      cell(g, state, x, y, step - gap, t);
      if (place.has(i) && step < 14) { // no room for a number: the sooner, the darker
        const n = place.get(i), last = Math.max(place.size - 1, 1);
        g.globalAlpha = n === 1 ? 1 : 0.75 - 0.7 * (n - 1) / last;
        g.fillStyle = n === 1 ? t.b : t.ink;
        g.fillRect(x, y, step - gap, step - gap);
        g.globalAlpha = 1;
      }
      if (place.has(i) && step >= 14) {
        const n = place.get(i);
        g.fillStyle = n === 1 ? t.b : t.ink;
        g.font = `${n === 1 ? "bold " : ""}${n > 99 ? 8 : 10}px Arial, sans-serif`;
        g.textAlign = "center";
        g.textBaseline = "middle";
        g.fillText(n, x + (step - gap) / 2, y + (step - gap) / 2 + 0.5);
      }
      if (grid.fresh.has(i)) {
        g.strokeStyle = t.ink;
        g.lineWidth = Math.max(1, Math.min(2.5, step / 8));
        const in_ = g.lineWidth / 2;
        g.strokeRect(x + in_, y + in_, step - gap - 2 * in_, step - gap - 2 * in_);
      }
    }
    const parts = Object.entries(used).map(([s, n]) => `${count(n)} ${(states[s] || states.u).name}`);
    canvas.setAttribute("aria-label", `Block ${block.cidr}: ${parts.join(", ")}. The arrow keys move through its addresses.`);
    canvas.dataset.cidr = block.cidr;
    canvas.dataset.cells = block.cells;
    place_();
  }

  function place_() {
    mark.hidden = grid.cursor < 0;
    if (mark.hidden) return;
    const side = Math.max(step, 8) + 4;
    mark.style.width = mark.style.height = side + "px";
    mark.style.left = (grid.cursor % columns + 0.5) * step - side / 2 - 1 + "px";
    mark.style.top = (Math.floor(grid.cursor / columns) + 0.5) * step - side / 2 - 1 + "px";
  }

  function told() { if (grid.block && grid.block.cells) tell(describe(grid.block, grid.cursor)); }

  function move(to) {
    grid.cursor = to;
    place_();
    told();
  }

  /** focus puts the keyboard on a cell; -1 is the last. */
  function focus(cell) {
    canvas.focus();
    if (grid.block && grid.block.cells) move(cell < 0 ? grid.block.cells.length - 1 : Math.min(cell, grid.block.cells.length - 1));
  }

  const under = event => {
    const box = canvas.getBoundingClientRect();
    const x = Math.floor((event.clientX - box.left) / step), y = Math.floor((event.clientY - box.top) / step);
    return x < 0 || y < 0 || x >= columns || y >= rows ? -1 : y * columns + x;
  };
  canvas.addEventListener("pointermove", event => {
    const at = under(event);
    if (at < 0 || !grid.block) hideTip();
    else showTip(describe(grid.block, at), event);
  });
  canvas.addEventListener("pointerleave", hideTip);
  canvas.addEventListener("click", event => { if (under(event) >= 0) move(under(event)); });
  canvas.addEventListener("focus", () => { if (grid.block) move(Math.max(grid.cursor, 0)); });
  canvas.addEventListener("blur", () => { grid.cursor = -1; place_(); });
  canvas.addEventListener("keydown", event => {
    if (event.altKey || event.ctrlKey || event.metaKey || !grid.block) return;
    const at = Math.max(grid.cursor, 0), last = grid.block.cells.length - 1;
    const to = {
      ArrowLeft: at - 1, ArrowRight: at + 1, ArrowUp: at - columns, ArrowDown: at + columns,
      Home: 0, End: last, PageUp: -1, PageDown: last + 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    hideTip();
    if (to < 0) leave(-1);
    else if (to > last) leave(1);
    else move(to);
  });
  return grid;
}
