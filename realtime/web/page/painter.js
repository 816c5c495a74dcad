// What is painted on a picture: corners of a box, a tag with number, label and confidence, and the graph that the model
// reads, coloured by where it looks. Relative of the desktop program: same corners, same shades, same places for tags.

const DARK = "rgb(10 12 15)";
const PAPER = "rgb(17 20 25)";
const INK = "rgb(236 240 244)";
const MUTED = "rgb(150 161 172)";
const QUIET_CHIP = "rgb(58 66 76)";

// From even attention or less (grey) to much (vermilion), in eight shades: lines of one shade are drawn at once.
const ATTENTION_STOPS = [[169, 180, 192], [230, 159, 0], [213, 94, 0]];
const SHADES = Array.from({ length: 8 }, (_, index) => attentionColour(index / 7));
const PLAIN_SHADE = "rgb(230 236 242)";

const CALM_S = 0.4; // time constant with which the colours of attention change
const LOYALTY = 0.08; // of a tag's area: a place must be better by this before a tag moves there
const PATIENCE = 45; // pictures for which a place that is liked better must be free before a tag moves back there
const FONT = "system-ui, sans-serif";

/** What is remembered of each canvas, so that tags keep their side and colours change calmly. */
const memories = new WeakMap();
const widths = new Map();

/**
 * Paint a picture and what was read in it.
 *
 * @param {CanvasRenderingContext2D} context it fills the canvas of this context.
 * @param {CanvasImageSource|null} picture null: the canvas is cleared, for a canvas that lies over a picture.
 * @param {Array} faces each `{face, label, confidence, box, state?, nodes?, attention?, progress?}`; boxes
 *     `[x0, y0, x1, y1]` and nodes (`[x, y, x, y...]` or `[[x, y]...]`) in pixels of the picture.
 * @param {object} options
 *     scale: canvas pixels per picture pixel, one number or `[x, y]`;
 *     mesh: whether nodes and edges are drawn; edges: `[[a, b]...]` of the layout;
 *     colours: `{label: "#rrggbb"}`; labels: those that have a colour (others are states and stay grey);
 *     name: label or state -> words; number: face -> what stands on its chip;
 *     mirrored: draw like a mirror, letters stay readable; time_s: of the picture, smooths attention over time;
 *     letters: their size in canvas pixels.
 */
export function paint(context, picture, faces, options = {}) {
  const canvas = context.canvas;
  const { width, height } = canvas;
  const view = viewOf(options, width);
  drawPicture(context, picture, width, height, view.mirrored);
  const memory = memoryOf(canvas);
  const shown = faces.filter((face) => face.box);
  if (options.mesh !== false) {
    for (const face of shown) if (face.nodes?.length) drawGraph(context, face, view, options, memory);
  }
  const letters = options.letters ?? Math.max(12, Math.round(Math.min(width, 1.6 * height) / 42));
  const boxes = new Map(shown.map((face) => [face.face, paddedBox(face.box, view)]));
  for (const face of shown) drawCorners(context, boxes.get(face.face), colourOf(face, options), letters);
  drawTags(context, shown, boxes, letters, options, memory);
  forget(memory, shown);
}

/** The colour of a face's label; grey while nothing is said. */
export function colourOf(face, { colours = {} } = {}) {
  return isQuiet(face) ? MUTED : colours[face.label] ?? MUTED;
}

/** Light or dark letters, whichever are easier to read on this "#rrggbb" (luma of ITU-R BT.601). */
export function inkOn(colour) {
  const value = /^#[0-9a-f]{6}$/i.test(colour) ? Number.parseInt(colour.slice(1), 16) : 0x96a1ac;
  const luma = 0.299 * (value >> 16) + 0.587 * ((value >> 8) & 255) + 0.114 * (value & 255);
  return luma > 140 ? PAPER : "white";
}

