// What `auto` tried for a model, and how clearly the recipe that it chose is better.

import { h } from "../dom.js";
import { count, percent } from "./format.js";

/** Return a table whose middle column is a chart: how much better each candidate ranks than the default. */
export function candidates({ tried, chosen, held_out_likes: heldOut }) {
  const leads = tried.map((candidate) => ({
    lead: candidate.lead ?? gainOf(candidate) - gainOf(tried[0]),
    margin: candidate.clear_lead ?? 0,
  }));
  const place = scale(leads);
  const rows = tried
    .map((candidate, index) => ({ candidate, index, ...leads[index] }))
    .sort((a, b) => b.lead - a.lead);
  return h("figure", { class: "candidates" },
    h("table", { class: "ops-table" },
      h("thead", {}, h("tr", {},
        h("th", { scope: "col" }, "Recipe"),
        h("th", { scope: "col", class: "candidates-chart" }, "Better than the default by"),
        h("th", { scope: "col", class: "ops-number" }, "Gain"),
        h("th", { scope: "col", class: "ops-number candidates-hits" }, "Hit rate at 20"))),
      h("tbody", {}, rows.map((one) => line(one, place, { chosen, heldOut })))),
    h("figcaption", {},
      `Measured on ${count(heldOut)} likes that the build held out. `,
      "A line is as long as chance may move its dot: another recipe replaces the default only if its whole line lies to the right of the default."),
  );
}

function line({ candidate, index, lead, margin }, place, { chosen, heldOut }) {
  const early = candidate.likes < heldOut && ` stopped after ${count(candidate.likes)} likes`;
  return h("tr", { "data-chosen": index === chosen },
    h("th", { scope: "row" },
      candidate.ranker, " ",
      h("span", { class: "soft" }, described(candidate), early && [",", early]), " ",
      index === 0 && h("span", { class: "tag" }, "default"), " ",
      index === chosen && h("span", { class: "tag tag-on" }, "chosen")),
    h("td", { class: "candidates-chart" }, mark(place, lead, margin), h("span", { class: "visually-hidden" }, inWords(lead, margin))),
    h("td", { class: "ops-number" }, gainOf(candidate).toFixed(4)),
    h("td", { class: "ops-number candidates-hits" }, percent(candidate["hit_rate@20"])));
}

/** The mean gain of held-out likes; manifests of older versions call it nDCG. */
const gainOf = ({ gain, ndcg }) => gain ?? ndcg;

/** "rank 256, ridge 13": with the exponents, so that no two candidates read alike. */
const described = ({ rank, ridge, query_exponent: query, score_exponent: score }) =>
  `rank ${rank}, ridge ${ridge}, exponents ${query} and ${score}`;

const inWords = (lead, margin) => `${lead.toFixed(4)}${margin ? `, give or take ${margin.toFixed(4)}` : ""}`;

/** Return a function from a lead to its place in the chart, from 0 to 1. */
function scale(leads) {
  const low = Math.min(0, ...leads.map(({ lead, margin }) => lead - margin));
  const high = Math.max(0, ...leads.map(({ lead, margin }) => lead + margin));
  const around = (high - low || 0.001) * 0.04;
  return (value) => (value - low + around) / (high - low + 2 * around);
}

function mark(place, lead, margin) {
  const root = h("span", { class: "mark", "aria-hidden": "true" }, h("i", { class: "mark-zero" }), h("i", { class: "mark-range" }), h("i", { class: "mark-dot" }));
  root.style.setProperty("--zero", place(0));
  root.style.setProperty("--middle", place(lead));
  root.style.setProperty("--from", place(lead - margin));
  root.style.setProperty("--to", place(lead + margin));
  return root;
}
