// The live door: the camera's pictures go to the server as fast as it reads them; each comes back with its reading and is
// painted with it, so that picture and overlay always belong together.

import { Announcer } from "./announcer.js";
import { request } from "./api.js";
import { Camera, cameras, onCamerasChange } from "./camera.js";
import { Connection } from "./connection.js";
import { hook } from "./elements.js";
import { Figures } from "./figures.js";
import { encode, Frames } from "./frames.js";
import { NeutralFace } from "./neutral.js";
import { People } from "./people.js";
import { Picture } from "./picture.js";
import { Recordings } from "./recordings.js";
import { count } from "./words.js";

const SILENT_MS = 3000; // a camera that gives no picture for so long is spoken of
const PREVIEW_MS = 60; // between pictures that are shown without a reading
const FINISH_MS = 10_000; // a stopped session waits so long for its recording

let door = null;

export function open(section, model) {
  door = new LiveDoor(section, model);
}

/** Whoever goes to another door turns the camera off. */
export const hidden = () => door.stop();

export const busy = () => door?.isRecording ?? false;

class LiveDoor {
  #model;
  #parts;
  #picture;
  #camera = null;
  #frames = null;
  #connection = null;
  #people;
  #recordings;
  #announcer;
  #figures;
  #session = 0; // counts starts: what an earlier one still has under way is ignored
  #phase = "off"; // "off" | "asking" | "connecting" | "waiting" | "ready" | "lost" | "paused" | "stopping"
  #frameId = 0;
  #captured_ms = 0; // when the picture that was sent last was taken
  #presented_ms = null; // when the picture that the camera shows was taken
  #pictured_ms = 0; // when the camera gave its last picture
  #encoding = false; // whether a picture is being copied and encoded
  #previewed_ms = -Infinity;
  #note = ""; // stands in the line of status instead of who is seen
  #neutral;
  #retry_ms = 0;
  #lostReason = "";

