// A photo with every face in it: what happens to it, and what was read.

import { forget, isAbort, resultOf, uploadPatiently } from "../api.js";
import { element, fromTemplate, hook, meters } from "../elements.js";
import { checkSize, handOver } from "../intake.js";
import { paint, sameShape } from "../painting/painter.js";
import * as words from "../words.js";
import { pictureOf } from "./picture.js";

const { count, labelName, notesOf, personName, personNumber, reading, TO_BE_FOUND } = words;
const MANY = 3; // so many people stand below the photo instead of beside it

export class PhotoCard {
  root = fromTemplate("photo-item");
  isWaiting = true;
  #model;
  #abort = new AbortController();
  #canvas;
  #picture = null;
  #result = null;
  #resizing;

  constructor(file, model, onRemove) {
    [this.file, this.#model] = [file, model];
    this.#canvas = hook(this.root, "photo-canvas");
    this.#canvas.setAttribute("aria-label", file.name);
    this.root.querySelector("h3").textContent = file.name;
    const remove = hook(this.root, "photo-remove");
    remove.setAttribute("aria-label", `Remove ${file.name}`);
    remove.addEventListener("click", onRemove);
    this.#say("Waiting its turn");
    this.#resizing = new ResizeObserver(() => this.#paint());
    this.#resizing.observe(this.#canvas);
  }

  async work() {
    const { signal } = this.#abort;
    let job = null;
    try {
      checkSize(this.file, this.#model.limits);
      this.root.querySelector("progress").hidden = false;
      this.#say("Reading …");
      this.#picture = await pictureOf(this.file);
      this.#frame();
      job = await uploadPatiently(this.file, {}, {
        signal,
        onProgress: (share) => this.#bar(share < 1 ? share : null),
        onWait: (seconds) => this.#say(`Others are being served; trying again in ${seconds} s`),
      });
      const onChange = ({ ahead }) => ahead && this.#say(`${count(ahead, "other")} before this one`);
      this.#show(await resultOf(job.id, { signal, onChange }));
    } catch (error) {
      if (!isAbort(error)) this.#fail(error.message);
    } finally {
      this.isWaiting = false;
      this.root.querySelector("progress").hidden = true;
      if (job) forget(job.id);
    }
  }

  close() {
    this.#abort.abort();
    this.isWaiting = false;
    this.#resizing.disconnect();
    this.root.remove();
  }

  #show(result) {
    if (result.kind !== "photo") {
      handOver("video", [this.file]);
      this.#fail("This file is a video: it is read at the video door.");
      return;
    }
    this.#result = result;
    const { people } = result;
    this.root.classList.toggle("many", people.length >= MANY);
    this.#say("");
    this.root.querySelector(".notes").append(...notesOf(result).map((note) => element("li", {}, note)));
    const said = people.map(({ face, label, confidence }) => `${personName(face)}: ${reading(label, confidence)}.`);
    this.#canvas.setAttribute("aria-label", `${this.file.name}: ${count(people.length, "face")}. ${said.join(" ")}`);
    this.root.querySelector(".people").append(...(people.length ? people.map((person) => this.#person(person)) : [nobody()]));
    this.#frame();
  }

  #person({ face, label, confidence, probabilities }) {
    const rows = meters(this.#model, words);
    rows.update(probabilities);
    return element(
      "section",
      { class: "person-now", test: "photo-person", data: { face: String(face), label } },
      element("div", { class: "person-head" }, element("h4", {}, personName(face)), element("p", { class: "shown figures" }, reading(label, confidence))),
      rows.list,
    );
  }

  #fail(message) {
    const line = this.root.querySelector(".photo-state");
    line.dataset.test = "photo-error";
    line.className = "photo-state status error";
    line.setAttribute("role", "alert");
    line.textContent = message;
  }

  #say(text) {
    this.root.querySelector(".photo-state").textContent = text;
  }

  #bar(share) {
    const bar = this.root.querySelector("progress");
    if (share === null) bar.removeAttribute("value");
    else bar.value = share;
  }

  /** Gives the picture its place in the page: that of the file, or of what was read, or none. */
  #frame() {
    const [width, height] = this.#picture ? [this.#picture.width, this.#picture.height] : (this.#result?.image_size ?? [0, 0]);
    this.root.classList.toggle("pictureless", !width);
    if (width) this.#canvas.parentElement.style.setProperty("--ratio", String(width / height));
    this.#paint();
  }

  #paint() {
    const canvas = this.#canvas;
    const { clientWidth: width, clientHeight: height } = canvas;
    if (!width || !height || !(this.#picture || this.#result)) return;
    const ratio = Math.min(2, devicePixelRatio || 1);
    [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    const [wide, high] = this.#result?.image_size ?? [1, 1];
    // A file that browser and server turn differently: better no boxes than boxes beside the faces.
    const fits = this.#result && sameShape([canvas.width, canvas.height], this.#result.image_size);
    paint(canvas.getContext("2d"), this.#picture, fits ? this.#result.people : [], {
      scale: [canvas.width / wide, canvas.height / high],
      mesh: false,
      colours: this.#model.colours,
      name: labelName,
      number: personNumber,
      letters: Math.min(18, Math.max(12, width / 48)) * ratio,
    });
  }
}

const nobody = () => element("p", { class: "status" }, `No face was found here. ${TO_BE_FOUND}`);
