// Above the wall: three questions at first; then the likes, the threads, and the answers that follow.

import { fill, h } from "../dom.js";
import { icon } from "../icons.js";
import { pathOf } from "../api.js";
import { LikesStrip } from "./likes-strip.js";
import { Rankers } from "./rankers.js";
import { Row } from "./row.js";
import { Threads } from "./threads.js";
import { sliders } from "./tune.js";

/** What of the page depends on the visitor. `on` has the actions of its parts; see views/play.js. */
export class Stage {
  constructor(visitor, options, on, context) {
    Object.assign(this, { visitor, on, comparing: false });
    this.strip = new LikesStrip(on.openLike);
    this.row = new Row(on, on.titleOf);
    this.rankers = new Rankers(context.api, on);
    this.space = h("div", { class: "threads-space" });
    this.threads = new Threads(this.space, this.strip.element, this.row.element);
    this.heading = h("h2", { class: "row-title" });
    this.compare = h("button", { class: "chip", type: "button", "aria-pressed": "false", onclick: () => on.compare() }, "Compare rankers");
    this.next = h("button", { class: "chip", type: "button", onclick: () => on.nextPage() }, "Next page", icon("next"));
    this.first = h("button", { class: "chip", type: "button", hidden: true, onclick: () => on.firstPage() }, "First page");
    this.empty = h("p", { class: "soft row-empty", role: "status" });
    this.experiment = h("p", { class: "faint", hidden: true });
    this.element = h("section", { class: "stage", "aria-label": "Your likes and what follows" },
      this.#aboutLikes(), this.strip.element, this.space, this.#aboutAnswers(options),
      h("div", { class: "answers" }, this.row.element, this.empty, this.experiment, this.rankers.element));
    this.rankers.element.hidden = true;
  }

  #aboutLikes() {
    return h("div", { class: "about-likes" },
      h("h2", {}, "You like"),
      h("p", { class: "soft" }, "as ", h("a", { href: pathOf("users", this.visitor.id) }, this.visitor.id)),
      h("button", { class: "link-button", type: "button", onclick: () => this.on.newGuest() }, "New guest"));
  }

  #aboutAnswers(options) {
    return h("div", { class: "about-answers" },
      this.heading,
      h("details", { class: "tune", open: matchMedia("(min-width: 60rem)").matches },
        h("summary", {}, "Tune the answer"),
        h("div", { class: "sliders" }, sliders(options, this.on.tuned))),
      h("div", { class: "answer-buttons" }, this.compare, this.first, this.next));
  }

  /** Show the likes; what was liked leaves the answers at once. */
  showLikes() {
    this.strip.show(this.visitor.likes);
    for (const itemId of this.visitor.likes.keys()) this.row.drop(itemId);
  }

  showAnswer({ items, source, experiment, variant }, page) {
    this.heading.textContent = source === "popular" ? "What many people like" : page > 1 ? `So you may like, page ${page}` : "So you may like";
    this.row.show(items);
    this.threads.show(items);
    this.empty.textContent = items.length ? "" : "Nothing more to recommend here. Choose another category, or like something else.";
    this.experiment.hidden = !experiment;
    this.experiment.textContent = `in experiment ${experiment}${variant ? `, variant ${variant}` : ""}`;
    this.first.hidden = page === 1;
    this.next.disabled = items.length === 0;
  }

  /** Switch between the row and the rankers side by side. */
  setComparing(comparing) {
    this.comparing = comparing;
    this.compare.setAttribute("aria-pressed", String(comparing));
    this.rankers.element.hidden = !comparing;
    for (const element of [this.row.element, this.space, this.next]) element.hidden = comparing;
    if (comparing) fill(this.rankers.element, h("p", { class: "soft" }, "Asking each ranker…"));
    else this.threads.draw();
  }

  stop() {
    this.threads.stop();
  }
}
