// The live door: the camera's pictures go to the server as fast as it reads them; each comes back with its reading and is
// painted with it, so that picture and overlay always belong together.

import { request } from "../api.js";
import { hook } from "../elements.js";
import { placeInLine } from "../words.js";
import { Announcer } from "./announcer.js";
import { Board } from "./board.js";
import { Camera, cameras, onCamerasChange } from "./camera.js";
import { Connection } from "./connection.js";
import { Figures } from "./figures.js";
import { NeutralFace } from "./neutral.js";
import { Outgoing } from "./outgoing.js";
import { People } from "./people.js";
import { Picture } from "./picture.js";
import { Recordings } from "./recordings.js";

const FINISH_MS = 10_000; // a stopped session waits so long for its recording

const INVITATION =
  "Here will stand what each person’s face shows: how sure the model is of every expression, and how that went over the last half minute.";

let door = null;

export function open(section, model) {
  door = new LiveDoor(section, model);
}

/** Whoever goes to another door turns the camera off. */
export const hidden = () => door.stop();

export const busy = () => door?.isRecording ?? false;

class LiveDoor {
  #board;
  #parts;
  #picture;
  #people;
  #recordings;
  #announcer;
  #figures;
  #neutral;
  #camera = null;
  #outgoing = null; // pictures of the camera, or of the one before as long as results of it may come
  #connection = null;
  #session = 0; // counts starts: what an earlier one still has under way is ignored

