// The way of a like through the deployment: events, waiting, model, answers, and how fast they are.

import { h } from "../dom.js";
import { clock, count, latency, rate } from "./format.js";

const NONE = "–";
const known = (value, format) => (value === null ? NONE : format(value));

const STAGES = [
  { name: "Events", read: (tick) => [known(tick.events_per_s, rate), "per second"] },
  { name: "Waiting", read: (tick) => [known(tick.behind, count), "to be applied"] },
  { name: "Model", read: ({ model }) => (model ? [clock(model.age_s), `old, ${count(model.items)} items`] : [NONE, "none yet"]) },
  { name: "Answers", read: (tick) => [known(tick.answers_per_s, rate), "per second"] },
  { name: "Latency", read: ({ latency_ms: ms }) => (ms ? [latency(ms.p50), `99% within ${latency(ms.p99)}`] : [NONE, "no answers lately"]) },
];

/** Return `{root, show(tick)}`. */
export function flow() {
  const stages = STAGES.map(({ name, read }) => {
    const value = h("strong", { class: "flow-value" }, NONE);
    const note = h("span", { class: "flow-note" });
    return { read, value, note, root: h("li", {}, h("span", { class: "flow-name" }, name), value, note) };
  });
  return {
    root: h("ol", { class: "flow", "aria-label": "From like to answer" }, stages.map(({ root }) => root)),
    show(tick) {
      for (const { read, value, note } of stages) [value.textContent, note.textContent] = read(tick);
    },
  };
}
