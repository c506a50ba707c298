// The experiments that have ended, newest first. Their numbers are loaded when one is opened.

import { pathOf } from "../api.js";
import { confirmed } from "../dialog.js";
import { h } from "../dom.js";
import { asAdmin } from "../ops/admin.js";
import { ago, moment } from "../ops/format.js";
import { marked } from "../ops/marked.js";
import { card } from "./card.js";
import { stateOf } from "./words.js";

const PAGE = 20;

/** Return `{root, load()}`. */
export function ended(context) {
  const { api, toast } = context;
  const list = h("ul", { class: "ended" });
  const more = h("button", { type: "button", class: "button", hidden: true, onclick: () => next() }, "Show older ones");
  const root = h("section", { class: "card panel", hidden: true }, h("header", {}, h("h2", {}, "Ended")), list, more);
  let cursor = null;

  async function load() {
    cursor = null;
    list.replaceChildren();
    await next();
  }

  async function next() {
    const page = await api.get("/v1/experiments", { state: "ended", limit: PAGE, cursor }, { quiet: true });
    cursor = page.cursor;
    list.append(...page.experiments.map(line));
    more.hidden = cursor === null;
    root.hidden = !list.children.length;
  }

  function line(experiment) {
    const { name, stopped_at_ms: at, outcome } = experiment;
    const body = h("div", {});
    const state = stateOf(experiment);
    return h("li", { "data-name": name }, h("details", { ontoggle: open, open: location.hash === `#${name}` },
      h("summary", {},
        h("bdi", { class: "ended-name" }, name), h("span", { class: "tag", "data-outcome": state }, state),
        h("span", { class: "ended-sentence" }, marked(outcome?.reason || outcome?.verdict?.sentence)),
        h("time", { title: moment(at) }, ago(at))),
      body));

    async function open({ target }) {
      if (!target.open || body.children.length) return;
      const shown = card(name, { action: h("button", { type: "button", class: "button", onclick: () => remove(name, target) }, "Remove") });
      body.replaceChildren(shown.root);
      try {
        shown.show(await api.get(pathOf("v1", "experiments", name), null, { quiet: true }));
      } catch (error) {
        body.replaceChildren(h("p", { class: "soft" }, error.message));
      }
    }
  }

  async function remove(name, details) {
    const sure = await confirmed(`Remove ${name}?`, "Its definition and its numbers go. What was counted can no longer be compared with the topics.", "Remove");
    if (!sure) return;
    const done = await asAdmin(context, () => api.delete(pathOf("v1", "experiments", name)));
    if (!done) return;
    details.closest("li").remove();
    root.hidden = !list.children.length;
    toast(`${name} is removed`);
  }

  return { root, load };
}
