// Users as a list with bars: the longer the bar, the better the fit.

import { pathOf } from "./api.js";
import { h } from "./dom.js";

const NO_USER_IDS = [
  "This model was built without user ids. Set ", h("code", {}, "model.user_ids = true"), " for the indexer, and wait for the next build.",
];

/** Ask a path for users, and return them as a list. */
export async function people(api, path, query) {
  try {
    const { users = [] } = await api.get(path, query);
    return users.length ? list(users) : h("p", { class: "soft" }, "Nobody yet.");
  } catch (error) {
    if (error.code !== "no_user_ids") throw error;
    return h("p", { class: "soft" }, NO_USER_IDS);
  }
}

function list(users) {
  const most = Math.max(...users.map(({ score }) => score), 1e-9);
  return h("ol", { class: "people" }, users.map(({ user_id, score }) => {
    const bar = h("span", { class: "bar", "aria-hidden": "true" });
    bar.style.setProperty("--length", Math.max(score, 0) / most);
    return h("li", {}, h("a", { href: pathOf("users", user_id) }, user_id), bar, h("span", { class: "number" }, score.toPrecision(2)));
  }));
}
