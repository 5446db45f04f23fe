"use strict";

// The engine's own thread. It is started from a text: Go's loader and then this file.
// The page sends the compiled program first, and then calls; each is answered with its
// number. The program registers the function ipamsim.
let ready;

onmessage = async ({ data }) => {
  if (data.module) {
    const go = new Go();
    ready = WebAssembly.instantiate(data.module, go.importObject).then(instance => {
      go.run(instance).then(() => postMessage({ ended: true }), error => postMessage({ ended: true, says: String(error) }));
    });
    ready.catch(error => postMessage({ ended: true, says: String(error) }));
    return;
  }
  const { number, method, args, file } = data;
  try {
    await ready;
    postMessage({ number, reply: globalThis.ipamsim(method, args, file ? new Uint8Array(file) : null) });
  } catch (error) {
    postMessage({ number, failed: String(error) });
  }
};
