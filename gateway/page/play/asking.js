// Questions to the API about a user, with the options that the visitor has set.

import { pathOf } from "../api.js";
import { itemOf } from "../facts.js";

const FIELDS = ["title", "image_url", "categories", "published_at", "labels"];

/** The sliders and filters as the query of a request. */
export function optionsOf({ diversity = 0, novelty = 0, rotation = 0, category = null }) {
  return {
    diversity: diversity || null,
    novelty: novelty || null,
    rotation: rotation || null,
    where: category ? JSON.stringify({ categories: category }) : null,
  };
}

/** Return the answer with each entry's `item` as in the catalogue. */
export async function recommended(api, userId, query, options) {
  const answer = await api.get(`${pathOf("v1", "users", userId)}/recommendations`, { fields: FIELDS, ...query }, options);
  return { ...answer, items: answer.items.map((entry) => ({ ...entry, item: itemOf(entry) })) };
}

/** Return the items that are similar to one. */
export async function similarTo(api, itemId, query) {
  const answer = await api.get(`${pathOf("v1", "items", itemId)}/similar`, { fields: FIELDS, ...query });
  return answer.items.map(itemOf);
}
