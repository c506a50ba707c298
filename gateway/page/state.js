// What a page shows in place of its content: that something failed, or that it needs a key.

import { h, s } from "./dom.js";

/** Return a picture of a broken-off thread above a heading and what explains it. */
export function state(heading, children, attributes = {}) {
  return h(
    "div",
    { class: "state", ...attributes },
    s("svg", { viewBox: "0 0 112 80", "aria-hidden": "true" },
      s("path", { d: "M12 14 C70 14 42 66 100 66" }),
      s("circle", { cx: 12, cy: 14, r: 6 }),
      s("circle", { cx: 100, cy: 66, r: 6 })),
    heading,
    children,
  );
}
