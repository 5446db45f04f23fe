// A cluster on the page: its figures, its pool, its nodes, what happened, and what one
// can do to it. The lab, the course and the reader's own cluster each have one.

import { button, copier, count, el, field, fill, freshID, plural, tabs } from "./dom.js";
import { legend } from "./cells.js";
import { say } from "./blockmap.js";
import { makePools } from "./pools.js";
import { makeNodes } from "./nodes.js";
import { makeActs, makeSettings } from "./acts.js";
import { quiet, tried } from "./store.js";

const figures = [
  ["inUse", "In use"], ["blocks", "Blocks"], ["blocksLeft", "Blocks left"], ["borrowed", "Borrowed"], ["routes", "Routes"],
  ["cooling", "Cooling"], ["reserved", "Reserved"], ["pods", "Pods"], ["waiting", "Waiting pods"],
];

/** makeFigures is the line of figures. */
export function makeFigures(store) {
  const line = el("dl.facts.figures");
  const values = new Map(figures.map(([key, name]) => {
    const dd = el("dd", { "data-figure": key });
    line.append(el("div", {}, el("dt", {}, name), dd));
    return [key, dd];
  }));
  const clock = el("dd", { "data-figure": "now" }), calico = el("dd");
  line.append(el("div", {}, el("dt", {}, "Clock"), clock), el("div", {}, el("dt", {}, "Calico"), calico));
  store.listen(view => {
    for (const [key, dd] of values) {
      const text = count(view.figures[key]);
      dd.parentElement.classList.toggle("changed", dd.textContent !== "" && dd.textContent !== text);
      dd.textContent = text;
    }
    values.get("waiting").parentElement.classList.toggle("bad", view.figures.waiting > 0);
    clock.textContent = view.now.replace("T", " ").replace("Z", "");
    calico.textContent = view.config.calico;
  });
  return line;
}

const tools = [
  { name: "ipam-show", title: "ipam show" }, { name: "ipam-show-blocks", title: "--show-blocks" }, { name: "ipam-show-borrowed", title: "--show-borrowed" },
  { name: "ipam-show-ip", title: "--ip" }, { name: "affinities", title: "affinities" }, { name: "affinities-yaml", title: "-o yaml" },
  { name: "affinities-jsonpath", title: "-o jsonpath" }, { name: "affinities-columns", title: "-o custom-columns" }, { name: "nodes", title: "nodes" }, { name: "objects", title: "all objects" },
];

/** makeTools is what the real tools would print now. */
export function makeTools(store) {
  const command = el("code.command"), text = el("pre.output", { tabIndex: 0, role: "region", "aria-label": "What the tool prints" });
  const ip = el("input", { type: "text", value: "", placeholder: "192.168.0.1", spellcheck: false, autocomplete: "off" });
  const ipField = field("Address", ip);
  const panel = el("div", { role: "tabpanel", id: freshID() },
    el("div.row", {}, ipField, command, copier(() => text.textContent)), text);
  let which = tools[0].name, turn = 0;
  const update = async () => {
    const mine = ++turn;
    ipField.hidden = which !== "ipam-show-ip";
    if (!ipField.hidden && ip.value.trim() === "") ip.value = await firstAddress();
    const args = ipField.hidden ? { which } : { which, ip: ip.value.trim() };
    let tab;
    try {
      tab = await store.ask("tab", args);
    } catch (error) {
      tab = { command: "", text: error.message + "\n" };
    }
    if (mine !== turn) return;
    command.textContent = tab.command ? "$ " + tab.command : "";
    text.textContent = tab.text;
    text.dataset.which = which;
  };
  const firstAddress = async () => {
    const pods = await store.ask("pods", {});
    const with_ = pods.find(p => p.ips.length);
    return with_ ? with_.ips[0] : "";
  };
  const list = tabs("What the tools print", tools.map(t => ({ ...t, controls: panel.id })), name => {
    which = name;
    quiet(update)();
  }, panel);
  list.mark(which);
  ip.addEventListener("change", quiet(update));
  store.listen(quiet(update));
  return el("section.card.tools", {}, el("h2", {}, "What the tools print now"), list.element, panel);
}

