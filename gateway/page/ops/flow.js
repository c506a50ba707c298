// The way of a like through the deployment: events, waiting, model, answers, and how fast they are.

import { h } from "../dom.js";
import { clock, count, latency, rate } from "./format.js";

const STAGES = [
  { name: "Events", read: (tick) => [rate(tick.events_per_s), "per second"] },
  { name: "Waiting", read: (tick) => [count(tick.behind), "to be applied"] },
  { name: "Model", read: ({ model }) => (model ? [clock(model.age_s), `old, ${count(model.items)} items`] : ["–", "none yet"]) },
  { name: "Answers", read: (tick) => [rate(tick.answers_per_s), "per second"] },
  { name: "Latency", read: ({ latency_ms: ms }) => (ms ? [latency(ms.p50), `99% within ${latency(ms.p99)}`] : ["–", "no answers lately"]) },
];

/** Return `{root, show(tick)}`. */
export function flow() {
  const stages = STAGES.map(({ name, read }) => {
    const value = h("strong", { class: "flow-value" }, "–");
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
