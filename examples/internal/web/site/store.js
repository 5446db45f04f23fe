// A cluster as the page knows it: the last view that the engine gave, and who wants to
// hear of the next.

import { el, fill, button } from "./dom.js";

/** complain shows an error in the page. Nothing else changes. */
export function complain(error) {
  const box = document.getElementById("message");
  fill(box,
    el("div", {}, el("strong", {}, error.message || String(error)),
      error.reasons && error.reasons.length > 0 && el("ul", {}, ...error.reasons.map(r => el("li", {}, r)))),
    button("Close", () => calm(), { "aria-label": "Close the message" }));
  box.hidden = false;
}

/** calm takes the last complaint away. */
export function calm() {
  const box = document.getElementById("message");
  box.hidden = true;
  fill(box);
}

// Escape closes it too, wherever the keyboard is.
addEventListener("keydown", event => { if (event.key === "Escape") calm(); });

/** tried returns a listener that shows what goes wrong in an act. */
export const tried = act => async (...args) => {
  try {
    calm();
    return await act(...args);
  } catch (error) {
    complain(error);
    return undefined;
  }
};

/** quiet is the same for what no act of the reader began: a complaint that is there stays. */
export const quiet = act => async (...args) => {
  try {
    return await act(...args);
  } catch (error) {
    complain(error);
    return undefined;
  }
};

/**
 * makeStore holds a session's view. Every method that changes the cluster goes through
 * act; listeners are called with the view and with the one before.
 */
export function makeStore(session) {
  const listeners = new Set();
  const store = {
    session,
    /** @type {any} the last view */
    view: null,
    turn: 0, // how many views were shown
    listen(f) {
      listeners.add(f);
      if (store.view) f(store.view, null);
      return () => listeners.delete(f);
    },
    show(view) {
      const before = store.view;
      store.view = view;
      store.turn++;
      for (const f of listeners) f(view, before);
      return view;
    },
    /** act calls a method that returns a view, and shows it. Errors are thrown. */
    async act(method, args, file) { return store.show(await session.call(method, args, file)); },
    /** do does an operation and shows what goes wrong. */
    do: tried(op => store.act("do", op)),
    ask: (method, args) => session.call(method, args),
  };
  return store;
}
