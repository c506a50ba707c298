// What `auto` tried for a model, and how clearly the recipe that it chose is better.

import { h } from "../dom.js";
import { count, percent } from "./format.js";

/** Return a table whose middle column is a chart: how much better each candidate ranks than the default. */
export function candidates({ tried, chosen, held_out_likes: heldOut }) {
  const differences = tried.map((candidate) => ({
    middle: candidate.lead ?? gainOf(candidate) - gainOf(tried[0]),
    error: candidate.lead_error ?? 0,
  }));
  const [low, high] = bounds(differences);
  const place = (value) => (value - low) / (high - low);
  const rows = tried
    .map((candidate, index) => ({ candidate, index, ...differences[index] }))
    .sort((a, b) => b.middle - a.middle);
  return h("figure", { class: "candidates" },
    h("table", { class: "ops-table" },
      h("thead", {}, h("tr", {},
        h("th", { scope: "col" }, "Recipe"),
        h("th", { scope: "col", class: "candidates-chart" }, "Better than the default by"),
        h("th", { scope: "col", class: "ops-number" }, "Gain"),
        h("th", { scope: "col", class: "ops-number candidates-hits" }, "Hit rate at 20"),
      )),
      h("tbody", {}, rows.map(({ candidate, index, middle, error }) =>
        h("tr", { "data-chosen": index === chosen ? "" : null },
          h("th", { scope: "row" }, describe(candidate), index === 0 && h("span", { class: "tag" }, "default"), " ", index === chosen && h("span", { class: "tag tag-on" }, "chosen")),
          h("td", { class: "candidates-chart" }, mark(place, middle, error), h("span", { class: "visually-hidden" }, signed(middle), error ? ` ± ${(2 * error).toFixed(4)}` : "")),
          h("td", { class: "ops-number" }, gainOf(candidate).toFixed(4)),
          h("td", { class: "ops-number candidates-hits" }, percent(candidate["hit_rate@20"])),
        ),
      )),
    ),
    h("figcaption", {},
      `Measured on ${count(heldOut)} likes that the build held out. `,
      "Lines are two standard errors wide on each side. Another recipe replaces the default only if chance is an unlikely explanation.",
    ),
  );
}

/** The mean gain of held-out likes; manifests of older versions call it nDCG. */
const gainOf = ({ gain, ndcg }) => gain ?? ndcg;

/** "blend, rank 256, ridge 13" */
function describe({ ranker, rank, ridge }) {
  return h("span", {}, ranker, " ", h("span", { class: "soft" }, `rank ${rank}, ridge ${ridge}`), " ");
}

const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(4)}`;

function bounds(differences) {
  const low = Math.min(0, ...differences.map(({ middle, error }) => middle - 2 * error));
  const high = Math.max(0, ...differences.map(({ middle, error }) => middle + 2 * error));
  const margin = (high - low || 0.001) * 0.06;
  return [low - margin, high + margin];
}

function mark(place, middle, error) {
  const root = h("span", { class: "mark", "aria-hidden": "true" }, h("i", { class: "mark-zero" }), h("i", { class: "mark-range" }), h("i", { class: "mark-dot" }));
  root.style.setProperty("--zero", place(0));
  root.style.setProperty("--middle", place(middle));
  root.style.setProperty("--from", place(middle - 2 * error));
  root.style.setProperty("--to", place(middle + 2 * error));
  return root;
}
