// The row of recommendations. Cards stay the same elements while it rearranges, so that they can move.

import { caption, likeButton } from "../card.js";
import { fill, h } from "../dom.js";
import { factsOf, nameOf } from "../facts.js";
import { icon } from "../icons.js";
import { rearranged } from "../motion.js";
import { roving } from "../roving.js";

/** `on` has `like(item)`, `refuse(item, kind)` and `why(entry)`; `titleOf(itemId)` names a like. */
export class Row {
  constructor(on, titleOf) {
    Object.assign(this, { on, titleOf, cards: new Map() });
    this.element = h("ol", { class: "row", "aria-label": "Recommendations" });
    this.refresh = roving(this.element);
  }

  /** Show the entries of an answer, in order. */
  show(entries) {
    const cards = new Map(entries.map((entry) => [entry.item_id, this.cards.get(entry.item_id) ?? this.#card(entry)]));
    const focused = this.#focused();
    rearranged(this.element, () => fill(this.element, [...cards.values()].map(({ element }) => element)));
    entries.forEach((entry) => cards.get(entry.item_id).update(entry));
    this.cards = cards;
    this.refresh();
    if (focused !== -1 && this.element.children.length) this.#focus(focused);
  }

  /** Take an item out at once, before the next answer is there. */
  drop(itemId) {
    const card = this.cards.get(itemId);
    if (!card) return;
    const focused = this.#focused();
    this.cards.delete(itemId);
    rearranged(this.element, () => card.element.remove());
    this.refresh();
    if (focused !== -1 && this.element.children.length) this.#focus(focused);
  }

  /** The place of the card with the focus, or -1: a card that leaves hands it to the one in its place. */
  #focused() {
    return [...this.element.children].findIndex((card) => card.contains(document.activeElement));
  }

  #focus(place) {
    const card = this.element.children[Math.min(place, this.element.children.length - 1)];
    if (!card.contains(document.activeElement)) card.querySelector("button").focus({ preventScroll: true });
  }

  #card(first) {
    const { item } = first;
    let entry = first;
    const because = h("button", { class: "because", type: "button", onclick: () => this.on.why(entry) });
    const refuse = (kind, name, symbol) =>
      h("button", { class: "icon-button small", type: "button", "aria-label": `${name}: ${nameOf(item)}`, title: name, onclick: () => this.on.refuse(item, kind) }, icon(symbol));
    const element = h("li", { class: "answer", "data-item": item.item_id },
      likeButton(item, false, () => this.on.like(item)),
      caption(item),
      because,
      h("div", { class: "answer-tools" }, refuse("dislikes", "Not for me", "down"), refuse("hidden", "Hide", "hide")));
    const update = (next) => {
      entry = next;
      fill(because, h("span", {}, this.#reason(entry)));
      because.setAttribute("aria-label", `Why ${factsOf(item).title}? ${because.textContent}`);
    };
    return { element, update };
  }

  #reason({ because, explored, pinned }) {
    if (because?.length) return ["because you like ", h("b", {}, this.titleOf(because[0].item_id))];
    if (explored) return "new here";
    if (pinned) return "chosen for this place";
    return "liked by many";
  }
}
