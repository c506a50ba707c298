// The wall of pictures: what most people like, by category, more of it as one scrolls.

import { caption, likeButton, setLiked } from "../card.js";
import { h } from "../dom.js";
import { roving } from "../roving.js";

const PAGE = 60;

/** `toggle(item)` is called for a picture that was clicked; `liked(itemId)` is whether it is shown as liked. */
export class Wall {
  constructor(api, { toggle, liked, failed }) {
    Object.assign(this, { api, toggle, liked, failed, category: null, cursor: null, turn: 0 });
    this.list = h("ul", { class: "wall", "aria-label": "Pictures to like" });
    this.more = h("button", { class: "button", type: "button", onclick: () => this.#load() }, "Show more");
    this.end = h("div", { class: "wall-end" }, this.more);
    this.element = h("div", {}, this.list, this.end);
    this.refresh = roving(this.list);
    this.watcher = new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && this.cursor && this.#load(), { rootMargin: "400px" });
    this.watcher.observe(this.end);
  }

  /** Show the first page of a category, or of everything. Resolves to its items. */
  async show(category = null) {
    this.category = category;
    this.cursor = null;
    this.turn += 1;
    return this.#load({ first: true });
  }

  /** Show which pictures are liked. */
  mark() {
    for (const card of this.list.children) {
      setLiked(card.querySelector(".like-button"), this.liked(card.dataset.item));
    }
  }

  stop() {
    this.watcher.disconnect();
  }

  async #load({ first = false } = {}) {
    const turn = this.turn;
    if (this.loading === turn) return [];
    this.loading = turn;
    try {
      const { items, cursor } = await this.api.get("/v1/items", { category: this.category, limit: PAGE, cursor: this.cursor }, { quiet: true });
      if (turn !== this.turn) return [];
      if (first) this.list.replaceChildren();
      this.list.append(...items.map((item) => this.#card(item)));
      this.cursor = cursor ?? null;
      this.more.hidden = this.cursor === null;
      this.refresh();
      return items;
    } catch (error) {
      if (first) throw error;
      this.failed(error);
      return [];
    } finally {
      if (this.loading === turn) this.loading = null;
    }
  }

  #card(item) {
    return h("li", { class: "wall-card", "data-item": item.item_id }, likeButton(item, this.liked(item.item_id), this.toggle), caption(item));
  }
}
