// One item: its picture and facts, what is similar, who would like it, and how much it is liked.

import { pathOf } from "../api.js";
import { likeButton, linkedPicture, setLiked } from "../card.js";
import { fill, h } from "../dom.js";
import { factsOf } from "../facts.js";
import { facts } from "../item/facts-list.js";
import { trend } from "../item/trend.js";
import { people } from "../people.js";
import { facesReady } from "../poster.js";
import { similarTo } from "../play/asking.js";
import { Visitor, currentUser } from "../play/visitor.js";
import { part } from "../part.js";

export const title = ({ id }) => id;

const SIMILAR = 12;
const USERS = 12;

export async function show(root, { id }, context) {
  const { api } = context;
  const visitor = new Visitor(api, currentUser());
  const [item] = await Promise.all([found(api, id), visitor.load(), facesReady]);
  const name = factsOf(item).title;
  document.title = `${name} · likewise`;
  const similar = h("ul", { class: "wall" });

  root.append(
    h("article", { class: "item" },
      h("div", { class: "item-picture", "data-flight": true }, likeWith(item, visitor, context)),
      h("div", { class: "item-text" },
        h("h1", {}, name),
        facts(item),
        part("How much it is liked", () => trend(api, item)),
        part("Who would like it", () => people(api, `${pathOf("v1", "items", id)}/users`, { count: USERS })))),
    part("More like this", async () => {
      const items = await similarTo(api, id, { count: SIMILAR });
      return fill(similar, items.map((other) => h("li", {}, linkedPicture(other))));
    }, { unknown_item: "The model does not know it yet: it needs a few likes, and the next build." }));
}

/** An item that has likes but no entry in the catalogue is shown by its id. */
async function found(api, id) {
  try {
    return await api.get(pathOf("v1", "items", id));
  } catch (error) {
    if (error.status === 404) return { item_id: id, known: null };
    throw error;
  }
}

function likeWith(item, visitor, { toast }) {
  const word = h("span", {});
  const toggle = () => {
    const change = visitor.likesItem(item.item_id) ? visitor.unlike(item) : visitor.like(item);
    change.catch((error) => toast(error.message, { bad: true }));
  };
  const picture = likeButton(item, false, toggle);
  picture.tabIndex = -1;
  picture.setAttribute("aria-hidden", "true");
  const button = h("button", { class: "button primary like-word", type: "button", onclick: toggle }, word);
  const draw = () => {
    const liked = visitor.likesItem(item.item_id);
    setLiked(picture, liked);
    button.setAttribute("aria-pressed", String(liked));
    button.classList.toggle("primary", !liked);
    word.textContent = liked ? "You like this" : "Like";
  };
  visitor.addEventListener("change", draw);
  draw();
  return [picture, button];
}
