// How probabilities went over time: points, few of them, and the stretches in which something was known.

const GAP_S = 1; // without any news for longer, nothing was known
const RAMP_S = 0.4; // between points this near the curve runs straight; after a longer hold it starts to move late
const LEAST_STEP_S = 1 / 15; // finer steps than the eye follows would only cost time
const LONE_S = 0.2; // a lone point lasts so long

/** Points `{time_s, probabilities, label}` in the order of time; without probabilities, nothing is known from there on. */
export class Course {
  #points = [];
  #heldS = -Infinity; // up to here the last point holds

  /** All points at once. */
  set(points) {
    this.#points = points.slice();
    this.#heldS = points.length ? points[points.length - 1].time_s : -Infinity;
  }

  /** One more point; what repeats the last one only makes it last longer. A clock that runs backwards begins anew. */
  push(point) {
    const points = this.#points;
    const last = points[points.length - 1];
    if (last && point.time_s < this.#heldS) points.length = 0;
    else if (last && this.#holds(last, point)) {
      this.#heldS = point.time_s;
      return;
    } else if (last && this.#mustKeep(last, point)) points.push({ ...last, time_s: this.#heldS });
    else if (points.length > 1 && point.time_s - points[points.length - 2].time_s < LEAST_STEP_S) points.pop();
    points.push(point);
    this.#heldS = point.time_s;
  }

  /** Lets go of what lies before a time, once it is worth it. */
  dropBefore(time_s) {
    const old = this.#indexAt(time_s);
    if (old > 64) this.#points.splice(0, old);
  }

  /** The point at a time, or null where nothing is known. */
  at(time_s) {
    const index = this.#indexAt(time_s);
    const around = [this.#points[index], this.#points[index + 1]];
    if (around[0] && !around[0].probabilities) return null;
    const near = around
      .filter((point) => point?.probabilities && Math.abs(point.time_s - time_s) <= GAP_S)
      .sort((one, other) => Math.abs(one.time_s - time_s) - Math.abs(other.time_s - time_s));
    return near[0] ?? null;
  }

  /** Stretches in which something was known, as lists of points, cut to what is in sight. */
  stretches(start_s, end_s) {
    const held = Math.min(end_s, this.#heldS);
    const points = this.#points.slice(Math.max(0, this.#indexAt(start_s)));
    const stretches = [];
    let stretch = [];
    const finish = () => {
      if (stretch.length === 1) stretch = [stretch[0], { ...stretch[0], time_s: stretch[0].time_s + LONE_S }];
      if (stretch.length) stretches.push(stretch);
      stretch = [];
    };
    for (const point of points) {
      if (point.time_s > end_s + GAP_S) break;
      if (stretch.length && point.time_s - stretch[stretch.length - 1].time_s > GAP_S) finish();
      if (point.probabilities) stretch.push(point);
      else finish();
    }
    const last = stretch[stretch.length - 1];
    if (last && last === this.#points[this.#points.length - 1] && held > last.time_s) stretch.push({ ...last, time_s: held });
    finish();
    return stretches;
  }

  #holds(last, point) {
    if (point.time_s - this.#heldS > GAP_S || last.label !== point.label) return false;
    if (!last.probabilities || !point.probabilities) return !last.probabilities && !point.probabilities;
    return last.probabilities.every((value, index) => value === point.probabilities[index]);
  }

  /** Whether the curve stays level up to the last news, before it goes to a new point or breaks off. */
  #mustKeep(last, point) {
    const known = last.probabilities && point.probabilities;
    return this.#heldS > last.time_s && (!known || this.#heldS - last.time_s > RAMP_S);
  }

  /** Index of the last point that is not after a time, or -1. */
  #indexAt(time_s) {
    let [low, high] = [0, this.#points.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#points[middle].time_s <= time_s) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
