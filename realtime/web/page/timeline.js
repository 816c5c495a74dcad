// Probabilities over time, all labels on top of one another: they sum to one, so that every height is filled. Nothing is
// painted where there was no face. The live door scrolls it; the video door shows a whole video and lets one click in it.

import { inkOn } from "./tags.js";

const GAP_S = 1; // without any news for longer, nothing was known
const REDRAW_MS = 100; // it is painted at most ten times a second, but for the cursor
const RAMP_S = 0.4; // between points this near the curve runs straight; after a longer hold it starts to move late
const LEAST_STEP_S = 1 / 15; // finer steps than the eye follows would only cost time
const STEP_S = 0.2; // of an arrow key
const AXIS_PX = 18;
const NAME_PX = 11;
const FONT = "system-ui, sans-serif";

/**
 * A timeline on a canvas whose size in the page is given by CSS.
 *
 * Options: labels (their order is that of the bands, the first lies at the foot), colours `{label: "#rrggbb"}`;
 * axis: whether times stand under the bands; name: label -> words; caption: what a screen reader calls it.
 */
export class Timeline {
  #canvas;
  #context;
  #options;
  #bands = document.createElement("canvas"); // what changes seldom; the cursor is laid over it
  #points = [];
  #heldS = -Infinity; // up to here the last point holds
  #scrolls = false;
  #span = [0, 1];
  #cursorS = null;
  #seek = null;
  #stale = true;
  #paintedMs = -Infinity;
  #timer = 0;
  #ratio = 1;
  #observer;

