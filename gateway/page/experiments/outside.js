// The lists of users outside experiments, and the likes that followed: in total, by scenario and by place.

import { h } from "../dom.js";
import { count, percent } from "../ops/format.js";
import { bars, highestRate } from "./variants.js";

const HEADS = ["Requests", "Lists", "Items shown", "Likes", "With a like", "Likes by place"];

/** Return `{root, show(counted)}`; `counted` is null if the settings do not ask for these counts. */
export function outside() {
  const body = h("div", {});
  const root = h("section", { class: "card panel outside", "aria-labelledby": "outside-title", hidden: true },
    h("header", {}, h("h2", { id: "outside-title" }, "Lists outside experiments")), body);

  function show(counted) {
    root.hidden = false;
    body.replaceChildren(...(counted === null ? off() : counted.total.lists ? [table(counted)] : none()));
  }

  return { root, show };
}

const off = () => [
  h("p", { class: "soft" }, "They are not counted. Set ", h("code", {}, 'experiments.lists = "all"'),
    ", or ", h("code", {}, "LIKEWISE_EXPERIMENTS_LISTS=all"), ", for servers, gateways and consumers: then you see here how many lists are liked, by scenario and by place."),
];

const none = () => [h("p", { class: "soft" }, "None yet. They are counted from the next request of a user on.")];

function table({ total, scenarios }) {
  const rows = [total, ...scenarios].map((one) => ({ ...one, shown_at: one.places.map(({ shown }) => shown), likes_at: one.places.map(({ likes }) => likes) }));
  const most = highestRate(rows);
  return h("table", { class: "ops-table ops-cards variants", role: "table" },
    h("caption", { class: "visually-hidden" }, "Lists outside experiments, in total and by scenario"),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" },
      HEADS.map((head, at) => h("th", { scope: "col", role: "columnheader", class: at > 0 && at < 5 ? "ops-number" : null }, head)))),
    h("tbody", { role: "rowgroup" }, rows.map((row) => line(row, most))));
}

function line(row, most) {
  const cell = (place, text) => h("td", { role: "cell", "data-label": HEADS[place], class: "ops-number" }, text);
  return h("tr", { role: "row" },
    h("th", { scope: "row", role: "rowheader" }, row.scenario === null ? "All" : [h("span", { class: "faint" }, "Scenario "), h("bdi", {}, row.scenario)]),
    cell(1, count(row.lists)),
    cell(2, count(row.shown)),
    cell(3, count(row.likes)),
    cell(4, row.hit_rate === null ? "–" : percent(row.hit_rate)),
    h("td", { role: "cell", "data-label": HEADS[5], class: "variant-places" }, bars(row, most)));
}
