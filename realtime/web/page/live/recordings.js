// Recordings: begun, ended, and handed over as links that work for a while.

import { address, request } from "../api.js";
import { element } from "../elements.js";
import { clock, length } from "../words.js";

const FILES = [
  ["annotated.mp4", "Annotated video", "video"],
  ["predictions.csv", "Table (CSV)", "csv"],
  ["summary.png", "Summary (picture)", "picture"],
  ["summary.json", "Summary (JSON)", "json"],
];
const LOOKS = 8; // times that one looks for a recording whose connection broke, a second apart

/**
 * One recording at a time and the list of those that are done.
 *
 * `say(message)` sends to the server; `changed(words)` is called when the state changes, with something to announce.
 */
export class Recordings {
  #list;
  #kept_s;
  #longest_s;
  #say;
  #changed;
  #state = "off"; // "off" | "asked" | "on" | "finishing"
  #id = null;
  #began_ms = 0;
  #items = new Map(); // id -> element

  constructor(list, { kept_s, recording_s }, say, changed) {
    this.#list = list;
    this.#kept_s = kept_s;
    this.#longest_s = recording_s;
    this.#say = say;
    this.#changed = changed;
  }

  get state() {
    return this.#state;
  }

  /** How long it has been going on: "0:12". */
  get elapsed() {
    return clock((performance.now() - this.#began_ms) / 1000, false);
  }

  toggle() {
    if (this.#state === "off") {
      this.#clearComplaints();
      this.#state = "asked";
      this.#say({ type: "record", on: true });
    } else if (this.#state === "on") this.finish();
    this.#changed(null);
  }

  /** Ends it, if there is one. */
  finish() {
    if (this.#state !== "on" && this.#state !== "asked") return;
    this.#state = "finishing";
    this.#say({ type: "record", on: false });
    this.#changed(null);
  }

  /** What the server says about it. */
  hear({ status, id, seconds, files, error }) {
    if (status === "on") {
      this.#id = id;
      this.#began_ms = performance.now();
      this.#set("on", `Recording, at most ${length(this.#longest_s)}.`);
    } else if (status === "finishing") {
      this.#set("finishing", null);
    } else if (status === "ready") {
      this.#add(id, files, seconds);
      this.#set("off", "The recording is ready below the picture.");
    } else if (status === "failed") {
      this.#set("off", null);
      this.#complain(`There is no recording: ${error ?? "the server gave no reason."}`);
    }
  }

  /** The connection broke: the server finishes what there is; it is looked for, and shown if it is found. */
  async lose() {
    if (this.#state === "off") return;
    const id = this.#id;
    const seconds = (performance.now() - this.#began_ms) / 1000;
    const began = this.#state !== "asked" && id !== null;
    this.#set("off", began ? "The recording was interrupted." : null);
    if (!began) return;
    for (let look = 0; look < LOOKS; look += 1) {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      try {
        await request(`api/recordings/${id}/summary.json`);
        const files = Object.fromEntries(FILES.map(([name]) => [name, `api/recordings/${id}/${name}`]));
        this.#add(id, files, seconds);
        this.#changed("The interrupted recording is below the picture.");
        return;
      } catch {
        // Not finished yet, or the server is still away.
      }
    }
    this.#complain("The recording was lost together with the connection.");
  }

  /** Says what went wrong, above the recordings, until the next one begins. */
  #complain(words) {
    this.#clearComplaints();
    this.#list.prepend(element("li", { class: "status error live-complaint", test: "live-recording-error" }, words));
    this.#list.hidden = false;
    this.#changed(words);
  }

  #clearComplaints() {
    for (const complaint of this.#list.querySelectorAll(".live-complaint")) this.#discard(complaint);
  }

  #set(state, words) {
    this.#state = state;
    if (state === "off") this.#id = null;
    this.#changed(words);
  }

  #add(id, files = {}, seconds = null) {
    const links = FILES.filter(([name]) => files[name]).map(([name, words, test]) =>
      element("a", { class: "button", href: address(files[name]), download: name, test: `live-download-${test}` }, words),
    );
    const until = new Date(Date.now() + 1000 * this.#kept_s).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const remove = element("button", { class: "button quiet", type: "button", test: "live-recording-delete" }, "Delete");
    const item = element(
      "li",
      { class: "card live-kept", test: "live-recording", tabIndex: -1 },
      element("div", { class: "live-kept-head" }, element("h3", {}, seconds ? `Recording of ${length(seconds)}` : "Recording"), remove),
      element("p", { class: "hint" }, `STGT keeps it until ${until}, then deletes it. Download what you want to keep.`),
      element("div", { class: "row" }, ...links),
    );
    remove.addEventListener("click", () => this.#remove(id, remove));
    this.#items.set(id, item);
    this.#list.prepend(item);
    this.#list.hidden = false;
    setTimeout(() => this.#forget(id), 1000 * this.#kept_s);
  }

  /** A server that was started anew has none of them any more: links that lead nowhere are taken away. */
  async check() {
    for (const id of [...this.#items.keys()]) {
      try {
        await request(`api/recordings/${id}/summary.json`);
      } catch (error) {
        if (error.status === 404) this.#forget(id);
      }
    }
  }

  #forget(id) {
    const item = this.#items.get(id);
    if (item) this.#discard(item);
    this.#items.delete(id);
  }

  async #remove(id, button) {
    button.disabled = true;
    try {
      await request(`api/recordings/${id}`, { method: "DELETE", as: "nothing" });
    } catch (error) {
      if (error.status !== 404) {
        button.disabled = false;
        this.#complain(error.message);
        return;
      }
    }
    const door = this.#list.closest("section");
    this.#forget(id);
    const next = this.#list.firstElementChild ?? door.querySelector("#live-record:not([hidden]), #live-start:not([hidden])");
    next?.focus();
    this.#changed("The recording was deleted.");
  }

  #discard(item) {
    item.remove();
    this.#list.hidden = this.#list.children.length === 0;
  }
}
