// The photo door: a card per photo, with every face in it.

import { hook } from "../elements.js";
import { handOver } from "../intake.js";
import { count, size } from "../words.js";
import { PhotoCard } from "./card.js";

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
