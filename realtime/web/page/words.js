// What the page says, in one place and for everybody: short, honest, no jargon.

const LABELS = {
  uncertain: ["not sure", "nothing is probable enough"],
  none: ["no face", "no face is seen"],
  neutral: ["neutral", "a face at rest, or talking without expression"],
  anger: ["anger", "lowered brows, hard eyes, pressed lips"],
  contempt: ["contempt", "one corner of the mouth tightened"],
  disgust: ["disgust", "wrinkled nose, raised upper lip"],
  fear: ["fear", "brows raised and drawn together, wide eyes, stretched mouth"],
  happiness: ["happiness", "raised cheeks, corners of the mouth pulled up"],
  sadness: ["sadness", "inner ends of the brows raised, corners of the mouth down"],
  surprise: ["surprise", "raised brows, wide eyes, open mouth"],
};

/** The name of a label as people read it. */
export const labelName = (label) => LABELS[label]?.[0] ?? String(label).replaceAll("_", " ");

/** What a face does that shows this label, or null where nothing is known of it. */
export const labelHint = (label) => LABELS[label]?.[1] ?? null;

/** What the live states mean; `reading` speaks for itself. */
export const STATES = {
  reading: "reading",
  uncertain: "not sure",
  "warming up": "getting to know this face",
  "no face": "out of sight",
};

/** People count from one; files of STGT count from 0. */
export const personNumber = (face) => String(face + 1);
export const personName = (face) => `Person ${face + 1}`;

/** 0.834 as "83 %". */
export const percent = (share) => (Number.isFinite(share) ? `${Math.round(share * 100)} %` : "–");

/** "happiness, 83 %". */
export function reading(label, confidence) {
  return Number.isFinite(confidence) ? `${labelName(label)}, ${percent(confidence)}` : labelName(label ?? "none");
}

/** What helps where no face was found. */
export const TO_BE_FOUND = "Faces should look towards the camera, be well lit, and not be too small.";

/** What else is to be known of a result; that there is no face in it is said where faces would be. */
export const notesOf = ({ notes, people }) => notes.filter((note) => people.length || !/no face/i.test(note));

/** A moment: "0:04.2", "1:02:13.0"; without tenths "0:04". */
export function clock(seconds, tenths = true) {
  const rounded = tenths ? Math.round(Math.max(0, seconds) * 10) / 10 : Math.round(Math.max(0, seconds));
  const hours = Math.floor(rounded / 3600);
  const minutes = Math.floor((rounded % 3600) / 60);
  const rest = (rounded % 60).toFixed(tenths ? 1 : 0).padStart(tenths ? 4 : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** A length of time: "4.2 s", "1 min 12 s". */
export function length(seconds) {
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.round((whole % 3600) / 60)} min`;
}

/** An estimate is no stopwatch: "a few seconds left", "about 40 s left", "about 3 min left". */
export function remaining(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "";
  if (seconds < 4) return "a few seconds left";
  if (seconds < 20) return `about ${Math.round(seconds)} s left`;
  if (seconds < 90) return `about ${Math.round(seconds / 5) * 5} s left`;
  return `about ${Math.round(seconds / 60)} min left`;
}

const BRIEF = 0.1; // of the time in sight: less was shown briefly

/** Seconds per label in a sentence: "Mostly neutral; also happiness and anger; briefly fear." */
export function summary(seconds) {
  const shown = Object.entries(seconds).filter(([, time_s]) => time_s > 0).sort(([, one], [, other]) => other - one);
  const all = shown.reduce((sum, [, time_s]) => sum + time_s, 0);
  if (!shown.length) return "Nothing could be read.";
  const [[first, longest], ...others] = shown;
  const named = (keep) => list(others.filter(([, time_s]) => keep(time_s / all)).map(([label]) => labelName(label)));
  const adverb = others.length === 0 ? "Only" : longest > all / 2 ? "Mostly" : "Most often";
  const parts = [`${adverb} ${labelName(first)}`];
  const [also, briefly] = [named((share) => share >= BRIEF), named((share) => share < BRIEF)];
  if (also) parts.push(`also ${also}`);
  if (briefly) parts.push(`briefly ${briefly}`);
  return `${parts.join("; ")}.`;
}

const list = (names) => (names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`);

const KB = 1024;

/** A size of a file: "1.2 MB". */
export function size(bytes) {
  if (bytes < KB) return `${bytes} bytes`;
  if (bytes < KB ** 2) return `${Math.round(bytes / KB)} KB`;
  const [value, unit] = bytes < KB ** 3 ? [bytes / KB ** 2, "MB"] : [bytes / KB ** 3, "GB"];
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

export const count = (number, one, many = `${one}s`) => `${number === 0 ? "no" : number} ${number === 1 ? one : many}`;

/** Where a camera stands in the line for a place. */
export function placeInLine(ahead) {
  const before = ahead === 0 ? "you are next in line." : `${count(ahead, "camera")} ${ahead === 1 ? "is" : "are"} before yours in line.`;
  return `Every place is taken: ${before}`;
}

const LOOPBACK = /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** Where pictures go, as it is: the page may well be served by another computer. */
export function privacy(hostname) {
  return LOOPBACK.test(hostname)
    ? "Nothing leaves this computer."
    : `Pictures and videos are sent to ${hostname} and read there.`;
}

const NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
export const inWords = (number) => NUMBERS[number] ?? String(number);

/** What the notice says of where the model's knowledge is from. */
export const learntFrom = ({ trained_on }) =>
  /generated|synthetic/i.test(trained_on)
    ? "The model learnt from computer-generated faces and is often wrong"
    : "The model is a computer program that learnt from examples, and is often wrong";

/** What a server says, as a sentence: "the file is empty" becomes "The file is empty." */
export function sentence(text) {
  const trimmed = String(text).trim();
  return trimmed.charAt(0).toUpperCase() + trimmed.slice(1) + (/[.!?…]$/.test(trimmed) ? "" : ".");
}

const ENGINES = { onnxruntime: "ONNX Runtime", torch: "PyTorch", openvino: "OpenVINO" };

/** The model in one line, for the foot of the page. */
export function modelLine(model) {
  return [
    `STGT ${model.version}`,
    `model “${model.checkpoint}”`,
    `${model.layout.nodes} points of each face, ${model.window_s} s at a time`,
    `${ENGINES[model.engine] ?? model.engine} on ${model.device === "cpu" ? "the processor" : model.device}`,
  ].join(" · ");
}
