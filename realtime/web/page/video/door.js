// The video door: a list of videos that are read one after the other, and what was read in one of them.

import { hook } from "../elements.js";
import { handOver } from "../intake.js";
import { size } from "../words.js";
import { VideoItem } from "./item.js";
import { VideoReading } from "./reading.js";

const PHOTO = /^image\/(?!gif|webp|apng)/; // those that cannot move

let door = null;

export function open(section, model) {
  door = new VideoDoor(section, model);
}
export const take = (files) => door.take(files);
export const busy = () => door.isBusy;

class VideoDoor {
  #section;
  #model;
  #items = [];
  #working = false;
  #shown = null; // {item, reading}

  constructor(section, model) {
    this.#section = section;
    this.#model = model;
    const { limits } = model;
    section.querySelector("#video-limits").textContent =
      `MP4, MOV, WebM and most others, up to ${size(limits.upload_bytes)}; the first ${Math.round(limits.video_s / 60)} minutes are read. ` +
      "Several are read one after the other.";
    const people = hook(section, "video-people");
    for (const option of [...people.options]) if (Number(option.value) > limits.faces) option.remove();
    for (const name of ["from", "to"]) hook(section, `video-neutral-${name}`).addEventListener("input", () => this.#checkOptions());
  }

  get isBusy() {
    return this.#items.some((item) => item.isAtWork) || Boolean(this.#shown?.reading.isDrawing);
  }

  take(files) {
    const photos = files.filter((file) => PHOTO.test(file.type));
    const videos = files.filter((file) => !photos.includes(file));
    if (photos.length) handOver("photo", photos, videos.length > 0);
    if (!videos.length || !this.#checkOptions(true)) return;
    const list = this.#section.querySelector("#video-queue");
    for (const file of videos) {
      const item = new VideoItem(file, this.#options(), this.#model.limits, {
        onShow: () => this.#show(item, true),
        onAgain: () => this.#again(item),
        onRemove: () => this.#remove(item),
      });
      this.#items.push(item);
      list.append(item.root);
    }
    list.hidden = false;
    this.#work();
  }

  #options() {
    const value = (name) => hook(this.#section, name).value.trim();
    const [from, to] = [value("video-neutral-from"), value("video-neutral-to")];
    return { faces: value("video-people"), neutral: from !== "" && to !== "" ? `${Number(from)}-${Number(to)}` : null };
  }

  /** Whether the options can be meant; `loudly` points at what is wrong. */
  #checkOptions(loudly = false) {
    const [from, to] = ["from", "to"].map((name) => hook(this.#section, `video-neutral-${name}`));
    let wrong = "";
    if ((from.value === "") !== (to.value === "")) wrong = "Fill in both times, or neither.";
    else if (to.value !== "" && !(Number(to.value) > Number(from.value))) wrong = "This has to be later than the other.";
    to.setCustomValidity(wrong);
    if (loudly && wrong) {
      to.closest("details").open = true;
      to.reportValidity();
    }
    return !wrong;
  }

  async #work() {
    if (this.#working) return;
    this.#working = true;
    for (let item; (item = this.#items.find((one) => one.state === "waiting")); ) {
      await item.work();
      if (item.result && !this.#shown) this.#show(item, false);
    }
    this.#working = false;
  }

  #again(item) {
    if (!this.#checkOptions(true)) return;
    if (this.#shown?.item === item) this.#hide();
    item.startOver(this.#options());
    this.#work();
  }

  #remove(item) {
    if (this.#shown?.item === item) this.#hide();
    item.close();
    this.#items.splice(this.#items.indexOf(item), 1);
    const list = this.#section.querySelector("#video-queue");
    list.hidden = !this.#items.length;
    hook(this.#section, "video-input").focus();
  }

  #show(item, asked) {
    this.#hide();
    const reading = new VideoReading(item.job, item.file, item.result, this.#model);
    this.#shown = { item, reading };
    item.root.setAttribute("aria-current", "true");
    this.#section.querySelector("#video-result").append(reading.root);
    this.#section.classList.add("has-readings");
    if (asked) reading.root.querySelector("h3").focus({ preventScroll: true });
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (!this.#section.hidden) reading.root.scrollIntoView({ block: "start", behavior: calm ? "auto" : "smooth" });
  }

  #hide() {
    this.#shown?.reading.close();
    this.#shown?.item.root.removeAttribute("aria-current");
    this.#shown = null;
    this.#section.classList.remove("has-readings");
  }
}
