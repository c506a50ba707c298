// How an item does among all: its likes, its place by all likes, and its place by recent ones.

import { h } from "../dom.js";

const LOOKED_AT = 500;

export async function trend(api, item) {
  const [ever, lately] = await Promise.all(["popular", "trending"].map((source) => place(api, source, item.item_id)));
  return h("dl", { class: "figures" },
    figure(item.likes ?? "–", "likes in the model"),
    figure(ordinal(ever), "by all likes"),
    figure(ordinal(lately), "by recent likes", movement(ever, lately)));
}

async function place(api, source, itemId) {
  const { items } = await api.get(`/v1/items/${source}`, { count: LOOKED_AT }, { quiet: true });
  const found = items.findIndex(({ item_id }) => item_id === itemId);
  return found === -1 ? null : found + 1;
}

function movement(ever, lately) {
  if (ever === null || lately === null || ever === lately) return null;
  return lately < ever ? h("span", { class: "rising" }, `▲ up ${ever - lately}`) : h("span", { class: "falling" }, `▼ down ${lately - ever}`);
}

function ordinal(place) {
  return place === null ? `past ${LOOKED_AT}` : `No. ${place}`;
}

function figure(number, meaning, more = null) {
  return h("div", {}, h("dt", {}, meaning), h("dd", {}, number, more && [" ", more]));
}
