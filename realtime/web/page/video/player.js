// A video of the user's own disk, with what was read in it painted over every frame.

import { hook } from "../elements.js";
import { paint, sameShape } from "../painting/painter.js";
import { clock, labelName, personNumber } from "../words.js";

const NO_NODE = -32768; // a frame without a face, in the mesh that the server sends

export class Player {
  #root;
  #video;
  #canvas;
  #context;
  #model;
  #result;
  #labelAt;
  #onTime;
  #meshOf;
  #attempt;
  #meshes = new Map(); // face -> Int16Array, half pixels
  #address;
  #resizing;
  #shown_s = 0;
  #origin_s = null; // the browser's time of the first frame, from which the server counts: sound may begin earlier
  #closed = false;

  /**
   * `root`: has the elements of the template "video-reading"; `file`: what was uploaded; `result`: of the server.
   * `labelAt(face, time_s)`: {label, confidence} or null; `meshOf(face)`: promise of an ArrayBuffer; `attempt(action)`:
   * does what may fail, and says so;
   * `onTime(time_s)`: after every frame that is shown; `onPause(time_s)`; `onUnplayable()`: the browser cannot show it.
   */
  constructor(root, { file, result, model, labelAt, meshOf, attempt, onTime, onPause, onUnplayable }) {
    this.#root = root;
    this.#video = hook(root, "video-player");
    this.#canvas = hook(root, "video-canvas");
    this.#context = this.#canvas.getContext("2d");
    [this.#model, this.#result, this.#labelAt, this.#meshOf, this.#onTime] = [model, result, labelAt, meshOf, onTime];
    this.#attempt = attempt;
    const [width, height] = result.image_size;
    hook(root, "video-player").parentElement.style.setProperty("--ratio", String(width / height));

    const video = this.#video;
    this.#address = URL.createObjectURL(file);
    video.addEventListener("error", onUnplayable, { once: true });
    video.addEventListener("loadedmetadata", () => {
      // Sound alone, or a picture of another shape than was read, cannot be shown with boxes.
      if (sameShape([video.videoWidth, video.videoHeight], result.image_size)) this.#showTime();
      else onUnplayable();
    });
    for (const event of ["play", "pause", "ended"]) video.addEventListener(event, () => this.#showState());
    video.addEventListener("pause", () => onPause(this.#shown_s));
    video.muted = true;
    video.src = this.#address;
    this.#connect();
    this.#awaitFrame();
    this.#resizing = new ResizeObserver(([entry]) => this.#resize(entry.contentRect));
    this.#resizing.observe(this.#canvas);
  }

  get duration() {
    return Number.isFinite(this.#video.duration) ? this.#video.duration - (this.#origin_s ?? 0) : this.#result.duration_s;
  }

  seek(time_s) {
    // A hair into the frame: at its very edge browsers show now this one, now the one before.
    this.#video.currentTime = Math.max(0, Math.min(time_s + 0.001, this.duration)) + (this.#origin_s ?? 0);
  }

  close() {
    this.#closed = true;
    this.#resizing.disconnect();
    this.#video.removeAttribute("src");
    this.#video.load();
    URL.revokeObjectURL(this.#address);
  }

  #connect() {
    const on = (name, event, listener) => hook(this.#root, name).addEventListener(event, listener);
    const video = this.#video;
    const toggle = () => (video.paused ? video.play().catch(() => {}) : video.pause());
    on("video-play", "click", toggle);
    video.addEventListener("click", toggle);
    on("video-back", "click", () => this.#step(-1));
    on("video-forward", "click", () => this.#step(1));
    on("video-speed", "change", ({ target }) => (video.playbackRate = Number(target.value)));
    on("video-sound", "change", ({ target }) => (video.muted = !target.checked));
    on("video-mesh", "change", ({ target }) => this.#showMesh(target.checked));
    const whole = this.#root.querySelector(".watch-picture");
    const fullscreen = hook(this.#root, "video-fullscreen");
    fullscreen.hidden = !document.fullscreenEnabled;
    whole.addEventListener("fullscreenchange", () => {
      fullscreen.textContent = document.fullscreenElement ? "Leave full screen" : "Full screen";
    });
    fullscreen.addEventListener("click", () => (document.fullscreenElement ? document.exitFullscreen() : whole.requestFullscreen()));
  }

  #showState() {
    hook(this.#root, "video-play").textContent = this.#video.paused ? "Play" : "Pause";
  }

  #showTime() {
    hook(this.#root, "video-time").textContent = `${clock(this.#shown_s)} / ${clock(this.duration)}`;
  }

  #step(frames) {
    this.#video.pause();
    const { times } = this.#result;
    const index = this.#frameAt(this.#shown_s) + frames;
    if (times.length) this.seek(times[Math.max(0, Math.min(times.length - 1, index))]);
  }

  /** Paints every frame when it is on the screen, by its own time. */
  #awaitFrame() {
    const video = this.#video;
    const next = (then) =>
      video.requestVideoFrameCallback
        ? video.requestVideoFrameCallback((_, { mediaTime }) => then(mediaTime))
        : requestAnimationFrame(() => then(video.currentTime));
    const shown = (media_s) => {
      if (this.#closed) return;
      this.#origin_s ??= video.currentTime < 0.5 / this.#result.frame_rate ? media_s - (this.#result.times[0] ?? 0) : 0;
      this.#shown_s = media_s - this.#origin_s;
      this.#paint();
      this.#showTime();
      // While it stands, where it was put counts: a frame may be long, and keys must be able to walk through it.
      this.#onTime(Math.max(0, video.paused ? video.currentTime - this.#origin_s : this.#shown_s));
      next(shown);
    };
    next(shown);
  }

  /** Index of the frame nearest to a time. */
  #frameAt(time_s) {
    const { times } = this.#result;
    let [low, high] = [0, times.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((times[middle] + times[middle + 1]) / 2 < time_s) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #paint() {
    const { width, height } = this.#canvas;
    const { times, image_size, people, frame_rate } = this.#result;
    const frame = this.#frameAt(this.#shown_s);
    const known = times.length && Math.abs(times[frame] - this.#shown_s) < 1.5 / frame_rate;
    const wantsMesh = hook(this.#root, "video-mesh").checked;
    const faces = people
      .filter((person) => known && person.boxes[frame])
      .map((person) => ({
        face: person.face,
        box: person.boxes[frame],
        ...(this.#labelAt(person.face, this.#shown_s) ?? { state: "warming up" }),
        nodes: wantsMesh ? this.#nodes(person.face, frame) : null,
      }));
    paint(this.#context, null, faces, {
      scale: [width / image_size[0], height / image_size[1]],
      mesh: wantsMesh,
      edges: this.#model.layout.edges,
      colours: this.#model.colours,
      name: labelName,
      number: personNumber,
      letters: (Math.min(18, Math.max(12, this.#canvas.clientWidth / 42)) * width) / this.#canvas.clientWidth,
    });
  }

  #nodes(face, frame) {
    const mesh = this.#meshes.get(face);
    const count = 2 * this.#model.layout.nodes;
    if (!mesh || mesh.length < (frame + 1) * count) return null;
    const nodes = mesh.subarray(frame * count, (frame + 1) * count);
    return nodes[0] === NO_NODE ? null : Array.from(nodes, (half) => half / 2);
  }

  async #showMesh(on) {
    this.#paint();
    if (!on || this.#meshes.size) return;
    await this.#attempt(async () => {
      const faces = this.#result.people.map((person) => person.face);
      const buffers = await Promise.all(faces.map((face) => this.#meshOf(face)));
      faces.forEach((face, index) => this.#meshes.set(face, new Int16Array(buffers[index])));
    });
    if (this.#closed) return;
    hook(this.#root, "video-mesh").checked &&= this.#meshes.size > 0;
    this.#paint();
  }

  #resize({ width, height }) {
    if (!width || !height) return;
    const ratio = Math.min(2, devicePixelRatio || 1);
    [this.#canvas.width, this.#canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    this.#paint();
  }
}
