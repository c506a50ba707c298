// Messages: the AsyncAPI document, readable, with every message ready to be sent.

import { h, stylesheet } from "../dom.js";
import { channelsOf, resolver } from "../ops/contract.js";
import { laidOut } from "../ops/json.js";
import { marked } from "../ops/marked.js";
import { schemaTree } from "../ops/schema.js";
import { inWords, sending } from "../ops/sending.js";

export const title = "Messages";

export async function show(root, params, context) {
  const [document_] = await Promise.all([context.api.get("/v1/messages"), stylesheet("ops")]);
  const channels = channelsOf(document_);
  const resolved = resolver(document_);
  root.append(
    h("header", { class: "ops-head" }, h("h1", {}, title)),
    h("p", { class: "ops-lead" }, marked(document_.info.description)),
    h("div", { class: "messages" },
      contents(channels),
      h("div", {}, channels.map((channel) => section(channel, resolved, context)))),
  );
  const open = () => opened(root, decodeURIComponent(location.hash.slice(1)));
  open();
  addEventListener("hashchange", open);
  return () => removeEventListener("hashchange", open);
}

/** Open the message that the address names, and show it. */
function opened(root, name) {
  const message = [...root.querySelectorAll("details.message, section.channel")].find(({ id }) => id === name);
  if (!message) return;
  message.open = true;
  message.scrollIntoView();
}

function contents(channels) {
  return h("nav", { class: "messages-contents", "aria-label": "Channels and messages" },
    channels.map(({ address, messages }) => [
      h("a", { href: `#${address}`, class: "ops-id" }, address),
      h("ul", {}, messages.map(({ name }) => h("li", {}, h("a", { href: `#${name}` }, inWords(name).trim())))),
    ]),
  );
}

function section(channel, resolved, context) {
  return h("section", { class: "channel", id: channel.address },
    h("header", {},
      h("h2", { class: "ops-id" }, channel.address),
      h("span", { class: "tag" }, channel.written ? "you write, likewise reads" : "likewise writes, you read")),
    h("p", { class: "soft" }, marked(channel.description)),
    channel.messages.map((message) => described(message, channel, resolved, context)),
  );
}

/** One message. Its schema and form are made when it is opened first. */
function described(message, channel, resolved, context) {
  const body = h("div", { class: "message-body" });
  return h("details", { class: "message", id: message.name, ontoggle: toggled },
    h("summary", {}, h("h3", {}, message.title), h("span", { class: "soft" }, inWords(message.name).trim())),
    body,
  );

  function toggled({ target }) {
    if (!target.open) return;
    history.replaceState(history.state, "", `#${message.name}`);
    if (!body.children.length) body.append(documentation(message, resolved), sample(message, channel, context));
  }
}

function documentation({ description, payload, headers, bindings }, resolved) {
  const { description: itself, properties } = resolved(payload);
  return h("div", { class: "message-text" },
    h("p", {}, marked(description ?? itself)),
    bindings?.kafka?.key?.description && h("p", {}, h("strong", {}, "Key. "), marked(bindings.kafka.key.description)),
    headers && [h("h4", {}, "Headers"), schemaTree(headers, resolved)],
    properties && [h("h4", {}, "Fields"), schemaTree(payload, resolved)],
  );
}

function sample(message, channel, context) {
  if (channel.written) return sending(message, channel, context);
  return h("div", { class: "message-examples" },
    message.examples.map(({ name, summary, payload }) => [
      h("h4", {}, summary ?? inWords(name)),
      h("pre", { class: "code", tabindex: 0, "aria-label": `Example: ${inWords(name)}` }, typeof payload === "string" ? payload : laidOut(payload)),
    ]),
  );
}
