// Sliders for what a request can ask for.

import { debounced, h } from "../dom.js";

const SLIDERS = [
  ["diversity", "Diversity", "less alike"],
  ["novelty", "Novelty", "less famous"],
  ["rotation", "Rotation", "less seen"],
];
const WAIT_MS = 120;

/** Return the sliders. `changed({diversity, novelty, rotation})` is called when one was moved. */
export function sliders(values, changed) {
  const later = debounced(() => changed({ ...values }), WAIT_MS);
  return SLIDERS.map(([name, label, meaning]) => {
    const number = h("output", { for: `tune-${name}` }, shown(values[name]));
    const input = h("input", {
      type: "range", min: 0, max: 1, step: 0.05, id: `tune-${name}`, value: values[name], "aria-describedby": `tune-${name}-meaning`,
      oninput: () => {
        values[name] = Number(input.value);
        number.textContent = shown(values[name]);
        later();
      },
    });
    return h("div", { class: "slider" },
      h("label", { for: `tune-${name}` }, label),
      h("span", { class: "faint", id: `tune-${name}-meaning` }, meaning), number, input);
  });
}

function shown(value) {
  return value ? value.toFixed(2) : "off";
}
