// The same visitor under each ranker, side by side.

import { caption, likeButton } from "../card.js";
import { fill, h } from "../dom.js";

const COMPARED = 8;

/** Fills an element with one row of pictures for each ranker of `/v1/rankers`. */
export class Rankers {
  constructor(api, { ask, like, failed }) {
    Object.assign(this, { api, ask, like, failed, known: null, turn: 0 });
    this.element = h("div", { class: "rankers" });
    this.element.addEventListener("pointerover", (event) => this.#light(event.target));
    this.element.addEventListener("focusin", (event) => this.#light(event.target));
    this.element.addEventListener("pointerleave", () => this.#light(null));
  }

  async show() {
    const turn = (this.turn += 1);
    this.known ??= await this.api.get("/v1/rankers");
    const rankers = [...this.known].sort((a, b) => place(a) - place(b));
    const answers = await Promise.all(rankers.map((ranker) =>
      this.ask({ count: COMPARED, ranker: ranker.current ? null : ranker.ranker }).catch((error) => ({ error }))));
    if (turn !== this.turn) return;
    const current = new Set(answers[0]?.items?.map(({ item_id }) => item_id));
    fill(this.element, rankers.map((ranker, place) => this.#lane(ranker, answers[place], current)),
      rankers.length === 1 && h("p", { class: "soft" }, "Only one ranker is built here. ", h("code", {}, "indexer.alternatives"), " names others to build next to it."));
  }

  #lane(ranker, { items = [], error }, current) {
    const shared = items.filter(({ item_id }) => current.has(item_id)).length;
    return h("section", { class: "lane", "aria-label": ranker.ranker },
      h("div", { class: "lane-name" },
        h("h3", {}, ranker.ranker),
        ranker.description && h("p", { class: "soft" }, ranker.description),
        h("p", { class: "faint" }, ranker.current ? "answers now" : error ? error.message : `${shared} of ${items.length} are the same`),
        items.length > shared && h("p", { class: "faint marked" }, "not recommended now")),
      h("ol", { class: "lane-row" }, items.map(({ item }) =>
        h("li", { "data-item": item.item_id, class: ranker.current || current.has(item.item_id) ? "" : "only-here" }, likeButton(item, false, this.like), caption(item)))));
  }

  #light(target) {
    const id = target?.closest?.("[data-item]")?.dataset.item;
    for (const card of this.element.querySelectorAll("[data-item]")) card.classList.toggle("same", card.dataset.item === id);
  }
}

/** What answers now comes first, then the original, then the others. */
function place({ current, ranker }) {
  if (current) return 0;
  return ranker === "neighbours" ? 1 : 2;
}
