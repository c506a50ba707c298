// Three questions for somebody who likes nothing yet: each offers three pictures unlike each other.

import { likeButton } from "../card.js";
import { fill, h } from "../dom.js";
import { nameOf } from "../facts.js";

const ASKED = ["Which one do you like?", "And which of these?", "And one more?"];
const OFFERED = 3;

/** Return an element that asks, and calls `choose(item)` for each choice and `done()` at the end. */
export function questions(items, { choose, done }) {
  const sets = offers(items, ASKED.length);
  const panel = h("section", { class: "questions", "aria-labelledby": "question" });
  ask(0);
  return panel;

  function ask(turn, moved = false) {
    if (turn >= sets.length) return done();
    const next = (item) => {
      if (item) choose(item);
      ask(turn + 1, true);
    };
    fill(panel,
      h("div", { class: "question" },
        h("p", { class: "eyebrow" }, `Question ${turn + 1} of ${sets.length}`),
        h("h2", { id: "question", tabindex: -1 }, ASKED[turn]),
        h("div", { class: "dialog-buttons" },
          h("button", { class: "button", type: "button", onclick: () => next(null) }, "None of these"),
          h("button", { class: "button quiet", type: "button", onclick: done }, "Skip the questions"))),
      h("ul", { class: "offers" }, sets[turn].map((item) =>
        h("li", { "data-item": item.item_id }, likeButton(item, false, next), h("p", { class: "caption", "aria-hidden": "true" }, nameOf(item))))));
    if (moved) panel.querySelector("#question").focus({ preventScroll: true });
  }
}

/** Return `count` sets of well-known items; those of one set share as few categories as possible. */
export function offers(items, count) {
  const left = [...items];
  const sets = [];
  while (sets.length < count && left.length >= OFFERED) {
    const set = [left.shift()];
    while (set.length < OFFERED) {
      const seen = new Set(set.flatMap(({ categories = [] }) => categories));
      const shared = left.map(({ categories = [] }) => categories.filter((name) => seen.has(name)).length);
      set.push(...left.splice(shared.indexOf(Math.min(...shared)), 1));
    }
    sets.push(set);
  }
  return sets;
}
