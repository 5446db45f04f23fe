// The claim, call by call: what a few nodes do at once, one datastore call after the
// other, in the order that the reader clicks.

import { button, choice, el, field, fill, plural, whole } from "./dom.js";
import { say } from "./blockmap.js";
import { makeGrid } from "./cells.js";
import { nodeChoice } from "./nodes.js";
import { number } from "./acts.js";
import { calm, complain, tried } from "./store.js";

const kinds = [["add-pods", "adds pods"], ["remove-pods", "removes pods"]];

// The clusters to begin with, beside the lab's: each a list of operations.
const begins = {
  race: [{ do: "setup", nodes: 2, pool: "192.168.0.0/26", pods: "none" }],
  empty: [{ do: "setup", nodes: 4, pods: "none" }],
};

/**
 * makeSlow makes the tab. It has a cluster of its own; lab gives the lab's state, as an
 * address has it, and toLab takes one there. Without them it works on the cluster that the
 * store has.
 */
export function makeSlow(store, { lab, toLab } = {}) {
  const rows = el("div.clients-form");
  const body = el("div.slow-body");
  const start = button("Begin", tried(() => begin()), { className: "main" });
  const more = button("One more node", () => add());
  const base = choice([["race", "two nodes, and a pool of one block"], ["empty", "four nodes, and nobody has a block yet"], ["lab", "the lab's, as it is now"]]);
  base.addEventListener("change", tried(reset));
  async function reset() {
    rows.replaceChildren();
    if (base.value === "lab") await store.act("open", { fragment: await lab() });
    else await store.act("run", { ops: begins[base.value] });
  }
  const form = el("section.card", {},
    el("h2", {}, "Who does what?"),
    el("p", {}, "Choose up to four nodes that act at the same time. Then take their calls to the datastore one by one, in any order: the one that you do not step waits, as a slow node would, and each may die before its next call."),
    lab && field("Cluster", base), rows, el("div.row", {}, more, start));
  // One element for all that is said, so that screen readers notice each change of it.
  const told = el("div.says", { role: "status", "aria-live": "polite" }), toldBox = el("section.says-card", {}, told);
  const element = el("div.slow", {}, form, toldBox, body);
  let slow = null, busy = false;

  function tell(heading, sentences) {
    toldBox.classList.toggle("card", sentences.length > 0);
    fill(told, heading && el("h2", {}, heading), ...sentences.map(s => el("p", {}, s)));
  }

  function add() {
    const used = [...rows.querySelectorAll("select.node-of")].map(s => s.value);
    const node = nodeChoice(store.view), kind = choice(kinds), count = number(1, 1, 4, { "aria-label": "How many pods" });
    node.className = "node-of";
    node.setAttribute("aria-label", "Node");
    kind.setAttribute("aria-label", "What it does");
    node.value = [...node.options].map(o => o.value).find(v => !used.includes(v)) || node.value;
    const row = el("div.row.client", {}, node, kind, count, button("Remove", () => { row.remove(); limits(); }, { "aria-label": "Remove this node from the acts" }));
    row.op = () => ({ do: kind.value, node: node.value, count: whole(count, "How many pods") });
    rows.append(row);
    limits();
  }
  function limits() {
    more.disabled = rows.children.length >= 4;
    start.disabled = rows.children.length === 0;
  }

  // Only one call at a time: the answers come in the order of the clicks.
  const call = async (method, args) => {
    if (busy) return;
    busy = true;
    calm();
    try {
      show(await store.ask(method, args));
    } catch (error) {
      complain(error);
    } finally {
      busy = false;
    }
  };
  const begin = () => call("slow-start", { clients: [...rows.children].map(r => r.op()) });

  function show(next) {
    const was = document.activeElement, focused = element.contains(was) && (was.dataset.act || "begin");
    slow = next;
    form.hidden = true;
    const over = slow.ended;
    tell("", slow.says.length ? slow.says : ["Nothing has been called yet. Step a node."]);
    const under = el("p.cell", { role: "status", "aria-live": "polite" });
    fill(body,
      el("div.row", {},
        button("Finish", tried(end), { disabled: !over, className: "main", "data-act": "end" }),
        button("Drop all of it", tried(async () => {
          await cancel();
          store.show(await store.ask("view", {}));
        }), { "data-act": "cancel" }),
        el("span.note", {}, over ? "All have ended or died." : "Finish is possible when all have ended or died.")),
      el("div.clients", {}, ...slow.clients.map(client)),
      el("div.slow-things", {}, el("section.card", {}, el("h2", {}, "Affinities"),
        slow.affinities.length ? el("div.scroll", {}, el("table.plain", {}, el("thead", {}, el("tr", {}, ...["Node", "Block", "State"].map(t => el("th", { scope: "col" }, t)))),
          el("tbody", {}, ...slow.affinities.map(a => el("tr", {}, el("th", { scope: "row" }, a.node), el("td", {}, el("code", {}, a.cidr)), el("td", {}, el("span.tag" + (a.state === "confirmed" ? ".yes" : ".no"), {}, a.state))))))) : el("p.note", {}, "None yet.")),
      el("section.card", {}, el("h2", {}, "Blocks"),
        slow.blocks.length ? el("div.slow-blocks", {}, ...slow.blocks.map(b => {
          const grid = makeGrid({ cidr: b.cidr, width: 176, tell: lines => say(under, lines), leave: () => {} });
          grid.canvas.tabIndex = 0;
          grid.show(b, new Set(), true);
          return el("figure.block", {}, el("figcaption", {}, el("code", {}, b.cidr), " ", el("small", {}, b.cells ? b.owner ? "of " + b.owner : "of nobody" : "does not exist yet")), grid.element);
        })) : el("p.note", {}, "None has been touched yet."), under)));
    if (focused) { // on the same button, else on the next step, and never on the one that drops all
      const find = act => body.querySelector(`[data-act${act}]:not(:disabled)`);
      (find(`="${CSS.escape(focused)}"`) || find('^="step-"') || find('="end"')).focus({ preventScroll: true });
    }
    body.dataset.steps = slow.clients.reduce((sum, c) => sum + c.log.length, 0);
  }

  function client(c, i) {
    const state = c.dead ? el("span.tag.no", {}, "dead") : c.waiting ? null : el("span.tag.yes", {}, "has ended");
    const step = doing => call("slow-step", { client: i, do: doing });
    return el("section.card.client-card", { "aria-label": c.name },
      el("header", {}, el("h3", {}, c.name), state),
      c.waiting && el("div.next-call", {},
        el("p.note", {}, "Its next call:"),
        el("p", {}, el("code", {}, c.waiting.call), " ", el("code.key", {}, c.waiting.key)),
        el("p", {}, c.waiting.says),
        el("div.row", {}, button("Step", () => step("step"), { className: "main", "aria-label": `Step ${c.name}`, "data-act": "step-" + i }),
          button("Let it die", () => step("die"), { "aria-label": `Let ${c.name} die before this call`, "data-act": "die-" + i }))),
      c.result && el("p.result", {}, c.result),
      el("p.note", {}, plural(c.log.length, "call") + " so far"),
      el("ol.calls", {}, ...c.log.map(l => el("li", {}, el("div", {}, el("code", {}, l.call), " ", el("code.key", {}, l.key), " ", el("small", {}, l.result)), l.says && el("p", {}, l.says)))));
  }

  // cancel drops what is under way, if anything is.
  async function cancel() {
    if (!slow) return;
    await store.session.call("slow-cancel", {});
    leave();
  }

  async function end() {
    const view = await store.session.call("slow-end", {});
    leave();
    tell("What came of it", view.says);
    fill(body, toLab && el("div.row", {}, button("Look at this cluster in the lab", tried(async () => toLab((await store.ask("fragment", {})).fragment)), { "data-act": "to-lab" }),
        el("span.note", {}, "It takes the place of the lab's. Or go on above: the next acts begin where these ended.")));
    store.show(view);
  }

  function leave() {
    slow = null;
    form.hidden = false;
    tell("", []);
    fill(body);
    if (element.isConnected && !element.closest("[hidden]")) start.focus();
  }

  store.listen(view => {
    if (slow) return;
    // Nodes come and go in the lab; the choices are made again.
    const known = new Set(view.nodes.filter(n => !n.gone).map(n => n.name));
    for (const row of [...rows.children]) if (!known.has(row.querySelector("select.node-of").value)) row.remove();
    for (const s of rows.querySelectorAll("select.node-of")) {
      const value = s.value;
      s.replaceChildren(...nodeChoice(view).children);
      s.value = value;
    }
    while (rows.children.length < Math.min(2, known.size)) add();
    limits();
  });
  if (lab) tried(reset)();
  return { element, cancel };
}
