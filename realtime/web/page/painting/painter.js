// What is painted on a picture: corners of a box, a tag with number, label and confidence, and the graph that the model
// reads, coloured by where it looks. Relative of the desktop program: same corners, same shades, same places for tags.

import { drawTags, isQuiet } from "./tags.js";

const DARK = "rgb(10 12 15)";
const MUTED = "rgb(150 161 172)";

// From even attention or less (grey) to much (vermilion), in eight shades: lines of one shade are drawn at once.
const ATTENTION_STOPS = [[169, 180, 192], [230, 159, 0], [213, 94, 0]];
const SHADES = Array.from({ length: 8 }, (_, index) => attentionColour(index / 7));
const PLAIN_SHADE = "rgb(230 236 242)";

const CALM_S = 0.4; // time constant with which the colours of attention change

/** What is remembered of each canvas, so that tags keep their side and colours change calmly. */
const memories = new WeakMap();

/**
 * Paint a picture and what was read in it.
 *
 * @param {CanvasRenderingContext2D} context it fills the canvas of this context.
 * @param {CanvasImageSource|null} picture null: the canvas is cleared, for a canvas that lies over a picture.
 * @param {Array} faces each `{face, label, confidence, box, state?, nodes?, attention?}`; boxes
 *     `[x0, y0, x1, y1]` and nodes (`[x, y, x, y...]` or `[[x, y]...]`) in pixels of the picture.
 * @param {object} options
 *     scale: canvas pixels per picture pixel, one number or `[x, y]`;
 *     mesh: whether nodes and edges are drawn; edges: `[[a, b]...]` of the layout;
 *     colours: `{label: "#rrggbb"}`, what has none stays grey;
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
  drawTags(context, shown, boxes, letters, options, memory.places);
  forget(memory, shown);
}

/** The colour of a face's label; grey while nothing is said. */
function colourOf(face, { colours = {} } = {}) {
  return isQuiet(face) ? MUTED : colours[face.label] ?? MUTED;
}

/** (V) attention -> (V) from 0 (even attention or less) to 1 (the most of this face, but not a single odd node). */
function attentionStrength(attention) {
  const total = attention.reduce((sum, value) => sum + value, 0);
  if (!(total > 0)) return attention.map(() => 0);
  const relative = attention.map((value) => (value * attention.length) / total);
  const sorted = [...relative].sort((one, other) => one - other);
  const top = Math.max(1.5, sorted[Math.min(sorted.length - 1, Math.round(0.98 * (sorted.length - 1)))]);
  return relative.map((value) => Math.min(1, Math.max(0, (value - 1) / (top - 1))));
}

/** Whether pictures of these sizes have one shape; where not, boxes of one would lie beside the faces of the other. */
export function sameShape([width, height], [otherWidth, otherHeight]) {
  return Math.abs(Math.log((width * otherHeight) / (height * otherWidth))) < 0.03;
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

function attentionColour(share) {
  const [low, high, part] = share < 0.5
    ? [ATTENTION_STOPS[0], ATTENTION_STOPS[1], 2 * share]
    : [ATTENTION_STOPS[1], ATTENTION_STOPS[2], 2 * share - 1];
  const mixed = low.map((value, index) => Math.round(value + part * (high[index] - value)));
  return `rgb(${mixed.join(" ")})`;
}
