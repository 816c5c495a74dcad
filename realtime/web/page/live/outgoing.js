// The camera's pictures on their way to the server: always the newest, and only as fast as they are read.

import { encode, Frames } from "./frames.js";

const SILENT_MS = 3000; // a camera that gives no picture for so long is spoken of
const PREVIEW_MS = 60; // between pictures that are shown without a reading

export class Outgoing {
  #camera;
  #frames = null;
  #id = 0;
  #captured_ms = 0; // when the picture that was sent last was taken
  #presented_ms = null; // when the picture that the camera shows was taken; null: it was sent
  #pictured_ms = performance.now(); // when the camera gave its last picture
  #previewed_ms = -Infinity;
  #isBusy = false; // whether a picture is being copied and encoded

  constructor(camera) {
    this.#camera = camera;
  }

  /** For a new connection: `[width, height]` of all pictures that it will get. */
  begin() {
    this.#frames = new Frames(this.#camera.size);
    return this.#frames.size;
  }

  /** Width of the pictures. */
  get width() {
    return this.#frames.size[0];
  }

  /** Whether pictures have another size than those of the connection: a phone was turned. */
  get wasTurned() {
    return this.#camera.size.some((side, index) => side !== this.#frames.size[index]);
  }

  /** Whether the camera runs and gives nothing to read. */
  get isSilent() {
    return this.#camera.isMuted || performance.now() - this.#pictured_ms > SILENT_MS;
  }

  /** The camera has a new picture. */
  came(captured_ms) {
    this.#pictured_ms = performance.now();
    this.#presented_ms = captured_ms;
  }

  /** Sends what the camera shows now, if it is new and the server has time. */
  send(connection) {
    if (this.#isBusy || this.#presented_ms === null || !connection.hasTime) return;
    const captured_ms = this.#presented_ms;
    this.#presented_ms = null;
    if (captured_ms <= this.#captured_ms) return;
    this.#captured_ms = captured_ms;
    this.#work(async () => {
      const frame = await this.#frames.take(this.#camera.video, (this.#id += 1), captured_ms);
      connection.send(frame.id, captured_ms / 1000, await encode(frame));
    });
  }

  /** Gives what the camera sees to `show(picture)`, a few times a second, while nothing is read. */
  look(show) {
    const now = performance.now();
    if (this.#isBusy || !this.#frames || now - this.#previewed_ms < PREVIEW_MS) return;
    this.#previewed_ms = now;
    this.#work(async () => show(await this.#frames.look(this.#camera.video)));
  }

  /** The frame that a result is about, or null: `{canvas, captured_ms}`. */
  answer(id) {
    return this.#frames.answer(id);
  }

  /** No results will come any more. */
  clear() {
    this.#frames?.clear();
  }

  /** One at a time; a picture that cannot be had is passed over: the next one comes soon. */
  #work(action) {
    this.#isBusy = true;
    action()
      .catch(() => {})
      .finally(() => {
        this.#isBusy = false;
      });
  }
}