  constructor(canvas, { labels, colours, axis = false, name = (word) => word, caption = "Probabilities over time" }) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    this.#options = { labels, colours, axis, name };
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", caption);
    // The size is read here and nowhere else: reading it while painting would make the browser lay out the page.
    this.#observer = new ResizeObserver(([entry]) => this.#resize(entry.contentRect.width, entry.contentRect.height));
    this.#observer.observe(canvas);
  }

  /** All points at once, in the order of time. */
  setPoints(points) {
    this.#scrolls = false;
    this.#points = points.slice();
    this.#heldS = points.length ? points[points.length - 1].time_s : -Infinity;
    this.#invalidate();
    this.#describe();
  }

  /** One more point; what repeats the last one only makes it last longer. A clock that runs backwards begins anew. */
  push(point) {
    this.#scrolls = true;
    const points = this.#points;
    const last = points[points.length - 1];
    if (last && point.time_s < this.#heldS) points.length = 0;
    else if (last && this.#holds(last, point)) {
      this.#heldS = point.time_s;
      return;
    } else if (last && this.#mustKeep(last, point)) points.push({ ...last, time_s: this.#heldS });
    else if (points.length > 1 && point.time_s - points[points.length - 2].time_s < LEAST_STEP_S) points.pop();
    points.push(point);
    this.#heldS = point.time_s;
    this.#invalidate();
  }

  /** What lies between the left and the right edge, in seconds. */
  setSpan(start_s, end_s) {
    this.#span = [start_s, Math.max(end_s, start_s + 0.001)];
    this.#dropOld();
    this.#invalidate();
    this.#describe();
  }

  /** Where the cursor is, in seconds; null: nowhere. */
  setCursor(time_s) {
    if (this.#cursorS === time_s) return;
    this.#cursorS = time_s;
    this.#schedule(true);
    this.#describe();
  }

  /** Makes it a slider: `callback(time_s)` is called on clicks, drags and keys. */
  onSeek(callback) {
    const first = this.#seek === null;
    this.#seek = callback;
    if (!first) return;
    const canvas = this.#canvas;
    canvas.setAttribute("role", "slider");
    canvas.tabIndex = 0;
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      this.#point(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (canvas.hasPointerCapture(event.pointerId)) this.#point(event);
    });
    this.#describe();
  }

  /** The point at a time, or null where nothing is known. */
  at(time_s) {
    const index = this.#indexAt(time_s);
    const near = [this.#points[index], this.#points[index + 1]]
      .filter((point) => point?.probabilities && Math.abs(point.time_s - time_s) <= GAP_S)
      .sort((one, other) => Math.abs(one.time_s - time_s) - Math.abs(other.time_s - time_s));
    return near[0] ?? null;
  }

  /** Lets go of the canvas. */
  close() {
    clearTimeout(this.#timer);
    this.#observer.disconnect();
  }

  #holds(last, point) {
    if (point.time_s - this.#heldS > GAP_S || last.label !== point.label) return false;
    if (!last.probabilities || !point.probabilities) return !last.probabilities && !point.probabilities;
    return last.probabilities.every((value, index) => value === point.probabilities[index]);
  }

  /** Whether the curve stays level up to the last news, before it goes to a new point or breaks off. */
  #mustKeep(last, point) {
    const known = last.probabilities && point.probabilities;
    return this.#heldS > last.time_s && (!known || this.#heldS - last.time_s > RAMP_S);
  }

  /** Of what scrolls, nothing is kept that has left. */
  #dropOld() {
    if (!this.#scrolls) return;
    const old = this.#indexAt(this.#span[0]);
    if (old > 64) this.#points.splice(0, old);
  }

  #indexAt(time_s) {
    let [low, high] = [0, this.#points.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#points[middle].time_s <= time_s) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  #key(event) {
    const [start, end] = this.#span;
    const now = this.#cursorS ?? start;
    const leap = Math.max(1, (end - start) / 10);
    const goals = {
      ArrowLeft: now - STEP_S, ArrowDown: now - STEP_S, ArrowRight: now + STEP_S, ArrowUp: now + STEP_S,
      PageDown: now - leap, PageUp: now + leap, Home: start, End: end,
    };
    if (!(event.key in goals) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.#seekTo(goals[event.key]);
  }

  #point(event) {
    const [start, end] = this.#span;
    const bounds = this.#canvas.getBoundingClientRect();
    this.#seekTo(start + ((event.clientX - bounds.left) / bounds.width) * (end - start));
  }

  #seekTo(time_s) {
    const [start, end] = this.#span;
    const goal = Math.min(end, Math.max(start, time_s));
    this.setCursor(goal);
    this.#seek(goal);
  }

  #describe() {
    if (this.#seek === null) return;
    const [start, end] = this.#span;
    const now = this.#cursorS ?? start;
    const point = this.at(now);
    const { labels, name } = this.#options;
    let said = "nothing read";
    if (point) {
      const strongest = labels.includes(point.label)
        ? labels.indexOf(point.label)
        : point.probabilities.indexOf(Math.max(...point.probabilities));
      said = `${name(labels[strongest])} ${point.probabilities[strongest].toFixed(2)}`;
    }
    const values = { valuemin: start.toFixed(1), valuemax: end.toFixed(1), valuenow: now.toFixed(1) };
    values.valuetext = `${now.toFixed(1)} s, ${said}`;
    for (const [key, value] of Object.entries(values)) this.#canvas.setAttribute(`aria-${key}`, value);
  }

  #resize(width, height) {
    this.#ratio = Math.min(2, window.devicePixelRatio || 1);
    const size = [Math.round(width * this.#ratio), Math.round(height * this.#ratio)];
    if (!size[0] || !size[1]) return;
    for (const canvas of [this.#canvas, this.#bands]) [canvas.width, canvas.height] = size;
    this.#stale = true;
    this.#paint();
  }

  #invalidate() {
    this.#stale = true;
    this.#schedule(false);
  }

  #schedule(soon) {
    if (this.#timer) return;
    const wait = soon && !this.#stale ? 16 : Math.max(16, this.#paintedMs + REDRAW_MS - performance.now());
    this.#timer = setTimeout(() => this.#paint(), wait);
  }

  #paint() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    const { width, height } = this.#bands;
    if (!this.#canvas.isConnected || !width || width !== this.#canvas.width) return;
    if (this.#stale) {
      this.#paintBands(this.#bands.getContext("2d"), width, height);
      this.#stale = false;
      this.#paintedMs = performance.now();
    }
    this.#context.clearRect(0, 0, width, height);
    this.#context.drawImage(this.#bands, 0, 0);
    this.#paintCursor(width, height);
  }

  #paintCursor(width, height) {
    if (this.#cursorS === null) return;
    const [start, end] = this.#span;
    const x = Math.round((width * (this.#cursorS - start)) / (end - start));
    const line = 2 * this.#ratio;
    const left = Math.min(width - line, Math.max(0, x - line / 2));
    const tall = height - (this.#options.axis ? AXIS_PX * this.#ratio : 0);
    this.#context.fillStyle = "rgb(255 255 255 / 0.9)";
    this.#context.fillRect(left - this.#ratio, 0, line + 2 * this.#ratio, tall);
    this.#context.fillStyle = "rgb(17 20 25)";
    this.#context.fillRect(left, 0, line, tall);
  }

  #paintBands(context, width, height) {
    const { labels, colours, axis } = this.#options;
    const tall = height - (axis ? AXIS_PX * this.#ratio : 0);
    const [start, end] = this.#span;
    const column = (time_s) => (width * (time_s - start)) / (end - start);
    context.clearRect(0, 0, width, height);
    for (const run of this.#runs()) {
      const xs = run.map((point) => column(point.time_s));
      const sums = run.map(() => 0);
      const tops = labels.map((_, index) =>
        run.map((point, at) => tall * (1 - (sums[at] += point.probabilities[index] ?? 0))),
      );
      // The tallest first: each covers the lower part of the one before, and no seams are left between bands.
      for (let index = labels.length - 1; index >= 0; index -= 1) {
        const heights = index === labels.length - 1 ? tops[index].map(() => 0) : tops[index];
        fillUnder(context, xs, heights, tall, colours[labels[index]]);
      }
      this.#writeNames(context, run, xs, tops, tall, width);
    }
    this.#paintTicks(context, width, height, tall, column);
  }

  /** Stretches in which something was known, cut to what is in sight; a lone point is given some width. */
  #runs() {
    const [start, end] = this.#span;
    const held = Math.min(end, this.#heldS);
    const points = this.#points.slice(Math.max(0, this.#indexAt(start)));
    const runs = [];
    let run = [];
    const finish = () => {
      if (run.length === 1) run = [run[0], { ...run[0], time_s: run[0].time_s + STEP_S }];
      if (run.length) runs.push(run);
      run = [];
    };
    for (const point of points) {
      if (point.time_s > end + GAP_S) break;
      if (run.length && point.time_s - run[run.length - 1].time_s > GAP_S) finish();
      if (point.probabilities) run.push(point);
      else finish();
    }
    const last = run[run.length - 1];
    if (last && last === this.#points[this.#points.length - 1] && held > last.time_s) run.push({ ...last, time_s: held });
    finish();
    return runs;
  }

  /** A label's name in its band, wherever it is long and thick enough: nothing is said by colour alone. */
  #writeNames(context, run, xs, tops, tall, width) {
    const { labels, colours, name } = this.#options;
    const letters = NAME_PX * this.#ratio;
    context.font = `600 ${letters}px ${FONT}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    const leaders = run.map((point) => point.probabilities.indexOf(Math.max(...point.probabilities)));
    for (let first = 0, next; first < run.length; first = next) {
      next = first + 1;
      while (next < run.length && leaders[next] === leaders[first]) next += 1;
      const [left, right] = [Math.max(0, xs[first]), Math.min(width, xs[next - 1])];
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

  #paintTicks(context, width, height, tall, column) {
    const [start, end] = this.#span;
    const every = tickStep((end - start) * (70 * this.#ratio) / width);
    const mark = Math.max(2, Math.round(tall / 14));
    context.fillStyle = "rgb(128 136 144 / 0.75)";
    for (let time = Math.ceil(start / every) * every; time <= end; time += every) {
      context.fillRect(Math.round(column(time)), tall - mark, this.#ratio, mark);
    }
    if (!this.#options.axis) return;
    context.font = `${NAME_PX * this.#ratio}px ${FONT}`;
    context.textBaseline = "middle";
    context.fillStyle = getComputedStyle(this.#canvas).color;
    for (let time = Math.ceil(start / every) * every; time <= end; time += every) {
      const text = clock(time, every < 1);
      const half = context.measureText(text).width / 2;
      context.textAlign = "center";
      context.fillText(text, Math.min(width - half, Math.max(half, column(time))), tall + (height - tall) / 2);
    }
  }
}

function fillUnder(context, xs, heights, foot, colour) {
  context.fillStyle = colour;
  context.beginPath();
  context.moveTo(xs[0], foot);
  for (let at = 0; at < xs.length; at += 1) context.lineTo(xs[at], heights[at]);
  context.lineTo(xs[xs.length - 1], foot);
  context.fill();
}

/** The roundest step of time that is at least this many seconds. */
function tickStep(least_s) {
  return [0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600].find((step) => step >= least_s) ?? 1200;
}

function clock(time_s, tenths) {
  const rounded = tenths ? Math.round(time_s * 10) / 10 : Math.round(time_s);
  const minutes = Math.floor(rounded / 60);
  const seconds = rounded - 60 * minutes;
  return `${minutes}:${(tenths ? seconds.toFixed(1) : String(seconds)).padStart(tenths ? 4 : 2, "0")}`;
}
