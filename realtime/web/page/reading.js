// What was read in one video: player, people over time, files to take home.

import { address, draw, isAbort, request, save } from "./api.js";
import { element, fromTemplate, hook, meter, meters } from "./elements.js";
import { Player } from "./player.js";
import { Timeline } from "./timeline.js";
import * as words from "./words.js";

const { clock, count, labelHint, labelName, length, percent, personName } = words;
const COMPACT = 3; // from so many people on, each has one line beside the video instead of a meter per label

export class VideoReading {
  root = fromTemplate("video-reading");
  #job;
  #result;
  #model;
  #player;
  #playable = true;
  #people;
  #drawing = null; // AbortController
  #drawn = false;

  /** `job`: id; `file`: what was uploaded; `result`: of the server; `model`: of the server. */
  constructor(job, file, result, model) {
    [this.#job, this.#result, this.#model] = [job, result, model];
    this.#showHead(file.name);
    this.#people = result.people.map((person) => new PersonOverTime(person, result, model, (time_s) => this.#goTo(time_s)));
    if (!this.#people.length) this.#showNobody();
    this.root.querySelector(".people.now").append(...this.#people.map(({ now }) => now));
    this.root.querySelector(".people.whole").append(...this.#people.map(({ card }) => card));
    this.#offerFiles(file.name);
    hook(this.root, "video-numbering").hidden = this.#people.length < 2;
    this.#player = new Player(this.root, {
      file,
      result,
      model,
      labelAt: (face, time_s) => this.#people.find((person) => person.face === face).at(time_s),
      meshOf: (face) => request(`api/jobs/${job}/mesh/${face}`, { as: "arrayBuffer" }),
      attempt: (action) => this.#attempt(action),
      onTime: (time_s) => this.#showMoment(time_s),
      onPause: (time_s) => this.#say(time_s),
      onUnplayable: () => this.#giveUpPlaying(),
    });
    this.#showMoment(0);
    document.addEventListener("stgt-theme", this.#repaint);
  }

  get isDrawing() {
    return this.#drawing !== null;
  }

  close() {
    this.#drawing?.abort();
    this.#player.close();
    for (const person of this.#people) person.close();
    document.removeEventListener("stgt-theme", this.#repaint);
    this.root.remove();
  }

  #repaint = () => {
    for (const person of this.#people) person.repaint();
  };

  #showHead(name) {
    const { duration_s, image_size, people, notes } = this.#result;
    this.root.querySelector("h3").textContent = name;
    const facts = [length(duration_s), image_size.join(" × "), count(people.length, "person", "people")];
    hook(this.root, "video-facts").textContent = facts.join(" · ");
    const said = notes.filter((note) => people.length || !/no face/i.test(note)); // that is said below
    hook(this.root, "video-notes").append(...said.map((note) => element("li", {}, note)));
  }

  #showNobody() {
    this.root.querySelector(".people.whole").append(
      element("p", { class: "status" }, "No face was found in this video. Faces should look towards the camera, be well lit, and not be too small."),
    );
    this.root.querySelector(".people.now").hidden = true;
  }

  #goTo(time_s) {
    if (this.#playable) this.#player.seek(time_s);
    this.#showMoment(time_s);
  }

  #showMoment(time_s) {
    for (const person of this.#people) person.showMoment(time_s);
  }

  #say(time_s) {
    const inSight = this.#people.filter((person) => person.at(time_s));
    const said = inSight.map((person) => `${personName(person.face)}: ${person.wordsAt(time_s)}.`);
    hook(this.root, "video-said").textContent = `At ${clock(time_s)}. ${said.join(" ") || "Nobody is in sight."}`;
  }

  #giveUpPlaying() {
    this.#playable = false;
    this.root.querySelector(".stage").hidden = true;
    this.root.querySelector(".controls").hidden = true;
    hook(this.root, "video-unplayable").hidden = false;
  }

  #offerFiles(name) {
    const stem = name.replace(/\.[^.]*$/, "") || "video";
    for (const format of ["csv", "json"]) {
      const file = `predictions.${format}`;
      const link = hook(this.root, `video-${format}`);
      link.href = address(`api/jobs/${this.#job}/${file}`);
      link.addEventListener("click", (event) => {
        event.preventDefault();
        this.#attempt(() => save(this.#job, file, `${stem}.${file}`));
      });
    }
    const button = hook(this.root, "video-annotated");
    button.addEventListener("click", async () => {
      if (this.#drawing) return this.#drawing.abort();
      await this.#attempt(() => this.#takeAnnotated(button, `${stem}.annotated.mp4`));
    });
  }

  /** Does it, and says what went wrong. */
  async #attempt(action) {
    const alarm = hook(this.root, "video-trouble");
    alarm.hidden = true;
    try {
      await action();
    } catch (error) {
      if (isAbort(error)) return;
      alarm.textContent = error.message;
      alarm.hidden = false;
    }
  }

