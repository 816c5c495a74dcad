// Probabilities over time, all labels on top of one another: they sum to one, so that every height is filled. Nothing is
// painted where there was no face. The live door scrolls it; the video door shows a whole video and lets one click in it.

import { paintBands } from "./bands.js";
import { Course } from "./course.js";

const REDRAW_MS = 100; // it is painted at most ten times a second, but for the cursor
const STEP_S = 0.2; // of an arrow key
const AXIS_PX = 18;

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
  #course = new Course();
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
    this.#course.set(points);
    this.#invalidate();
    this.#describe();
  }

  /** One more point, at the right edge of a timeline that scrolls. */
  push(point) {
    this.#scrolls = true;
    this.#course.push(point);
    this.#invalidate();
  }

  /** What lies between the left and the right edge, in seconds. */
  setSpan(start_s, end_s) {
    this.#span = [start_s, Math.max(end_s, start_s + 0.001)];
    if (this.#scrolls) this.#course.dropBefore(start_s);
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
    return this.#course.at(time_s);
  }

  /** Lets go of the canvas. */
  close() {
    clearTimeout(this.#timer);
    this.#observer.disconnect();
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
      this.#paintBands();
      this.#stale = false;
      this.#paintedMs = performance.now();
    }
    this.#context.clearRect(0, 0, width, height);
    this.#context.drawImage(this.#bands, 0, 0);
    this.#paintCursor(width);
  }

  #paintBands() {
    const [span, { axis }] = [this.#span, this.#options];
    const view = { span, tall: this.#tall, ratio: this.#ratio, ink: axis ? getComputedStyle(this.#canvas).color : null };
    paintBands(this.#bands.getContext("2d"), this.#course.stretches(...span), view, this.#options);
  }

  #paintCursor(width) {
    if (this.#cursorS === null) return;
    const [start, end] = this.#span;
    const x = Math.round((width * (this.#cursorS - start)) / (end - start));
    const line = 2 * this.#ratio;
    const left = Math.min(width - line, Math.max(0, x - line / 2));
    this.#context.fillStyle = "rgb(255 255 255 / 0.9)";
    this.#context.fillRect(left - this.#ratio, 0, line + 2 * this.#ratio, this.#tall);
    this.#context.fillStyle = "rgb(17 20 25)";
    this.#context.fillRect(left, 0, line, this.#tall);
  }

  /** Height of the bands in canvas pixels; times stand below. */
  get #tall() {
    return this.#canvas.height - (this.#options.axis ? AXIS_PX * this.#ratio : 0);
  }
}
