// What the visitor likes, newest first, above the answers that follow.

import { h, fill } from "../dom.js";
import { nameOf } from "../facts.js";
import { rearranged } from "../motion.js";
import { picture } from "../poster.js";
import { roving } from "../roving.js";

const SHOWN = 60;

/** `open(item)` is called for a like that was clicked. */
export class LikesStrip {
  constructor(open) {
    Object.assign(this, { open, cards: new Map() });
    this.element = h("ul", { class: "strip", "aria-label": "What you like" });
    this.refresh = roving(this.element);
  }

  show(likes) {
    const cards = new Map([...likes.values()].slice(0, SHOWN).map((item) => [item.item_id, this.cards.get(item.item_id) ?? this.#card(item)]));
    rearranged(this.element, () => fill(this.element, [...cards.values()]));
    this.cards = cards;
    this.refresh();
  }

  #card(item) {
    return h("li", { "data-item": item.item_id },
      h("button", { class: "strip-button", type: "button", "aria-label": `${nameOf(item)}, which you like`, title: nameOf(item), "aria-haspopup": "dialog", onclick: () => this.open(item) }, picture(item)));
  }
}
