// Models: the versions, how each came about, and which one answers.

import { confirmed } from "../dialog.js";
import { h, stylesheet } from "../dom.js";
import { canaryEvidence, canaryTag } from "../experiments/canary.js";
import { asAdmin } from "../ops/admin.js";
import { candidates } from "../ops/candidates.js";
import { comparison } from "../ops/comparison.js";
import { ago, count, moment, size } from "../ops/format.js";

export const title = "Models";

export async function show(root, params, context) {
  const { api, toast } = context;
  await stylesheet("ops");
  const list = h("div", { class: "card panel" });
  const detail = h("section", { class: "card panel", "aria-live": "polite" });
  const compare = h("section", { class: "card panel" });
  root.append(h("header", { class: "ops-head" }, h("h1", {}, title)), list, detail, compare);
  let versions = [];

  async function load() {
    ({ versions } = await api.get("/v1/models"));
    list.replaceChildren(versions.length ? table() : nothing());
    detail.hidden = compare.hidden = !versions.length;
    compare.hidden ||= versions.length < 2;
    if (!compare.hidden) compare.replaceChildren(...comparing(versions, context));
    if (versions.length) await select();
  }

  /** Show the version that the address names, or else the current one. */
  async function select() {
    const named = decodeURIComponent(location.hash.slice(1));
    const row = versions.find(({ version }) => version === named) ?? versions.find(({ current }) => current) ?? versions[0];
    for (const line of list.querySelectorAll("tbody tr")) {
      if (line.dataset.version === row.version) line.setAttribute("aria-current", "true");
      else line.removeAttribute("aria-current");
    }
    detail.replaceChildren(...described(row, await api.get(`/v1/models/${encodeURIComponent(row.version)}`)));
  }

  async function use(row, current) {
    const older = current && row.snapshot_at_ms < current.snapshot_at_ms;
    const sure = await confirmed(
      older ? "Roll back?" : "Use this version?",
      `Servers load ${row.version}, from likes of ${moment(row.snapshot_at_ms)}, within a second. It stays until the indexer announces its next build.`,
      older ? "Roll back" : "Use it",
    );
    if (!sure) return;
    const done = await asAdmin(context, () => api.post(`/v1/models/${encodeURIComponent(row.version)}/use`));
    if (!done) return;
    toast(`${row.version} is the current model`);
    await load();
  }

  function table() {
    const current = versions.find((row) => row.current);
    const heads = ["Version", "Snapshot", "Ranker", "Users", "Items", "Likes", "Size", ""];
    return h("table", { class: "ops-table ops-cards", role: "table" },
      h("caption", { class: "visually-hidden" }, "Model versions, newest first"),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" },
        heads.map((head, place) => h("th", { scope: "col", role: "columnheader", class: place > 2 && place < 7 ? "ops-number" : null }, head || h("span", { class: "visually-hidden" }, "Action"))),
      )),
      h("tbody", { role: "rowgroup" }, versions.map((row) => line(row, heads, current))),
    );
  }

  function line(row, heads, current) {
    const cell = (place, text, numeric = true) => h("td", { role: "cell", "data-label": heads[place], class: numeric ? "ops-number" : null }, text);
    const older = current && row.snapshot_at_ms < current.snapshot_at_ms;
    return h("tr", { role: "row", "data-version": row.version },
      h("th", { scope: "row", role: "rowheader" },
        h("span", { class: "models-name" },
          h("a", { href: `#${row.version}`, class: "ops-id" }, row.version),
          row.current && h("span", { class: "tag tag-on" }, "current"),
          row.canary && canaryTag(row.canary)),
      ),
      cell(1, h("time", { title: moment(row.snapshot_at_ms) }, ago(row.snapshot_at_ms)), false),
      cell(2, row.ranker, false),
      cell(3, count(row.users)),
      cell(4, count(row.items)),
      cell(5, count(row.likes)),
      cell(6, size(row.bytes)),
      h("td", { role: "cell", class: "ops-action" }, row.current ? "" : useButton(row, older, current)),
    );
  }

  function useButton(row, older, current) {
    const name = `${older ? "Roll back to" : "Use"} ${row.version}`;
    return h("button", { type: "button", class: "button", "aria-label": name, onclick: () => use(row, current) }, older ? "Roll back" : "Use");
  }

  addEventListener("hashchange", select);
  await load();
  return () => removeEventListener("hashchange", select);
}

const nothing = () =>
  h("p", { class: "ops-empty" }, "No model yet. The indexer builds the first one once there are likes.");

/** One version: what `auto` tried, how it did as a canary, the recipe, and how long the build took. */
function described({ canary }, { version, recipe, weights, build: { seconds, choice } }) {
  const signals = Object.entries(weights).map(([kind, weight]) => [`weight of ${kind}`, weight]);
  return [
    h("header", {}, h("h2", {}, choice ? "What auto tried" : "How it was built"), h("span", { class: "ops-id" }, version)),
    choice ? candidates(choice) : h("p", { class: "soft" }, "Only this recipe was tried: the settings name it, or there were too few likes to compare others."),
    ...canaryEvidence(canary),
    h("div", { class: "models-facts" },
      facts("Recipe", [...Object.entries(recipe), ...signals]),
      facts("Time to build", Object.entries(seconds).map(([step, value]) => [step, `${value.toFixed(2)} s`]))),
  ];
}

const facts = (name, entries) =>
  h("details", {}, h("summary", {}, name),
    h("dl", { class: "ops-facts" }, entries.map(([key, value]) => h("div", {}, h("dt", {}, key.replaceAll("_", " ")), h("dd", {}, String(value))))));

/** The form that compares two versions, and its result. */
function comparing(versions, context) {
  const choose = (label, selected) => {
    const select = h("select", { class: "input" }, versions.map(({ version, current }, place) =>
      h("option", { value: version, selected: place === selected }, version + (current ? " (current)" : "")),
    ));
    return [select, h("label", { class: "field" }, h("span", {}, label), select)];
  };
  const [first, firstLabel] = choose("This version", 1);
  const [second, secondLabel] = choose("with this one", 0);
  const result = h("div", { "aria-live": "polite" });
  const button = h("button", { type: "button", class: "button primary", onclick: run }, "Compare");

  async function run() {
    if (first.value === second.value) {
      result.replaceChildren(h("p", { class: "soft" }, "Choose two different versions."));
      return;
    }
    button.disabled = true;
    result.replaceChildren(h("p", { class: "soft" }, "Both models answer for the same users…"));
    try {
      const answer = await asAdmin(context, () =>
        context.api.post("/v1/models/compare", { versions: [first.value, second.value], users: 200 }),
      );
      result.replaceChildren(...(answer ? [comparison(answer)] : []));
    } finally {
      button.disabled = false;
    }
  }
  return [
    h("header", {}, h("h2", {}, "Compare two versions")),
    h("div", { class: "compare-form" }, firstLabel, secondLabel, button),
    result,
  ];
}