/** (V) attention -> (V) from 0 (even attention or less) to 1 (the most of this face, but not a single odd node). */
export function attentionStrength(attention) {
  const total = attention.reduce((sum, value) => sum + value, 0);
  if (!(total > 0)) return attention.map(() => 0);
  const relative = attention.map((value) => (value * attention.length) / total);
  const sorted = [...relative].sort((one, other) => one - other);
  const top = Math.max(1.5, sorted[Math.min(sorted.length - 1, Math.round(0.98 * (sorted.length - 1)))]);
  return relative.map((value) => Math.min(1, Math.max(0, (value - 1) / (top - 1))));
}

function viewOf({ scale = 1, mirrored = false }, width) {
  const [x, y] = Array.isArray(scale) ? scale : [scale, scale];
  return { mirrored, x: mirrored ? (value) => width - value * x : (value) => value * x, y: (value) => value * y };
}

function drawPicture(context, picture, width, height, mirrored) {
  if (!picture) {
    context.clearRect(0, 0, width, height);
    return;
  }
  if (mirrored) context.setTransform(-1, 0, 0, 1, width, 0);
  context.drawImage(picture, 0, 0, width, height);
  if (mirrored) context.setTransform(1, 0, 0, 1, 0, 0);
}

function memoryOf(canvas) {
  if (!memories.has(canvas)) memories.set(canvas, { places: new Map(), attention: new Map() });
  return memories.get(canvas);
}

function forget(memory, faces) {
  const here = new Set(faces.map((face) => face.face));
  for (const kept of [memory.places, memory.attention]) {
    for (const face of kept.keys()) if (!here.has(face)) kept.delete(face);
  }
}

/** The box of a face in canvas pixels, somewhat larger: it keeps clear of chin and brows. */
function paddedBox([x0, y0, x1, y1], view) {
  const [left, right] = [view.x(x0), view.x(x1)].sort((one, other) => one - other);
  const [top, bottom] = [view.y(y0), view.y(y1)];
  const reach = 0.06 * Math.max(right - left, bottom - top);
  return [left - reach, top - reach, right + reach, bottom + reach].map(Math.round);
}

/** The four corners of a box, with a dark rim that keeps them visible on light skin and walls. */
function drawCorners(context, [left, top, right, bottom], colour, letters) {
  const reach = Math.max(4, 0.16 * Math.min(right - left, bottom - top));
  const stroke = Math.max(2, letters / 6);
  context.beginPath();
  for (const [x, dx] of [[left, reach], [right, -reach]]) {
    for (const [y, dy] of [[top, reach], [bottom, -reach]]) {
      context.moveTo(x, y + dy);
      context.lineTo(x, y);
      context.lineTo(x + dx, y);
    }
  }
  context.lineJoin = "round";
  for (const [width, shade] of [[stroke + 2, DARK], [stroke, colour]]) {
    context.lineWidth = width;
    context.strokeStyle = shade;
    context.stroke();
  }
}

function drawGraph(context, face, view, { edges = [], time_s }, memory) {
  const { xs, ys } = nodesOf(face.nodes, view);
  const size = Math.max(...ys) - Math.min(...ys);
  const strength = face.attention ? attentionStrength(calm(memory, face, time_s)) : null;
  const shade = strength ? (value) => Math.min(7, Math.floor(value * 8)) : () => 0;
  const lines = SHADES.map(() => null);
  for (const [a, b] of edges) {
    const path = (lines[strength ? shade((strength[a] + strength[b]) / 2) : 0] ??= new Path2D());
    path.moveTo(xs[a], ys[a]);
    path.lineTo(xs[b], ys[b]);
  }
  context.globalAlpha = 0.6;
  context.lineWidth = Math.max(1, size / 260);
  lines.forEach((path, index) => {
    if (!path) return;
    context.strokeStyle = strength ? SHADES[index] : PLAIN_SHADE;
    context.stroke(path);
  });
  context.globalAlpha = 1;
  drawNodes(context, xs, ys, size, strength, shade);
}

