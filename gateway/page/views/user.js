// One user: what they like, what they are recommended now, their signals, and how to forget them.

import { pathOf } from "../api.js";
import { linkedPicture } from "../card.js";
import { confirmed } from "../dialog.js";
import { h } from "../dom.js";
import { factsOf, nameOf } from "../facts.js";
import { people } from "../people.js";
import { facesReady } from "../poster.js";
import { part } from "../part.js";
import { recommended } from "../play/asking.js";
import { currentUser, playAs } from "../play/visitor.js";
import { history } from "../user/history.js";

export const title = ({ id }) => id;

const SHOWN = 18;
const LIKES_LOADED = 500;
const USERS = 8;

export async function show(root, { id }, context) {
  const { api } = context;
  const path = pathOf("v1", "users", id);
  const [user, likes] = await Promise.all([api.get(path), api.get(`${path}/likes`, { limit: LIKES_LOADED }), facesReady]);
  const curves = [];
  root.append(
    h("header", { class: "user-top" },
      h("div", {}, h("p", { class: "eyebrow" }, id === currentUser() ? "You, in this tab" : "User"), h("h1", {}, id)),
      h("div", { class: "user-buttons" },
        h("button", { class: "button primary", type: "button", onclick: () => (playAs(id), context.navigate("/")) }, "Play as this user"),
        h("button", { class: "button danger", type: "button", onclick: () => forget(id, context) }, "Forget this user"))),
    counts(user),
    part("Likes", () => pictures(likes.items, user.likes)),
    part("Would be recommended now", () => answers(api, id, new Map(likes.items.map((item) => [item.item_id, item])))),
    part("Shown lately", () => history(user, curves)),
    part("Users with similar likes", () => people(api, `${path}/similar`, { count: USERS })));
  return () => curves.forEach((curve) => curve.destroy());
}

function counts({ likes = 0, signals = {} }) {
  const entries = [["likes", likes], ...Object.entries(signals)];
  return h("dl", { class: "figures" }, entries.map(([name, number]) => h("div", {}, h("dt", {}, name), h("dd", {}, number))));
}

function pictures(items, count) {
  if (!items.length) return h("p", { class: "soft" }, "Likes nothing yet.");
  const list = h("ul", { class: "wall" }, items.slice(0, SHOWN).map((item) => h("li", {}, linkedPicture(item))));
  return [list, count > SHOWN && h("p", { class: "soft more" }, `and ${count - SHOWN} more`)];
}

async function answers(api, id, likes) {
  const { items } = await recommended(api, id, { count: SHOWN, explain: true });
  if (!items.length) return h("p", { class: "soft" }, "Nothing: there is no model yet, or nothing left to recommend.");
  return h("ol", { class: "wall" }, items.map(({ item, because }) => h("li", {}, linkedPicture(item), reason(because, likes))));
}

function reason(because, likes) {
  if (!because?.length) return h("p", { class: "faint" }, "liked by many");
  const like = likes.get(because[0].item_id);
  return h("p", { class: "faint" }, "because of ", like ? factsOf(like).title : nameOf(because[0]));
}

async function forget(id, { api, toast, navigate }) {
  const sure = await confirmed(
    `Forget ${id}?`,
    "All likes and signals of this user are erased, and so is what was shown. This cannot be undone. Likes that come later count again.",
    "Forget this user");
  if (!sure) return;
  try {
    await api.delete(pathOf("v1", "users", id));
  } catch (error) {
    toast(error.message, { bad: true });
    return;
  }
  if (id === currentUser()) playAs();
  toast(`${id} is forgotten.`);
  navigate("/");
}
