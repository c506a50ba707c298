// Likes as they happen, newest first.

import { pathOf } from "../api.js";
import { h } from "../dom.js";
import { nameOf } from "../facts.js";
import { time } from "./format.js";

const SHOWN = 14;
const VERBS = {
  like: "likes",
  unlike: "no longer likes",
  dislike: "dislikes",
  undislike: "no longer dislikes",
  hide: "hides",
  unhide: "no longer hides",
};

/** Return `{root, add(like)}`: a list of at most 14 events. */
export function ticker() {
  const list = h("ol", { class: "ticker-list", "aria-label": "Latest events, newest first" });
  const empty = h("p", { class: "soft" }, "Nothing yet. Likes appear here as they are made.");
  const root = h("div", { class: "ticker" }, empty, list);
  return {
    root,
    add(like) {
      empty.remove();
      list.prepend(line(like));
      if (list.children.length > SHOWN) list.lastChild.remove();
    },
  };
}

/** "likes", or of a signal its kind. */
const verb = (action, kind) => VERBS[action] ?? (action === "unsignal" ? `takes back ${kind}` : kind ?? action);

function line({ user_id: user, item_id: item, title, action, kind }) {
  return h(
    "li",
    { class: "ticker-line", "data-action": action },
    h("p", {},
      h("a", { href: pathOf("users", user), class: "ticker-user", dir: "auto" }, user),
      " ",
      h("span", { class: "ticker-verb" }, verb(action, kind)),
      " ",
      item && h("a", { href: pathOf("items", item), class: "ticker-item", dir: "auto" }, nameOf({ item_id: item, title })),
    ),
    h("time", { class: "ticker-time" }, time(Date.now())),
  );
}
