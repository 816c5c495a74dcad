// What is said to those who do not see the picture: changes, politely, and what the picture shows when one asks.

import { setText } from "../elements.js";
import { count, labelName, percent, personName, STATES } from "../words.js";

const EVERY_MS = 2000;
const DESCRIBED_MS = 1000;

/** Tells changes of label at most every two seconds, and keeps the text alternative of the picture up to date. */
export class Announcer {
  #voice;
  #text;
  #said = new Map(); // face -> what was said of it last
  #spoke_ms = -Infinity;
  #described_ms = -Infinity;

  /** `voice`: a polite live region; `text`: the description of the canvas. */
  constructor(voice, text) {
    this.#voice = voice;
    this.#text = text;
  }

  /** Something that happened, said at once. */
  say(words) {
    this.#spoke_ms = performance.now();
    setText(this.#voice, words);
  }

  /** A result. */
  update(faces, width, mirrored) {
    const now = performance.now();
    if (now - this.#described_ms >= DESCRIBED_MS) {
      this.#described_ms = now;
      setText(this.#text, describe(faces, width, mirrored));
    }
    if (now - this.#spoke_ms >= EVERY_MS) this.#speakOfChanges(faces);
  }

  clear() {
    this.#said.clear();
    setText(this.#text, "");
  }

  #speakOfChanges(faces) {
    const changes = [];
    for (const face of faces) {
      const now = shows(face);
      if (this.#said.get(face.face) !== now) changes.push(`${personName(face.face)}: ${now}`);
      this.#said.set(face.face, now);
    }
    const here = new Set(faces.map(({ face }) => face));
    for (const face of this.#said.keys()) {
      if (here.has(face)) continue;
      this.#said.delete(face);
      changes.push(`${personName(face)} left`);
    }
    if (changes.length) this.say(`${changes.join(". ")}.`);
  }
}

const shows = ({ state, label }) => (state === "reading" ? labelName(label) : STATES[state] ?? state);

function describe(faces, width, mirrored) {
  if (faces.length === 0) return "Nobody is in the picture.";
  const people = faces.map((face) => {
    const sure = face.state === "reading" && face.confidence !== null ? `, ${percent(face.confidence)}` : "";
    return `${personName(face.face)}, ${side(face.box, width, mirrored)}: ${shows(face)}${sure}.`;
  });
  return `${count(faces.length, "face")} in the picture. ${people.join(" ")}`;
}

function side([left, , right], width, mirrored) {
  const middle = (left + right) / 2 / width;
  const seen = mirrored ? 1 - middle : middle;
  if (seen < 0.37) return "on the left";
  return seen > 0.63 ? "on the right" : "in the middle";
}