function drawNodes(context, xs, ys, size, strength, shade) {
  const base = Math.min(4, Math.max(1.2, size / 110)) * Math.sqrt(68 / xs.length);
  const rims = new Path2D();
  const dots = SHADES.map(() => null);
  for (let node = 0; node < xs.length; node += 1) {
    const value = strength ? strength[node] : 0.25;
    const radius = base * (0.75 + 1.1 * value);
    const dot = (dots[shade(value)] ??= new Path2D());
    for (const [path, reach] of [[rims, radius + 0.8], [dot, radius]]) {
      path.moveTo(xs[node] + reach, ys[node]);
      path.arc(xs[node], ys[node], reach, 0, 2 * Math.PI);
    }
  }
  context.fillStyle = DARK;
  context.fill(rims);
  dots.forEach((path, index) => {
    if (!path) return;
    context.fillStyle = strength ? SHADES[index] : PLAIN_SHADE;
    context.fill(path);
  });
}

function nodesOf(nodes, view) {
  const pairs = Array.isArray(nodes[0]);
  const count = pairs ? nodes.length : nodes.length / 2;
  const xs = new Array(count);
  const ys = new Array(count);
  for (let node = 0; node < count; node += 1) {
    xs[node] = view.x(pairs ? nodes[node][0] : nodes[2 * node]);
    ys[node] = view.y(pairs ? nodes[node][1] : nodes[2 * node + 1]);
  }
  return { xs, ys };
}

/** Attention smoothed over time: it is that of single windows, whose colours would flicker. */
function calm(memory, face, time_s) {
  if (time_s === undefined) return face.attention;
  const before = memory.attention.get(face.face);
  const fits = before && before.values.length === face.attention.length && time_s >= before.time_s;
  const share = fits ? 1 - Math.exp(-(time_s - before.time_s) / CALM_S) : 1;
  const values = fits
    ? face.attention.map((value, node) => before.values[node] + share * (value - before.values[node]))
    : face.attention;
  memory.attention.set(face.face, { time_s, values });
  return values;
}

function drawTags(context, faces, boxes, letters, options, memory) {
  const { width, height } = context.canvas;
  const margin = Math.round(letters / 2.3);
  const bounds = [margin, margin, width - margin, height - margin];
  const tags = faces.map((face) => tagOf(context, face, letters, options));
  const taken = [];
  tags.forEach((tag) => {
    const corner = place(tag, boxes, taken, bounds, margin, memory);
    taken.push([corner[0], corner[1], corner[0] + tag.width, corner[1] + tag.height]);
    drawTag(context, corner, tag, letters);
  });
}

function isQuiet(face) {
  return face.state === "uncertain" || face.state === "warming up" || face.state === "no face";
}

/** What a tag says, and its size. */
function tagOf(context, face, letters, { name = (word) => word, number = String, colours = {} }) {
  const said = isQuiet(face) && face.state !== undefined ? face.state : face.label;
  const text = name(said ?? "");
  const known = Number.isFinite(face.confidence) && !(face.state === "warming up" || face.state === "no face");
  const figure = known ? `${Math.round(100 * face.confidence)} %` : "";
  const chip = number(face.face);
  const chipWidth = Math.max(1.5 * letters, textWidth(context, chip, letters, true) + letters);
  let width = chipWidth + 1.3 * letters + textWidth(context, text, letters, true);
  // The figure takes the room of the longest one: a tag must not change its width with every number.
  if (figure) width += textWidth(context, "100 %", letters, false) + 0.5 * letters;
  return {
    face: face.face,
    text,
    figure,
    chip,
    chipWidth,
    colour: isQuiet(face) ? QUIET_CHIP : colours[face.label] ?? QUIET_CHIP,
    quiet: isQuiet(face),
    progress: face.state === "warming up" ? face.progress : undefined,
    width: Math.round(width),
    height: Math.round(1.75 * letters),
  };
}

