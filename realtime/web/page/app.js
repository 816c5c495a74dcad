// The page: three doors behind hash routes, the theme, the model at the foot.
//
// A door is a module (live/door.js, video/door.js, photo/door.js) that exports
//   open(section, model)   once, when it is entered for the first time; model is the answer of api/model
//   shown(), hidden()      optional: each time it is entered and left for another door
//   busy()                 optional: true while leaving the page would lose something
//   take(files)            for doors with a file input: files that were chosen, dropped, pasted or handed over
import { getModel } from "./api.js";
import { element } from "./elements.js";
import { receive } from "./intake.js";
import { count, inWords, labelHint, labelName, learntFrom, modelLine, privacy } from "./words.js";

const NAMES = ["live", "video", "photo"];
const doors = new Map(); // name -> promise of its module, opened
const opened = [];
const given = new Map([["video", []], ["photo", []]]); // files for doors that are not open yet
let current = null;
let gettingModel = null;

function route() {
  const name = NAMES.find((name) => location.hash === `#${name}`) ?? NAMES[0];
  if (name === current) return;
  const left = current;
  current = name;
  for (const other of NAMES) {
    document.getElementById(`door-${other}`).hidden = other !== name;
    const link = document.getElementById(`to-${other}`);
    if (other === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.getElementById("elsewhere").hidden = true;
  document.title = `${labelOf(name)} – STGT`;
  if (left) doors.get(left)?.then((door) => door?.hidden?.());
  enter(name).then((door) => current === name && door?.shown?.());
}

const labelOf = (name) => document.getElementById(`to-${name}`).textContent.trim();

/** The module of a door, opened; null if that failed, which the page then says. */
function enter(name) {
  if (!doors.has(name)) {
    const opening = openDoor(name).catch((error) => {
      doors.delete(name);
      showTrouble(error, () => (given.has(name) ? give(name, []) : enter(name)));
      return null;
    });
    doors.set(name, opening);
  }
  return doors.get(name);
}

async function openDoor(name) {
  const [model, door] = await Promise.all([theModel(), import(`./${name}/door.js`)]);
  await door.open(document.getElementById(`door-${name}`), model);
  opened.push(door);
  return door;
}

function theModel() {
  gettingModel ??= getModel().then(
    (model) => {
      showModel(model);
      return model;
    },
    (error) => {
      gettingModel = null;
      throw error;
    },
  );
  return gettingModel;
}

function showModel(model) {
  document.getElementById("model").textContent = modelLine(model);
  document.getElementById("trained-on").textContent = model.trained_on;
  document.getElementById("origin").hidden = !model.trained_on;
  document.getElementById("learnt").textContent = learntFrom(model);
  document.getElementById("how-many").textContent = inWords(model.labels.length);
  document.getElementById("window").textContent = `${model.window_s} seconds`;
  const rows = model.labels.map((label) => [
    element("dt", {}, element("span", { class: "chip", style: { "--label": model.colours[label] } }), labelName(label)),
    element("dd", {}, labelHint(label) ?? ""),
  ]);
  document.getElementById("expressions").replaceChildren(...rows.flat());
}

function showTrouble(error, again) {
  const trouble = document.getElementById("trouble");
  trouble.querySelector("p").textContent = error.status === undefined ? `The page could not be loaded: ${error.message}.` : error.message;
  trouble.hidden = false;
  trouble.querySelector("button").onclick = () => {
    trouble.hidden = true;
    again();
  };
}

/** Gives files to a door; one that cannot be opened gets them when it can. */
async function give(name, files) {
  given.get(name).push(...files);
  const door = await enter(name);
  const all = door ? given.get(name).splice(0) : [];
  if (all.length) door.take(all);
}
for (const name of given.keys()) receive(document.getElementById(`door-${name}`), (files) => give(name, files));

// Files that were given to the wrong door: it asks here for the right one.
document.addEventListener("stgt-files", ({ detail: { door: name, files, stay } }) => {
  if (stay) showElsewhere(name, files.length);
  else location.hash = `#${name}`;
  give(name, files);
});

function showElsewhere(name, number) {
  const line = document.getElementById("elsewhere");
  const link = element("a", { href: `#${name}` }, `${labelOf(name)} door`);
  line.replaceChildren(`${count(number, "file")} of these ${number === 1 ? "is" : "are"} read at the `, link, ".");
  line.hidden = false;
}

// A file that is dropped must not replace the page, and a door may take it.
for (const event of ["dragover", "drop"]) addEventListener(event, (happening) => happening.preventDefault());

addEventListener("beforeunload", (leaving) => {
  if (opened.some((door) => door.busy?.())) leaving.preventDefault();
});

function followTheme() {
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const show = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", isDark() ? "Use the light theme" : "Use the dark theme");
  };
  const tell = () => {
    show();
    document.dispatchEvent(new CustomEvent("stgt-theme")); // canvases take their colours from the style sheet
  };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem("stgt-theme", root.dataset.theme);
    } catch {
      // It will be forgotten with the page.
    }
    tell();
  });
  system.addEventListener("change", tell);
  show();
}

// Left and right go from door to door, as in any row of tabs; Enter and Tab do what they do with links.
document.getElementById("doors").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const at = NAMES.findIndex((name) => event.target.id === `to-${name}`);
  if (!step || at < 0) return;
  event.preventDefault();
  const next = NAMES[(at + step + NAMES.length) % NAMES.length];
  location.hash = `#${next}`;
  document.getElementById(`to-${next}`).focus();
});

document.getElementById("privacy").textContent = privacy(location.hostname);
followTheme();
addEventListener("hashchange", route);
route();
