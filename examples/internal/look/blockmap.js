"use strict";

// The parts of a map of blocks. A page of one file has them in its script; other
// pages import them. All of them are functions of their arguments, but for the
// curves, which are kept.

// The owner of a block that is not there. Nodes are numbered from 0.
const GONE = -2;

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

const count = n => String(n).replace(/\B(?=(\d{3})+$)/g, ",");

// say fills an element with lines of text, the first of them bold.
function say(element, lines) {
  element.replaceChildren(...lines.map((line, i) => {
    const e = document.createElement(i ? "span" : "b");
    e.textContent = line;
    return e;
  }));
}

// Colours, as numbers of red, green and blue.
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

// The cell of a curve that an event of the pointer is over, or -1.
function cellUnder(canvas, c, event) {
  const box = canvas.getBoundingClientRect();
  const x = Math.floor((event.clientX - box.left) / box.width * c.width), y = Math.floor((event.clientY - box.top) / box.height * c.height);
  if (x < 0 || y < 0 || x >= c.width || y >= c.height) return -1;
  return c.at[y * c.width + x];
}

// Where a key leads from a cell; undefined for other keys.
function cellBeside(c, cells, from, key) {
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
    case "PageDown": return Math.min(from + 1, cells - 1);
    case "Home": return 0;
    case "End": return cells - 1;
  }
}

// layoutMap gives a canvas the size of its curve in the room there is, and returns the
// side of a cell in the canvas's pixels.
function layoutMap(canvas, c, available) {
  const ratio = devicePixelRatio || 1;
  const room = Math.min(available, c.width > c.height ? 900 : 640);
  const size = Math.max(1, Math.min(Math.floor(room * ratio / c.width), Math.round(40 * ratio)));
  canvas.width = Math.max(c.width * size, 1);
  canvas.height = Math.max(c.height * size, 1);
  canvas.dataset.cells = c.width + "x" + c.height;
  canvas.style.width = canvas.width / ratio + "px";
  canvas.style.height = canvas.height / ratio + "px";
  return size;
}

// drawMap draws so many blocks along a curve. Of each block, look tells the state, the
// owner and the share in use.
function drawMap(canvas, c, size, cells, look) {
  const { theme: t, mode } = look;
  const small = document.createElement("canvas");
  small.width = c.width;
  small.height = c.height;
  const g = canvas.getContext("2d"), sg = small.getContext("2d");
  const image = sg.createImageData(c.width, c.height), pixels = new Uint32Array(image.data.buffer);
  const ramp = Array.from({ length: 257 }, (_, i) => pixel(rampColour(t, i / 256)));
  const hues = new Map(), rough = [];
  for (let i = 0; i < cells; i++) {
    const s = look.state(i), owner = look.owner(i);
    let p;
    if (mode === "fullness" && (s === "used" || s === "full")) {
      p = ramp[Math.round(256 * Math.min(look.share(i), 1))];
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
    const s = look.state(i);
    mark(g, t, s, c.x[i] * size, c.y[i] * size, size, size, colour(t, mode, s, look.owner(i), 0));
  }
  if (size >= 5) {
    const gap = size >= 16 ? 2 : 1;
    g.fillStyle = css(t.card);
    for (let x = 1; x <= c.width; x++) g.fillRect(x * size - gap, 0, gap, canvas.height);
    for (let y = 1; y <= c.height; y++) g.fillRect(0, y * size - gap, canvas.width, gap);
  }
}

// placeMark moves the frame around a cell, or hides it if the cell is below 0.
function placeMark(element, c, pixels, cell) {
  element.hidden = cell < 0;
  if (cell < 0) return;
  const size = pixels / (devicePixelRatio || 1), side = Math.max(size + 2, 10);
  element.style.width = element.style.height = side + "px";
  element.style.left = (c.x[cell] + 0.5) * size - side / 2 + "px";
  element.style.top = (c.y[cell] + 0.5) * size - side / 2 + "px";
}

// placeTip shows what is told of a place beside it, within the window.
function placeTip(element, place) {
  element.hidden = false;
  const x = place.clientX + 16, y = place.clientY + 18;
  element.style.left = Math.max(8, x + element.offsetWidth > innerWidth - 8 ? place.clientX - element.offsetWidth - 12 : x) + "px";
  element.style.top = Math.max(8, y + element.offsetHeight > innerHeight - 8 ? place.clientY - element.offsetHeight - 12 : y) + "px";
}
