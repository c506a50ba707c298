// What can be done with a like.

import { showDialog } from "../dialog.js";
import { h } from "../dom.js";
import { factsOf, nameOf } from "../facts.js";
import { picture } from "../poster.js";
import { pathOf } from "../api.js";

export function showLike(item, { unlike, without }) {
  const run = (action) => () => (dialog.close(), action());
  const dialog = showDialog(
    factsOf(item).title,
    h("div", { class: "why" },
      h("div", { class: "why-picture" }, picture(item, { label: nameOf(item) })),
      h("div", { class: "like-actions" },
        h("button", { class: "button primary", type: "button", onclick: run(without) }, "What if I had not liked this?"),
        h("button", { class: "button", type: "button", onclick: run(unlike) }, "Take the like back"),
        h("a", { class: "button quiet", href: pathOf("items", item.item_id) }, "Open its page"))));
}
