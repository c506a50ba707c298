// A schema as a tree of its fields.

import { h } from "../dom.js";
import { typeOf } from "./contract.js";
import { marked } from "./marked.js";

const DEEPEST = 5;

/** Return the fields of a schema, the required ones first; `resolved` follows references. */
export function schemaTree(schema, resolved, depth = 0) {
  const { properties = {}, required = [] } = resolved(schema);
  const names = Object.keys(properties).sort((a, b) => required.includes(b) - required.includes(a));
  return h("ul", { class: "schema" }, names.map((name) => field(name, properties[name], required.includes(name), resolved, depth)));
}

function field(name, schema, required, resolved, depth) {
  const { description, ...itself } = resolved(schema);
  const inner = itself.type === "array" && itself.items ? resolved(itself.items) : itself;
  const nested = inner.properties && Object.keys(inner.properties).length > 0 && depth < DEEPEST;
  return h("li", {},
    h("div", { class: "schema-field" },
      h("code", { class: "schema-name" }, name),
      required && h("span", { class: "tag" }, "required"),
      h("span", { class: "schema-type" }, typeOf(itself, resolved))),
    description && h("p", {}, marked(description)),
    nested && schemaTree(inner, resolved, depth + 1),
  );
}
