// What was read in one video: player, people over time, files to take home.

import { address, draw, isAbort, request, save } from "../api.js";
import { element, fromTemplate, hook } from "../elements.js";
import { clock, count, length, notesOf, personName, remaining, TO_BE_FOUND } from "../words.js";
import { PersonOverTime } from "./person.js";
import { Player } from "./player.js";

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
    const { duration_s, image_size, people } = this.#result;
    this.root.querySelector("h3").textContent = name;
    const facts = [length(duration_s), image_size.join(" × "), count(people.length, "person", "people")];
    hook(this.root, "video-facts").textContent = facts.join(" · ");
    hook(this.root, "video-notes").append(...notesOf(this.#result).map((note) => element("li", {}, note)));
  }

  #showNobody() {
    this.root.querySelector(".people.whole").append(element("p", { class: "status" }, `No face was found in this video. ${TO_BE_FOUND}`));
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
        said.textContent = ["Drawing the annotated video", remaining(remaining_s)].filter(Boolean).join(", ");
      },
    });
  }
}
