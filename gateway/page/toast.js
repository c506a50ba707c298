// Short messages at the bottom of the page; screen readers read them through the region's aria-live.

import { h } from "./dom.js";

const SHOWN_MS = 6000;

/**
 * Show a sentence for a few seconds. `action: {label, run}` adds a button, and `bad` marks a failure.
 * A message stays while the pointer or the focus is on it.
 */
export function toast(sentence, { action = null, bad = false } = {}) {
  const close = () => element.remove();
  const element = h(
    "div",
    { class: bad ? "toast bad" : "toast" },
    h("span", {}, sentence),
    action && h("button", { class: "button", type: "button", onclick: () => (close(), action.run()) }, action.label),
  );
  const region = document.getElementById("toasts");
  region.replaceChildren();
  region.append(element);
  const end = () => (element.matches(":hover, :focus-within") ? setTimeout(end, 1000) : close());
  setTimeout(end, SHOWN_MS);
}
