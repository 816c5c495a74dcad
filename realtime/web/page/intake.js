// How files come in: chosen, dropped anywhere on a door, or pasted.

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
  const show = () => section.classList.toggle("dropping", depth > 0);
  const brings = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  section.addEventListener("dragenter", (event) => {
    if (!brings(event)) return;
    depth += 1;
    show();
  });
  section.addEventListener("dragleave", (event) => {
    if (!brings(event)) return;
    depth = Math.max(0, depth - 1);
    show();
  });
  section.addEventListener("dragover", (event) => {
    event.preventDefault();
    if (brings(event)) event.dataTransfer.dropEffect = "copy";
  });
  section.addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    show();
    give(event.dataTransfer?.files ?? []);
  });
  document.addEventListener("paste", (event) => {
    if (!section.hidden) give(event.clipboardData?.files ?? []);
  });
}

/** Gives files to another door, which opens. */
export function handOver(door, files) {
  document.dispatchEvent(new CustomEvent("stgt-files", { detail: { door, files } }));
}
