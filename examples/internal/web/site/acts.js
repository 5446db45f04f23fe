// What one can do to the cluster: the bar of acts, and the settings below it.

import { button, choice, el, field, fill, freshID, whole } from "./dom.js";
import { pairs } from "./nodes.js";
import { tried } from "./store.js";

const releases = Array.from({ length: 12 }, (_, i) => `v3.${22 + i}`);

/** number is an input for a number that is not below the least. */
export const number = (value, min, max, properties = {}) => el("input", { type: "number", value, min, max, step: 1, inputMode: "numeric", ...properties });

/** makeActs is the bar. */
export function makeActs(store) {
  const scale = number(40, 0, 20000, { name: "scale", "aria-label": "Pods of the deployment" });
  const strict = el("input", { type: "checkbox", onchange: async () => {
    await store.do({ do: "configure", strict: strict.checked });
    strict.checked = store.view.config.strict; // if it was refused
  } });
  // Of quick clicks each counts, as long as there is somewhere to go.
  let last = Promise.resolve();
  const go = (method, can) => tried(() => last = last.catch(() => {}).then(() => can(store.view) ? store.act(method) : undefined));
  const undo = button("Undo", go("undo", view => view.at > 1), { "aria-keyshortcuts": "Control+Z" });
  const redo = button("Redo", go("redo", view => view.at < view.length), { "aria-keyshortcuts": "Control+Y" });
  const reset = button("Reset", tried(() => store.act("reset")));
  const group = (name, ...children) => el("div.group", { role: "group", "aria-label": name }, el("span.group-name", { "aria-hidden": "true" }, name), ...children);
  const advance = (by, text) => button("+" + text, () => store.do({ do: "advance", by }), { "aria-label": `Move the clock by ${by}` });
  const past = group("History", undo, redo, reset);
  const bar = el("div.bar", { role: "group", "aria-label": "Acts on the cluster" },
    group("Pods",
      button("+1", () => store.do({ do: "add-pods", count: 1 }), { "aria-label": "Add a pod" }),
      button("+10", () => store.do({ do: "add-pods", count: 10 }), { "aria-label": "Add 10 pods" }),
      scale, button("Scale", tried(() => store.act("do", { do: "scale", count: whole(scale, "Pods") })))),
    group("Nodes", button("Add a node", () => store.do({ do: "add-node" }))),
    group("Clock", advance("1s", "1 s"), advance("1m", "1 min"), advance("5m", "5 min"), advance("1h", "1 h")),
    group("Clean up", button("Run kube-controllers", () => store.do({ do: "clean" }))),
    el("label.group.check", {}, strict, "Strict affinity"),
    past);
  store.listen(view => {
    const focused = document.activeElement;
    undo.disabled = view.at <= 1;
    redo.disabled = view.at >= view.length;
    reset.disabled = view.at <= 1;
    if (focused.disabled && bar.contains(focused)) (past.querySelector("button:enabled") || bar.querySelector("button")).focus();
    strict.checked = view.config.strict;
  });
  return bar;
}

/** makeSettings is what is needed less often. */
export function makeSettings(store) {
  return el("details.card.settings", {}, el("summary", {}, el("h2", {}, "Settings")),
    el("div.settings-grid", {}, limits(store), nodes(store), pools(store), setup(store)));
}

const part = (title, ...children) => el("form", { onsubmit: event => event.preventDefault() }, el("h3", {}, title), ...children);

function limits(store) {
  const most = number(20, 0, 1048576, { name: "max-blocks" }), cooldown = el("input", { type: "text", name: "cooldown", value: "0s", size: 6, spellcheck: false });
  store.listen(view => {
    most.value = view.config.maxBlocks;
    cooldown.value = view.config.cooldown;
  });
  return part("Limits",
    field("Blocks of a node, at most", most),
    button("Set the limit", tried(() => store.act("do", { do: "configure", maxBlocks: whole(most, "Blocks of a node") }))),
    el("p.note", {}, "Calico has 20 where 0 is set, and accepts another limit only with strict affinity."),
    field("Addresses cool down for", cooldown),
    button("Set the cooldown", () => store.do({ do: "configure", cooldown: cooldown.value.trim() })),
    el("p.note", {}, "A time such as 30s or 5m, 20m at most. Calico has it since v3.33."));
}

