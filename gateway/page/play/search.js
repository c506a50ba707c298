// Search as you type: a combobox (ARIA authoring practices) whose options are items.

import { debounced, fill, h } from "../dom.js";
import { factsOf, nameOf } from "../facts.js";
import { icon } from "../icons.js";
import { picture } from "../poster.js";

const WAIT_MS = 120;
const FOUND = 8;

/** Return the search field; `choose(item)` is called for a chosen option. */
export function search(api, { choose, likes, failed }) {
  let found = [];
  let active = -1;
  let request = null;
  const input = h("input", {
    class: "input", id: "search", type: "search", role: "combobox", autocomplete: "off", placeholder: "Search titles",
    "aria-label": "Search titles", "aria-expanded": "false", "aria-controls": "search-options", "aria-autocomplete": "list",
  });
  const list = h("ul", { class: "options", id: "search-options", role: "listbox", "aria-label": "Titles found", hidden: true });
  const count = h("span", { class: "visually-hidden", role: "status" });

  const look = debounced(async () => {
    request?.abort();
    const query = input.value.trim();
    if (!query) return close();
    request = new AbortController();
    try {
      const { items } = await api.get("/v1/items", { q: query, limit: FOUND }, { signal: request.signal, quiet: true });
      open(items, query);
    } catch (error) {
      if (error.name !== "AbortError") failed(error);
    }
  }, WAIT_MS);

  function open(items, query) {
    found = items;
    fill(list, items.length ? items.map(option) : h("li", { class: "nothing" }, `Nothing is called “${query}”.`));
    count.textContent = items.length === 1 ? "1 title found" : `${items.length} titles found`;
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    activate(-1);
  }

  function close() {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    activate(-1);
  }

  function activate(place) {
    active = place;
    [...list.children].forEach((row, at) => row.setAttribute?.("aria-selected", String(at === place)));
    const row = place >= 0 ? list.children[place] : null;
    if (row) input.setAttribute("aria-activedescendant", row.id);
    else input.removeAttribute("aria-activedescendant");
    row?.scrollIntoView({ block: "nearest" });
  }

  function option(item, place) {
    const { title, year } = factsOf(item);
    return h("li", { class: "option", role: "option", id: `search-option-${place}`, "aria-selected": "false", "aria-label": nameOf(item) + (likes(item) ? ", liked" : ""),
      onpointerdown: (event) => event.preventDefault(), onclick: () => take(item) },
      picture(item), h("span", { class: "title" }, title), h("span", { class: "year" }, likes(item) ? "liked" : year));
  }

  function take(item) {
    input.value = "";
    close();
    choose(item);
  }

  input.addEventListener("input", look);
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (list.hidden || !found.length) return;
    const moves = { ArrowDown: (active + 1) % found.length, ArrowUp: (active - 1 + found.length) % found.length };
    if (event.key in moves) activate(active === -1 && event.key === "ArrowUp" ? found.length - 1 : moves[event.key]);
    else if (event.key === "Enter" && active >= 0) take(found[active]);
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
  });
  return h("div", { class: "search" }, icon("search"), input, list, count);
}
