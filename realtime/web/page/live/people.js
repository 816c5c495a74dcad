// The cards of those who are in front of the camera: what is said of them now, and their last half minute.

import { element, meters, setText } from "../elements.js";
import { Timeline } from "../painting/timeline.js";
import { labelHint, labelName, percent, personName, STATES } from "../words.js";

const SPAN_S = 30;
const UPDATE_MS = 100; // faster than this nobody reads
const AWAY_S = 8; // so long the card of somebody who has left stays

const NOTES = {
  reading: "",
  uncertain: "No expression stands out.",
  "warming up": "Reads after about a second in the picture.",
  "no face": "Hidden for a moment, or out of the picture.",
};

/** Everybody who is seen, or was not long ago, in a list of cards. */
export class People {
  #list;
  #model;
  #cards = new Map();
  #empty;
  #updated_ms = -Infinity;

  /** `list`: element that the cards are put into; `model`: answer of api/model. */
  constructor(list, model) {
    this.#list = list;
    this.#model = model;
    this.#empty = element("p", { class: "live-nobody muted" });
  }

  /** Nobody any more; `words` say why, or what to do. */
  clear(words) {
    for (const card of this.#cards.values()) card.close();
    this.#cards.clear();
    this.#updated_ms = -Infinity;
    this.#empty.textContent = words;
    this.#list.replaceChildren(this.#empty);
  }

  /** A result: what is new is kept, and shown at most ten times a second. */
  update(faces, time_s) {
    for (const face of faces) {
      if (!this.#cards.has(face.face)) this.#cards.set(face.face, new Card(face.face, this.#model));
      this.#cards.get(face.face).take(face, time_s);
    }
    const now = performance.now();
    if (now - this.#updated_ms < UPDATE_MS) return;
    this.#updated_ms = now;
    this.#show(time_s);
  }

  #show(time_s) {
    for (const [number, card] of this.#cards) {
      if (card.seen_s > time_s || card.seen_s < time_s - SPAN_S) {
        card.close();
        this.#cards.delete(number);
      } else if (time_s - card.seen_s > AWAY_S) card.node.remove();
      else card.show(time_s);
    }
    const wanted = [...this.#cards.entries()]
      .filter(([, card]) => time_s - card.seen_s <= AWAY_S)
      .sort(([one], [other]) => one - other)
      .map(([, card]) => card.node);
    if (wanted.length === 0) wanted.push(this.#empty);
    const shown = this.#list.children;
    if (wanted.length !== shown.length || wanted.some((node, index) => node !== shown[index])) {
      this.#list.replaceChildren(...wanted);
    }
  }
}

class Card {
  seen_s = -Infinity;
  node;
  #face = null;
  #model;
  #title;
  #figure;
  #note;
  #meters;
  #timeline;
  #fresh = false; // whether there is something that the card does not show yet
  #away = false;
  #colour = null;

  constructor(number, model) {
    this.#model = model;
    this.#title = element("span", { class: "shown" });
    this.#figure = element("span", { class: "figures" });
    this.#note = element("p", { class: "hint live-note" });
    this.#meters = meters(model, { labelName, labelHint, percent });
    const canvas = element("canvas", { class: "timeline" });
    const heading = element("h3", { class: "live-name" }, element("span", { class: "chip" }), personName(number));
    this.node = element(
      "article",
      { class: "card live-person", test: "live-person", data: { face: String(number), label: "" }, "aria-label": personName(number) },
      heading,
      element("p", { class: "person-head" }, this.#title, this.#figure),
      this.#note,
      this.#meters.list,
      element("figure", { class: "live-past" }, canvas, element("figcaption", { class: "hint" }, element("span", {}, `${SPAN_S} s ago`), element("span", {}, "now"))),
    );
    const { labels, colours } = model;
    this.#timeline = new Timeline(canvas, { labels, colours, name: labelName, caption: `${personName(number)}: probabilities of the last ${SPAN_S} seconds` });
  }

  take(face, time_s) {
    this.#face = face;
    this.seen_s = time_s;
    this.#fresh = true;
    this.#timeline.push({ time_s, probabilities: face.probabilities ?? null, label: face.label });
  }

  show(time_s) {
    this.#timeline.setSpan(time_s - SPAN_S, time_s);
    const away = this.seen_s < time_s;
    if (!this.#fresh && away === this.#away) return;
    this.#fresh = false;
    this.#away = away;
    this.#say(away ? { ...this.#face, state: "no face" } : this.#face);
  }

  #say(face) {
    const { colours } = this.#model;
    const label = face.state === "reading" ? face.label : null;
    const gone = face.state === "no face";
    const knows = Number.isFinite(face.confidence) && !gone;
    setText(this.#title, label ? labelName(label) : STATES[face.state] ?? face.state);
    setText(this.#figure, label && knows ? percent(face.confidence) : "");
    setText(this.#note, NOTES[face.state] || (label && labelHint(label)) || "");
    this.#meters.update(gone ? null : face.probabilities);
    this.node.classList.toggle("away", gone);
    this.node.dataset.state = face.state;
    this.node.dataset.label = label ?? (face.state === "uncertain" ? face.state : "");
    const colour = label ? colours[label] : "";
    if (colour === this.#colour) return;
    this.#colour = colour;
    this.node.style.setProperty("--label", colour || "var(--line-strong)");
  }

  close() {
    this.#timeline.close();
    this.node.remove();
  }
}
