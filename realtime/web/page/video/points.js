// From windows to the points of a timeline. A window is longer than a glance: one that reaches over a moment in which nobody
// was seen says nothing of that moment, so the timeline has a gap there.

const ABSENT_S = 0.5; // a face that is not found for less than this was there all the same

/** The points of a person of `result` for a timeline, in the order of time; without probabilities where a gap begins. */
export function pointsOf({ windows, boxes }, { times, frame_rate }, hop_s) {
  const points = spokenFor(windows, hop_s);
  return spansOf(boxes, times, frame_rate).flatMap((span) => within(span, points, hop_s));
}

/** `[from_s, to_s]` of every stretch in which a face was seen; each frame lasts until the next. */
function spansOf(boxes, times, frame_rate) {
  const spans = [];
  boxes.forEach((box, frame) => {
    if (!box) return;
    const end_s = times[frame + 1] ?? times[frame] + 1 / frame_rate;
    const last = spans.at(-1);
    if (last && times[frame] - last[1] <= ABSENT_S) last[1] = end_s;
    else spans.push([times[frame], end_s]);
  });
  return spans;
}

/** The points of a stretch, the first and the last of which reach to its ends; then that nothing is known any more. */
function within([from_s, to_s], points, hop_s) {
  const inside = points.filter(({ time_s }) => time_s >= from_s && time_s <= to_s);
  if (!inside.length) inside.push(...nearest(points, (from_s + to_s) / 2, hop_s));
  const ends = [[from_s, inside[0]], [to_s, inside.at(-1)]].map(([time_s, point]) =>
    point?.probabilities && Math.abs(point.time_s - time_s) <= hop_s ? [{ ...point, time_s }] : [],
  );
  const between = inside.filter(({ time_s }) => time_s > from_s && time_s < to_s);
  return [...ends[0], ...between, ...ends[1], { time_s: to_s, label: "none", confidence: null, probabilities: null }];
}

/** The point nearest to a time, in a list; none if it is further away than a hop. */
function nearest(points, time_s, hop_s) {
  const away = (point) => Math.abs(point.time_s - time_s);
  const [found] = [...points].sort((one, other) => away(one) - away(other));
  return found && away(found) <= hop_s ? [found] : [];
}

/** Windows as points: each speaks for its middle, the first and the last of a stretch for its ends, too. */
function spokenFor(windows, hop_s) {
  const points = [];
  windows.forEach((window, index) => {
    const { time_s, label, confidence, probabilities } = window;
    const point = { time_s, label, confidence, probabilities };
    const [before, after] = [windows[index - 1], windows[index + 1]];
    if (probabilities && !joins(before, window, hop_s)) {
      // Only so far that a stretch before it, which ended, is not painted over.
      const from = Math.max(window.start_s, before ? before.time_s : -Infinity);
      for (let time = from; time < time_s - 1e-6; time += hop_s) points.push({ ...point, time_s: time });
    }
    points.push(point);
    if (probabilities && !joins(window, after, hop_s)) {
      const to = Math.min(window.end_s, after ? after.time_s : Infinity);
      for (let time = time_s + hop_s; time < to; time += hop_s) points.push({ ...point, time_s: time });
      if (to > time_s) points.push({ ...point, time_s: to });
    }
  });
  return points.sort((one, other) => one.time_s - other.time_s);
}

const joins = (one, other, hop_s) =>
  Boolean(one?.probabilities && other?.probabilities && other.time_s - one.time_s < 2 * hop_s);
