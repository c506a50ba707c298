// One experiment: who takes part, what is known so far, and what it rests on.

import { h } from "../dom.js";
import { intervals } from "./interval.js";
import { narrowing, remember } from "./history.js";
import { marked } from "../ops/marked.js";
import { signs } from "./signs.js";
import { variantTable } from "./variants.js";
import { measured, stateOf, whoTakesPart } from "./words.js";

/**
 * Return `{root, show(report), dispose()}`. The card stays while its numbers change, so that what is focused or open stays
 * so; `action` is a button of it.
 */
export function card(name, { action = null, announce = () => null } = {}) {
  const tags = h("span", { class: "experiment-tags" });
  const who = h("p", { class: "soft" });
  const sentence = h("p", { class: "experiment-verdict" });
  const chart = h("div", { class: "experiment-chart" });
  const table = h("div", {});
  const checks = h("div", {});
  const past = narrowing(name);
  const verify = recomputed(name);
  let decided = null;
  const id = `experiment-${name}`;
  const root = h("section", { class: "card panel experiment", "aria-labelledby": id, "data-name": name },
    h("header", {},
      h("div", {}, h("h2", { id }, h("bdi", {}, name)), tags),
      action),
    who, sentence, chart, table, checks, past.root, verify);

  function show({ experiment, tally, verdict }) {
    const state = stateOf(experiment);
    root.dataset.state = state;
    tags.replaceChildren(tag(state, state === "running"), tag(experiment.kind), ...(experiment.canary ? [tag("canary")] : []));
    verify.hidden = experiment.kind === "prequential"; // a random sample of the likes
    who.textContent = `${whoTakesPart(experiment)}.`;
    sentence.replaceChildren(...marked(verdictOf(experiment, verdict)));
    const comparisons = verdict?.comparisons ?? [];
    say(comparisons.map(({ decision }) => decision).join());
    chart.replaceChildren(...(comparisons.length ? [intervals(comparisons, { margin: experiment.margin, about: measured(experiment) })] : []));
    table.replaceChildren(variantTable(experiment, tally.variants));
    checks.replaceChildren(...[signs(experiment, verdict)].filter(Boolean));
    past.draw(remember(experiment, comparisons));
  }

  /** Screen readers say the verdict when a decision changes, not whenever a number does. */
  function say(decisions) {
    if (decided !== null && decided !== decisions) announce(`${name}: ${sentence.textContent}`);
    decided = decisions;
  }

  return { root, show, dispose: past.dispose };
}

const tag = (text, on = false) => h("span", { class: on ? "tag tag-on" : "tag" }, text);

function verdictOf({ outcome }, verdict) {
  const reason = outcome?.reason;
  return [verdict?.sentence ?? "Nothing to compare yet: lists are counted as they are shown.", reason].filter(Boolean).join(" ");
}

const recomputed = (name) =>
  h("p", { class: "faint experiment-verify" }, "Anybody can recompute this from the topics: ", h("code", {}, `likewise experiments verify ${name}`));
