// The theme that was chosen here before, set before anything is painted. A classic script: modules come too late for it.
try {
  const chosen = localStorage.getItem("stgt-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage is refused: the system's theme it is.
}
