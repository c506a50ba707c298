// Why an item is recommended: the likes that contribute, as bars.

import { showDialog } from "../dialog.js";
import { h } from "../dom.js";
import { factsOf, nameOf } from "../facts.js";
import { picture } from "../poster.js";
import { pathOf } from "../api.js";

/**
 * Show the contributions to an entry of an answer. `likeOf(itemId)` returns a like as an item, and
 * `without(item)` asks what would be recommended without it.
 */
export function showWhy(entry, { likeOf, without }) {
  const { item, because = [], score } = entry;
  const most = Math.max(...because.map(({ contribution }) => contribution), 1e-9);
  const dialog = showDialog(
    `Why ${factsOf(item).title}?`,
    h("div", { class: "why" },
      h("a", { class: "why-picture", href: pathOf("items", item.item_id) }, picture(item, { label: nameOf(item) })),
      because.length
        ? h("ul", { class: "causes" }, because.map((cause) => bar(cause)))
        : h("p", { class: "soft" }, "None of your likes leads to it. It is here because many people like it, or because it is new.")),
    because.length > 0 && h("p", { class: "faint" }, `Its score is ${score.toPrecision(3)}, the sum of what each of your likes contributes; the strongest are shown.`));

  function bar({ item_id, contribution }) {
    const like = likeOf(item_id);
    const length = h("span", { class: "bar" });
    length.style.setProperty("--length", Math.max(contribution, 0) / most);
    return h("li", { class: "cause" },
      picture(like),
      h("div", {},
        h("p", { class: "cause-name" }, nameOf(like), h("span", { class: "number" }, contribution.toPrecision(3))),
        length,
        h("button", { class: "link-button", type: "button", onclick: () => (dialog.close(), without(like)) }, "What if I had not liked this?")));
  }
}
