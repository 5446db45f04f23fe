// The engine: the allocator in Go, as WebAssembly, in threads of its own.
//
// The page fetches three files and closes the door as soon as they are on their way: a
// second policy joins the first, and of two policies a browser obeys the stricter in each
// point, so that from then on nothing can be asked for or sent. The threads are started
// after that, from a text that the page holds, and inherit both policies.

/** An answer that says no: a sentence, and reasons. */
export class Refusal extends Error {
  /** @param {string} says @param {string[]} [reasons] */
  constructor(says, reasons = []) {
    super(says);
    this.reasons = reasons;
  }
}

/** open fetches the engine and closes the door; what it returns starts a session. */
export async function open() {
  const file = async name => {
    const response = await fetch(new URL(name, import.meta.url));
    if (!response.ok) throw new Refusal(`The server has no ${name}.`, [`It answered: ${response.status} ${response.statusText}.`]);
    return response;
  };
  const text = async name => (await file(name)).text();
  const [arriving, loader, worker] = await Promise.all([file("ipamsim.wasm"), text("wasm_exec.js"), text("worker.js")]);
  const door = document.createElement("meta");
  door.httpEquiv = "Content-Security-Policy";
  door.content = "connect-src 'none'";
  document.head.append(door);
  const program = compile(arriving); // while the first thread starts
  const source = URL.createObjectURL(new Blob([loader, "\n", worker], { type: "text/javascript" }));
  return () => session(program, source);
}

// compile compiles while the program arrives, where the server gives it its type.
async function compile(response) {
  if (response.headers.get("Content-Type") === "application/wasm") return WebAssembly.compileStreaming(response);
  return WebAssembly.compile(await response.arrayBuffer());
}

/**
 * session starts the engine in a thread of its own, with nothing in it yet.
 * @returns {{call: (method: string, args?: object, file?: ArrayBuffer) => Promise<any>}}
 */
function session(program, source) {
  const worker = new Worker(source);
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
  program.then(module => worker.postMessage({ module }), error => end(String(error)));
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
