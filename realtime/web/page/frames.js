// Pictures between camera and result: each is encoded to be sent, and kept until its result comes, so that both are
// painted together. They lie in a few canvases that are used again and again: nothing grows, whatever the server does.

const QUALITY = 0.8; // of JPEG: 17 kB for 640 x 480
const KEPT = 4; // two unanswered, one that is being encoded, one to spare

export class Frames {
  #free = [];
  #kept = []; // {id, captured_ms, canvas}, oldest first
  #size;

  /** `size`: `[width, height]` of all pictures. */
  constructor(size) {
    this.#size = size;
    for (let number = 0; number < KEPT; number += 1) this.#free.push(newCanvas(size));
  }

  get size() {
    return this.#size;
  }

  /** Keeps what a video shows now; if too many are kept, the oldest is given up: its result will not come any more. */
  take(video, id, captured_ms) {
    const canvas = this.#free.pop() ?? this.#kept.shift().canvas;
    contextOf(canvas).drawImage(video, 0, 0, ...this.#size);
    const frame = { id, captured_ms, canvas };
    this.#kept.push(frame);
    return frame;
  }

  /** The frame of a result, or null; it and all older ones are given back: what it shows must be painted at once. */
  answer(id) {
    let found = null;
    while (this.#kept.length && this.#kept[0].id <= id) {
      const frame = this.#kept.shift();
      if (frame.id === id) found = frame;
      this.#free.push(frame.canvas);
    }
    return found;
  }

  /** Gives all of them back. */
  clear() {
    for (const { canvas } of this.#kept.splice(0)) this.#free.push(canvas);
  }
}

/** A kept frame as the bytes of a JPEG. */
export async function encode({ canvas }) {
  const blob = canvas.convertToBlob
    ? await canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY })
    : await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
  return blob.arrayBuffer();
}

// Measured in Chromium: 3.3 ms on the page's own thread, with less work than `toBlob`; a worker takes 7 ms, since pictures
// must be copied for it.
function newCanvas([width, height]) {
  if (typeof OffscreenCanvas !== "undefined" && OffscreenCanvas.prototype.convertToBlob) return new OffscreenCanvas(width, height);
  return Object.assign(document.createElement("canvas"), { width, height });
}

const contextOf = (canvas) => canvas.getContext("2d", { alpha: false, willReadFrequently: true });
