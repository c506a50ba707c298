// Comparisons as intervals on one axis with zero in its middle.

import { h, s } from "../dom.js";
import { signed, signedRound } from "../ops/format.js";
import { DECIDED } from "./words.js";

const STEPS = [0.02, 0.05, 0.1, 0.2, 0.5, 1];

/** Return a figure: one interval for each comparison of a variant with the control, and their axis. */
export function intervals(comparisons, { margin = 0, about }) {
  const reach = reachOf(comparisons, margin);
  const place = (value) => `${50 + 50 * Math.max(-1, Math.min(1, value / reach))}%`;
  return h("figure", { class: "intervals" },
    comparisons.map((one) => row(one, place, reach, margin)),
    h("div", { class: "interval-row interval-axis", "aria-hidden": "true" }, h("span"), axis(place, reach), h("span")),
    h("figcaption", {}, about, margin > 0 && `; the shaded part is the margin of ${signedRound(-margin)}`));
}

/** How far the axis goes to each side. It changes in steps, so that it rests while the intervals narrow. */
function reachOf(comparisons, margin) {
  const ends = comparisons.flatMap(({ effect, low, high }) => [effect, low, high]).map((value) => Math.abs(value ?? 0));
  const farthest = Math.max(margin, ...ends) * 1.1;
  return STEPS.find((step) => step >= farthest) ?? STEPS.at(-1);
}

function row({ variant, effect, low, high, decision, label = DECIDED[decision] }, place, reach, margin) {
  return h("div", { class: "interval-row", "data-decision": decision },
    h("p", { class: "interval-name" }, h("strong", { dir: "auto" }, variant), h("span", {}, label)),
    s("svg", { class: "interval", height: 44, width: "100%", "aria-hidden": "true" },
      margin > 0 && s("rect", { class: "interval-margin", x: place(-margin), y: 0, width: `${(50 * Math.min(margin, reach)) / reach}%`, height: 44 }),
      s("line", { class: "interval-zero", x1: "50%", x2: "50%", y1: 0, y2: 44 }),
      low !== null && mark({ effect, low, high }, place, reach)),
    h("p", { class: "interval-numbers" }, ...inNumbers({ effect, low, high })));
}

/** What lies beyond the axis is not drawn; an interval without an upper end goes to the end of the axis. */
function mark({ effect, low, high }, place, reach) {
  const width = Math.max(0, parseFloat(place(high ?? reach)) - parseFloat(place(low)));
  const ends = [low, high].filter((end) => end !== null && Math.abs(end) <= reach);
  return [
    s("rect", { class: "interval-range", x: place(low), y: 16, width: `${width}%`, height: 12, rx: 6 }),
    ends.map((end) => s("line", { class: "interval-end", x1: place(end), x2: place(end), y1: 12, y2: 32 })),
    effect !== null && Math.abs(effect) <= reach && s("circle", { class: "interval-dot", cx: place(effect), cy: 22, r: 6 }),
  ].flat();
}

function inNumbers({ effect, low, high }) {
  if (effect === null) return [h("span", {}, "nothing to compare yet")];
  return [h("strong", {}, signed(effect)), h("span", {}, low === null ? "too few users yet" : bounds({ low, high }))];
}

/** "between −1.2% and +4.0%" */
export function bounds({ low, high }, and = null) {
  if (high === null) return `at least ${signed(low)}`;
  return and ? `${signed(low)} ${and} ${signed(high)}` : `between ${signed(low)} and ${signed(high)}`;
}

function axis(place, reach) {
  const tick = (part, anchor, text) => s("text", { x: place(part * reach), y: 14, "text-anchor": anchor, class: Math.abs(part) === 0.5 ? "interval-half" : null }, text);
  const at = (part) => signedRound(part * reach);
  return s("svg", { class: "interval", height: 20, width: "100%" },
    tick(-1, "start", `${at(-1)} worse`), tick(-0.5, "middle", at(-0.5)), tick(0, "middle", "0"), tick(0.5, "middle", at(0.5)), tick(1, "end", `better ${at(1)}`));
}
