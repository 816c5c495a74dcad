// A video in the list: it waits its turn, is sent and read; and what can be done with it meanwhile and afterwards.

import { forget, isAbort, resultOf, uploadPatiently } from "../api.js";
import { fromTemplate, hook, setText } from "../elements.js";
import { checkSize, handOver } from "../intake.js";
import { clock, count, remaining, size } from "../words.js";

/** One video of the list: waiting, sending, reading, done, failed or cancelled. */
export class VideoItem {
  root = fromTemplate("video-item");
  state = "waiting";
  job = null;
  result = null;
  #options;
  #limits;
  #abort = new AbortController();

  constructor(file, options, limits, { onShow, onAgain, onRemove }) {
    [this.file, this.#options, this.#limits] = [file, options, limits];
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
      checkSize(this.file, this.#limits, ": cut the video, or save it smaller");
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
    setText(this.root.querySelector(".queue-words"), said);
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
