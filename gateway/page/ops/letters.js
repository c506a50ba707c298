// One group of dead letters: what its code means, what to do, and the newest records.

import { h } from "../dom.js";
import { ago, counted, moment, size } from "./format.js";
import { marked } from "./marked.js";
import { octets, printable } from "./octets.js";

const SENT_BYTES = 16_384;

/** Return the card of a group; `chosen` is called when its checkbox changes. */
export function groupOf({ code, count, meaning, remedy, examples }, { chosen }) {
  const id = `letters-${code}`;
  return h("li", { class: "card panel letters", id: code },
    h("header", {},
      h("label", { class: "letters-choice" },
        h("input", { type: "checkbox", value: code, onchange: chosen }),
        h("h2", { id }, h("code", {}, code))),
      h("span", { class: "letters-count" }, counted(count, "record"))),
    h("p", {}, marked(meaning), " ", remedy && h("strong", {}, marked(remedy))),
    h("details", {},
      h("summary", {}, examples.length < count ? `The newest ${examples.length}` : "Show them"),
      h("ol", { class: "letters-examples", "aria-labelledby": id }, examples.map(example))),
  );
}

function example(letter) {
  const { detail, at_ms: at, source, key_base64: key, value_base64: value, value_bytes: bytes, truncated_bytes: truncated } = letter;
  return h("li", {},
    h("p", { class: "letters-where" },
      at !== null && h("time", { title: moment(at) }, ago(at)),
      h("span", { class: "ops-id" }, `${source.topic} ${source.partition}:${source.offset}`),
      key !== null && h("span", {}, "key ", h("bdi", { class: "ops-id" }, printable(key)))),
    h("p", { class: "letters-detail", dir: "auto" }, marked(detail)),
    truncated ? h("p", { class: "soft" }, `The value, of ${size(truncated)}, was too large to keep.`) : octets(value, "Value of the record"),
    bytes > SENT_BYTES && h("p", { class: "soft" }, `The beginning of ${size(bytes)}.`),
  );
}
