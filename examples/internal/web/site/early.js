// What the page waits for longest begins first, before any module runs.
//
// A thread of its own fetches and compiles the program, so that the page is free to draw.
// Then it ends. The page fetches the text of the engine's threads and closes the door: a
// second policy joins the first, and of two policies a browser obeys the stricter in each
// point, so that from then on nothing can be asked for or sent. The engine's threads are
// started after that, and inherit both policies.
"use strict";

globalThis.early = (() => {
  const thread = parts => new Worker(URL.createObjectURL(new Blob(parts, { type: "text/javascript" })));

  // In its thread: compile while the program arrives, where the server gives it its type.
  async function compile(address) {
    try {
      const response = await fetch(address);
      if (!response.ok) throw new Error(`ipamsim.wasm: ${response.status} ${response.statusText}`);
      const streams = response.headers.get("Content-Type") === "application/wasm";
      postMessage({ program: await (streams ? WebAssembly.compileStreaming(response) : WebAssembly.compile(await response.arrayBuffer())) });
    } catch (error) {
      postMessage({ says: error.message });
    }
  }
  const program = new Promise((yes, no) => {
    const compiler = thread([`(${compile})(${JSON.stringify(new URL("ipamsim.wasm", location.href).href)})`]);
    compiler.onerror = event => no(new Error(event.message || "The browser refused to start a thread."));
    compiler.onmessage = ({ data }) => {
      compiler.terminate();
      if (data.program) yes(data.program);
      else no(new Error(data.says));
    };
  });

  const text = async name => {
    const response = await fetch(name);
    if (!response.ok) throw new Error(`${name}: ${response.status} ${response.statusText}`);
    return response.text();
  };
  const threads = (async () => {
    const parts = await Promise.all([text("wasm_exec.js"), "\n", text("worker.js")]);
    const door = document.createElement("meta");
    door.httpEquiv = "Content-Security-Policy";
    door.content = "connect-src 'none'";
    document.head.append(door);
    const first = thread(parts);
    return { first, another: () => thread(parts) };
  })();
  for (const promise of [program, threads]) promise.catch(() => {}); // who waits for them tells of it
  return { program, threads };
})();
