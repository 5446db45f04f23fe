// The nodes as columns, each with its blocks. They stand in groups, and only the groups
// near the window are drawn: of thousands of nodes the others are empty boxes of about
// the right height.

import { button, choice, count, el, field, fill, plural } from "./dom.js";
import { makeGrid, onTheme, shape } from "./cells.js";
import { ordinalOf } from "./addresses.js";
import { nodeColour } from "./pools.js";
import { quiet, tried } from "./store.js";

const blocksShown = 12; // of a node, unless the reader asks for more
const together = 24; // nodes of a group

/**
 * makeNodes draws the nodes of a store. Options: acts (whether a node has buttons for
 * pods), tell(lines) hears of the cell under the cursor, look(node) of the node that the
 * reader looks at.
 */
export function makeNodes(store, { acts, tell, look }) {
  const grid = el("div.nodes", { role: "group", "aria-label": "Nodes" });
  const cards = new Map(); // of the nodes that are drawn, by name
  const none = el("p.note", { hidden: true });
  grid.append(none);
  const groups = []; // each with its element and its part of the list
  let list = [], numbers = false, wanted = "", turn = 0;

  const watcher = new IntersectionObserver(entries => {
    for (const e of entries) {
      const group = groups.find(g => g.element === e.target);
      if (!group || group.seen === e.isIntersecting) continue;
      if (!grid.clientWidth) continue; // the whole tab is hidden, and will be back
      group.seen = e.isIntersecting;
      if (group.seen) drawGroup(group);
      else if (list.length > together && !group.element.contains(document.activeElement)) emptyGroup(group);
    }
    later();
  }, { rootMargin: "500px" });

  function makeCard(name) {
    const card = { name, node: null, grids: new Map(), open: new Set(), more: false };
    card.element = el("article.node", { role: "listitem", "data-node": name });
    card.element.addEventListener("pointerenter", () => look(name));
    card.element.addEventListener("pointerleave", () => look(null));
    card.element.addEventListener("focusin", () => look(name));
    fillCard(card);
    return card;
  }

  // Cards of nodes that are drawn already are kept, and with them the keyboard's place.
  function drawGroup(group) {
    group.element.style.minHeight = "";
    const mine = group.nodes.map(({ node, index }) => {
      let card = cards.get(node.name);
      if (!card) cards.set(node.name, card = makeCard(node.name));
      card.index = index;
      showCard(card, node);
      return card.element;
    });
    const now = group.element.children;
    if (now.length !== mine.length || mine.some((e, i) => e !== now[i])) group.element.replaceChildren(...mine);
  }

  function emptyGroup(group) {
    if (!group.element.firstChild) return;
    group.element.style.minHeight = group.element.offsetHeight + "px";
    for (const e of group.element.children) cards.delete(e.dataset.node);
    group.element.replaceChildren();
  }

  // What a group takes, before it is drawn.
  function guess(group) {
    const columns = Math.max(1, Math.floor((grid.clientWidth + 14) / 226)), rows = [];
    group.nodes.forEach(({ node }, i) => {
      const blocks = node.blocks.slice(0, blocksShown).reduce((sum, b) => {
        const { columns: c, rows: r } = shape(b.inUse + b.free + b.cooling || 64);
        return sum + Math.max(2, Math.min(Math.floor(176 / c), 24)) * r + 52;
      }, 0), row = Math.floor(i / columns);
      rows[row] = Math.max(rows[row] || 0, 170 + blocks);
    });
    return rows.reduce((sum, h) => sum + h, 14 * (rows.length - 1));
  }

  function fillCard(card) {
    const { element } = card;
    card.swatch = el("span.swatch", { "aria-hidden": "true" });
    card.tags = el("span.tags");
    card.facts = el("p.node-facts");
    card.blocks = el("div.blocks");
    card.pods = el("ul.pods");
    card.podsBox = el("details.pods-box", { open: card.open.has("pods"), ontoggle: () => {
      card.podsBox.open ? card.open.add("pods") : card.open.delete("pods");
      if (card.podsBox.open) showPods(card);
    } }, el("summary", {}, "Pods"), card.pods);
    fill(element,
      el("header", {}, el("h3", {}, card.swatch, card.name), card.tags),
      card.facts,
      acts && el("div.acts", { role: "group", "aria-label": "Acts on " + card.name },
        button("+1", () => store.do({ do: "add-pods", node: card.name, count: 1 }), { "aria-label": `Add a pod on ${card.name}` }),
        button("+10", () => store.do({ do: "add-pods", node: card.name, count: 10 }), { "aria-label": `Add 10 pods on ${card.name}` }),
        button("Fill", () => store.do({ do: "add-pods", node: card.name, fill: true }), { "aria-label": `Add pods on ${card.name} until its block is full` }),
        button("−1", () => store.do({ do: "remove-pods", node: card.name, count: 1 }), { "aria-label": `Remove a pod from ${card.name}` })),
      card.menu = menu(card),
      card.blocks, card.podsBox);
  }

  function menu(card) {
    const of = name => `${name} ${card.name}`;
    card.drain = button("Drain", () => store.do({ do: card.node.cordoned ? "undrain" : "drain", node: card.name }));
    const labels = el("input", { type: "text", placeholder: "zone=a, disk=ssd", spellcheck: false, autocomplete: "off" });
    const set = tried(() => {
      const all = pairs(labels.value);
      for (const key of Object.keys(card.node.labels)) if (shownLabel(key) && !(key in all)) all[key] = null; // it was taken out
      return store.act("do", { do: "label-node", node: card.name, labels: all });
    });
    card.labels = labels;
    return el("details.menu", { open: card.open.has("menu"), ontoggle: event => event.target.open ? card.open.add("menu") : card.open.delete("menu") },
      el("summary", { "aria-label": of("More acts on") }, "More"),
      el("div.stack", {},
        card.drain,
        button("Remove after a drain", () => store.do({ do: "remove-node", node: card.name, how: "drained" }), { "aria-label": of("Remove after a drain:") }),
        button("Take away at once", () => store.do({ do: "remove-node", node: card.name, how: "gone" }), { "aria-label": of("Take away at once, as in a power cut:") }),
        acts && el("div.row", {}, field("Labels", labels), button("Set", set, { "aria-label": of("Set the labels of") }))));
  }

  function showCard(card, node) {
    card.node = node;
    card.swatch.style.backgroundColor = nodeColour(card.index);
    fill(card.tags, node.cordoned && el("span.tag.no", {}, "drained"), node.gone && el("span.tag.no", {}, "gone"));
    card.element.classList.toggle("gone", node.gone);
    const facts = [plural(node.pods, "pod")];
    if (node.waiting) facts.push(`${count(node.waiting)} waiting`);
    if (node.borrows) facts.push(`borrows ${count(node.borrows)}`);
    fill(card.facts, facts.join(", "));
    card.facts.classList.toggle("bad", node.waiting > 0);
    card.drain.textContent = node.cordoned ? "Take pods again" : "Drain";
    card.drain.setAttribute("aria-label", node.cordoned ? `Let ${card.name} take pods again` : `Drain ${card.name}`);
    card.menu.hidden = node.gone;
    for (const b of card.element.querySelectorAll(".acts button")) b.disabled = node.gone;
    if (document.activeElement !== card.labels) card.labels.value = Object.entries(node.labels).filter(([k]) => shownLabel(k)).map(([k, v]) => v ? `${k}=${v}` : k).join(", ");
    const list = card.more ? node.blocks : node.blocks.slice(0, blocksShown);
    const keep = new Set(list.map(b => b.cidr));
    for (const cidr of [...card.grids.keys()]) if (!keep.has(cidr)) card.grids.delete(cidr);
    fill(card.blocks, ...list.map(b => blockFigure(card, b)),
      !list.length && el("p.note", {}, node.gone ? "It has left no block." : "No block yet."),
      node.blocks.length > list.length && button(`Show ${count(node.blocks.length - list.length)} more`, () => {
        card.more = true;
        showCard(card, card.node);
        later();
      }));
    mend(card);
    if (card.podsBox.open) showPods(card);
  }

  function blockFigure(card, b) {
    let g = card.grids.get(b.cidr);
    if (!g) {
      g = makeGrid({ cidr: b.cidr, width: 176, tell, leave: way => go(card, b.cidr, way) });
      g.caption = el("figcaption");
      g.figure = el("figure.block", { "data-cidr": b.cidr }, g.caption, g.element);
      card.grids.set(b.cidr, g);
    }
    const pending = b.state !== "confirmed" && b.state !== "";
    const facts = !b.exists ? "the block does not exist" : `${count(b.inUse)} of ${count(b.inUse + b.free + b.cooling)} in use` + (b.lent ? `, ${count(b.lent)} lent` : "") + (b.cooling ? `, ${count(b.cooling)} cooling` : "");
    fill(g.caption, el("code", {}, b.cidr), " ", el("small", {}, facts), pending && el("span.tag.no", {}, b.state));
    return g.figure;
  }

  // One block of a node is reached with Tab; keys lead from one to the next.
  function mend(card) {
    const all = [...card.grids.values()];
    if (!all.some(g => g.canvas.tabIndex === 0) && all.length) all[0].canvas.tabIndex = 0;
  }

  function go(card, cidr, way) {
    const list = card.node.blocks.map(b => b.cidr).filter(c => card.grids.has(c)), next = card.grids.get(list[list.indexOf(cidr) + way]);
    if (!next) return;
    for (const g of card.grids.values()) g.canvas.tabIndex = g === next ? 0 : -1;
    next.focus(way < 0 ? -1 : 0);
  }

  async function showPods(card) {
    const pods = await store.ask("pods", { node: card.name });
    fill(card.pods, ...pods.map(p => el("li", {},
      el("div", {}, el("b", {}, p.pod), el("small", {}, p.ips.length ? p.ips.join(", ") + (p.borrowed ? ", borrowed" : "") : p.why || "waits")),
      acts && !p.tunnel && el("div.acts", {},
        button("Restart", () => store.do({ do: "restart", pod: p.pod }), { "aria-label": "Restart " + p.pod }),
        p.ips.length > 0 && button("until it returns", () => store.do({ do: "restart", pod: p.pod, back: true }), { "aria-label": `Restart ${p.pod} until its address returns`, title: "Restart it again and again, until it gets this address again" }),
        button("Remove", () => store.do({ do: "remove-pod", pod: p.pod }), { "aria-label": "Remove " + p.pod })))));
    if (!pods.length) fill(card.pods, el("li", {}, "None."));
  }

  // The cells of all blocks in view are asked for at once, a moment later.
  let planned = false;
  function later() {
    if (planned) return;
    planned = true;
    queueMicrotask(quiet(async () => {
      planned = false;
      await showCells();
    }));
  }

  async function showCells() {
    const mine = ++turn, view = store.view, grids = [];
    for (const card of cards.values()) grids.push(...card.grids);
    for (let i = 0; i < grids.length; i += 100) {
      const some = grids.slice(i, i + 100);
      const blocks = await store.ask("cells", { blocks: some.map(([cidr]) => cidr) });
      if (mine !== turn) return;
      const changed = new Set(view.changed.blocks);
      blocks.forEach((block, j) => {
        const fresh = new Set(!changed.has(block.cidr) ? [] : view.changed.addresses.map(ip => ordinalOf(block.cidr, ip)).filter(o => o >= 0));
        some[j][1].show(block, fresh, numbers);
      });
    }
    grid.dataset.turn = store.turn; // for whoever waits
  }

  function update(view) {
    const match = wanted.toLowerCase();
    list = view.nodes.map((node, index) => ({ node, index }));
    if (view.unowned.length) {
      list.push({ index: -1, node: { name: "no node", labels: {}, cordoned: false, gone: true, pods: 0, waiting: 0, borrows: 0, blocks: view.unowned } });
    }
    if (match) list = list.filter(({ node }) => node.name.toLowerCase().includes(match) || node.blocks.some(b => b.cidr.includes(match)));
    const names = new Set(list.map(({ node }) => node.name));
    for (const name of [...cards.keys()]) if (!names.has(name)) cards.delete(name);
    while (groups.length > Math.ceil(list.length / together)) {
      const group = groups.pop();
      watcher.unobserve(group.element);
      group.element.remove();
    }
    for (let i = 0; i * together < list.length; i++) {
      let group = groups[i];
      if (!group) {
        groups.push(group = { element: el("div.nodes-group", { role: "list" }), seen: false, nodes: [] });
        group.nodes = list.slice(i * together, (i + 1) * together);
        group.element.style.minHeight = guess(group) + "px";
        grid.append(group.element);
        watcher.observe(group.element);
      }
      group.nodes = list.slice(i * together, (i + 1) * together);
      group.element.setAttribute("aria-label", `Nodes ${count(i * together + 1)} to ${count(i * together + group.nodes.length)} of ${count(list.length)}`);
      if (group.seen || list.length <= together) drawGroup(group); // few are drawn at once, wherever they are
    }
    none.hidden = list.length > 0;
    none.textContent = match ? "No node and no block has that in its name." : "There is no node.";
    // What has changed is shown once, and stays framed until the next act.
    for (const figure of grid.querySelectorAll("figure.changed")) figure.classList.remove("changed");
    for (const cidr of view.changed.blocks) {
      const figure = grid.querySelector(`figure[data-cidr="${CSS.escape(cidr)}"]`);
      if (figure) {
        void figure.offsetWidth; // begins its animation again
        figure.classList.add("changed");
      }
    }
    later();
  }

  onTheme(() => {
    for (const card of cards.values()) {
      card.swatch.style.backgroundColor = nodeColour(card.index);
      for (const g of card.grids.values()) g.draw();
    }
  });

  return {
    element: grid, update,
    /** find shows only the nodes that have a text in their name or their blocks. */
    find(text) { wanted = text.trim(); if (store.view) update(store.view); },
    /** queue shows what is next, in the cells. */
    queue(on) { numbers = on; later(); },
  };
}

// Every node has labels of its own name and system, which are of no interest here.
const shownLabel = key => !key.startsWith("kubernetes.io/");

/** pairs reads labels, as in "a=1, b=2, c". */
export function pairs(text) {
  return Object.fromEntries(text.split(",").map(t => t.trim()).filter(t => t).map(t => {
    const at = t.indexOf("=");
    return at < 0 ? [t, ""] : [t.slice(0, at).trim(), t.slice(at + 1).trim()];
  }));
}

/** nodeChoice is a select of the nodes that are there. */
export function nodeChoice(view, first) {
  const names = view.nodes.filter(n => !n.gone).map(n => n.name);
  return choice(first ? [["", first], ...names] : names);
}
