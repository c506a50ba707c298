// How far behind each partition is, as bars.

import { h } from "../dom.js";
import { count } from "./format.js";

const LOW = 100;

/** Return `{root, show(lag)}`, where `lag` is `[{partition, behind}]`. */
export function lagBars() {
  const root = h("ul", { class: "lag-bars", "aria-label": "Events behind, by partition" });
  const bars = new Map();
  return {
    root,
    show(lag) {
      if (lag.length !== bars.size || lag.some(({ partition }) => !bars.has(partition))) {
        bars.clear();
        for (const { partition } of lag) bars.set(partition, bar(partition));
        root.replaceChildren(...[...bars.values()].map(({ root: one }) => one));
        root.classList.toggle("lag-bars-many", lag.length > 16);
      }
      const most = Math.max(LOW, ...lag.map(({ behind }) => behind));
      for (const { partition, behind } of lag) bars.get(partition).show(behind, behind / most);
    },
  };
}

function bar(partition) {
  const value = h("span", { class: "lag-value" });
  const fill = h("span", { class: "lag-fill", "aria-hidden": "true" });
  const root = h("li", {},
    value,
    h("span", { class: "lag-track", "aria-hidden": "true" }, fill),
    h("span", { class: "lag-name" }, h("span", { class: "visually-hidden" }, "behind in partition "), partition),
  );
  return {
    root,
    show(behind, share) {
      value.textContent = count(behind);
      fill.style.setProperty("--share", share);
    },
  };
}
