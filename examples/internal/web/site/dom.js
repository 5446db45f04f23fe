// Elements, made of names, properties and children. Text is always text: nothing here
// reads HTML.

import { count } from "./blockmap.js";

export { count };

/**
 * el makes an element. The name may carry classes, as in "p.note". Properties that begin
 * with "on" are listeners; "aria-…", "role", "for" and "data-…" are attributes; others
 * are the element's own.
 * @param {string} name
 * @param {Object<string, any>} [properties]
 * @param {...(Node|string|number|null|undefined|false)} children
 */
export function el(name, properties = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const e = document.createElement(tag);
  if (classes.length) e.className = classes.join(" ");
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (key.startsWith("on")) e.addEventListener(key.slice(2), value);
    else if (/^(aria-|data-)|^(role|for|list|form)$/.test(key)) e.setAttribute(key, value);
    else e[key] = value;
  }
  fill(e, ...children);
  return e;
}

/**
 * fill puts children in the place of an element's own. Those that stay are not moved, and
 * the keyboard stays where it was: on the control itself, or on the one in its place.
 */
export function fill(e, ...children) {
  const next = children.flat().filter(c => c !== null && c !== undefined && c !== false).map(c => c instanceof Node ? c : document.createTextNode(String(c)));
  const focused = document.activeElement, had = focused !== e && e.contains(focused) ? focused : null;
  const place = had ? controls(e).indexOf(had) : -1;
  const stay = new Set(next);
  for (const old of [...e.childNodes]) if (!stay.has(old)) old.remove();
  let at = e.firstChild;
  for (const node of next) {
    if (node === at) at = at.nextSibling;
    else e.insertBefore(node, at);
  }
  if (had && document.activeElement !== had) {
    const now = controls(e).filter(c => !c.disabled);
    const to = now.includes(had) ? had : now.find(c => known(c) === known(had)) || now[Math.min(place, now.length - 1)];
    if (to) to.focus({ preventScroll: true });
  }
  return e;
}

// What the keyboard can be on, and how it is known again when it is made anew.
const controls = e => [...e.querySelectorAll("button, input, select, summary, [tabindex]")];
const known = c => c.tagName + " " + (c.dataset.act || c.dataset.at || c.getAttribute("aria-label") || c.textContent);

/** button makes a button that does something. */
export function button(text, act, properties = {}) {
  return el("button", { type: "button", onclick: act, ...properties }, text);
}

let ids = 0;
/** freshID is an id that no other element has. */
export const freshID = () => "id-" + ++ids;

/** field is a labelled input; the label comes first. */
export function field(text, input, properties = {}) {
  return el("label.field", properties, el("span", {}, text), input);
}

/** whole reads a field with a whole number. An empty one is an error, not zero. */
export function whole(input, name) {
  const n = input.valueAsNumber;
  if (!Number.isInteger(n)) throw new Error(`${name}: want a whole number, such as ${input.placeholder || input.defaultValue || input.min}.`);
  return n;
}

/** choice is a select with options, each a value or [value, text]. */
export function choice(options, properties = {}) {
  const s = el("select", {}, ...options.map(o => Array.isArray(o) ? el("option", { value: o[0] }, o[1]) : el("option", { value: o }, o)));
  return Object.assign(s, properties);
}

/**
 * tabs makes a list of tabs that the arrow keys move through. Each is {name, title};
 * show is called with the name of the one that is chosen. The panel, if they share one,
 * is named after it.
 */
export function tabs(label, items, show, panel) {
  const list = el("div.tabs", { role: "tablist", "aria-label": label });
  const buttons = new Map(items.map(({ name, title, controls }) => [name, el("button.tab", {
    type: "button", role: "tab", "aria-selected": "false", tabIndex: -1, id: controls && controls.startsWith("panel-") ? "tab-" + name : freshID(), "aria-controls": controls,
    onclick: () => choose(name), "data-tab": name,
  }, title)]));
  list.append(...buttons.values());
  function mark(name) {
    for (const [n, b] of buttons) {
      b.setAttribute("aria-selected", String(n === name));
      b.tabIndex = n === name ? 0 : -1;
    }
    if (panel) panel.setAttribute("aria-labelledby", buttons.get(name).id);
  }
  function choose(name) {
    mark(name);
    show(name);
  }
  list.addEventListener("keydown", event => {
    const all = [...buttons.values()], at = all.indexOf(document.activeElement);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: all.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const next = all[(to + all.length) % all.length];
    next.focus();
    next.click();
  });
  return { element: list, mark, choose };
}

/** plural is a number with its noun. */
export const plural = (n, one, many = one + "s") => `${count(n)} ${n === 1 ? one : many}`;

/** copier is a button that copies a text. */
export function copier(text, label = "Copy") {
  const b = button(label, async () => {
    try {
      await navigator.clipboard.writeText(text());
      b.textContent = "Copied";
    } catch {
      b.textContent = "The browser refuses; select the text";
    }
    setTimeout(() => { b.textContent = label; }, 2000);
  });
  return b;
}

/** download hands a text over as a file. It stays in the browser until then. */
export function download(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  const link = el("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

/** still reports whether the reader wants no motion. */
export const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
