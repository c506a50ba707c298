// The numbers of each variant, and how its places do.

import { h, s } from "../dom.js";
import { count, percent, ratio } from "../ops/format.js";
import { whatAnswers } from "./words.js";

const HEADS = ["Variant", "Users", "Lists", "Likes", "Likes a list", "Hit rate", "Likes by place"];
const PREDICTIONS = ["Variant", "Sampled likes", "Predicted", "Hit rate"];

/** Return the table of the variants of an experiment; `tally` is by the variant's name. */
export function variantTable({ name, kind, variants }, tally) {
  const rows = variants.map((variant) => ({ variant, sums: tally[variant.name] ?? NOTHING }));
  const most = highestRate(rows.map(({ sums }) => sums));
  const predicts = kind === "prequential";
  return h("table", { class: "ops-table ops-cards variants", role: "table" },
    h("caption", { class: "visually-hidden" }, `The variants of ${name}`),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" },
      (predicts ? PREDICTIONS : HEADS).map((head, at) => h("th", { scope: "col", role: "columnheader", class: at > 0 && at < 6 ? "ops-number" : null }, head)))),
    h("tbody", { role: "rowgroup" }, rows.map(({ variant, sums }, at) => (predicts ? predictions(variant, sums, at) : line(variant, sums, at, most, kind)))));
}

/** What a model of a prequential canary has predicted. */
function predictions(variant, { lists: sampled, hits }, at) {
  const cell = (place, text) => h("td", { role: "cell", "data-label": PREDICTIONS[place], class: "ops-number" }, text);
  return h("tr", { role: "row" },
    heading(variant, at),
    cell(1, count(sampled)),
    cell(2, count(hits)),
    cell(3, sampled ? percent(hits / sampled) : "–"));
}

const heading = (variant, at, share = false) =>
  h("th", { scope: "row", role: "rowheader" },
    h("span", { class: "variant-name" }, h("bdi", {}, variant.name), at === 0 && variant.name !== "control" && h("span", { class: "tag" }, "control")),
    h("span", { class: "variant-answers" }, whatAnswers(variant), share && `, share ${variant.share}`));

const NOTHING = { users: 0, lists: 0, likes: 0, hits: 0, shown_at: [], likes_at: [] };

function line(variant, sums, at, most, kind) {
  const cell = (place, text) => h("td", { role: "cell", "data-label": HEADS[place], class: "ops-number" }, text);
  const share = (part, format) => (sums.lists ? format(part / sums.lists) : "–");
  return h("tr", { role: "row" },
    heading(variant, at, kind === "split" && (variant.share ?? 1) !== 1),
    cell(1, count(sums.users)),
    cell(2, count(sums.lists)),
    cell(3, count(sums.likes)),
    cell(4, share(sums.likes, ratio)),
    cell(5, share(sums.hits, percent)),
    h("td", { role: "cell", "data-label": HEADS[6], class: "variant-places" }, bars(sums, most)));
}

/** The share of the items at each place that were liked, up to the last place with items. */
function places({ shown_at: shown = [], likes_at: likes = [] }) {
  const last = shown.findLastIndex((items) => items > 0);
  return shown.slice(0, last + 1).map((items, at) => ({ items, likes: likes[at] ?? 0, rate: items ? (likes[at] ?? 0) / items : 0 }));
}

/** The highest share of liked items at any place of these, for `bars`. */
export const highestRate = (all) => Math.max(1e-9, ...all.flatMap((sums) => places(sums).map(({ rate }) => rate)));

/** The places of `{shown_at, likes_at}` as bars; "–" without any. */
export function bars(sums, most) {
  const rates = places(sums);
  if (!rates.length) return "–";
  const inWords = rates.slice(0, 3).map(({ rate }, at) => `place ${at + 1}: ${percent(rate)}`).join(", ");
  return s("svg", { class: "places", viewBox: `0 0 ${Math.max(rates.length, 10) * 7} 26`, role: "img", "aria-label": `Share of the items that were liked, ${inWords}` },
    rates.map(({ rate, likes, items }, at) => {
      const height = Math.max(1, (rate / most) * 24);
      return s("rect", { x: at * 7, y: 26 - height, width: 5, height, rx: 1 },
        s("title", {}, `Place ${at + 1}${at === 19 ? " and later" : ""}: ${percent(rate)}, ${count(likes)} of ${count(items)}`));
    }));
}
