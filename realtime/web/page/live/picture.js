// The canvas of the live door: a picture of the camera and what was read in it, always both of the same moment.

import { paint } from "../painting/painter.js";
import { labelName, personNumber, STATES } from "../words.js";

const LETTERS_PX = 14; // on the screen
const NARROWEST_PX = 240;
const DIM = "rgb(0 0 0 / 0.45)"; // over pictures in which nothing is read

export class Picture {
  #canvas;
  #context;
  #model;
  #size = [640, 480]; // of what is painted
  #scale = 1; // pixels of the canvas per pixel of a picture
  #letters = LETTERS_PX; // their size on the canvas
  #isEmpty = true;

  constructor(canvas, model) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { alpha: false });
    this.#model = model;
    new ResizeObserver(() => this.#fit()).observe(canvas);
    this.clear();
  }

  /** `[width, height]` of the pictures that will come. */
  set size(size) {
    this.#size = size;
    this.#fit();
  }

  /** A picture and its reading. */
  show(picture, faces, { time_s, mesh, mirrored }) {
    const { colours, layout } = this.#model;
    this.#isEmpty = false;
    paint(this.#context, picture, faces, {
      scale: this.#scale,
      letters: this.#letters,
      edges: layout.edges,
      colours,
      name: words,
      number: personNumber,
      mesh,
      mirrored,
      time_s,
    });
    if (faces.length === 0) this.#dim();
  }

  /** A picture without a reading. */
  preview(picture, mirrored) {
    this.#isEmpty = false;
    paint(this.#context, picture, [], { mirrored });
    this.#dim();
  }

  clear() {
    this.#isEmpty = true;
    this.#context.fillStyle = getComputedStyle(this.#canvas.parentElement).backgroundColor;
    this.#context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
  }

  #dim() {
    this.#context.fillStyle = DIM;
    this.#context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
  }

  /** The canvas gets about as many pixels as it takes on the screen, and letters a size that can be read there. */
  #fit() {
    const canvas = this.#canvas;
    const [width, height] = this.#size;
    const shown = canvas.clientWidth || width;
    const wanted = Math.min(2 * width, Math.max(width, shown * Math.min(1.5, window.devicePixelRatio)));
    this.#scale = Math.round((2 * wanted) / width) / 2; // near 1 it is 1: a picture that is not scaled is painted faster
    this.#letters = Math.round((LETTERS_PX * width * this.#scale) / Math.max(shown, NARROWEST_PX));
    const size = { width: Math.round(width * this.#scale), height: Math.round(height * this.#scale) };
    if (canvas.width === size.width && canvas.height === size.height) return;
    Object.assign(canvas, size);
    if (this.#isEmpty) this.clear();
  }
}

const words = (word) => STATES[word] ?? labelName(word);
