// A part of a view that is filled when its answer is there, or shows why it cannot be.

import { fill, h } from "./dom.js";

/**
 * Return a section with a heading. `content()` resolves to its content; null hides the section. A failure is
 * shown in the section: `sentences[code]` if there is one, else the server's own words.
 */
export function part(heading, content, sentences = {}) {
  const body = h("div", { class: "part-body", "aria-busy": "true" });
  const section = h("section", { class: "part" }, h("h2", {}, heading), body);
  Promise.resolve()
    .then(content)
    .then((nodes) => (nodes === null ? (section.hidden = true) : fill(body, nodes)))
    .catch((error) => fill(body, h("p", { class: "soft" }, sentences[error.code] ?? error.message)))
    .finally(() => body.removeAttribute("aria-busy"));
  return section;
}
