// How fast it is: readings shown in a second, and the time from a picture to its reading on the screen.

const KEPT = 500;
const WINDOW_MS = 2000;

export class Figures {
  /** For measurement from outside; `latenciesMs`: of the last 500 results. */
  measured = { results: 0, frameRate: 0, latenciesMs: [] };
  #rate;
  #latency;
  #recent = []; // {at_ms, latency_ms} of the last two seconds

  /** `rate` and `latency`: elements that show them. */
  constructor(rate, latency) {
    this.#rate = rate;
    this.#latency = latency;
    this.clear();
  }

  /** A result was painted, so long after its picture was taken. */
  add(latency_ms) {
    const now = performance.now();
    const { measured } = this;
    measured.results += 1;
    measured.latenciesMs.push(latency_ms);
    if (measured.latenciesMs.length > KEPT) measured.latenciesMs.shift();
    this.#recent.push({ at_ms: now, latency_ms });
    this.#drop(now);
    const span = now - this.#recent[0].at_ms;
    measured.frameRate = span > 0 ? (1000 * (this.#recent.length - 1)) / span : 0;
  }

  /** Brings what is shown up to date. */
  show() {
    this.#drop(performance.now());
    if (this.#recent.length < 2) {
      this.clear();
      return;
    }
    const latencies = this.#recent.map(({ latency_ms }) => latency_ms).sort((one, other) => one - other);
    this.#rate.textContent = `${Math.round(this.measured.frameRate)} pictures a second`;
    this.#latency.textContent = `${Math.round(latencies[latencies.length >> 1])} ms behind`;
  }

  clear() {
    this.#recent.length = 0;
    this.measured.frameRate = 0;
    this.#rate.textContent = "– pictures a second";
    this.#latency.textContent = "– ms behind";
  }

  #drop(now) {
    while (this.#recent.length && now - this.#recent[0].at_ms > WINDOW_MS) this.#recent.shift();
  }
}
