// What `auto` tried for a model, and how clearly the recipe that it chose is better.

import { h } from "../dom.js";
import { count, percent } from "./format.js";

/** Return a table whose middle column is a chart: how much better each candidate ranks than the reference. */
export function candidates({ tried, chosen, compared_with: reference = 0, held_out_likes: heldOut }) {
  const leads = tried.map((candidate) => ({
    lead: candidate.lead ?? gainOf(candidate) - gainOf(tried[reference]),
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
        h("th", { scope: "col", class: "candidates-chart" }, "Lead over the reference"),
        h("th", { scope: "col", class: "ops-number" }, "Gain"),
        h("th", { scope: "col", class: "ops-number candidates-hits" }, "Hit rate at 20"))),
      h("tbody", {}, rows.map((one) => line(one, place, { chosen, reference, heldOut })))),
    h("figcaption", {},
      `Measured on ${count(heldOut)} likes that the build held out. The reference is what the build before chose, or the default. `,
      "A line shows how much of a lead may be chance: another recipe replaces the reference only if its whole line lies to the right."),
  );
}

function line({ candidate, index, lead, margin }, place, { chosen, reference, heldOut }) {
  const early = candidate.likes < heldOut && ` stopped after ${count(candidate.likes)} likes`;
  return h("tr", { "data-chosen": index === chosen },
    h("th", { scope: "row" },
      candidate.ranker, " ",
      h("span", { class: "soft" }, described(candidate), early && [",", early]), " ",
      index === reference && h("span", { class: "tag" }, "reference"), " ",
      index === chosen && h("span", { class: "tag tag-on" }, "chosen")),
    h("td", { class: "candidates-chart" }, mark(place, lead, margin), h("span", { class: "visually-hidden" }, inWords(lead, margin))),
    h("td", { class: "ops-number" }, gainOf(candidate).toFixed(4)),
    h("td", { class: "ops-number candidates-hits" }, percent(candidate["hit_rate@20"])));
}

/** The mean gain of held-out likes; manifests of older versions call it nDCG. */
const gainOf = ({ gain, ndcg }) => gain ?? ndcg;

/** The numbers in which candidates differ, so that no two of them read alike. */
const described = ({ rank, ridge, query_exponent: query, score_exponent: score, similar_items: links }) =>
  [`rank ${rank}`, `ridge ${ridge}`, links && `${links} links`, `exponents ${query} and ${score}`].filter(Boolean).join(", ");

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
