// "Send this": an example of a message that can be edited and published to the running deployment.

import { h } from "../dom.js";
import { asAdmin } from "./admin.js";
import { laidOut } from "./json.js";

/** Return the form for a message of a channel, with the message's examples to start from. */
export function sending({ name, examples }, { address, answered }, context) {
  const id = `send-${name}`;
  const body = h("textarea", { class: "input sending-body", id, spellcheck: "false", autocapitalize: "off", autocomplete: "off", oninput: check });
  const wrong = h("p", { class: "sending-wrong", id: `${id}-wrong`, role: "alert" });
  const button = h("button", { type: "button", class: "button primary", onclick: send }, "Send");
  const result = h("div", { class: "sending-result", "aria-live": "polite" });
  const use = (example) => {
    body.value = laidOut(example.payload);
    body.rows = Math.min(body.value.split("\n").length + 1, 20);
    check();
  };
  use(examples[0]);

  function check() {
    const error = mistake(body.value);
    wrong.textContent = error ?? "";
    body.setAttribute("aria-invalid", String(error !== null));
    if (error) body.setAttribute("aria-describedby", wrong.id);
    else body.removeAttribute("aria-describedby");
    return error === null;
  }

  async function send() {
    if (!check()) return body.focus();
    button.disabled = true;
    try {
      const answer = await asAdmin(context, () => context.api.post(`/v1/messages/${encodeURIComponent(name)}`, JSON.parse(body.value)));
      result.replaceChildren(...(answer ? outcome(answer, answered) : []));
    } finally {
      button.disabled = false;
    }
  }

  return h("section", { class: "sending" },
    h("div", { class: "sending-head" },
      h("label", { for: id }, "Send this to ", h("code", {}, address)),
      examples.length > 1 && h("div", { class: "sending-examples", role: "group", "aria-label": "Examples" },
        examples.map((example) => h("button", { type: "button", class: "chip", onclick: () => use(example) }, inWords(example.name))))),
    body, wrong,
    h("div", {}, button),
    result,
  );
}

/** Return what is wrong with the JSON, or null. */
function mistake(text) {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return `This is not JSON. ${error.message}`;
  }
}

function outcome({ topic, position, reply }, answered) {
  const published = h("p", {}, "Published to ", h("code", {}, topic), " at ", h("strong", { class: "ops-id" }, position), ".");
  if (!answered) return [published];
  if (!reply) return [published, h("p", {}, "No reply came in time. Is a server running?")];
  return [published, h("p", {}, "The reply:"), h("pre", { class: "code", tabindex: 0, "aria-label": "Reply" }, laidOut(reply))];
}

/** "similarItems" as "similar items". */
export const inWords = (name) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
