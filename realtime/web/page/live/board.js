// What the live door shows besides the picture: which buttons there are, what lies over the picture, and the line of status.

import { hook, setText } from "../elements.js";
import { count } from "../words.js";

const OPERATED = ["start", "stop", "record", "neutral", "mesh", "mirror", "faces", "camera", "status", "canvas"];
const SHOWN = ["veil", "veil-title", "veil-hint", "figures", "recording", "camera-choice", "neutral-hint"];

const VEILS = {
  asking: "May the camera be used?",
  connecting: "Connecting …",
  waiting: "Waiting in line",
  lost: "Connection lost",
  paused: "Paused",
  stopping: "Finishing the recording …",
};

const RECORD = { off: "Record", asked: "Record", on: "Stop recording", finishing: "Finishing …" };

export class Board {
  /** The elements by their names. */
  parts;
  #root = document.getElementById("live");
  #phase = "off";
  #note = ""; // stands in the line of status instead of who is seen
  #loss = { reason: "", again_ms: 0 };

  constructor(section) {
    this.parts = Object.fromEntries([
      ...OPERATED.map((name) => [name, hook(section, `live-${name}`)]),
      ...SHOWN.map((name) => [name, document.getElementById(`live-${name}`)]),
    ]);
  }

  /** "off" | "asking" | "connecting" | "waiting" | "ready" | "lost" | "paused" | "stopping" */
  get phase() {
    return this.#phase;
  }

  /** What stands in the line of status until there is something else; "": what belongs to the phase. */
  get note() {
    return this.#note;
  }

  set note(words) {
    this.#note = words;
    this.showStatus();
  }

  /** Why the connection was lost, and in how many seconds it is tried again, if that is news. */
  tellLoss(reason, again_s = null) {
    this.#loss.reason = reason;
    if (again_s !== null) this.#loss.again_ms = performance.now() + 1000 * again_s;
    this.showStatus();
  }

  /** Puts everything into the state of a phase, with a note or none. */
  show(phase, note = "", trouble = false) {
    const wasStopping = this.#phase === "stopping"; // then there was nothing that could have the focus
    this.#phase = phase;
    const off = phase === "off";
    const ready = phase === "ready";
    const { parts } = this;
    this.#root.dataset.phase = phase;
    const focused = document.activeElement;
    parts.start.hidden = !off;
    parts.stop.hidden = off || phase === "stopping";
    parts.record.hidden = parts.neutral.hidden = parts["neutral-hint"].hidden = !ready;
    parts.figures.hidden = !ready;
    parts.veil.hidden = ready;
    parts["veil-hint"].hidden = !off || trouble;
    parts.status.classList.toggle("trouble", trouble);
    if (focused?.hidden || (wasStopping && focused === document.body)) (off ? parts.start : parts.stop).focus();
    setText(parts["veil-title"], VEILS[phase] ?? "");
    this.note = note;
  }

  showStatus() {
    const { reason, again_ms } = this.#loss;
    const seconds = Math.max(1, Math.ceil((again_ms - performance.now()) / 1000));
    const { status } = this.parts;
    const words = {
      off: "The camera is off.",
      asking: "Your browser asks whether this page may use the camera: allow it.",
      connecting: "Connecting to STGT …",
      ready: status.textContent.startsWith("Live.") ? status.textContent : "Live.",
      lost: `${reason} Trying again in ${seconds} s.`,
      paused: "Paused: nothing is sent or recorded while this tab is hidden.",
      stopping: "The recording is being finished …",
    };
    setText(status, this.#note || words[this.#phase] || "");
  }

  /** How many are seen, unless there is something else to say. */
  showSeen(faces) {
    if (this.#note || this.#phase !== "ready") return;
    const seen = faces === 0 ? "Nobody is in the picture." : `${count(faces, "face")} in the picture.`;
    setText(this.parts.status, `Live. ${seen}`);
  }

  /** The state of a recording: "off" | "asked" | "on" | "finishing", and for how long it has been going on. */
  showRecording({ state, elapsed }) {
    const { record, recording } = this.parts;
    const on = state === "on";
    recording.hidden = !on;
    if (on) setText(recording.lastElementChild, elapsed);
    record.disabled = state === "asked" || state === "finishing";
    record.classList.toggle("recording", on);
    setText(record, RECORD[state]);
  }

  /** Cards of more than two people do not fit beside the picture. */
  spreadPeople() {
    this.#root.classList.toggle("many", Number(this.parts.faces.value) > 2);
  }

  fillFaces(most) {
    this.parts.faces.replaceChildren(...Array.from({ length: most }, (_, index) => new Option(String(index + 1))));
  }

  /** `cameras`: `[{id, name}]`; `chosen`: id of the one that runs, if there is one. */
  fillCameras(cameras, chosen) {
    const select = this.parts.camera;
    const which = chosen ?? select.value;
    select.replaceChildren(...cameras.map(({ id, name }) => new Option(name, id, false, id === which)));
    this.parts["camera-choice"].hidden = cameras.length < 2;
  }
}
