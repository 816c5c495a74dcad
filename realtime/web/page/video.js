// The video door: a list of videos that are read one after the other, and what was read in one of them.

import { forget, isAbort, resultOf, uploadPatiently } from "./api.js";
import { fromTemplate, hook } from "./elements.js";
import { handOver } from "./intake.js";
import { VideoReading } from "./reading.js";
import { clock, count, remaining, size } from "./words.js";

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
      const item = new VideoItem(file, this.#options(), this.#model, {
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

/** One video of the list: waiting, sending, reading, done, failed or cancelled. */
class VideoItem {
  root = fromTemplate("video-item");
  state = "waiting";
  job = null;
  result = null;
  #options;
  #model;
  #abort = new AbortController();

  constructor(file, options, model, { onShow, onAgain, onRemove }) {
    [this.file, this.#options, this.#model] = [file, options, model];
    this.root.querySelector("strong").textContent = file.name;
    this.root.querySelector(".hint").textContent = size(file.size);
    const listeners = { show: onShow, again: onAgain, remove: onRemove, cancel: () => this.#cancel() };
    for (const [name, listener] of Object.entries(listeners)) {
      const button = hook(this.root, `video-${name}`);
      button.addEventListener("click", listener);
      button.setAttribute("aria-label", `${button.textContent}: ${file.name}`);
    }
    this.#become("waiting", "Waiting its turn");
  }

  get isAtWork() {
    return ["waiting", "sending", "reading"].includes(this.state);
  }

  async work() {
    const { signal } = this.#abort;
    try {
      this.#check();
      this.#become("sending", "Sending");
      const started = performance.now();
      const job = await uploadPatiently(this.file, this.#options, {
        signal,
        onProgress: (share) => this.#showSending(share, (performance.now() - started) / 1000),
        onWait: (seconds) => this.#say("Others are being served", `trying again in ${seconds} s`, null),
      });
      this.job = job.id;
      this.#become("reading", "Reading");
      this.#finish(await resultOf(job.id, { signal, onChange: (now) => this.#showReading(now) }));
    } catch (error) {
      this.#drop();
      if (!isAbort(error)) this.#become("failed", error.message);
    }
  }

  startOver(options) {
    this.#drop();
    this.result = null;
    this.#options = options;
    this.#abort = new AbortController();
    this.#become("waiting", "Waiting its turn");
  }

  close() {
    this.#abort.abort();
    this.#drop();
    this.root.remove();
  }

  /** What can be known without asking the server. */
  #check() {
    const { upload_bytes } = this.#model.limits;
    if (this.file.size === 0) throw new Error("The file is empty: choose another one.");
    if (this.file.size > upload_bytes) {
      throw new Error(`The file has ${size(this.file.size)}, and at most ${size(upload_bytes)} are taken: cut the video, or save it smaller.`);
    }
  }

  #finish(result) {
    if (result.kind === "photo") {
      handOver("photo", [this.file]);
      this.#drop();
      this.#become("failed", "This file is a photo: it is read at the photo door.");
      return;
    }
    this.result = result;
    this.#become("done", `Read: ${count(result.people.length, "person", "people")} in ${clock(result.duration_s)}`);
  }

  #cancel() {
    this.#abort.abort();
    this.#drop();
    this.#become("cancelled", "Cancelled");
    hook(this.root, "video-again").focus();
  }

  #drop() {
    if (this.job) forget(this.job);
    this.job = null;
  }

  #showSending(share, seconds) {
    this.#say("Sending", share > 0.02 ? remaining((seconds * (1 - share)) / share) : "", share);
  }

  #showReading({ status, ahead, progress: { done, expected, share, remaining_s } }) {
    if (status === "waiting") return this.#say(ahead ? `${count(ahead, "other")} before this one` : "Waiting its turn", "", null);
    const frames = expected ? `frame ${done} of ${Math.max(done, expected)}` : `frame ${done}`;
    this.#say("Reading", [frames, remaining(remaining_s) || "estimating …"].join(" · "), share);
  }

  #say(said, rest, share) {
    const line = this.root.querySelector(".queue-words");
    if (line.textContent !== said) line.textContent = said;
    hook(this.root, "video-remaining").textContent = rest;
    const bar = hook(this.root, "video-progress");
    if (share === null) bar.removeAttribute("value");
    else bar.value = share;
  }

  #become(state, said) {
    this.state = state;
    this.root.dataset.state = state;
    const failed = state === "failed";
    const line = this.root.querySelector(".queue-words");
    line.dataset.test = failed ? "video-error" : "video-status";
    line.setAttribute("role", failed ? "alert" : "status");
    line.textContent = said;
    hook(this.root, "video-remaining").textContent = "";
    hook(this.root, "video-progress").removeAttribute("value");
    hook(this.root, "video-progress").hidden = !this.isAtWork || state === "waiting";
    hook(this.root, "video-cancel").hidden = !this.isAtWork;
    hook(this.root, "video-show").hidden = state !== "done";
    const again = hook(this.root, "video-again");
    again.hidden = this.isAtWork;
    again.textContent = state === "done" ? "Read again" : "Try again";
    again.setAttribute("aria-label", `${again.textContent}: ${this.file.name}`);
    hook(this.root, "video-remove").hidden = this.isAtWork;
  }
}
