// The page: its tabs, the state in the address, and what the tabs show.

import { button, copier, download, el, field, fill, tabs } from "./dom.js";
import { open } from "./engine.js";
import { calm, complain, makeStore, quiet, tried } from "./store.js";
import { makeLab } from "./lab.js";
import { makeSlow } from "./slow.js";
import { makeCourse } from "./course.js";
import { makeCluster } from "./cluster.js";
import { makeSizes } from "./sizes.js";

const names = ["lab", "slow", "course", "cluster", "sizes"];
const titles = { lab: "Lab", slow: "Call by call", course: "Course", cluster: "Your cluster", sizes: "Block size" };

// The address is #tab, #lab/state or #course/step.
function readAddress() {
  const [, tab, rest] = location.hash.match(/^#([a-z]+)(?:\/(.*))?$/) || [];
  return { tab: names.includes(tab) ? tab : "lab", rest: names.includes(tab) ? rest || "" : "", odd: location.hash.length > 1 && !names.includes(tab) };
}
let state = ""; // of the lab, as the address has it
let course = ""; // the step
let tab = "lab";
const written = () => "#" + tab + (tab === "lab" ? state && "/" + state : tab === "course" ? course && "/" + course : "");
const writeAddress = () => history.replaceState(null, "", written());

const panels = new Map(names.map(n => [n, document.getElementById("panel-" + n)]));
const made = new Set();

async function start() {
  const began = performance.now();
  const newSession = await open();
  const lab = makeStore(newSession());

  // Each of the others begins when its tab is first opened.
  const make = {
    lab() { panels.get("lab").append(makeShare(lab), makeLab(lab).element); },
    slow() {
      panels.get("slow").append(makeSlow(makeStore(newSession()), {
        lab: async () => (await lab.ask("fragment", {})).fragment,
        async toLab(text) {
          await lab.act("open", { fragment: text });
          list.choose("lab");
        },
      }).element);
    },
    course() { panels.get("course").append(makeCourse(makeStore(newSession()), course, step => { course = step; writeAddress(); })); },
    cluster() { panels.get("cluster").append(makeCluster(makeStore(newSession()))); },
    sizes() { panels.get("sizes").append(makeSizes(newSession())); },
  };
  const list = tabs("Parts of the lab", names.map(n => ({ name: n, title: titles[n], controls: "panel-" + n })), name => {
    calm();
    show(name);
  });
  document.getElementById("tabs").append(list.element);

  function prepare(name) {
    if (made.has(name)) return;
    made.add(name);
    make[name]();
  }

  function show(name) {
    tab = name;
    prepare(name);
    for (const [n, panel] of panels) panel.hidden = n !== name;
    document.title = `${titles[name]} – ipamsim`;
    writeAddress();
  }

  async function openState(text) {
    if (!text) return;
    try {
      await lab.act("open", { fragment: text });
    } catch (error) {
      complain(Object.assign(new Error("The address does not hold a state that can be opened: " + error.message), { reasons: error.reasons }));
    }
  }

  let fragments = 0;
  lab.listen(async () => {
    const mine = ++fragments;
    let text = "";
    try {
      text = (await lab.ask("fragment", {})).fragment;
    } catch {
      text = ""; // too long for an address, or of a file; the menu says so
    }
    if (mine !== fragments) return;
    state = text;
    writeAddress();
    document.body.dataset.fragment = text;
  });

  const { tab: first, rest, odd } = readAddress();
  if (first === "course") course = rest;
  list.mark(first);
  prepare(first); // while the engine starts
  if (first === "lab" && rest) await openState(rest);
  if (odd) complain(new Error("The address does not name a part of this page: the lab is shown."));
  if (!lab.view) lab.show(await lab.ask("view", {}));
  show(first);
  document.getElementById("loading").remove();
  addEventListener("hashchange", tried(async () => {
    const now = readAddress();
    if (location.hash === written()) return;
    if (now.tab === "course" && now.rest) course = now.rest;
    list.choose(now.tab);
    if (now.tab === "lab") await openState(now.rest);
  }));
  addEventListener("keydown", event => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || tab !== "lab" || /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) return;
    const back = event.key === "z" && !event.shiftKey, on = event.key === "y" || event.key === "Z" || event.key === "z" && event.shiftKey;
    if (!back && !on) return;
    event.preventDefault();
    if (back ? lab.view.at > 1 : lab.view.at < lab.view.length) tried(() => lab.act(back ? "undo" : "redo"))();
  });
  document.body.dataset.ready = String(Math.round(performance.now()));
  document.body.dataset.started = String(Math.round(performance.now() - began));
}

// Sharing: the link, and files.
function makeShare(store) {
  const note = el("p.note");
  const link = el("input", { type: "text", "aria-label": "Link or address to open", placeholder: "paste a link of this page", spellcheck: false, autocomplete: "off" });
  const save = what => button({ trace: "Trace", resources: "Kubernetes resources", operations: "List of acts" }[what], tried(async () => {
    const file = await store.ask("export", { what });
    download(file.name, file.text);
  }), { "data-export": what });
  const acts = el("input", { type: "file", className: "file", accept: ".json", onchange: tried(async () => {
    const [file] = acts.files;
    if (!file) return;
    acts.value = "";
    await store.act("open-operations", {}, await file.arrayBuffer());
  }) });
  store.listen(quiet(async () => {
    try {
      await store.ask("fragment", {});
      note.textContent = "The address of this page holds the whole state: whoever opens it sees the same cluster.";
    } catch (error) {
      note.textContent = error.message;
    }
  }));
  return el("details.share", {}, el("summary", {}, "Share and keep"),
    el("div.card", {},
      el("div.row", {}, copier(() => location.href, "Copy the link"), el("span.soft", {}, "Save as a file:"), save("trace"), save("resources"), save("operations")),
      note,
      el("div.row", {}, field("Open", link), button("Open it", tried(async () => {
        const text = link.value.trim().replace(/^.*#lab\//, "");
        await store.act("open", { fragment: text });
        link.value = "";
      })), el("label.field", {}, el("span", {}, "or a saved list of acts"), acts))));
}

start().catch(error => {
  fill(document.getElementById("loading"), "The lab cannot start.");
  complain(error);
});
