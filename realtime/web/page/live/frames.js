// Pictures between camera and result: each is encoded to be sent, and kept until its result comes, so that both are
// painted together. They lie in a few canvases that are used again and again: nothing grows, whatever the server does.

const QUALITY = 0.8; // of JPEG: 17 kB for 640 x 480
const KEPT = 4; // two unanswered, one that is being encoded, one to spare

export class Frames {
  #free = [];
  #kept = []; // {id, captured_ms, canvas}, oldest first
  #looked; // for pictures that are only looked at
  #size;
  #pixels = null; // of one picture, while it is copied
  #copies = typeof VideoFrame !== "undefined";

  /** `size`: `[width, height]` of all pictures. */
  constructor(size) {
    this.#size = size;
    for (let number = 0; number < KEPT; number += 1) this.#free.push(newCanvas(size));
    this.#looked = newCanvas(size);
  }

  get size() {
    return this.#size;
  }

  /** Keeps what a video shows now; if too many are kept, the oldest is given up: its result will not come any more. */
  async take(video, id, captured_ms) {
    const canvas = this.#free.pop() ?? this.#kept.shift().canvas;
    const frame = { id, captured_ms, canvas };
    this.#kept.push(frame);
    await this.#draw(video, canvas);
    return frame;
  }

  /** What a video shows now, on a canvas that the next look takes again. */
  async look(video) {
    await this.#draw(video, this.#looked);
    return this.#looked;
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

  // Without a graphics processor, Chromium keeps every picture that is drawn from a video, half a gigabyte of them, and
  // draws them in 2 ms. Copied pixels take 0.8 ms and no memory; but they cannot be scaled or turned on the way.
  async #draw(video, canvas) {
    const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    if (this.#copies) {
      try {
        if (await this.#copy(video, context)) return;
      } catch {
        // This browser cannot copy them.
      }
      this.#copies = false;
    }
    context.drawImage(video, 0, 0, ...this.#size);
  }

  async #copy(video, context) {
    const [width, height] = this.#size;
    const picture = new VideoFrame(video, { timestamp: 0 });
    try {
      const { visibleRect, rotation = 0, flip = false } = picture;
      const fits = visibleRect.width === width && visibleRect.height === height && !rotation && !flip;
      if (!fits || picture.allocationSize({ format: "RGBA" }) !== 4 * width * height) return false;
      this.#pixels ??= new ImageData(width, height);
      await picture.copyTo(this.#pixels.data, { format: "RGBA" });
    } finally {
      picture.close();
    }
    context.putImageData(this.#pixels, 0, 0);
    return true;
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
