// The neutral face: a short countdown, a moment of holding still, and from then on expressions are read against it.

const COUNTDOWN_S = 3;
const COLLECTED_S = 1.5;
const PATIENCE_MS = 10_000; // a face that is not seen is not collected
const DONE_MS = 4000; // so long it is said that it is done

const DONE = "Your neutral face is set. From now on, expressions are read against it.";

/** `ask(seconds)` has it collected; `note(words)` shows how far it is, "" at the end; `say(words)` announces. */
export class NeutralFace {
  #button;
  #ask;
  #note;
  #say;
  #timer = 0;

  constructor(button, { ask, note, say }) {
    this.#button = button;
    this.#ask = ask;
    this.#note = note;
    this.#say = say;
    button.addEventListener("click", () => this.#begin());
  }

  /** Whether it has something to say at the moment. */
  get isUnderWay() {
    return this.#timer !== 0;
  }

  /** What the server says about it: "collecting" or "done". */
  hear(status) {
    if (status === "collecting") this.#note("Neutral face: hold still …");
    if (status !== "done" || !this.isUnderWay) return;
    this.#say(DONE);
    this.#note(DONE);
    this.#wait(DONE_MS, () => this.end());
    this.#button.disabled = false;
  }

  /** Ends it, however far it is. */
  end() {
    if (!this.isUnderWay) return;
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#button.disabled = false;
    this.#note("");
  }

  #begin() {
    this.#button.disabled = true;
    this.#say(`Neutral face: relax and look at the camera. It begins in ${COUNTDOWN_S} seconds.`);
    this.#count(COUNTDOWN_S);
  }

  #count(left) {
    if (left > 0) {
      this.#note(`Neutral face: relax, look at the camera … ${left}`);
      this.#wait(1000, () => this.#count(left - 1));
      return;
    }
    this.#note("Neutral face: hold still …");
    this.#ask(COLLECTED_S);
    this.#wait(PATIENCE_MS, () => this.end());
  }

  #wait(milliseconds, then) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(then, milliseconds);
  }
}
