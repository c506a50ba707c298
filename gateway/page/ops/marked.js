// Sentences of the documentation, in which backquotes mark code.

import { h } from "../dom.js";

/** Return the sentence as nodes, with `code` elements. */
export const marked = (sentence) =>
  (sentence ?? "").split("`").map((part, place) => (place % 2 ? h("code", {}, part) : part)).filter((part) => part !== "");
