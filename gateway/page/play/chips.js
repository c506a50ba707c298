// The catalogue's categories as filters: one at a time, or none.

import { fill, h } from "../dom.js";

const SHOWN = 24;

/** Return the chips of the categories; `changed(name or null)` is called when the choice changes. */
export function chips(categories, changed) {
  let chosen = null;
  const row = h("div", { class: "chips", role: "group", "aria-label": "Categories" });
  const draw = () => [...row.children].forEach((chip) => chip.setAttribute("aria-pressed", String((chip.dataset.category ?? null) === chosen)));
  const choose = (name) => {
    chosen = chosen === name ? null : name;
    draw();
    changed(chosen);
  };
  fill(row,
    h("button", { class: "chip", type: "button", onclick: () => choose(null) }, "All"),
    categories.slice(0, SHOWN).map(({ name }) => h("button", { class: "chip", type: "button", "data-category": name, onclick: () => choose(name) }, name)));
  draw();
  return row;
}
