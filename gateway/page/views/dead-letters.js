// Dead letters: events and requests that were refused, by reason, to be looked at and sent again.

import { confirmed } from "../dialog.js";
import { h, stylesheet } from "../dom.js";
import { adminsOnly, asAdmin, isForbidden } from "../ops/admin.js";
import { count, counted } from "../ops/format.js";
import { groupOf } from "../ops/letters.js";

export const title = "Dead letters";

export async function show(root, params, context) {
  const { api, announce } = context;
  await stylesheet("ops");
  const body = h("div", { class: "letters-body" });
  const refresh = h("button", { type: "button", class: "button", onclick: load }, "Refresh");
  root.append(h("header", { class: "ops-head" }, h("h1", {}, title), refresh), body);
  await load();

  async function load() {
    body.setAttribute("aria-busy", "true");
    try {
      const found = await api.get("/v1/dead-letters", { limit: 20 });
      refresh.hidden = false;
      body.replaceChildren(...(found.groups.length ? listed(found) : [none()]));
    } catch (error) {
      if (!isForbidden(error)) throw error;
      refresh.hidden = true;
      body.replaceChildren(adminsOnly("Dead letters hold what users sent.", load));
    } finally {
      body.removeAttribute("aria-busy");
    }
  }

  function listed({ total, not_read: notRead, groups }) {
    const action = h("button", { type: "button", class: "button primary", disabled: true, onclick: replay }, "Replay");
    const chosen = () => [...body.querySelectorAll("input:checked")].map(({ value }) => value);
    const selected = () => groups.filter(({ code }) => chosen().includes(code));
    const sum = () => selected().reduce((all, group) => all + group.count, 0);

    function update() {
      action.disabled = !sum();
      action.textContent = sum() ? `Replay ${count(sum())}` : "Replay";
    }

    async function replay() {
      const codes = chosen();
      const sure = await confirmed(
        `Publish ${counted(sum(), "record")} again?`,
        `Those refused as ${codes.join(", ")} go to the topics that they came from, byte for byte. A replayed event counts as new: a like overrides an unlike that came in between.`,
        "Replay",
      );
      if (!sure) return;
      action.disabled = true;
      const result = await asAdmin(context, () => api.post("/v1/dead-letters/replay", { codes }));
      if (!result) return update();
      const sentence = outcome(result);
      await load();
      body.prepend(h("p", { class: "card letters-outcome" }, sentence));
      announce(sentence);
    }

    return [
      h("div", { class: "letters-bar" },
        h("p", {}, h("strong", {}, counted(total, "record")), total === 1 ? " was refused." : " were refused.", " Fix the cause, then replay them.",
          notRead ? ` ${counted(notRead, "older record")} not shown.` : ""),
        action),
      h("ul", { class: "letters-groups" }, groups.map((group) => groupOf(group, { chosen: update }))),
    ];
  }
}

/** The result of a replay in a sentence. */
function outcome({ sent, without_value: without, foreign, failed }) {
  return [
    `${counted(sent, "record")} published again.`,
    without && `${counted(without, "record")} cannot be sent: no value, too large, or unreadable.`,
    foreign && `${counted(foreign, "record")} did not come from this deployment's topics.`,
    failed && `${counted(failed, "record")} failed; replay again.`,
  ].filter(Boolean).join(" ");
}

const none = () =>
  h("div", { class: "state" },
    h("h2", {}, "Nothing was refused"),
    h("p", { class: "soft" }, "Events and requests that cannot be understood would wait here, with the reason."));