function drawTag(context, [left, top], tag, letters) {
  const radius = 0.45 * letters;
  const base = top + 0.5 * tag.height + 0.36 * letters;
  const right = left + tag.width;
  fillPanel(context, left, top, tag.width, tag.height, radius, "rgb(17 20 25 / 0.85)");
  fillPanel(context, left, top, tag.chipWidth, tag.height, radius, tag.colour);
  const words = tag.quiet ? MUTED : INK;
  const start = left + tag.chipWidth + 0.6 * letters;
  write(context, tag.chip, left + tag.chipWidth / 2, base, letters, tag.quiet ? INK : inkOn(tag.colour), "center", true);
  write(context, tag.text, start, base, letters, words, "left", true);
  if (tag.figure) write(context, tag.figure, right - 0.7 * letters, base, letters, words, "right", false);
  if (tag.progress !== undefined) {
    const full = (right - 0.7 * letters - start) * Math.min(1, Math.max(0, tag.progress));
    const tall = Math.max(2, letters / 6);
    context.fillStyle = MUTED;
    context.fillRect(start, top + tag.height - tall - 1, full, tall);
  }
}

/** The left upper corner of a tag, where it hides the least; it stays on its side of the face while that is good. */
function place(tag, boxes, taken, bounds, gap, memory) {
  const options = around(boxes.get(tag.face), tag, gap).map((corner) => inside(corner, tag, bounds));
  const costs = options.map((corner) => hidden(corner, tag, boxes, taken));
  const best = costs.indexOf(Math.min(...costs));
  const held = memory.places.get(tag.face) ?? { option: best, waited: 0 };
  const waited = held.option === best ? 0 : held.waited + 1;
  const stays = costs[held.option] <= costs[best] + LOYALTY * tag.width * tag.height && waited < PATIENCE;
  const chosen = stays ? held.option : best;
  memory.places.set(tag.face, { option: chosen, waited: stays ? waited : 0 });
  return options[chosen];
}

/** Places around a box in the order in which they are liked; the last, when there is no other, is on the forehead. */
function around([left, top, right, bottom], { width, height }, gap) {
  const above = top - height - gap;
  const below = bottom + gap;
  const middle = Math.round((left + right - width) / 2);
  return [
    [left, above], [right - width, above], [middle, above],
    [left, below], [right - width, below], [middle, below],
    [right + gap, top], [left - width - gap, top], [right + gap, bottom - height], [left - width - gap, bottom - height],
    [left, top],
  ];
}

function inside([x, y], { width, height }, [left, top, right, bottom]) {
  return [Math.max(left, Math.min(x, right - width)), Math.max(top, Math.min(y, bottom - height))];
}

/** Pixels that a tag would hide: of faces, and twice those of other tags. */
function hidden([x, y], { width, height }, boxes, taken) {
  const area = [x, y, x + width, y + height];
  let sum = 0;
  for (const box of boxes.values()) sum += overlap(area, box);
  for (const other of taken) sum += 2 * overlap(area, other);
  return sum;
}

function overlap(one, other) {
  const width = Math.min(one[2], other[2]) - Math.max(one[0], other[0]);
  const height = Math.min(one[3], other[3]) - Math.max(one[1], other[1]);
  return width > 0 && height > 0 ? width * height : 0;
}

function fillPanel(context, x, y, width, height, radius, colour) {
  context.fillStyle = colour;
  context.beginPath();
  context.roundRect(x, y, width, height, radius);
  context.fill();
}

function write(context, text, x, y, letters, colour, align, bold) {
  context.font = fontOf(letters, bold);
  context.textAlign = align;
  context.textBaseline = "alphabetic";
  context.fillStyle = colour;
  context.fillText(text, x, y);
}

/** Widths are kept: measuring text costs more than drawing it, and there are few words. */
function textWidth(context, text, letters, bold) {
  const key = `${letters} ${bold} ${text}`;
  if (!widths.has(key)) {
    if (widths.size > 500) widths.clear();
    context.font = fontOf(letters, bold);
    widths.set(key, context.measureText(text).width);
  }
  return widths.get(key);
}

function fontOf(letters, bold) {
  return `${bold ? "600 " : ""}${letters}px ${FONT}`;
}

function attentionColour(share) {
  const [low, high, part] = share < 0.5
    ? [ATTENTION_STOPS[0], ATTENTION_STOPS[1], 2 * share]
    : [ATTENTION_STOPS[1], ATTENTION_STOPS[2], 2 * share - 1];
  const mixed = low.map((value, index) => Math.round(value + part * (high[index] - value)));
  return `rgb(${mixed.join(" ")})`;
}
