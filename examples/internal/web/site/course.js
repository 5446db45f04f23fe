// The course: one step after the other, each with its command, what it prints, what the
// words in it mean, a question, and something to try.

import { button, copier, el, fill, freshID } from "./dom.js";
import { makeLab } from "./lab.js";
import { makeSlow } from "./slow.js";
import { complain, tried } from "./store.js";

/** makeCourse makes the tab. at is the step to begin with; went is told of each step. */
export function makeCourse(store, at, went) {
  const list = el("ol.steps");
  const page = el("div.step", {}, el("p.loading", {}, "Loading the course …"));
  const progress = el("progress", { max: 1, value: 0, "aria-label": "Steps that are done" });
  const said = el("p.note");
  const lab = makeLab(store, { tools: true, history: false });
  const slow = makeSlow(store), slowBox = el("section.course-slow", { hidden: true }, el("h2", {}, "Call by call"), slow.element);
  const clusterBox = el("section.course-lab", { hidden: true }, el("h2", {}, "The cluster now"), lab.element);
  const element = el("div.course", {},
    el("nav.card.steps-card", { "aria-label": "Steps of the course" }, el("h2", {}, "Course"), progress, said, list),
    el("div.course-main", {}, page, slowBox, clusterBox));
  let steps = [], now = -1;
  const done = new Set();
  let watch = null; // what the step waits for

  function mark() {
    steps.forEach((s, i) => {
      const b = list.children[i].firstChild;
      i === now ? b.setAttribute("aria-current", "step") : b.removeAttribute("aria-current");
      b.classList.toggle("done", done.has(s.id));
      b.setAttribute("aria-label", s.title + (done.has(s.id) ? ", done" : ""));
    });
    progress.max = steps.length;
    progress.value = done.size;
    said.textContent = `${done.size} of ${steps.length} done`;
    element.dataset.done = String(done.size);
  }
  function finish(step) {
    done.add(step.id);
    mark();
  }

  async function go(i, focus = true) {
    if (i < 0 || i >= steps.length) return;
    const step = steps[i];
    watch = null;
    clusterBox.hidden = false;
    await slow.cancel();
    await store.act("run", { ops: step.do });
    slowBox.hidden = !slowly(step);
    now = i;
    went(step.id);
    const title = el("h2", { tabIndex: -1 }, step.title);
    const open = { question: Boolean(step.question), try: Boolean(step.try) };
    const settle = part => {
      open[part] = false;
      if (!open.question && !open.try) finish(step);
    };
    fill(page,
      el("section.card", {}, el("p.note", {}, `Step ${i + 1} of ${steps.length}`), title,
        step.command ? printed(step) : step.says.map(s => el("p", {}, s)),
        step.question && question(step, () => settle("question")),
        step.try && attempt(step, () => settle("try")),
        el("div.row.turn", {},
          button("Back", tried(() => go(i - 1)), { disabled: i === 0 }),
          button(i + 1 < steps.length ? "Next" : "To the first", tried(async () => {
            if (!step.question && !step.try) finish(step);
            await go((i + 1) % steps.length);
          }), { className: "main", "data-act": "next" }))));
    if (!step.question && !step.try && i + 1 === steps.length) finish(step);
    mark();
    if (focus) {
      title.focus({ preventScroll: true });
      page.scrollIntoView({ block: "start" });
    }
    element.dataset.step = step.id;
  }

  // Whether a step is tried call by call.
  const slowly = step => Boolean(step.try) && step.try.ops.some(op => op.do === "slow");

  // What the command prints, what there is to see in it, and its words; the one that is
  // looked at is marked.
  function printed(step) {
    const text = el("pre.output", { tabIndex: 0, role: "region", "aria-label": "What the command prints" });
    const write = path => {
      const word = step.prints.includes(path) ? path : path.split(".").pop(); // of a field, its own name
      if (!word || !step.prints.includes(word)) return fill(text, step.prints);
      const parts = [];
      let from = 0;
      for (let at; (at = step.prints.indexOf(word, from)) >= 0; from = at + word.length) {
        const edge = c => c === undefined || !/[\w-]/.test(c);
        const whole = edge(step.prints[at - 1]) && edge(step.prints[at + word.length]);
        parts.push(step.prints.slice(from, at), whole ? el("mark", {}, word) : word);
      }
      return fill(text, ...parts, step.prints.slice(from));
    };
    write("");
    const terms = el("dl.terms", {}, ...step.explains.flatMap(e => {
      const over = { onpointerenter: () => write(e.word), onpointerleave: () => write(""), onfocus: () => write(e.word), onblur: () => write("") };
      return [el("dt", { tabIndex: 0, ...over }, el("code", {}, e.word)), el("dd", over, e.says)];
    }));
    return el("div", {}, el("div.row", {}, el("code.command", {}, "$ " + step.command), copier(() => step.command)), text,
      ...step.says.map(s => el("p", {}, s)),
      step.explains.length > 0 && el("div", {}, el("h3", {}, "What the words mean"), terms));
  }

  function question(step, settle) {
    const { asks, choices, answer, because } = step.question, name = freshID();
    const verdict = el("div", { role: "status", "aria-live": "polite" });
    const inputs = choices.map((text, i) => {
      const input = el("input", { type: "radio", name, value: String(i) });
      return [input, el("label.choice", {}, input, el("span", {}, text))];
    });
    const check = button("Answer", () => {
      const chosen = inputs.findIndex(([input]) => input.checked);
      if (chosen < 0) return fill(verdict, el("p.bad", {}, "Choose an answer first."));
      const right = chosen === answer;
      inputs.forEach(([, label], i) => {
        label.classList.toggle("right", i === answer);
        label.classList.toggle("wrong", i === chosen && !right);
      });
      fill(verdict, el("p", {}, el("span.tag" + (right ? ".yes" : ".no"), {}, right ? "right" : "not so"), " ", right ? "" : `It is: ${choices[answer]} `, because));
      settle();
    }, { "data-act": "answer" });
    return el("fieldset.question", {}, el("legend", {}, asks), ...inputs.map(([, label]) => label), el("div.row", {}, check), verdict);
  }

  function attempt(step, settle) {
    const verdict = el("p", { role: "status", "aria-live": "polite" }, el("span.tag", {}, "waiting for you"));
    watch = async () => {
      const { done } = await store.ask("done", { name: step.try.done });
      if (!done) return;
      watch = null;
      fill(verdict, el("span.tag.yes", {}, "done"), " That was it.");
      settle();
    };
    return el("div.try", {}, el("h3", {}, "Try it"), el("p", {}, step.try.says),
      el("div.row", {}, button(slowly(step) ? "To the calls" : "To the cluster", () => {
        const to = slowly(step) ? slowBox : clusterBox;
        to.scrollIntoView({ block: "start" });
        to.querySelector("button").focus({ preventScroll: true });
      }), button("Show me", tried(async () => {
        await slow.cancel();
        await store.act("run", { ops: step.do });
        for (const op of step.try.ops) await store.act("do", op);
      }), { "data-act": "show-me" }), button("Start this step again", tried(() => go(now, false)))), verdict);
  }

  store.listen((view, before) => { if (before && watch) watch().catch(complain); });

  tried(async () => {
    steps = (await store.ask("tour", {})).steps;
    fill(list, ...steps.map((s, i) => el("li", {}, button(s.title, tried(() => go(i))))));
    const first = steps.findIndex(s => s.id === at);
    await go(Math.max(0, first), false);
    if (at && first < 0) complain(new Error(`The course has no step “${at}”: this is the first one.`));
  })();
  return element;
}