  constructor(section, model) {
    this.#model = model;
    const names = ["start", "stop", "record", "neutral", "mesh", "mirror", "faces", "camera", "status", "canvas"];
    this.#parts = Object.fromEntries(names.map((name) => [name, hook(section, `live-${name}`)]));
    for (const name of ["veil", "veil-title", "veil-hint", "figures", "recording", "camera-choice", "neutral-hint"]) {
      this.#parts[name] = document.getElementById(`live-${name}`);
    }
    this.#parts.root = document.getElementById("live");
    this.#picture = new Picture(this.#parts.canvas, model);
    this.#people = new People(document.getElementById("live-people"), model);
    this.#people.clear(INVITATION);
    this.#announcer = new Announcer(document.getElementById("live-said"), document.getElementById("live-text"));
    this.#figures = new Figures(hook(section, "live-fps"), hook(section, "live-latency"));
    window.stgtLive = this.#figures.measured;
    this.#recordings = new Recordings(
      document.getElementById("live-recordings"),
      model.limits,
      (message) => this.#connection?.say(message),
      (words) => this.#recordingChanged(words),
    );
    this.#neutral = new NeutralFace(this.#parts.neutral, {
      ask: (seconds) => this.#connection?.say({ type: "neutral", seconds, face: null }),
      note: (words) => this.#noteDown(words),
      say: (words) => this.#announcer.say(words),
    });
    this.#fillFaces();
    this.#listen();
    this.#show("off");
    this.#parts.start.disabled = false; // from now on it does something
  }

  get isRecording() {
    return this.#recordings.state !== "off";
  }

  /** Turns the camera off; a recording is finished first. */
  async stop(words = "The camera is off.") {
    if (this.#phase === "off" || this.#phase === "stopping") return;
    const session = this.#session;
    this.#closeCamera();
    if (this.isRecording && this.#connection?.isReady) {
      this.#show("stopping");
      this.#recordings.finish();
      const end_ms = performance.now() + FINISH_MS;
      while (this.isRecording && performance.now() < end_ms) await new Promise((resolve) => setTimeout(resolve, 100));
      if (session !== this.#session) return;
    }
    this.#disconnect();
    this.#session += 1;
    this.#people.clear(INVITATION);
    this.#announcer.clear();
    this.#announcer.say(words);
    this.#note = words;
    this.#show("off");
  }

  // ---- from the camera to the server ----

  async #start() {
    const session = (this.#session += 1);
    this.#note = "";
    this.#show("asking");
    let camera;
    try {
      camera = await Camera.open(this.#parts.camera.value || null, (words) => this.#fail(words));
    } catch (error) {
      if (session === this.#session) this.#fail(error.message);
      return;
    }
    if (session !== this.#session) {
      camera.close();
      return;
    }
    this.#camera = camera;
    this.#pictured_ms = performance.now();
    this.#people.clear("Nobody yet. Sit so that your whole face is in the picture, with the light in front of you.");
    camera.watch((captured_ms) => this.#pictureCame(captured_ms));
    this.#fillCameras();
    this.#connect();
    if (document.activeElement === document.body) this.#parts.stop.focus();
  }

  #connect() {
    this.#disconnect();
    this.#frames = new Frames(this.#camera.size);
    const [width, height] = this.#frames.size;
    this.#picture.size = this.#frames.size;
    this.#connection = new Connection({
      faces: Number(this.#parts.faces.value),
      hello: () => ({ width, height, mesh: this.#parts.mesh.checked }),
      on: {
        state: (state, detail) => this.#connectionChanged(state, detail),
        result: (message) => this.#result(message),
        neutral: ({ status }) => this.#neutral.hear(status),
        recording: (message) => this.#recordings.hear(message),
      },
    });
  }

  #pictureCame(captured_ms) {
    this.#pictured_ms = performance.now();
    this.#presented_ms = captured_ms;
    if (this.#phase !== "ready") {
      this.#preview();
      return;
    }
    const size = this.#camera.size;
    if (size.some((side, index) => side !== this.#frames.size[index])) this.#connect(); // a phone was turned
    else this.#sendNewest();
  }

  /** Sends what the camera shows now, if it is new and the server has time. */
  #sendNewest() {
    if (this.#phase !== "ready" || this.#encoding || this.#presented_ms === null || !this.#connection.hasTime) return;
    const captured_ms = this.#presented_ms;
    this.#presented_ms = null;
    if (captured_ms <= this.#captured_ms) return;
    this.#captured_ms = captured_ms;
    const connection = this.#connection;
    this.#encoding = true;
    this.#frames
      .take(this.#camera.video, (this.#frameId += 1), captured_ms)
      .then(async (frame) => connection.send(frame.id, captured_ms / 1000, await encode(frame)))
      .catch(() => {}) // the picture is passed over; the next one comes soon
      .finally(() => {
        this.#encoding = false;
      });
  }

  /** Shows what the camera sees while nothing is read. */
  #preview() {
    const frames = this.#frames;
    const now = performance.now();
    if (this.#encoding || !frames || now - this.#previewed_ms < PREVIEW_MS) return;
    this.#previewed_ms = now;
    this.#encoding = true;
    frames
      .look(this.#camera.video)
      .then((picture) => this.#camera && this.#phase !== "ready" && this.#picture.preview(picture, this.#parts.mirror.checked))
      .catch(() => {})
      .finally(() => {
        this.#encoding = false;
      });
  }

  // ---- from the server to the screen ----

  #result(message) {
    const frame = this.#frames.answer(message.frame);
    this.#sendNewest();
    const { mesh, mirror } = this.#parts;
    if (frame) {
      const { faces, time_s } = message;
      this.#picture.show(frame.canvas, faces, { time_s, mesh: mesh.checked, mirrored: mirror.checked });
      this.#figures.add(performance.now() - frame.captured_ms);
    }
    this.#people.update(message.faces, message.time_s);
    this.#announcer.update(message.faces, this.#frames.size[0], mirror.checked);
    this.#saySeen(message.faces.length);
  }

  #saySeen(faces) {
    if (this.#note || this.#phase !== "ready") return;
    const seen = faces === 0 ? "Nobody is in the picture." : `${count(faces, "face")} in the picture.`;
    setText(this.#parts.status, `Live. ${seen}`);
  }

  // ---- states ----

  #connectionChanged(state, { ahead, again_s, reason, attempts }) {
    if (state === "lost" || state === "refused") {
      this.#recordings.lose();
      this.#neutral.end();
      this.#frames?.clear();
    }
    if (state === "refused") {
      this.#fail(`STGT does not read this camera: ${reason ?? "it gave no reason"}`);
      return;
    }
    if (state === "lost") {
      this.#retry_ms = performance.now() + 1000 * again_s;
      this.#lostReason = reason ?? "STGT does not answer. Is it still running?";
      if (attempts > 1 && !reason) this.#explainLoss();
      if (document.hidden) return this.#pause(); // nothing is sent from a hidden tab: no place is taken for it
    }
    this.#note = "";
    if (state === "waiting") {
      const before = ahead === 0 ? "you are next in line." : `${count(ahead, "camera")} ${ahead === 1 ? "is" : "are"} before yours in line.`;
      this.#note = `Every place is taken: ${before}`;
    }
    this.#show(document.hidden && state === "ready" ? "paused" : state);
    if (state === "waiting") this.#announcer.say(this.#note);
    else if (state === "lost") this.#announcer.say(`The connection was lost. ${this.#lostReason}`);
    else if (state === "ready") {
      this.#announcer.say("Live.");
      this.#recordings.check();
    }
  }

  /** A server that answers, but not on the socket: it is not the server that is missing. */
  async #explainLoss() {
    try {
      await request("healthz");
    } catch {
      return;
    }
    if (this.#phase !== "lost" && this.#phase !== "connecting") return;
    this.#lostReason = "STGT answers, but not on the live connection. Reload the page; if a proxy is in between, it must pass WebSockets on.";
    this.#showStatus();
  }

  /** The tab is hidden: nothing is sent. The server gives the place to somebody else after a while. */
  #pause() {
    this.#disconnect();
    this.#show("paused");
  }

  #visibilityChanged() {
    if (!this.#camera) return;
    if (document.hidden) {
      if (this.#phase === "ready") this.#show("paused");
    } else if (!this.#connection) this.#connect();
    else if (this.#connection.isReady) this.#show("ready");
    else this.#connection.hurry();
  }

  #fail(words) {
    this.#closeCamera();
    this.#disconnect();
    this.#session += 1;
    this.#people.clear(INVITATION);
    this.#announcer.clear();
    this.#announcer.say(words);
    this.#note = words;
    this.#show("off", true);
  }

  #closeCamera() {
    this.#camera?.close();
    this.#camera = null;
    this.#neutral.end();
  }

  #disconnect() {
    this.#connection?.close();
    this.#connection = null;
    this.#recordings.lose();
    this.#frames?.clear();
    this.#figures.clear();
  }

  /** Puts everything into the state of a phase. */
  #show(phase, trouble = false) {
    this.#phase = phase;
    const off = phase === "off";
    const ready = phase === "ready";
    const parts = this.#parts;
    parts.root.dataset.phase = phase;
    const focused = document.activeElement;
    parts.start.hidden = !off;
    parts.stop.hidden = off || phase === "stopping";
    parts.record.hidden = parts.neutral.hidden = parts["neutral-hint"].hidden = !ready;
    parts.figures.hidden = !ready;
    parts.veil.hidden = ready;
    parts["veil-hint"].hidden = !off || trouble;
    parts.status.classList.toggle("trouble", trouble);
    if (focused?.hidden) (off ? parts.start : parts.stop).focus();
    setText(parts["veil-title"], VEILS[phase] ?? "");
    this.#showRecording();
    this.#showStatus();
    if (off) this.#picture.clear();
  }

  #showStatus() {
    const seconds = Math.max(1, Math.ceil((this.#retry_ms - performance.now()) / 1000));
    const words = {
      off: "The camera is off.",
      asking: "Your browser asks whether this page may use the camera: allow it.",
      connecting: "Connecting to STGT …",
      ready: this.#parts.status.textContent.startsWith("Live.") ? this.#parts.status.textContent : "Live.",
      lost: `${this.#lostReason} Trying again in ${seconds} s.`,
      paused: "Paused: nothing is sent or recorded while this tab is hidden.",
      stopping: "The recording is being finished …",
    };
    setText(this.#parts.status, this.#note || words[this.#phase] || "");
  }

  /** Twice a second: figures, clocks, and a look at whether the camera still gives pictures. */
  #tick() {
    if (this.#phase === "off") return;
    this.#figures.show();
    this.#showRecording();
    if (this.#phase === "lost") this.#showStatus();
    if (this.#phase !== "ready" || document.hidden || this.#neutral.isUnderWay) return;
    const silent = this.#camera?.isMuted || performance.now() - this.#pictured_ms > SILENT_MS;
    const words = silent ? "The camera gives no picture. Is its shutter closed, or does another program use it?" : "";
    if (words === this.#note) return;
    if (words) this.#announcer.say(words);
    this.#noteDown(words);
  }

  /** What stands in the line of status until there is something else; "": who is seen. */
  #noteDown(words) {
    this.#note = words;
    this.#showStatus();
  }

  // ---- recordings ----

  #recordingChanged(words) {
    if (words) this.#announcer.say(words);
    this.#showRecording();
  }

  #showRecording() {
    const { state } = this.#recordings;
    const { record, recording } = this.#parts;
    const on = state === "on";
    recording.hidden = !on;
    if (on) setText(recording.lastElementChild, this.#recordings.elapsed);
    record.disabled = state === "asked" || state === "finishing";
    record.classList.toggle("recording", on);
    setText(record, { off: "Record", asked: "Record", on: "Stop recording", finishing: "Finishing …" }[state]);
  }

  // ---- what can be operated ----

  #listen() {
    const { start, stop, record, mesh, faces, camera } = this.#parts;
    start.addEventListener("click", () => this.#start());
    stop.addEventListener("click", () => this.stop());
    record.addEventListener("click", () => this.#recordings.toggle());
    mesh.addEventListener("change", () => this.#connection?.say({ type: "mesh", on: mesh.checked }));
    faces.addEventListener("change", () => this.#restart());
    camera.addEventListener("change", () => this.#restart());
    document.addEventListener("visibilitychange", () => this.#visibilityChanged());
    onCamerasChange(() => this.#fillCameras());
    setInterval(() => this.#tick(), 500);
    this.#spreadPeople();
  }

  /** Another camera, or more people: everything begins anew, after a recording was finished. */
  async #restart() {
    this.#spreadPeople();
    if (this.#phase === "off") return;
    const focused = document.activeElement;
    await this.stop();
    await this.#start();
    focused?.focus();
  }

  /** Cards of more than two people do not fit beside the picture. */
  #spreadPeople() {
    this.#parts.root.classList.toggle("many", Number(this.#parts.faces.value) > 2);
  }

  #fillFaces() {
    const options = Array.from({ length: this.#model.limits.faces }, (_, index) => new Option(String(index + 1)));
    this.#parts.faces.replaceChildren(...options);
  }

  async #fillCameras() {
    const found = await cameras();
    const select = this.#parts.camera;
    const chosen = this.#camera?.id ?? select.value;
    select.replaceChildren(...found.map(({ id, name }) => new Option(name, id, false, id === chosen)));
    this.#parts["camera-choice"].hidden = found.length < 2;
  }
}

const INVITATION =
  "Here will stand what each person’s face shows: how sure the model is of every expression, and how that went over the last half minute.";

const VEILS = {
  asking: "May the camera be used?",
  connecting: "Connecting …",
  waiting: "Waiting in line",
  lost: "Connection lost",
  paused: "Paused",
  stopping: "Finishing the recording …",
};

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
