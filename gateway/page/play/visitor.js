// The user that the page plays: a fresh guest, or a user chosen on their page. Changes count at once on
// the page; if the server refuses one, it is taken back.

import { pathOf } from "../api.js";

const STORED = "likewise-user";
const LIKES_LOADED = 500;

/** Return the user of this tab; a new tab plays a new guest. */
export function currentUser() {
  return sessionStorage.getItem(STORED) ?? playAs();
}

/** Play as a user from now on, or as a new guest. */
export function playAs(userId = newGuest()) {
  sessionStorage.setItem(STORED, userId);
  return userId;
}

// Not `randomUUID`, which browsers offer only on HTTPS and on localhost.
function newGuest() {
  const bytes = [...crypto.getRandomValues(new Uint8Array(4))];
  return `guest-${bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** Dispatches `change` when the likes change on the page, and `saved` when the server has the change. */
export class Visitor extends EventTarget {
  constructor(api, userId) {
    super();
    this.api = api;
    this.id = userId;
    this.likes = new Map();
  }

  /** Load what the user likes. */
  async load() {
    const { items } = await this.api.get(`${pathOf("v1", "users", this.id)}/likes`, { limit: LIKES_LOADED });
    this.likes = new Map(items.map((item) => [item.item_id, item]));
  }

  likesItem(itemId) {
    return this.likes.has(itemId);
  }

  like(item) {
    const before = new Map(this.likes);
    this.likes = new Map([[item.item_id, item], ...before]);
    return this.#change("likes", item, "PUT", before);
  }

  unlike(item) {
    const before = new Map(this.likes);
    this.likes.delete(item.item_id);
    return this.#change("likes", item, "DELETE", before);
  }

  /** `kind` is `dislikes` or `hidden`. */
  refuse(item, kind) {
    return this.#change(kind, item, "PUT", new Map(this.likes));
  }

  unrefuse(item, kind) {
    return this.#change(kind, item, "DELETE", new Map(this.likes));
  }

  async #change(kind, item, method, before) {
    this.#dispatch("change", item);
    const path = pathOf("v1", "users", this.id, kind, item.item_id);
    try {
      await (method === "PUT" ? this.api.put(path) : this.api.delete(path));
    } catch (error) {
      this.likes = before;
      this.#dispatch("change", item);
      throw error;
    }
    this.#dispatch("saved", item);
  }

  #dispatch(type, item) {
    this.dispatchEvent(new CustomEvent(type, { detail: item }));
  }
}