  /** Has the annotated video drawn if it is not yet, saves it, and plays it here. */
  async #takeAnnotated(button, name) {
    if (!this.#drawn) {
      button.textContent = "Stop waiting";
      this.#drawing = new AbortController();
      try {
        await this.#awaitDrawing(this.#drawing.signal);
        this.#drawn = true;
      } finally {
        this.#drawing = null;
        button.textContent = this.#drawn ? "Save annotated video again" : "Annotated video";
        this.root.querySelector(".drawing").hidden = true;
      }
      const player = hook(this.root, "video-annotated-player");
      player.hidden = false;
      player.src = address(`api/jobs/${this.#job}/annotated.mp4`);
    }
    await save(this.#job, "annotated.mp4", name);
  }

  async #awaitDrawing(signal) {
    const said = hook(this.root, "video-drawing");
    const bar = this.root.querySelector(".drawing progress");
    bar.removeAttribute("value");
    said.textContent = "Drawing the annotated video …";
    this.root.querySelector(".drawing").hidden = false;
    await draw(this.#job, {
      signal,
      onChange: ({ stage, progress: { share, remaining_s } }) => {
        if (stage !== "drawing" || share === null) return;
        bar.value = share;
        said.textContent = ["Drawing the annotated video", words.remaining(remaining_s)].filter(Boolean).join(", ");
      },
    });
  }
}

/** One person: `now`, what is shown at this moment, and `card`, the person in the whole video. */
class PersonOverTime {
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
    this.#timeline.setPoints(pointsOf(person.windows, model.hop_s));
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
    this.card.querySelector(".shown").textContent = `whole video: ${words.reading(label, confidence)}`;
    const sight = first_s === null ? "never in sight" : `in sight ${length(seen_s)}, from ${clock(first_s)} to ${clock(last_s)}`;
    this.card.querySelector(".person-head .figures").textContent = sight;
    this.card.querySelector(".summary").textContent = words.summary(seconds);
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

/** Windows as points of a timeline: each speaks for its middle, the first and the last of a stretch to its ends, too. */
function pointsOf(windows, hop_s) {
  const points = [];
  windows.forEach((window, index) => {
    const { time_s, label, confidence, probabilities } = window;
    const point = { time_s, label, confidence, probabilities };
    const [before, after] = [windows[index - 1], windows[index + 1]];
    if (probabilities && !joins(before, window, hop_s)) {
      // Only so far that a stretch before it, which ended, is not painted over.
      const from = Math.max(window.start_s, before ? before.time_s : -Infinity);
      for (let time = from; time < time_s - 1e-6; time += hop_s) points.push({ ...point, time_s: time });
    }
    points.push(point);
    if (probabilities && !joins(window, after, hop_s)) {
      const to = Math.min(window.end_s, after ? after.time_s : Infinity);
      for (let time = time_s + hop_s; time < to; time += hop_s) points.push({ ...point, time_s: time });
      if (to > time_s) points.push({ ...point, time_s: to });
    }
  });
  return points.sort((one, other) => one.time_s - other.time_s);
}

const joins = (one, other, hop_s) =>
  Boolean(one?.probabilities && other?.probabilities && other.time_s - one.time_s < 2 * hop_s);
