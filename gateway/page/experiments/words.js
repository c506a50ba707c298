// What an experiment is, in words.

import { ago, counted, duration, roundPercent } from "../ops/format.js";

const DECISIONS = { promoted: "promoted", rolled_back: "rolled back", stopped: "stopped" };

/** "running", or how it ended. */
export const stateOf = ({ stopped_at_ms: stopped, outcome }) => (stopped === undefined ? "running" : DECISIONS[outcome?.decision] ?? "stopped");

/** "20% of the users, in the scenario home, for 3 h" */
export function whoTakesPart({ kind, share = 1, scenario, exclude = [], started_at_ms: started, stopped_at_ms: stopped }) {
  return [
    kind === "prequential" ? "New likes test both models, and nobody sees the new one" : share === 1 ? "All users" : `${roundPercent(share)} of the users`,
    scenario && `in the scenario ${scenario}`,
    exclude.length > 0 && `without ${counted(exclude.length, "user")}`,
    stopped === undefined ? `started ${ago(started)}` : `for ${duration((stopped - started) / 1000)}`,
  ].filter(Boolean).join(", ");
}

/** "the ranker neighbours, with novelty 0.3" */
export function whatAnswers({ model, ranker, defaults = {} }) {
  const answers = model ? `model ${model}` : ranker ? `ranker ${ranker}` : "current model";
  const options = Object.entries(defaults).map(([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`);
  return options.length ? `${answers}, ${options.join(", ")}` : answers;
}

/** What the comparison is about, for the axis. */
export const measured = ({ kind }) => MEASURED[kind];

const MEASURED = {
  split: "likes a list, relative to the control",
  interleaved: "balance of the likes in shared lists",
  prequential: "predicted likes, relative to the current model",
};

export const DECIDED = { better: "better", worse: "worse", not_worse: "not worse", undecided: "undecided so far" };
