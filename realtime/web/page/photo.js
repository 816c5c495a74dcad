// The photo door: a card per photo, with every face in it.

import { forget, isAbort, resultOf, uploadPatiently } from "./api.js";
import { element, fromTemplate, hook, meters } from "./elements.js";
import { handOver } from "./intake.js";
import { paint } from "./painter.js";
import * as words from "./words.js";

const { count, labelName, personName, personNumber, reading, size } = words;
const MANY = 3; // so many people stand below the photo instead of beside it
const SHOWN_SIDE = 1600; // pixels: larger photos are kept smaller

let door = null;

export function open(section, model) {
  door = new PhotoDoor(section, model);
}
export const take = (files) => door.take(files);
export const busy = () => door.isBusy;

class PhotoDoor {
  #section;
  #model;
  #cards = [];
  #working = false;

  constructor(section, model) {
    this.#section = section;
    this.#model = model;
    const { limits } = model;
    section.querySelector("#photo-limits").textContent =
      `JPEG, PNG, WebP and others, as many as you like, up to ${size(limits.upload_bytes)} each. ` +
      `Up to ${limits.photo_faces} faces are read in a photo.`;
  }

  get isBusy() {
    return this.#cards.some((card) => card.isWaiting);
  }

  take(files) {
    const videos = files.filter((file) => file.type.startsWith("video/"));
    const photos = files.filter((file) => !videos.includes(file));
    if (videos.length) handOver("video", videos, photos.length > 0);
    for (const file of photos) {
      const card = new PhotoCard(file, this.#model, () => this.#remove(card));
      this.#cards.push(card);
      this.#section.querySelector("#photo-list").append(card.root);
    }
    this.#section.classList.toggle("has-readings", this.#cards.length > 0);
    this.#work();
  }

  async #work() {
    if (this.#working) return;
    this.#working = true;
    let done = 0;
    for (let card; (card = this.#cards.find((one) => one.isWaiting)); done += 1) {
      this.#tell(`Reading ${card.file.name}`);
      await card.work();
    }
    this.#working = false;
    this.#tell(`${count(done, "photo")} read`);
  }

  #tell(text) {
    this.#section.querySelector("#photo-progress").textContent = text;
  }

  #remove(card) {
    card.close();
    this.#cards.splice(this.#cards.indexOf(card), 1);
    this.#section.classList.toggle("has-readings", this.#cards.length > 0);
    hook(this.#section, "photo-input").focus();
  }
}

class PhotoCard {
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
      this.#check();
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

  #check() {
    const { upload_bytes } = this.#model.limits;
    if (this.file.size === 0) throw new Error("The file is empty: choose another one.");
    if (this.file.size > upload_bytes) throw new Error(`The file has ${size(this.file.size)}, and at most ${size(upload_bytes)} are taken.`);
  }

  #show(result) {
    if (result.kind !== "photo") {
      handOver("video", [this.file]);
      this.#fail("This file is a video: it is read at the video door.");
      return;
    }
    this.#result = result;
    const { people, notes } = result;
    this.root.classList.toggle("many", people.length >= MANY);
    this.#say("");
    this.root.querySelector(".notes").append(...notes.filter((note) => people.length || !/no face/i.test(note)).map((note) => element("li", {}, note)));
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
    const scale = [canvas.width / wide, canvas.height / high];
    // A file that browser and server turn differently: better no boxes than boxes beside the faces.
    const fits = this.#result && Math.abs(Math.log(scale[0] / scale[1])) < 0.03;
    paint(canvas.getContext("2d"), this.#picture, fits ? this.#result.people : [], {
      scale,
      mesh: false,
      colours: this.#model.colours,
      labels: this.#model.labels,
      name: labelName,
      number: personNumber,
      letters: Math.min(18, Math.max(12, width / 48)) * ratio,
    });
  }
}

const nobody = () =>
  element(
    "p",
    { class: "status" },
    "No face was found here. Faces should look towards the camera, be well lit, and not be too small.",
  );

/** The picture of a file as a canvas, at most SHOWN_SIDE large; null if the browser does not know its kind. */
async function pictureOf(file) {
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    return null;
  }
  const scale = Math.min(1, SHOWN_SIDE / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [picture.width, picture.height].map((side) => Math.max(1, Math.round(side * scale)));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  return canvas;
}
