// Building the page's elements without markup in strings: what comes from files and servers only ever becomes text.

/**
 * A new element.
 * `properties`: `class`, `test` (data-test), `data` ({name: value}), `on` ({event: listener}), `style` ({property: value});
 * everything else is a property of the element if it has one of that name, and an attribute otherwise.
 * `children`: elements, strings, or null for none.
 */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (name === "class") node.className = value;
    else if (name === "test") node.dataset.test = value;
    else if (name === "data") Object.assign(node.dataset, value);
    else if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else if (name === "style") for (const [property, of] of Object.entries(value)) node.style.setProperty(property, of);
    else if (name in node && !name.startsWith("aria")) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** The content of the `<template>` with this id: its only element, new. */
export function fromTemplate(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}

/** The one element in `root` whose data-test is `name`. */
export function hook(root, name) {
  return root.querySelector(`[data-test="${name}"]`);
}

/** Changes a text only if it is another one: what is read aloud is not read again, and nothing is laid out anew. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * A meter: name, bar, value. `update(share, text)` moves it; `share` is of the bar, 0 to 1.
 * Screen readers read name and value; the bar is for the eyes.
 */
export function meter(name, colour, hint = null) {
  const value = element("span", { class: "meter-value" });
  const bar = element("span", { class: "meter-bar", "aria-hidden": "true" }, element("span", { class: "meter-fill" }));
  const row = element(
    "li",
    { class: "meter", title: hint, style: { "--label": colour, "--share": "0" } },
    element("span", { class: "meter-label" }, name),
    bar,
    value,
  );
  return {
    row,
    update(share, text, leads = false) {
      row.style.setProperty("--share", String(Math.max(0, Math.min(1, share || 0))));
      row.classList.toggle("leads", leads);
      setText(value, text);
    },
  };
}

/** The meters of all labels in a list, and `update(probabilities)` for them; `null` empties them. */
export function meters(model, { labelName, labelHint, percent }) {
  const rows = model.labels.map((label) => meter(labelName(label), model.colours[label], labelHint(label)));
  return {
    list: element("ul", { class: "meters" }, ...rows.map(({ row }) => row)),
    update(probabilities) {
      const most = probabilities ? Math.max(...probabilities) : Infinity;
      rows.forEach((row, index) => {
        const share = probabilities ? probabilities[index] : 0;
        row.update(share, probabilities ? percent(share) : "–", share >= most);
      });
    },
  };
}
