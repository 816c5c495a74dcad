// How files come in: chosen, dropped anywhere on the page, or pasted.

import { size } from "./words.js";

/** Calls `take(files)` for whatever is given to a door while it is open. Files given before this was called count. */
export function receive(section, take) {
  const input = section.querySelector('input[type="file"]');
  const give = (files) => files.length && take([...files]);
  const chosen = () => {
    give([...input.files]);
    input.value = ""; // the same file can be chosen again
  };
  input.addEventListener("change", chosen);
  if (input.files.length) chosen();

  // Entering a child is told before leaving its parent: what counts is how many were entered and not left.
  let depth = 0;
  const count = (step) => {
    depth = step === 0 ? 0 : Math.max(0, depth + step);
    section.classList.toggle("dropping", depth > 0);
  };
  const on = (name, listener) => document.addEventListener(name, (event) => !section.hidden && listener(event));
  on("dragenter", (event) => brings(event) && count(1));
  on("dragleave", (event) => brings(event) && count(-1));
  on("dragover", (event) => {
    if (brings(event)) event.dataTransfer.dropEffect = "copy";
  });
  on("drop", (event) => {
    count(0);
    give(event.dataTransfer?.files ?? []);
  });
  on("paste", (event) => give(event.clipboardData?.files ?? []));
}

const brings = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");

/** Throws what can be known of a file without asking the server; `advice`: what to do about one that is too large. */
export function checkSize(file, { upload_bytes }, advice = "") {
  if (file.size === 0) throw new Error("The file is empty: choose another one.");
  if (file.size > upload_bytes) throw new Error(`The file has ${size(file.size)}, and at most ${size(upload_bytes)} are taken${advice}.`);
}

/** Gives files to another door, and goes there unless there is something to do here (`stay`). */
export function handOver(door, files, stay = false) {
  document.dispatchEvent(new CustomEvent("stgt-files", { detail: { door, files, stay } }));
}
