// Pictures that can be liked: on the wall, in the row of recommendations, in a user's likes.

import { pathOf } from "./api.js";
import { h } from "./dom.js";
import { factsOf, nameOf } from "./facts.js";
import { icon } from "./icons.js";
import { picture } from "./poster.js";

/** Return a picture as a button that likes the item, or takes the like back. `toggle(item)` is called. */
export function likeButton(item, liked, toggle) {
  const button = h(
    "button",
    { class: "like-button", type: "button", "aria-label": `Like ${nameOf(item)}`, onclick: () => toggle(item) },
    picture(item),
    h("span", { class: "badge" }, icon("heart")),
  );
  setLiked(button, liked);
  return button;
}

export function setLiked(button, liked) {
  button.setAttribute("aria-pressed", String(liked));
}

/** Return the title as a link to the item's page, with the year. */
export function caption(item) {
  const { title, year } = factsOf(item);
  return h("p", { class: "caption" },
    h("a", { href: pathOf("items", item.item_id), title: nameOf(item) }, title),
    year && h("span", { class: "year" }, year));
}

/** Return a picture as a link to the item's page, with its caption. */
export function linkedPicture(item) {
  const { title, year } = factsOf(item);
  return h("a", { class: "linked-picture", href: pathOf("items", item.item_id) },
    picture(item),
    h("span", { class: "caption" }, h("span", { class: "title" }, title), year && h("span", { class: "year" }, year)));
}
