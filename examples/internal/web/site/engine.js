// The engine: the allocator in Go, as WebAssembly, in threads of its own. early.js has it
// compiled and has started the first thread.

/** An answer that says no: a sentence, and reasons. */
export class Refusal extends Error {
  /** @param {string} says @param {string[]} [reasons] */
  constructor(says, reasons = []) {
    super(says);
    this.reasons = reasons;
  }
}

/** open waits for the threads' text; what it returns starts a session. */
export async function open() {
  const { program, threads } = globalThis.early;
  let { first, another } = await threads;
  return () => {
    const s = session(first || another(), program);
    first = null;
    return s;
  };
}

/**
 * session is what a thread makes of the program: an engine with nothing in it yet.
 * @param {Worker} worker
 * @param {Promise<WebAssembly.Module>} program
 * @returns {{call: (method: string, args?: object, file?: ArrayBuffer) => Promise<any>}}
 */
function session(worker, program) {
  const waiting = new Map();
  let number = 0, over = "";
  const end = says => {
    over = says;
    for (const { no } of waiting.values()) no(new Refusal("The engine has stopped. Load the page again.", [says]));
    waiting.clear();
  };
  worker.onerror = event => end(event.message || "The browser refused to start it.");
  worker.onmessage = ({ data }) => {
    if (data.ended) return end(data.says || "The program has ended.");
    const call = waiting.get(data.number);
    if (!call) return;
    waiting.delete(data.number);
    if (data.failed) return call.no(new Refusal("The engine failed.", [data.failed]));
    let reply;
    try {
      reply = JSON.parse(data.reply);
    } catch (error) {
      return call.no(new Refusal("The engine's answer cannot be read.", [String(error)]));
    }
    if (reply.error) call.no(new Refusal(reply.error, reply.reasons || []));
    else call.yes(reply.ok);
  };
  program.then(module => worker.postMessage({ module }), error => end(error.message));
  return {
    call(method, args = {}, file = undefined) {
      if (over) return Promise.reject(new Refusal("The engine has stopped. Load the page again.", [over]));
      return new Promise((yes, no) => {
        const mine = ++number;
        waiting.set(mine, { yes, no });
        program.then(() => worker.postMessage({ number: mine, method, args: JSON.stringify(args), file }, file ? [file] : []), () => {}); // all hear why
      });
    },
  };
}
