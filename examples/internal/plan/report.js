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
  const NOBODY = -1; // as owners, with GONE; nodes are numbered from 0

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

  function cidr(pool, cell) {
    const i = cell - pool.first;
    const block = pool.whole ? BigInt(i) : pool.offsets[i];
    return address(pool.base + (block << BigInt(pool.bits - pool.size)), pool.bits) + "/" + pool.size;
  }

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

  // Paper is white.
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let printing = false;
  const theme = () => themes[dark.matches && !printing ? "dark" : "light"];
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

    const under = event => cellUnder(canvas, pool.curve, event);
    canvas.addEventListener("pointermove", event => showTip(view, under(event), event));
    canvas.addEventListener("pointerleave", hideTip);
    canvas.addEventListener("click", event => { if (under(event) >= 0) moveCursor(view, under(event)); });
    canvas.addEventListener("focus", () => moveCursor(view, Math.max(view.cursor, 0)));
    canvas.addEventListener("keydown", event => {
      if (event.altKey || event.ctrlKey || event.metaKey || pool.cells === 0) return;
      const to = cellBeside(pool.curve, pool.cells, Math.max(view.cursor, 0), event.key);
      if (to === undefined) return;
      event.preventDefault();
      hideTip();
      moveCursor(view, to);
    });
    return view;
  }

  function layout(view, available) {
    view.size = layoutMap(view.canvas, view.pool.curve, available);
    placeCursor(view);
  }

  function draw(view) {
    const { pool } = view, at = i => pool.first + i;
    drawMap(view.canvas, pool.curve, view.size, pool.cells, {
      theme: theme(), mode,
      state: i => state(pool, at(i)), owner: i => world.owner[at(i)], share: i => world.inUse[at(i)] / pool.addresses,
    });
  }

  function placeCursor(view) {
    placeMark(view.mark, view.pool.curve, view.size, view.cursor);
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
    placeTip(e, place);
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
