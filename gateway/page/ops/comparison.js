// Two model versions side by side: how similar their lists are, with examples.

import { pathOf } from "../api.js";
import { h } from "../dom.js";
import { nameOf } from "../facts.js";
import { count, percent } from "./format.js";

/** Return the result of a comparison: `{versions, users, overlap, examples: [{user_id, overlap, lists}]}`. */
export function comparison({ versions, users, overlap, examples }) {
  if (!users) return h("p", { class: "soft" }, "Nobody likes anything, so there is nothing to compare.");
  const bar = h("span", { class: "overlap-bar", "aria-hidden": "true" }, h("i"));
  bar.style.setProperty("--share", overlap);
  return h("div", { class: "comparison" },
    h("p", { class: "overlap" },
      h("strong", {}, percent(overlap)),
      ` of the first 20 items are the same, on average over ${count(users)} users.`,
    ),
    bar,
    h("p", { class: "examples-key" }, "The users whose lists differ most. What only one of the two recommends is in bold."),
    h("div", { class: "examples" }, examples.map((example) => sideBySide(example, versions))),
  );
}

function sideBySide({ user_id: user, lists }, versions) {
  const [first, second] = lists.map((list) => new Set(list.map(({ item_id: id }) => id)));
  const both = (id) => first.has(id) && second.has(id);
  return h("section", { class: "example" },
    h("h3", {}, "User ", h("a", { href: pathOf("users", user) }, user)),
    h("div", { class: "example-lists" },
      lists.map((list, place) =>
        h("div", {},
          h("h4", { class: "ops-id" }, versions[place]),
          h("ol", {}, list.map((item) =>
            h("li", { "data-only": both(item.item_id) ? null : "" },
              h("a", { href: pathOf("items", item.item_id), dir: "auto" }, nameOf(item)),
              !both(item.item_id) && h("span", { class: "visually-hidden" }, " (only here)"),
            ),
          )),
        ),
      ),
    ),
  );
}