const saysFirst = 3; // sentences that are shown at once

/** makeSays is what happened, and the list of all acts. */
export function makeSays(store) {
  const says = el("div.says", { role: "status", "aria-live": "polite" });
  const rest = el("div.says"), more = el("details.more", {}, el("summary", {}, "More"), rest);
  const history = el("ol.history");
  store.listen(view => {
    const all = (view.says.length ? view.says : ["Nothing has changed."]).map(s => el("p", {}, s));
    fill(says, ...all.slice(0, saysFirst));
    fill(rest, ...all.slice(saysFirst));
    more.hidden = all.length <= saysFirst;
    more.open = false;
    more.firstChild.textContent = plural(all.length - saysFirst, "more sentence");
    fill(history, ...view.ops.map((op, i) => el("li", {}, button(op.text, tried(() => store.act("goto", { at: i + 1 })), {
      className: i + 1 > view.at ? "undone" : "", "aria-current": i + 1 === view.at ? "step" : undefined, "data-at": i + 1, title: op.says.slice(0, saysFirst).join(" "),
    }))));
    const now = history.children[view.at - 1];
    if (now) history.scrollTop = now.offsetTop - history.offsetTop - history.clientHeight / 2;
  });
  return [
    el("section.card.happened", {}, el("h2", {}, "What happened"), says, more),
    el("section.card.screen", {}, el("h2", {}, "Acts so far"), el("p.note", {}, "Choose one to see the cluster after it. Those that were undone are grey."), history),
  ];
}

/**
 * makeLab makes all of it. Options: acts (whether the cluster has buttons for pods),
 * tools, history.
 */
export function makeLab(store, { acts = true, tools: withTools = true, history = true } = {}) {
  const told = el("p.cell", { role: "status", "aria-live": "polite" }, "Point at a cell, or press Tab to reach a block and move with the arrow keys.");
  const tell = lines => say(told, lines);
  const pools = makePools(store, tell);
  let looked = null, timer = 0;
  const look = name => {
    clearTimeout(timer);
    timer = setTimeout(quiet(async () => {
      if (name === looked) return;
      looked = name;
      await pools.showNode(name);
    }), name ? 60 : 250);
  };
  const nodes = makeNodes(store, { acts, tell, look });
  const find = el("input", { type: "search", placeholder: "name or block", "aria-label": "Find nodes", oninput: () => nodes.find(find.value) });
  const queue = el("input", { type: "checkbox", onchange: () => nodes.queue(queue.checked) });
  const total = el("small");
  store.listen(quiet(async view => {
    total.textContent = ` ${count(view.nodes.length)}`;
    nodes.update(view);
    await pools.update(view);
  }));
  const [says, acted] = makeSays(store);
  const element = el("div.lab", {},
    makeFigures(store),
    acts && makeActs(store),
    el("div.lab-columns", {},
      says,
      el("section.nodes-section", {},
        el("div.row.head", {}, el("h2", {}, "Nodes", total), el("label.field", {}, queue, "Show what is next"), el("label.field", {}, el("span", {}, "Find"), find)),
        legend(), nodes.element),
      el("div.side", {},
        el("section.card.screen", {}, el("h2", {}, "Under the cursor"), told),
        el("section.card", {}, el("h2", {}, "The pool, block by block"), pools.element,
          el("p.note", {}, "Each cell is a block; the line of blocks winds, so that neighbours lie together. A dot is where a node begins to look for a block. Point at a node, or move the keyboard into it: its blocks are framed, and the line shows its way.")),
        history && acted)),
    withTools && makeTools(store),
    acts && makeSettings(store));
  store.listen(() => { element.dataset.turn = store.turn; });
  return { element };
}