  constructor(section, model) {
    this.#board = new Board(section);
    this.#parts = this.#board.parts;
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
      note: (words) => (this.#board.note = words),
      say: (words) => this.#announcer.say(words),
    });
    this.#board.fillFaces(model.limits.faces);
    this.#listen();
    this.#show("off");
    this.#parts.start.disabled = false; // from now on it does something
  }

  get isRecording() {
    return this.#recordings.state !== "off";
  }

  /** Turns the camera off; a recording is finished first. */
  async stop() {
    const { phase } = this.#board;
    if (phase === "off" || phase === "stopping") return;
    const session = this.#session;
    this.#closeCamera();
    if (this.isRecording && this.#connection?.isReady) {
      this.#show("stopping");
      this.#recordings.finish();
      const end_ms = performance.now() + FINISH_MS;
      while (this.isRecording && performance.now() < end_ms) await new Promise((resolve) => setTimeout(resolve, 100));
      if (session !== this.#session) return;
    }
    this.#end("The camera is off.");
  }

  // ---- from the camera to the server ----

  async #start() {
    const session = (this.#session += 1);
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
    this.#outgoing = new Outgoing(camera);
    this.#people.clear("Nobody yet. Sit so that your whole face is in the picture, with the light in front of you.");
    camera.watch((captured_ms) => this.#pictureCame(captured_ms));
    this.#fillCameras();
    this.#connect();
    if (document.activeElement === document.body) this.#parts.stop.focus();
  }

  #connect() {
    this.#disconnect();
    const size = this.#outgoing.begin();
    const [width, height] = size;
    this.#picture.size = size;
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
    this.#outgoing.came(captured_ms);
    if (this.#board.phase !== "ready") this.#outgoing.look((picture) => this.#preview(picture));
    else if (this.#outgoing.wasTurned) this.#connect();
    else this.#outgoing.send(this.#connection);
  }

  #preview(picture) {
    if (this.#camera && this.#board.phase !== "ready") this.#picture.preview(picture, this.#parts.mirror.checked);
  }

  // ---- from the server to the screen ----

  #result(message) {
    const { faces, time_s } = message;
    const { mesh, mirror } = this.#parts;
    const frame = this.#outgoing.answer(message.frame);
    if (this.#board.phase === "ready") this.#outgoing.send(this.#connection);
    if (frame) {
      this.#picture.show(frame.canvas, faces, { time_s, mesh: mesh.checked, mirrored: mirror.checked });
      this.#figures.add(performance.now() - frame.captured_ms);
    }
    this.#people.update(faces, time_s);
    this.#announcer.update(faces, this.#outgoing.width, mirror.checked);
    this.#board.showSeen(faces.length);
  }

  // ---- states ----

  #connectionChanged(state, detail) {
    switch (state) {
      case "refused":
        this.#fail(`STGT does not read this camera: ${detail.reason ?? "it gave no reason"}`);
        break;
      case "lost":
        this.#lose(detail);
        break;
      case "waiting":
        this.#show("waiting", placeInLine(detail.ahead));
        this.#announcer.say(this.#board.note);
        break;
      case "ready":
        this.#show(document.hidden ? "paused" : "ready");
        this.#announcer.say("Live.");
        this.#recordings.check();
        break;
      default:
        this.#show(state);
    }
  }

  #lose({ again_s, reason, attempts }) {
    const why = reason ?? "STGT does not answer. Is it still running?";
    this.#recordings.lose();
    this.#neutral.end();
    this.#outgoing.clear();
    this.#board.tellLoss(why, again_s);
    if (document.hidden) {
      this.#disconnect(); // nothing is sent from a hidden tab: no place is taken for it
      this.#show("paused");
      return;
    }
    this.#show("lost");
    this.#announcer.say(`The connection was lost. ${why}`);
    if (attempts > 1 && !reason) this.#explainLoss();
  }

  /** A server that answers, but not on the socket: it is not the server that is missing. */
  async #explainLoss() {
    try {
      await request("healthz");
    } catch {
      return;
    }
    if (this.#board.phase !== "lost") return;
    this.#board.tellLoss("STGT answers, but not on the live connection. Reload the page; if a proxy is in between, it must pass WebSockets on.");
  }

  /** While the tab is hidden, nothing is sent. The server gives the place to somebody else after a while. */
  #visibilityChanged() {
    if (!this.#camera) return;
    if (document.hidden) {
      if (this.#board.phase === "ready") this.#show("paused");
    } else if (!this.#connection) this.#connect();
    else if (this.#connection.isReady) this.#show("ready");
    else this.#connection.hurry();
  }

  #fail(words) {
    this.#closeCamera();
    this.#end(words, true);
  }

  /** Everything is off, and `words` say why. */
  #end(words, trouble = false) {
    this.#disconnect();
    this.#outgoing = null;
    this.#session += 1;
    this.#people.clear(INVITATION);
    this.#announcer.clear();
    this.#announcer.say(words);
    this.#show("off", words, trouble);
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
    this.#outgoing?.clear();
    this.#figures.clear();
  }

  #show(phase, note = "", trouble = false) {
    this.#board.show(phase, note, trouble);
    this.#board.showRecording(this.#recordings);
    if (phase === "off") this.#picture.clear();
  }

  /** Twice a second: figures, clocks, and a look at whether the camera still gives pictures. */
  #tick() {
    const { phase, note } = this.#board;
    if (phase === "off") return;
    this.#figures.show();
    this.#board.showRecording(this.#recordings);
    if (phase === "lost") this.#board.showStatus();
    if (phase !== "ready" || document.hidden || this.#neutral.isUnderWay) return;
    const words = this.#outgoing.isSilent ? "The camera gives no picture. Is its shutter closed, or does another program use it?" : "";
    if (words === note) return;
    if (words) this.#announcer.say(words);
    this.#board.note = words;
  }

  #recordingChanged(words) {
    if (words) this.#announcer.say(words);
    this.#board.showRecording(this.#recordings);
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
    this.#board.spreadPeople();
  }

  /** Another camera, or more people: everything begins anew, after a recording was finished. */
  async #restart() {
    this.#board.spreadPeople();
    if (this.#board.phase === "off") return;
    const focused = document.activeElement;
    await this.stop();
    await this.#start();
    focused?.focus();
  }

  async #fillCameras() {
    this.#board.fillCameras(await cameras(), this.#camera?.id);
  }
}
