// Tags that name faces, laid where they hide none, and steady: a tag that jumped around could not be read.

const PAPER = "rgb(17 20 25)";
const GROUND = "rgb(17 20 25 / 0.85)";
const INK = "rgb(236 240 244)";
const MUTED = "rgb(150 161 172)";
const QUIET_CHIP = "rgb(58 66 76)";
const LOYALTY = 0.08; // of a tag's area: a place must be better by this before a tag moves there
const PATIENCE = 45; // pictures for which a place that is liked better must be free before a tag moves back there
const FONT = "system-ui, sans-serif";

const widths = new Map();

/**
 * Draws a tag for every face: its number on its colour, what it shows, and how probable that is.
 *
 * `boxes`: face -> box in canvas pixels; `letters`: their size; `options`: those of `paint`; `places`: what is remembered
 * of where tags were, face -> place.
 */
export function drawTags(context, faces, boxes, letters, options, places) {
  const { width, height } = context.canvas;
  const margin = Math.round(letters / 2.3);
  const bounds = [margin, margin, width - margin, height - margin];
  const tags = faces.map((face) => tagOf(context, face, letters, options));
  const taken = [];
  tags.forEach((tag) => {
    const corner = place(tag, boxes, taken, bounds, margin, places);
    taken.push([corner[0], corner[1], corner[0] + tag.width, corner[1] + tag.height]);
    drawTag(context, corner, tag, letters);
  });
}

/** Whether nothing is said of a face. */
export function isQuiet(face) {
  return face.state === "uncertain" || face.state === "warming up" || face.state === "no face";
}

/** What a tag says, and its size. */
function tagOf(context, face, letters, { name = (word) => word, number = String, colours = {} }) {
  const text = name((isQuiet(face) ? face.state : face.label) ?? "");
  const known = Number.isFinite(face.confidence) && !isQuiet(face);
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
    width: Math.round(width),
    height: Math.round(1.75 * letters),
  };
}

function drawTag(context, [left, top], tag, letters) {
  const radius = 0.45 * letters;
  const base = top + 0.5 * tag.height + 0.36 * letters;
  const right = left + tag.width;
  fillPanel(context, left, top, tag.width, tag.height, radius, GROUND);
  fillPanel(context, left, top, tag.chipWidth, tag.height, radius, tag.colour);
  const words = tag.quiet ? MUTED : INK;
  const start = left + tag.chipWidth + 0.6 * letters;
  write(context, tag.chip, left + tag.chipWidth / 2, base, letters, tag.quiet ? INK : inkOn(tag.colour), "center", true);
  write(context, tag.text, start, base, letters, words, "left", true);
  if (tag.figure) write(context, tag.figure, right - 0.7 * letters, base, letters, words, "right", false);
}

/** The left upper corner of a tag, where it hides the least; it stays on its side of the face while that is good. */
function place(tag, boxes, taken, bounds, gap, places) {
  const options = around(boxes.get(tag.face), tag, gap).map((corner) => inside(corner, tag, bounds));
  const costs = options.map((corner) => hidden(corner, tag, boxes, taken));
  const best = costs.indexOf(Math.min(...costs));
  const held = places.get(tag.face) ?? { option: best, waited: 0 };
  const waited = held.option === best ? 0 : held.waited + 1;
  const stays = costs[held.option] <= costs[best] + LOYALTY * tag.width * tag.height && waited < PATIENCE;
  const chosen = stays ? held.option : best;
  places.set(tag.face, { option: chosen, waited: stays ? waited : 0 });
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

/** Light or dark letters, whichever are easier to read on this "#rrggbb" (luma of ITU-R BT.601). */
export function inkOn(colour) {
  const value = /^#[0-9a-f]{6}$/i.test(colour) ? Number.parseInt(colour.slice(1), 16) : 0x96a1ac;
  const luma = 0.299 * (value >> 16) + 0.587 * ((value >> 8) & 255) + 0.114 * (value & 255);
  return luma > 140 ? PAPER : "white";
}
