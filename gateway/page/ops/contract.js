// Reads an AsyncAPI 3 document: channels, their messages, and schemas with references followed.

/**
 * Return `[{address, description, written, answered, messages: [{name, title, …}]}]` in the order of the document:
 * `written` are the channels that apps write and likewise reads, `answered` those of them that get replies.
 */
export function channelsOf(document) {
  const at = (reference) => reference.slice(2).split("/").reduce((node, name) => node[name], document);
  const received = new Map(
    Object.values(document.operations)
      .filter(({ action }) => action === "receive")
      .map((operation) => [at(operation.channel.$ref), operation]),
  );
  return Object.values(document.channels).map((channel) => ({
    address: channel.address,
    description: channel.description,
    written: received.has(channel),
    answered: received.get(channel)?.reply !== undefined,
    messages: Object.values(channel.messages).map(({ $ref }) => ({ ...at($ref), name: $ref.split("/").at(-1) })),
  }));
}

/** Return a function from a schema to the same schema without references and `allOf` at its top. */
export function resolver(document) {
  const schemas = document.components.schemas;
  return function resolved(schema) {
    if (schema.$ref) return resolved(schemas[schema.$ref.split("/").at(-1)]);
    if (!schema.allOf) return schema;
    const { allOf, ...rest } = schema;
    return [...allOf.map(resolved), rest].reduce(merged, {});
  };
}

function merged(one, other) {
  return {
    ...one,
    ...other,
    properties: { ...one.properties, ...other.properties },
    required: [...(one.required ?? []), ...(other.required ?? [])],
  };
}

/** Return the type and limits of a resolved schema in words: "integer, 1 to 1000". */
export function typeOf(schema, resolved) {
  const { type, enum: values, minimum, maximum, minLength, maxLength, maxItems, pattern } = schema;
  if (values) return values.length === 1 ? JSON.stringify(values[0]) : `one of ${values.join(", ")}`;
  const parts = [];
  if (type === "array") {
    const items = schema.items && resolved(schema.items);
    parts.push(`list of ${items?.type ?? "value"}s`);
    if (maxItems) parts.push(`at most ${maxItems.toLocaleString("en")}`);
  } else {
    parts.push([type ?? "any value"].flat().join(" or "));
  }
  if (minimum !== undefined && minimum === maximum) parts.push(String(minimum));
  else if (minimum !== undefined && maximum !== undefined) parts.push(`${minimum} to ${maximum.toLocaleString("en")}`);
  else if (minimum !== undefined) parts.push(`from ${minimum}`);
  if (maxLength) parts.push(`${minLength ?? 0} to ${maxLength} characters`);
  if (pattern) parts.push(pattern);
  if (schema.default !== undefined) parts.push(`default ${JSON.stringify(schema.default)}`);
  return parts.join(", ");
}
