// Play: like pictures, and watch the recommendations follow.

import { fill, h } from "../dom.js";
import { factsOf } from "../facts.js";
import { facesReady } from "../poster.js";
import { optionsOf, recommended } from "../play/asking.js";
import { chips } from "../play/chips.js";
import { showLike } from "../play/like-dialog.js";
import { questions } from "../play/questions.js";
import { search } from "../play/search.js";
import { Stage } from "../play/stage.js";
import { Visitor, currentUser, playAs } from "../play/visitor.js";
import { Wall } from "../play/wall.js";
import { showWhatIf } from "../play/what-if.js";
import { showWhy } from "../play/why.js";

export const title = "Play";

const SHOWN = 12;

export async function show(root, _params, context) {
  const visitor = new Visitor(context.api, currentUser());
  const play = new Play(root, visitor, context);
  await Promise.all([visitor.load(), facesReady]);
  await play.start();
  return () => play.stop();
}

class Play {
  constructor(root, visitor, context) {
    Object.assign(this, { root, visitor, context, options: { diversity: 0, novelty: 0, rotation: 0 }, page: 1, answer: null });
    this.known = new Map();
    this.failed = (error) => error.name !== "AbortError" && context.toast(error.message, { bad: true });
    this.wall = new Wall(context.api, { toggle: (item) => this.toggle(item), liked: (itemId) => visitor.likesItem(itemId), failed: this.failed });
    this.stage = new Stage(visitor, this.options, this.#actions(), context);
    this.top = h("div", { class: "play-top" });
    visitor.addEventListener("change", ({ detail }) => this.#changed(detail));
    visitor.addEventListener("saved", () => this.ask());
  }

  async start() {
    const [items, categories] = await Promise.all([this.wall.show(), this.context.api.get("/v1/categories")]);
    const field = search(this.context.api, { choose: (item) => this.visitor.likesItem(item.item_id) || this.toggle(item), likes: ({ item_id }) => this.visitor.likesItem(item_id), failed: this.failed });
    fill(this.root, h("h1", { class: "tagline" }, "Like one. ", h("em", {}, "The rest follows.")), this.top,
      h("section", { class: "wall-section", "aria-label": "All pictures" },
        h("div", { class: "wall-tools" }, field, categories.length > 0 && chips(categories, (name) => this.filter(name))),
        items.length ? this.wall.element : this.#nothing()));
    if (this.visitor.likes.size || items.length < 9) this.openStage();
    else fill(this.top, questions(items.slice(0, 30), { choose: (item) => this.like(item), done: () => this.openStage() }));
  }

  /** Show the likes and what follows, in place of the questions. */
  openStage() {
    this.root.classList.add("playing");
    fill(this.top, this.stage.element);
    this.stage.showLikes();
    return this.ask();
  }

  /** Ask for the first page of recommendations with the options that are set; a newer question wins. */
  async ask({ next = null } = {}) {
    if (!this.stage.element.isConnected) return;
    if (this.stage.comparing) return this.stage.rankers.show().catch(this.failed);
    this.request?.abort();
    this.request = new AbortController();
    try {
      const answer = await this.#recommended({ count: SHOWN, next_of: next }, { signal: this.request.signal });
      this.page = next ? this.page + 1 : 1;
      this.answer = answer;
      answer.items.forEach(({ item }) => this.known.set(item.item_id, item));
      this.stage.showAnswer({ ...answer, items: answer.items.filter(({ item_id }) => !this.visitor.likesItem(item_id)) }, this.page);
      this.context.announce(answer.items.length ? `Recommendations: ${answer.items.slice(0, 3).map(({ item }) => factsOf(item).title).join(", ")}, and more` : "No recommendations");
    } catch (error) {
      this.failed(error);
    }
  }

  toggle(item) {
    return this.visitor.likesItem(item.item_id) ? this.unlike(item) : this.like(item);
  }

  like(item) {
    const undo = { label: "Undo", run: () => this.visitor.unlike(item).catch(this.failed) };
    this.context.toast(`You like ${factsOf(item).title}.`, { action: undo });
    return this.visitor.like(item).catch(this.failed);
  }

  unlike(item) {
    const undo = { label: "Undo", run: () => this.visitor.like(item).catch(this.failed) };
    this.context.toast(`You no longer like ${factsOf(item).title}.`, { action: undo });
    return this.visitor.unlike(item).catch(this.failed);
  }

  refuse(item, kind) {
    const undo = { label: "Undo", run: () => this.visitor.unrefuse(item, kind).catch(this.failed) };
    const outcome = kind === "hidden" ? "is hidden" : "is not for you";
    this.context.toast(`${factsOf(item).title} ${outcome}.`, { action: undo });
    this.stage.row.drop(item.item_id);
    return this.visitor.refuse(item, kind).catch(this.failed);
  }

  filter(category) {
    this.options.category = category;
    this.wall.show(category).catch(this.failed);
    this.ask();
  }

  whatIf(like) {
    return showWhatIf(like, (query) => this.#recommended(query)).catch(this.failed);
  }

  stop() {
    this.request?.abort();
    this.stage.stop();
    this.wall.stop();
  }

  #recommended(query, options) {
    return recommended(this.context.api, this.visitor.id, { explain: true, ...optionsOf(this.options), ...query }, options);
  }

  #changed(item) {
    this.known.set(item.item_id, item);
    this.stage.showLikes();
    this.wall.mark();
  }

  #likeOf(itemId) {
    return this.visitor.likes.get(itemId) ?? this.known.get(itemId) ?? { item_id: itemId };
  }

  #actions() {
    const again = () => this.context.navigate("/", { replace: true });
    return {
      like: (item) => this.like(item),
      refuse: (item, kind) => this.refuse(item, kind),
      why: (entry) => showWhy(entry, { likeOf: (itemId) => this.#likeOf(itemId), without: (like) => this.whatIf(like) }),
      titleOf: (itemId) => factsOf(this.#likeOf(itemId)).title,
      openLike: (item) => showLike(item, { unlike: () => this.unlike(item), without: () => this.whatIf(item) }),
      tuned: () => this.ask(),
      nextPage: () => this.ask({ next: this.answer?.recommendation_id }),
      firstPage: () => this.ask(),
      compare: () => (this.stage.setComparing(!this.stage.comparing), this.ask()),
      newGuest: () => (playAs(), again()),
      ask: (query) => this.#recommended({ explain: null, ...query }, { quiet: true }),
      failed: this.failed,
    };
  }

  #nothing() {
    return h("div", { class: "state" },
      h("h2", {}, "Nothing to like yet"),
      h("p", { class: "soft" }, "The catalogue is empty and nobody likes anything. Send a like, or run ", h("code", {}, "likewise up --demo"), " for a wall of films."));
  }
}
