// How a model version did on a share of the users, before it was promoted or rolled back.

import { h } from "../dom.js";
import { ago, roundPercent, signed } from "../ops/format.js";
import { marked } from "../ops/marked.js";
import { bounds, intervals } from "./interval.js";

const DECISIONS = { promoted: "not_worse", rolled_back: "worse" };
const STATES = { running: "canary", promoted: "promoted", rolled_back: "rolled back", stopped: "canary stopped" };

/** Return the tag of a version that is or was a canary, and its interval in words. */
export function canaryTag({ state, kind, share, effect, low, high }) {
  const how = kind === "prequential" ? "tested with likes" : roundPercent(share);
  return [
    h("span", { class: "tag", "data-outcome": STATES[state] }, STATES[state], state === "running" && `, ${how}`),
    effect !== null && h("span", { class: "soft canary-numbers" }, signed(effect), low !== null && ` (${bounds({ low, high }, "to")})`),
  ];
}

/** Return the evidence for the version's page; nothing for a version that was no canary. */
export function canaryEvidence(canary) {
  if (!canary) return [];
  const { state, experiment, reason, effect, low, high } = canary;
  const sentence = {
    running: running(canary),
    promoted: promoted(canary),
    rolled_back: "It was rolled back: it stays on the disk, and answers nobody.",
    stopped: "It was stopped before the likes had decided.",
  }[state];
  return [
    h("section", { class: "canary" },
      h("h3", {}, "As a canary"),
      h("p", {}, sentence, reason && [" ", marked(reason)]),
      effect !== null && intervals([{ variant: "this version", effect, low, high, decision: DECISIONS[state] ?? "undecided", label: STATES[state] }], { about: "relative to the model before it" }),
      h("p", { class: "faint" }, "The evidence is the experiment ", h("a", { href: `/experiments#${experiment}` }, experiment), ".")),
  ];
}

function running({ kind, share, started_at_ms: started }) {
  return kind === "prequential"
    ? `It answers nobody. Since ${ago(started)}, new likes test which of the two models predicts them better; that promotes it or rolls it back.`
    : `Since ${ago(started)}, ${roundPercent(share)} of the users see what it recommends. It is promoted or rolled back by the likes that follow.`;
}

const promoted = ({ kind }) =>
  kind === "prequential"
    ? "It was promoted after new likes had tested which of the two models predicts them better. Nobody had seen what it recommends."
    : "It was promoted after a share of the users had seen what it recommends.";
