// The live socket: pictures go out as the server has time for them, results come back. When it breaks, it is opened
// again, after waits that grow, and says so meanwhile.

import { address } from "../api.js";

const UNANSWERED = 2; // pictures that may be on their way or in work
const PATIENCE_MS = 1000; // a picture that was not answered for so long was passed over
const BACKLOG_BYTES = 256 * 1024; // with more than this still to be sent, the network is too slow for another picture
const WAITS_S = [0.5, 1, 2, 4, 8, 15];
const WAIT_WHEN_FULL_S = 10;
const REFUSED = 1008;

/**
 * A socket that stays open until `close()`.
 *
 * `hello()` gives what is sent first, `faces` how many people are followed, and `on` has
 *   state(name, detail)   "connecting" | "waiting" {ahead} | "ready" | "lost" {again_s, reason, attempts} | "refused" {reason}
 *   result(message), neutral(message), recording(message)
 */
export class Connection {
  #socket = null;
  #faces;
  #hello;
  #on;
  #ready = false;
  #unanswered = []; // {id, sent_ms}
  #attempt = 0;
  #timer = 0;
  #reason = null;
  #full = false;

  constructor({ faces, hello, on }) {
    this.#faces = faces;
    this.#hello = hello;
    this.#on = on;
    this.#open();
  }

  get isReady() {
    return this.#ready;
  }

  /** Whether the server has time for another picture. */
  get hasTime() {
    if (!this.#ready || this.#socket.bufferedAmount > BACKLOG_BYTES) return false;
    const now = performance.now();
    while (this.#unanswered.length && now - this.#unanswered[0].sent_ms > PATIENCE_MS) this.#unanswered.shift();
    return this.#unanswered.length < UNANSWERED;
  }

  /** Sends a picture: its number, the time it was taken, and a JPEG (ArrayBuffer). */
  send(id, time_s, jpeg) {
    if (!this.#isOpen) return;
    const message = new Uint8Array(12 + jpeg.byteLength);
    const view = new DataView(message.buffer);
    view.setUint32(0, id, true);
    view.setFloat64(4, time_s, true);
    message.set(new Uint8Array(jpeg), 12);
    this.#socket.send(message);
    this.#unanswered.push({ id, sent_ms: performance.now() });
  }

  /** Sends a message that is no picture; nothing if there is nobody to hear it. */
  say(message) {
    if (this.#isOpen) this.#socket.send(JSON.stringify(message));
  }

  /** Opens it at once instead of after the wait. */
  hurry() {
    if (!this.#timer) return;
    this.#attempt = 0;
    this.#open();
  }

  /** Leaves for good. */
  close() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    const socket = this.#socket;
    this.#drop();
    socket?.close(1000);
  }

  get #isOpen() {
    return this.#ready && this.#socket.readyState === WebSocket.OPEN;
  }

  #open() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#reason = null;
    this.#full = false;
    this.#on.state("connecting", {});
    const url = new URL(address(`api/live?faces=${this.#faces}`));
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.addEventListener("open", () => socket.send(JSON.stringify({ type: "hello", ...this.#hello() })));
    socket.addEventListener("message", ({ data }) => this.#socket === socket && this.#hear(JSON.parse(data)));
    socket.addEventListener("close", ({ code }) => this.#socket === socket && this.#closed(code));
  }

  #hear(message) {
    switch (message.type) {
      case "result":
        this.#unanswered = this.#unanswered.filter(({ id }) => id > message.frame);
        this.#on.result(message);
        break;
      case "wait":
        this.#on.state("waiting", { ahead: message.ahead });
        break;
      case "ready":
        this.#ready = true;
        this.#attempt = 0;
        this.#on.state("ready", {});
        break;
      case "neutral":
        this.#on.neutral(message);
        break;
      case "recording":
        this.#on.recording(message);
        break;
      case "full":
        this.#full = true;
        this.#reason = message.error;
        break;
      case "error":
        this.#reason = message.error;
        break;
      case "end":
        this.#reason = message.reason;
        break;
    }
  }

  #closed(code) {
    const reason = this.#reason;
    this.#drop();
    if (code === REFUSED) {
      this.#on.state("refused", { reason });
      return;
    }
    const again_s = this.#full ? WAIT_WHEN_FULL_S : WAITS_S[Math.min(this.#attempt, WAITS_S.length - 1)];
    this.#attempt += 1;
    this.#timer = setTimeout(() => this.#open(), 1000 * again_s);
    this.#on.state("lost", { again_s, reason, attempts: this.#attempt });
  }

  #drop() {
    this.#socket = null;
    this.#ready = false;
    this.#unanswered = [];
  }
}