function nodes(store) {
  const name = el("input", { type: "text", name: "node-name", placeholder: "its name, or empty", spellcheck: false, autocomplete: "off" });
  const labels = el("input", { type: "text", name: "node-labels", placeholder: "zone=a", spellcheck: false, autocomplete: "off" });
  const tunnel = el("input", { type: "checkbox", checked: true });
  return part("A node",
    field("Name", name), field("Labels", labels), el("label.field", {}, tunnel, "with a tunnel address"),
    button("Add this node", () => {
      const op = { do: "add-node", tunnel: tunnel.checked };
      if (name.value.trim()) op.name = name.value.trim();
      const all = pairs(labels.value);
      if (Object.keys(all).length) op.labels = all;
      return store.do(op);
    }));
}

function pools(store) {
  const list = freshID();
  const names = el("datalist", { id: list });
  const name = el("input", { type: "text", list, name: "pool-name", placeholder: "new or known", spellcheck: false, autocomplete: "off" });
  const cidr = el("input", { type: "text", name: "pool-cidr", placeholder: "10.0.0.0/20", spellcheck: false, autocomplete: "off" });
  const size = el("input", { type: "number", name: "pool-size", min: 20, max: 128, placeholder: "26" });
  const selector = el("input", { type: "text", name: "pool-selector", placeholder: "zone == \"a\"", spellcheck: false, autocomplete: "off" });
  const reserved = el("input", { type: "text", name: "pool-reserved", placeholder: "10.0.0.0/28, …", spellcheck: false, autocomplete: "off" });
  const disabled = el("input", { type: "checkbox" });
  const listed = () => reserved.value.split(",").map(t => t.trim()).filter(t => t);
  store.listen(view => {
    fill(names, ...view.pools.map(p => el("option", { value: p.name })));
    if (document.activeElement !== reserved) reserved.value = view.config.reserved.join(", ");
  });
  name.addEventListener("change", () => {
    const known = store.view.pools.find(p => p.name === name.value.trim());
    if (!known) return;
    cidr.value = known.cidr;
    size.value = known.blockSize;
    selector.value = known.nodeSelector === "all()" ? "" : known.nodeSelector;
    disabled.checked = known.disabled;
  });
  return part("Pools",
    names, field("Pool", name), field("Addresses", cidr), field("Block size", size), field("Nodes (selector)", selector), field("Reserved, of all pools", reserved),
    el("label.field", {}, disabled, "disabled: no new addresses"),
    el("div.row", {},
      button("Write the pool", tried(() => {
        if (!name.value.trim()) throw new Error("The pool needs a name: a known one to change it, or a new one.");
        const known = store.view.pools.find(p => p.name === name.value.trim());
        const op = { do: "set-pool", name: name.value.trim(), disabled: disabled.checked };
        if (cidr.value.trim() && (!known || known.cidr !== cidr.value.trim())) op.cidr = cidr.value.trim();
        if (size.value && (!known || known.blockSize !== Number(size.value))) op.blockSize = whole(size, "Block size");
        if (selector.value.trim() || known && known.nodeSelector) op.nodeSelector = selector.value.trim();
        if (listed().join() !== store.view.config.reserved.join()) op.reserved = listed();
        return store.act("do", op);
      })),
      button("Remove the pool", () => store.do({ do: "remove-pool", name: name.value.trim() }))));
}

function setup(store) {
  const nodes = number(3, 1, 5000, { name: "setup-nodes" }), pool = el("input", { type: "text", name: "setup-pool", value: "192.168.0.0/16", spellcheck: false });
  const size = choice([["", "as Calico has it"], ...Array.from({ length: 13 }, (_, i) => [String(20 + i), "/" + (20 + i)]), ...Array.from({ length: 13 }, (_, i) => [String(116 + i), "/" + (116 + i)])]);
  size.name = "setup-size";
  size.value = "26";
  const calico = choice(releases);
  calico.name = "setup-calico";
  calico.value = "v3.28";
  const pods = choice([["lab", "the lab's"], ["none", "none, and no tunnels"]]);
  return part("Start over",
    field("Nodes", nodes), field("Pool", pool), field("Block size", size), field("Calico", calico), field("Pods", pods),
    button("Start over with these", tried(() => {
      const op = { do: "setup", nodes: whole(nodes, "Nodes"), pool: pool.value.trim(), calico: calico.value, pods: pods.value };
      if (size.value) op.blockSize = Number(size.value);
      return store.act("do", op);
    })));
}
