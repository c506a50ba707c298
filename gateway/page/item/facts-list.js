// What the catalogue and the model know about an item.

import { h } from "../dom.js";
import { factsOf } from "../facts.js";

export function facts(item) {
  const { year } = factsOf(item);
  return h("div", { class: "facts" },
    h("p", { class: "soft" }, [year, ...(item.categories ?? [])].filter(Boolean).join(" · ")),
    item.retired && h("p", { class: "notice" }, "Retired: it is not recommended to anybody."),
    item.known === false && h("p", { class: "notice" }, "The current model does not know it yet."),
    item.known === null && h("p", { class: "notice" }, "The catalogue has nothing about it; only its id is known."),
    h("dl", {},
      row("Id", h("code", {}, item.item_id)),
      Object.entries(item.labels ?? {}).filter(([name]) => name !== "year").map(([name, value]) => row(name, text(value))),
      webAddress(item.url) && row("Page", h("a", { href: item.url, rel: "noreferrer noopener", target: "_blank" }, new URL(item.url).host))));
}

function row(name, value) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value));
}

function text(value) {
  return Array.isArray(value) ? value.join(", ") : String(value);
}

/** Only http and https become links: an address comes from an event, and could be a script. */
function webAddress(url) {
  return /^https?:\/\//i.test(url ?? "") && URL.canParse(url);
}
