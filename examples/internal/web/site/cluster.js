// The reader's own cluster: a file that is read here and goes nowhere.

import { copier, count, el, fill, plural } from "./dom.js";
import { makeLab } from "./lab.js";
import { calm, complain } from "./store.js";

/** makeCluster makes the tab. */
export function makeCluster(store) {
  const input = el("input", { type: "file", id: "cluster-file", className: "file", accept: ".json,.yaml,.yml,.gz,.tgz,.tar,.txt", onchange: () => { if (input.files.length) read(input.files[0]); } });
  const status = el("p", { role: "status", "aria-live": "polite" });
  const command = el("pre.output", { tabIndex: 0, role: "region", "aria-label": "The command that writes the file" });
  store.ask("command", {}).then(c => fill(command, c.command), complain);
  const drop = el("div.drop.card", {},
    el("h2", {}, "Look at your own cluster"),
    el("p", {}, "Drop a file here, or choose one: what kubectl or calicoctl printed, as JSON or YAML, also compressed with gzip, or a tar archive of such files."),
    command,
    el("div.row", {}, copier(() => command.textContent, "Copy the command"), el("label.field", { for: "cluster-file" }, "File ", input)),
    el("p.promise", {}, "The file is read in this page and goes nowhere: the browser itself forbids the page to send or to ask for anything."),
    status);
  const found = el("div.found");
  const body = el("div.cluster-lab");
  const element = el("div.cluster", {}, drop, found, body);
  let lab = null, reading = 0, last = Promise.resolve();

  for (const kind of ["dragenter", "dragover"]) {
    element.addEventListener(kind, event => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  element.addEventListener("dragleave", event => { if (!element.contains(event.relatedTarget)) drop.classList.remove("over"); });
  element.addEventListener("drop", event => {
    event.preventDefault();
    drop.classList.remove("over");
    const file = event.dataTransfer.files[0];
    if (file) read(file);
    else complain(new Error("That was no file. Drop a file, or choose one."));
  });

  // Of files that come while one is read, the last one counts. One at a time: what the
  // engine has opened is shown before it opens another, so both have the same cluster.
  function read(file) {
    const mine = ++reading;
    calm();
    status.textContent = `Reading ${file.name} …`;
    last = last.then(() => mine === reading && load(file, () => mine !== reading));
  }

  async function load(file, overtaken) {
    status.textContent = `Reading ${file.name} …`;
    const began = performance.now();
    try {
      const view = await store.session.call("load", { name: file.name }, await file.arrayBuffer());
      store.show(view); // before an act can show a later view
      if (!lab) body.append((lab = makeLab(store, { acts: true, history: true })).element);
      showFindings(await store.ask("findings", {}));
      status.textContent = `${file.name}: ${plural(view.nodes.length, "node")}, ${plural(view.figures.blocks, "block")}, ${plural(view.figures.inUse, "address", "addresses")} in use. Read in ${Math.round(performance.now() - began)} ms.`;
      element.dataset.loaded = file.name;
    } catch (error) {
      if (overtaken()) return;
      status.textContent = lab ? "The file was not read. The cluster below is the one before." : "The file was not read.";
      complain(error);
    } finally {
      input.value = "";
    }
  }

  function showFindings(f) {
    const list = f.findings, lines = (title, texts) => texts.length > 0 && el("div", {}, el("h3", {}, title), el("ul.findings", {}, ...texts.map(t => el("li", {}, t))));
    fill(found, el("section.card" + (list.length ? ".warnings" : ""), {},
      el("h2", {}, list.length ? plural(list.length, "finding") : "Nothing is amiss"),
      el("p", {}, `${plural(f.objects, "object")}: ${plural(f.blocks, "block")}, ${plural(f.handles, "handle")}, ${plural(f.pods, "pod")}. Rules of Calico ${f.calico}.${f.latest ? ` The file is of ${f.latest}.` : ""}`),
      list.length ? el("ul.findings", {}, ...list.slice(0, 200).map(finding)) : el("p", {}, "Blocks, handles, affinities, nodes and pods agree with each other."),
      list.length > 200 && el("p.note", {}, `The first 200 of ${count(list.length)}; the report below has all.`),
      lines("What could not be judged", f.unjudged), lines("Notes", f.notes), lines("What was odd in the file", f.problems),
      f.text && el("details", {}, el("summary", {}, "The whole report, as text"), el("pre.output", { tabIndex: 0, role: "region", "aria-label": "The whole report" }, f.text)),
      el("p.note", {}, "What if? Drain a node below, or take it away, and see what happens to its pods and blocks. Undo brings it back.")));
  }

  const finding = f => el("li", {}, el("b", {}, f.kind), ` ${f.what} `, f.mend && el("small", {}, f.mend),
    ...f.fixes.map(x => el("div", {}, el("small", {}, x.does, " "), x.command && el("code", {}, x.command))));
  return element;
}
