"use strict";

// Whoever prints the page wants to read what is folded away.
(() => {
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const d of opened) d.open = true;
  });
  addEventListener("afterprint", () => { for (const d of opened) d.open = false; });
})();

// The map.
(() => {
  const source = document.getElementById("map-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const part = name => document.getElementById("map-" + name);
  const NOBODY = -1, GONE = -2; // as owners; nodes are numbered from 0

  // A curve is where the cells are: x and y of each, and the cell at y * width + x,
  // -1 where there is none. Cells of a power of two fill a square, or two squares
  // side by side; the line through the left one ends where the right one's begins.
  const curves = new Map();
  function curve(cells) {
    let c = curves.get(cells);
    if (c) return c;
    let bits = 0;
    while (2 ** bits < cells) bits++;
    const order = bits >> 1, side = 1 << order;
    c = { width: bits % 2 ? 2 * side : side, height: side };
    c.x = new Uint16Array(cells);
    c.y = new Uint16Array(cells);
    c.at = new Int32Array(c.width * c.height).fill(-1);
    for (let d = 0; d < cells; d++) {
      let x = 0, y = 0, rest = d % (side * side);
      for (let s = 1; s < side; s *= 2) {
        const right = (rest >> 1) & 1, down = (rest ^ right) & 1;
        if (!down) {
          if (right) { x = s - 1 - x; y = s - 1 - y; }
          [x, y] = [y, x];
        }
        x += s * right;
        y += s * down;
        rest >>= 2;
      }
      if (d >= side * side) x += side;
      c.x[d] = x;
      c.y[d] = y;
      c.at[y * c.width + x] = d;
    }
    curves.set(cells, c);
    return c;
  }

  // A world is a map that is being looked at: how its cells stand at one moment.
  // Frames hold what changes, so going back begins again from the start.
  async function unpack(sheet) {
    const packed = Uint8Array.from(atob(sheet.frames), c => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    const world = { sheet, bytes: new Uint8Array(await new Response(stream).arrayBuffer()), next: 0, now: -1, cells: 0 };
    world.pools = sheet.pools.map(p => {
      const pool = { ...p, first: world.cells, base: BigInt("0x" + p.base), addresses: 2 ** (p.bits - p.size), curve: curve(p.cells) };
      world.cells += p.cells;
      if (!p.whole) {
        pool.offsets = [];
        let offset = 0n;
        for (let i = 0; i < p.cells; i++) pool.offsets.push(offset += bigNumber(world));
      }
      return pool;
    });
    world.begin = world.next;
    for (const column of ["owner", "inUse", "borrowed", "cooling"]) world[column] = new Int32Array(world.cells);
    world.owner.fill(GONE);
    return world;
  }

  function number(world) {
    let value = 0, unit = 1, byte;
    do {
      byte = world.bytes[world.next++];
      value += (byte & 127) * unit;
      unit *= 128;
    } while (byte > 127);
    return value;
  }

  function bigNumber(world) {
    let value = 0n, shift = 0n, byte;
    do {
      byte = world.bytes[world.next++];
      value |= BigInt(byte & 127) << shift;
      shift += 7n;
    } while (byte > 127);
    return value;
  }

  function goTo(world, frame) {
    if (frame < world.now) {
      world.owner.fill(GONE);
      for (const column of ["inUse", "borrowed", "cooling"]) world[column].fill(0);
      world.next = world.begin;
      world.now = -1;
    }
    for (; world.now < frame; world.now++) {
      const changed = new Int32Array(number(world));
      let cell = 0;
      for (let i = 0; i < changed.length; i++) changed[i] = cell += number(world);
      for (const c of changed) {
        const owner = number(world);
        if (owner) world.owner[c] = owner - 3;
      }
      for (const column of [world.inUse, world.borrowed, world.cooling]) {
        for (const c of changed) {
          const n = number(world);
          column[c] += n % 2 ? -(n + 1) / 2 : n / 2;
        }
      }
    }
  }

  function state(pool, cell) {
    const owner = world.owner[cell];
    if (owner === GONE) return "free";
    if (owner === NOBODY) return "nobody";
    if (world.inUse[cell] + world.cooling[cell] >= pool.addresses) return "full";
    return world.inUse[cell] ? "used" : "empty";
  }

  // Addresses, as text.
  function address(value, bits) {
    const groups = [];
    const width = bits === 32 ? 8n : 16n;
    for (let shift = BigInt(bits) - width; shift >= 0n; shift -= width) groups.push(Number((value >> shift) & ((1n << width) - 1n)));
    if (bits === 32) return groups.join(".");
    // The longest run of zeros is left out, the first of several; one alone is not.
    let from = -1, length = 1;
    for (let i = 0; i < groups.length; i++) {
      let n = 0;
      while (groups[i + n] === 0) n++;
      if (n > length) [from, length] = [i, n];
      if (n > 0) i += n - 1;
    }
    const hex = g => g.map(n => n.toString(16)).join(":");
    if (from < 0) return hex(groups);
    return hex(groups.slice(0, from)) + "::" + hex(groups.slice(from + length));
  }

  function cidr(pool, cell) {
    const i = cell - pool.first;
    const block = pool.whole ? BigInt(i) : pool.offsets[i];
    return address(pool.base + (block << BigInt(pool.bits - pool.size)), pool.bits) + "/" + pool.size;
  }

  const count = n => String(n).replace(/\B(?=(\d{3})+$)/g, ",");

  function describe(pool, cell) {
    const s = state(pool, cell);
    const lines = [cidr(pool, cell)];
    if (s === "free") {
      lines.push("State: free, no node has claimed it");
      return lines;
    }
    const inUse = world.inUse[cell];
    lines.push("Owner: " + (s === "nobody" ? "nobody" : data.owners[world.owner[cell]]));
    lines.push(`In use: ${count(inUse)} of ${count(pool.addresses)} (${Math.floor(100 * inUse / pool.addresses)} %)`);
    lines.push("Borrowed by other nodes: " + count(world.borrowed[cell]));
    lines.push("Cooling down: " + count(world.cooling[cell]));
    const words = { nobody: "belongs to nobody", empty: "empty, but claimed", used: "in use", full: "full" };
    lines.push("State: " + words[s] + (s === "full" && inUse < pool.addresses ? ", counting those that cool down" : ""));
    return lines;
  }

  function say(element, lines) {
    element.replaceChildren(...lines.map((line, i) => {
      const e = document.createElement(i ? "span" : "b");
      e.textContent = line;
      return e;
    }));
  }

  // Colours, as numbers of the canvas's pixels.
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let printing = false;
  const themes = {
    light: {
      card: [255, 255, 255], free: [233, 236, 240], empty: [246, 205, 110], nobody: { owner: [28, 32, 40], fullness: [190, 50, 40] },
      ramp: [[214, 230, 245], [139, 187, 225], [63, 132, 192], [24, 82, 148], [10, 38, 84]], saturation: 0.5, lightness: [0.47, 0.60, 0.37],
    },
    dark: {
      card: [27, 31, 39], free: [44, 50, 60], empty: [150, 112, 30], nobody: { owner: [240, 242, 246], fullness: [240, 120, 105] },
      ramp: [[32, 62, 94], [42, 96, 148], [70, 138, 198], [130, 188, 234], [214, 234, 252]], saturation: 0.48, lightness: [0.58, 0.70, 0.46],
    },
  };
  const theme = () => themes[dark.matches && !printing ? "dark" : "light"];
  const pixel = ([r, g, b]) => (255 << 24 | b << 16 | g << 8 | r) >>> 0;
  const css = rgb => `rgb(${rgb.join(",")})`;
  const mix = (a, b, share) => a.map((v, i) => Math.round(v + (b[i] - v) * share));

  // Neighbouring numbers are far apart in hue: the golden angle.
  function ownerColour(t, owner) {
    const hue = owner * 137.50776 % 360, l = t.lightness[owner % 3];
    const f = n => {
      const k = (n + hue / 30) % 12;
      return Math.round(255 * (l - t.saturation * Math.min(l, 1 - l) * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
    };
    return [f(0), f(8), f(4)];
  }

  function rampColour(t, share) {
    const place = Math.min(Math.max(share, 0), 1) * (t.ramp.length - 1), i = Math.min(Math.floor(place), t.ramp.length - 2);
    return mix(t.ramp[i], t.ramp[i + 1], place - i);
  }

  function colour(t, mode, s, owner, share) {
    if (s === "free") return t.free;
    if (s === "nobody") return t.nobody[mode];
    if (mode === "fullness") return s === "empty" ? t.empty : rampColour(t, share);
    const c = ownerColour(t, owner);
    return s === "empty" ? mix(c, t.free, 0.62) : c;
  }

  // Where there is room, a block is told by its form, too: empty ones are hollow, and
  // nobody's are struck through.
  function mark(g, t, s, x, y, w, h, fill) {
    const edge = Math.max(1, Math.round(Math.min(w, h) / 9));
    if (s === "empty") {
      g.fillStyle = css(fill);
      g.fillRect(x, y, w, h);
      g.fillStyle = css(t.card);
      g.fillRect(x + 2 * edge, y + 2 * edge, w - 4 * edge, h - 4 * edge);
    } else if (s === "nobody") {
      g.strokeStyle = css(t.card);
      g.lineWidth = edge;
      g.beginPath();
      g.moveTo(x + 2 * edge, y + 2 * edge);
      g.lineTo(x + w - 2 * edge, y + h - 2 * edge);
      g.moveTo(x + w - 2 * edge, y + 2 * edge);
      g.lineTo(x + 2 * edge, y + h - 2 * edge);
      g.stroke();
    }
  }

  let world = null, views = [], mode = "owner";

  // A view is a pool's canvas.
  function makeView(pool) {
    const view = { pool, cursor: -1, size: 0 };
    const section = document.createElement("div"), heading = document.createElement("h3"), small = document.createElement("small");
    section.className = "pool";
    heading.textContent = (world.pools.length > 1 || pool.name !== "pool" ? pool.name + " " : "") + pool.cidr;
    const shown = pool.whole ? `${pool.blocks} blocks of /${pool.size}` : `${count(pool.cells)} blocks of /${pool.size} were ever claimed, of ${pool.blocks}; only those are shown`;
    small.textContent = shown;
    heading.append(small);
    const frame = view.frame = document.createElement("div");
    frame.className = "frame";
    const canvas = view.canvas = document.createElement("canvas");
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "application");
    canvas.setAttribute("aria-roledescription", "map of blocks");
    canvas.setAttribute("aria-label", `Pool ${pool.name}, ${pool.cidr}: ${shown}. Arrow keys move to the blocks around, Page Up and Page Down in address order, Home and End to the first and the last.`);
    view.mark = document.createElement("div");
    view.mark.className = "cursor";
    view.mark.hidden = true;
    frame.append(canvas, view.mark);
    section.append(heading, frame);
    part("pools").append(section);

    const under = event => {
      const box = canvas.getBoundingClientRect(), c = pool.curve;
      const x = Math.floor((event.clientX - box.left) / box.width * c.width), y = Math.floor((event.clientY - box.top) / box.height * c.height);
      if (x < 0 || y < 0 || x >= c.width || y >= c.height) return -1;
      return c.at[y * c.width + x];
    };
    canvas.addEventListener("pointermove", event => showTip(view, under(event), event));
    canvas.addEventListener("pointerleave", hideTip);
    canvas.addEventListener("click", event => { if (under(event) >= 0) moveCursor(view, under(event)); });
    canvas.addEventListener("focus", () => moveCursor(view, Math.max(view.cursor, 0)));
    canvas.addEventListener("keydown", event => {
      if (event.altKey || event.ctrlKey || event.metaKey || pool.cells === 0) return;
      const to = step(pool, Math.max(view.cursor, 0), event.key);
      if (to === undefined) return;
      event.preventDefault();
      hideTip();
      moveCursor(view, to);
    });
    return view;
  }

  // Where a key leads from a cell; undefined for other keys.
  function step(pool, from, key) {
    const c = pool.curve;
    const beside = (dx, dy) => {
      const x = c.x[from] + dx, y = c.y[from] + dy;
      if (x < 0 || y < 0 || x >= c.width || y >= c.height || c.at[y * c.width + x] < 0) return from;
      return c.at[y * c.width + x];
    };
    switch (key) {
      case "ArrowLeft": return beside(-1, 0);
      case "ArrowRight": return beside(1, 0);
      case "ArrowUp": return beside(0, -1);
      case "ArrowDown": return beside(0, 1);
      case "PageUp": return Math.max(from - 1, 0);
      case "PageDown": return Math.min(from + 1, pool.cells - 1);
      case "Home": return 0;
      case "End": return pool.cells - 1;
    }
  }

  function layout(view, available) {
    const c = view.pool.curve, ratio = devicePixelRatio || 1;
    const room = Math.min(available, c.width > c.height ? 900 : 640);
    view.size = Math.max(1, Math.min(Math.floor(room * ratio / c.width), Math.round(40 * ratio)));
    view.canvas.width = Math.max(c.width * view.size, 1);
    view.canvas.height = Math.max(c.height * view.size, 1);
    view.canvas.dataset.cells = c.width + "x" + c.height;
    view.canvas.style.width = view.canvas.width / ratio + "px";
    view.canvas.style.height = view.canvas.height / ratio + "px";
    placeCursor(view);
  }

  function draw(view) {
    const { pool, canvas, size } = view, c = pool.curve, t = theme();
    const small = document.createElement("canvas");
    small.width = c.width;
    small.height = c.height;
    const g = canvas.getContext("2d"), sg = small.getContext("2d");
    const image = sg.createImageData(c.width, c.height), pixels = new Uint32Array(image.data.buffer);
    const ramp = Array.from({ length: 257 }, (_, i) => pixel(rampColour(t, i / 256)));
    const hues = new Map(), rough = [];
    for (let i = 0; i < pool.cells; i++) {
      const cell = pool.first + i, s = state(pool, cell), owner = world.owner[cell];
      let p;
      if (mode === "fullness" && (s === "used" || s === "full")) {
        p = ramp[Math.round(256 * Math.min(world.inUse[cell] / pool.addresses, 1))];
      } else {
        const key = s === "empty" ? -3 - owner : s === "free" ? GONE : owner;
        p = hues.get(key);
        if (p === undefined) hues.set(key, p = pixel(colour(t, mode, s, owner, 0)));
      }
      pixels[c.y[i] * c.width + c.x[i]] = p;
      if (size >= 9 && (s === "empty" || s === "nobody")) rough.push(i);
    }
    sg.putImageData(image, 0, 0);
    g.imageSmoothingEnabled = false;
    g.clearRect(0, 0, canvas.width, canvas.height);
    g.drawImage(small, 0, 0, canvas.width, canvas.height);
    for (const i of rough) {
      const cell = pool.first + i, s = state(pool, cell);
      mark(g, t, s, c.x[i] * size, c.y[i] * size, size, size, colour(t, mode, s, world.owner[cell], 0));
    }
    if (size >= 5) {
      const gap = size >= 16 ? 2 : 1;
      g.fillStyle = css(t.card);
      for (let x = 1; x <= c.width; x++) g.fillRect(x * size - gap, 0, gap, canvas.height);
      for (let y = 1; y <= c.height; y++) g.fillRect(0, y * size - gap, canvas.width, gap);
    }
  }

  function placeCursor(view) {
    view.mark.hidden = view.cursor < 0;
    if (view.cursor < 0) return;
    const c = view.pool.curve, size = view.size / (devicePixelRatio || 1), side = Math.max(size + 2, 10);
    view.mark.style.width = view.mark.style.height = side + "px";
    view.mark.style.left = (c.x[view.cursor] + 0.5) * size - side / 2 + "px";
    view.mark.style.top = (c.y[view.cursor] + 0.5) * size - side / 2 + "px";
  }

  function moveCursor(view, cell) {
    if (view.pool.cells === 0) return;
    for (const v of views) {
      v.cursor = v === view ? cell : -1;
      placeCursor(v);
    }
    view.mark.scrollIntoView({ block: "nearest", inline: "nearest" });
    tellCursor();
  }

  function tellCursor() {
    const view = views.find(v => v.cursor >= 0);
    if (view) say(part("cell"), describe(view.pool, view.pool.first + view.cursor));
    else part("cell").textContent = "Choose a block: click on one, or press Tab to reach the map and move with the arrow keys.";
  }

  let tip = null; // what is shown, to show it again at another moment
  function showTip(view, cell, place) {
    if (cell < 0) return hideTip();
    tip = { view, cell, place: { clientX: place.clientX, clientY: place.clientY } };
    const e = part("tip");
    say(e, describe(view.pool, view.pool.first + cell));
    e.hidden = false;
    const x = place.clientX + 16, y = place.clientY + 18;
    e.style.left = Math.max(8, x + e.offsetWidth > innerWidth - 8 ? place.clientX - e.offsetWidth - 12 : x) + "px";
    e.style.top = Math.max(8, y + e.offsetHeight > innerHeight - 8 ? place.clientY - e.offsetHeight - 12 : y) + "px";
  }

  function hideTip() {
    tip = null;
    part("tip").hidden = true;
  }

  function legend() {
    const t = theme(), n = { free: 0, empty: 0, used: 0, full: 0, nobody: 0 };
    for (const pool of world.pools) {
      for (let i = 0; i < pool.cells; i++) n[state(pool, pool.first + i)]++;
    }
    const item = (words, number, wide, paint) => {
      const li = document.createElement("li"), swatch = document.createElement("canvas"), text = document.createElement("span"), value = document.createElement("span");
      swatch.width = wide ? 256 : 52;
      swatch.height = 32;
      swatch.setAttribute("aria-hidden", "true");
      paint(swatch.getContext("2d"), swatch.width);
      text.textContent = words;
      value.textContent = number;
      if (wide) {
        li.className = "wide";
        li.append(text, swatch, value);
      } else {
        li.append(swatch, text, value);
      }
      return li;
    };
    const plain = (s, share) => g => {
      const fill = colour(t, mode, s, 0, share);
      g.fillStyle = css(fill);
      g.fillRect(0, 0, 52, 32);
      mark(g, t, s, 0, 0, 52, 32, fill);
    };
    const hues = g => {
      for (let i = 0; i < 4; i++) {
        g.fillStyle = css(colour(t, "owner", "used", i, 0));
        g.fillRect(13 * i, 0, 13, 32);
      }
    };
    const items = [item("free, not claimed", count(n.free), false, plain("free", 0)), item("empty, but claimed", count(n.empty), false, plain("empty", 0))];
    if (mode === "owner") {
      items.push(item("in use, a colour a node", count(n.used + n.full), false, hues));
    } else {
      items.push(item("in use", count(n.used), false, plain("used", 0.5)), item("full", count(n.full), false, plain("full", 1)));
    }
    items.push(item("belongs to nobody", count(n.nobody), false, plain("nobody", 0)));
    if (mode === "fullness") {
      items.push(item("0 %", "100 %", true, (g, width) => {
        for (let x = 0; x < width; x++) {
          g.fillStyle = css(rampColour(t, x / (width - 1)));
          g.fillRect(x, 0, 1, 32);
        }
      }));
    }
    part("legend").replaceChildren(...items);
  }

  function show() {
    if (!world) return;
    const slider = part("moment"), { sheet } = world, last = sheet.at.length - 1;
    goTo(world, Number(slider.value));
    let when = `request ${sheet.request[world.now]} of ${sheet.request[last]}`;
    if (sheet.at[last] !== "0s") when += ", after " + sheet.at[world.now];
    part("when").textContent = when;
    slider.setAttribute("aria-valuetext", when);
    for (const view of views) draw(view);
    legend();
    tellCursor();
    if (tip) showTip(tip.view, tip.cell, tip.place);
  }

  // Decoding takes a moment; of several choices made meanwhile, the last one counts.
  let choice = 0;
  async function choose(i) {
    const mine = ++choice, slider = part("moment"), sheet = data.maps[i];
    const opened = await unpack(sheet);
    if (mine !== choice) return;
    const share = world ? slider.value / Math.max(slider.max, 1) : 1;
    world = opened;
    slider.max = sheet.at.length - 1;
    slider.value = Math.round(share * slider.max);
    part("pools").replaceChildren();
    hideTip();
    views = world.pools.map(makeView);
    for (const view of views) layout(view, part("pools").clientWidth);
    part("note").textContent = sheet.every > 1 ? `To keep this page small, only one moment in ${sheet.every} is here.` : "";
    show();
    part("card").dataset.ready = sheet.name;
  }

  let timer = 0;
  function play(on) {
    clearInterval(timer);
    timer = 0;
    part("play").textContent = on ? "Stop" : "Play";
    if (!on) return;
    const slider = part("moment");
    if (Number(slider.value) >= Number(slider.max)) slider.value = 0;
    show();
    timer = setInterval(() => {
      slider.value = Number(slider.value) + 1;
      show();
      if (Number(slider.value) >= Number(slider.max)) play(false);
    }, Math.max(40, Math.min(400, 10000 / (Number(slider.max) + 1))));
  }

  part("card").hidden = false;
  if (typeof DecompressionStream === "undefined") {
    part("cell").textContent = "This browser is too old to show the map.";
    return;
  }
  part("play").addEventListener("click", () => play(!timer));
  part("moment").addEventListener("input", () => { play(false); show(); });
  part("size").addEventListener("change", () => { play(false); choose(part("size").selectedIndex); });
  for (const radio of document.getElementsByName("map-colour")) {
    radio.addEventListener("change", () => { mode = radio.value; show(); });
  }
  dark.addEventListener("change", show);
  addEventListener("beforeprint", () => { printing = true; show(); });
  addEventListener("afterprint", () => { printing = false; show(); });
  // Not within the observer's call, which must not change what it observes.
  let width = 0;
  new ResizeObserver(() => requestAnimationFrame(() => {
    const now = part("pools").clientWidth;
    if (!world || now === width) return;
    width = now;
    for (const view of views) {
      layout(view, now);
      draw(view);
    }
  })).observe(part("pools"));
  choose(part("size").selectedIndex);
})();
