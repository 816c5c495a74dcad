// One person in a video: what is shown at a moment, and over the whole of it.

import { element, fromTemplate, meter, meters } from "../elements.js";
import { Timeline } from "../painting/timeline.js";
import * as words from "../words.js";
import { pointsOf } from "./points.js";

const { clock, labelHint, labelName, length, percent, personName } = words;
const COMPACT = 3; // from so many people on, each has one line beside the video instead of a meter per label

/** One person: `now`, what is shown at this moment, and `card`, the person in the whole video. */
export class PersonOverTime {
  card = fromTemplate("video-person");
  now;
  face;
  #person;
  #timeline;
  #showNow;
  #end_s;

  constructor(person, result, model, onSeek) {
    this.face = person.face;
    this.#person = person;
    this.#showWhole(model);
    this.#buildNow(model, result.people.length >= COMPACT);
    const caption = `${personName(person.face)}: what is shown over time`;
    this.#timeline = new Timeline(this.card.querySelector("canvas"), {
      labels: model.labels,
      colours: model.colours,
      axis: true,
      name: labelName,
      caption,
    });
    this.#timeline.setPoints(pointsOf(person, result, model.hop_s));
    this.#end_s = result.duration_s;
    this.repaint();
    this.#timeline.onSeek(onSeek);
  }

  repaint() {
    this.#timeline.setSpan(0, this.#end_s);
  }

  close() {
    this.#timeline.close();
  }

  /** What is said of a moment, or null. */
  at(time_s) {
    return this.#timeline.at(time_s);
  }

  wordsAt(time_s) {
    const point = this.at(time_s);
    return point ? words.reading(point.label, point.confidence) : words.STATES["no face"];
  }

  showMoment(time_s) {
    this.#timeline.setCursor(time_s);
    this.#showNow(this.at(time_s), this.wordsAt(time_s));
  }

  #buildNow(model, compact) {
    const shown = element("p", { class: "shown figures" });
    const head = element("div", { class: "person-head" }, element("h4", {}, personName(this.face)), shown);
    const rows = compact ? null : meters(model, words);
    this.now = element("section", { class: "person-now", data: { face: String(this.face) } }, head, rows?.list ?? []);
    let before = null;
    this.#showNow = (point, said) => {
      if (point === before && shown.textContent) return;
      before = point;
      this.now.hidden = compact && !point;
      shown.textContent = said;
      rows?.update(point?.probabilities ?? null);
    };
  }

  #showWhole(model) {
    const { face, label, confidence, first_s, last_s, seen_s, seconds, windows } = this.#person;
    Object.assign(this.card.dataset, { face, label });
    this.card.querySelector("h4").textContent = personName(face);
    this.card.querySelector(".shown").textContent = words.summary(seconds);
    const sight = first_s === null ? "never in sight" : `in sight ${length(seen_s)}, from ${clock(first_s)} to ${clock(last_s)}`;
    this.card.querySelector(".person-head .figures").textContent = sight;
    // Datasets have one label for a clip: strong expressions count for more than what lies between them.
    this.card.querySelector(".as-clip").textContent = `Taken as a single clip: ${words.reading(label, confidence)}`;
    this.#showSeconds(model, seconds);
    const fill = () => this.card.querySelector("tbody").append(...windows.map(rowOf));
    this.card.querySelector("details").addEventListener("toggle", fill, { once: true });
  }

  #showSeconds(model, seconds) {
    const all = Object.values(seconds).reduce((sum, value) => sum + value, 0) || 1;
    const rows = Object.entries(seconds)
      .filter(([, value]) => value > 0)
      .sort(([, one], [, other]) => other - one)
      .map(([label, value]) => {
        const { row, update } = meter(labelName(label), model.colours[label] ?? "var(--muted)", labelHint(label));
        update(value / all, length(value));
        return row;
      });
    this.card.querySelector(".seconds").append(...rows);
  }
}

function rowOf({ start_s, end_s, label, confidence }) {
  const texts = [clock(start_s), clock(end_s), labelName(label), percent(confidence)];
  return element("tr", {}, ...texts.map((text) => element("td", {}, text)));
}
