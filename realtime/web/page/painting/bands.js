// Stretches of time as bands: all labels on top of one another, with their names in them and the time under them.

import { clock } from "../words.js";
import { inkOn } from "./tags.js";

const NAME_PX = 11;
const TICK_EVERY_PX = 70; // or further apart
const FONT = "system-ui, sans-serif";

/**
 * Paints stretches of time into the upper `tall` pixels of a canvas, and times below if there is room.
 *
 * `stretches`: lists of points with probabilities; `view`: {span: [start_s, end_s], tall, ratio: canvas pixels per pixel of
 * the page, ink: colour of the times}; `options`: {labels, colours, name}.
 */
export function paintBands(context, stretches, view, options) {
  const { width, height } = context.canvas;
  const { labels, colours } = options;
  const [start, end] = view.span;
  const column = (time_s) => (width * (time_s - start)) / (end - start);
  context.clearRect(0, 0, width, height);
  for (const points of stretches) {
    const xs = points.map((point) => column(point.time_s));
    const sums = points.map(() => 0);
    const tops = labels.map((_, index) => points.map((point, at) => view.tall * (1 - (sums[at] += point.probabilities[index] ?? 0))));
    // The tallest first: each covers the lower part of the one before, and no seams are left between bands.
    for (let index = labels.length - 1; index >= 0; index -= 1) {
      const heights = index === labels.length - 1 ? tops[index].map(() => 0) : tops[index];
      fillUnder(context, xs, heights, view.tall, colours[labels[index]]);
    }
    writeNames(context, points, xs, tops, view, options);
  }
  paintTicks(context, view, column);
}

function fillUnder(context, xs, heights, foot, colour) {
  context.fillStyle = colour;
  context.beginPath();
  context.moveTo(xs[0], foot);
  for (let at = 0; at < xs.length; at += 1) context.lineTo(xs[at], heights[at]);
  context.lineTo(xs[xs.length - 1], foot);
  context.fill();
}

/** A label's name in its band, wherever it is long and thick enough: nothing is said by colour alone. */
function writeNames(context, points, xs, tops, { tall, ratio }, { labels, colours, name }) {
  const letters = NAME_PX * ratio;
  context.font = `600 ${letters}px ${FONT}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  const leaders = points.map((point) => point.probabilities.indexOf(Math.max(...point.probabilities)));
  for (let first = 0, next; first < points.length; first = next) {
    next = first + 1;
    while (next < points.length && leaders[next] === leaders[first]) next += 1;
    const [left, right] = [Math.max(0, xs[first]), Math.min(context.canvas.width, xs[next - 1])];
    const leader = leaders[first];
    const text = name(labels[leader]);
    if (right - left < context.measureText(text).width + 1.5 * letters) continue;
    const x = (left + right) / 2;
    let at = first;
    while (at + 1 < next && xs[at + 1] < x) at += 1;
    const top = leader === labels.length - 1 ? 0 : tops[leader][at];
    const foot = leader === 0 ? tall : tops[leader - 1][at];
    if (foot - top < 1.5 * letters) continue;
    context.fillStyle = inkOn(colours[labels[leader]]);
    context.fillText(text, x, (top + foot) / 2);
  }
}

function paintTicks(context, { span: [start, end], tall, ratio, ink }, column) {
  const { width, height } = context.canvas;
  const every = tickStep(((end - start) * TICK_EVERY_PX * ratio) / width);
  const mark = Math.max(2, Math.round(tall / 14));
  const times = [];
  for (let time = Math.ceil(start / every) * every; time <= end; time += every) times.push(time);
  context.fillStyle = "rgb(128 136 144 / 0.75)";
  for (const time of times) context.fillRect(Math.round(column(time)), tall - mark, ratio, mark);
  if (tall === height) return;
  context.font = `${NAME_PX * ratio}px ${FONT}`;
  context.textBaseline = "middle";
  context.textAlign = "center";
  context.fillStyle = ink;
  for (const time of times) {
    const text = clock(time, every < 1);
    const half = context.measureText(text).width / 2;
    context.fillText(text, Math.min(width - half, Math.max(half, column(time))), (tall + height) / 2);
  }
}

/** The roundest step of time that is at least this many seconds. */
function tickStep(least_s) {
  return [0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600].find((step) => step >= least_s) ?? 1200;
}
