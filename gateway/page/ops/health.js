// The state of the deployment in a sentence: calm, or what is wrong and what to do about it.

import { h } from "../dom.js";
import { time } from "./format.js";
import { marked } from "./marked.js";

/** Return `{root, show(problems), lost(ms)}`: `problems` is `[{sentence, runbook}]`, `ms` when they were last known. */
export function healthBanner(announce) {
  const root = h("section", { class: "health", "aria-label": "Health" });
  const list = h("ul");
  // A sentence may hold numbers that change each second; its element, and whether it is open, stay.
  let shown = null;
  return {
    root,
    show(problems) {
      const before = shown;
      shown = new Map(named(problems).map(([name, one]) => [name, before?.get(name) ?? problem(one)]));
      [...shown.values()].forEach((one, place) => one.say(problems[place].sentence));
      if (before && root.dataset.state !== "lost" && [...shown.keys()].join() === [...before.keys()].join()) return;
      root.dataset.state = problems.length ? "trouble" : "well";
      list.replaceChildren(...[...shown.values()].map((one) => one.root));
      root.replaceChildren(problems.length ? list : well());
      if (before || problems.length) announce(problems.map(({ sentence }) => sentence).join(" ") || "All is well again.");
    },
    lost(ms) {
      shown = new Map();
      root.dataset.state = "lost";
      root.replaceChildren(h("p", {}, h("strong", {}, "The connection is lost."), ms ? ` What is shown is of ${time(ms)}.` : ""));
      announce("The connection is lost. Reconnecting.");
    },
  };
}

/** Name each problem by its runbook; of several with the same one, the later ones with a number. */
function named(problems) {
  const times = new Map();
  return problems.map((one) => {
    times.set(one.runbook, (times.get(one.runbook) ?? 0) + 1);
    return [`${one.runbook} ${times.get(one.runbook)}`, one];
  });
}

/** Pages that show more about a problem, by its place in the runbook. */
const PAGES = {
  likewisedeadletters: ["/dead-letters", "Look at them"],
  likewisedeadletterflood: ["/dead-letters", "Look at them"],
  likewisemodelold: ["/models", "See the models"],
  likewisemodelworsethanpopular: ["/models", "See the models"],
  likewiseserversdisagree: ["/models", "See the models"],
};

const placeOf = (runbook) => runbook.split("#").at(-1);

const well = () => h("p", {}, h("strong", {}, "All is well."), " Events are applied, requests are answered.");

function problem({ runbook }) {
  const sentence = h("p");
  const remedy = h("div", { class: "health-remedy" });
  const [href, more] = PAGES[placeOf(runbook)] ?? [];
  return {
    root: h("li", {}, sentence, href && h("a", { href }, more),
      h("details", { ontoggle: () => explain(remedy, runbook) }, h("summary", {}, "What to do"), remedy)),
    say: (text) => (sentence.textContent = text),
  };
}

let runbooks;

/** Fill in the runbook's text, such as that of `docs/operations.md#likewisedown`. */
async function explain(remedy, runbook) {
  if (remedy.children.length) return;
  runbooks ??= fetch(new URL("runbook.json", import.meta.url)).then((response) => response.json());
  const parts = (await runbooks)[placeOf(runbook)] ?? [`See ${runbook}.`];
  remedy.replaceChildren(...parts.map((part) =>
    Array.isArray(part) ? h("ul", {}, part.map((item) => h("li", {}, marked(item)))) : h("p", {}, marked(part))));
}
