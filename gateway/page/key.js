// Asks for an API key where the deployment needs one. The key is kept for this tab only.

import { api } from "./api.js";
import { h } from "./dom.js";

let open = null;

/** Show the key button if keys are in use, and ask for a key when a call needs one. */
export function setUpKey(button, changed) {
  api.whenKeyIsNeeded((error) => askForKey(error.detail));
  button.addEventListener("click", async () => {
    if (await askForKey()) changed();
  });
  fetch("/v1/session", { headers: api.headers() })
    .then((response) => (response.ok ? response.json() : null))
    .then((session) => (button.hidden = !session?.keys_required))
    .catch(() => (button.hidden = true));
}

/** Resolves to true once a key was given, and to false if the visitor declined. */
export function askForKey(reason = "") {
  open ??= asked(reason).finally(() => (open = null));
  return open;
}

function asked(reason) {
  return new Promise((resolve) => {
    const input = h("input", { class: "input", type: "password", autocomplete: "off", required: true, id: "api-key" });
    const dialog = h(
      "dialog",
      { "aria-labelledby": "key-title", onclose: () => (dialog.remove(), resolve(dialog.returnValue === "given")) },
      h("form", { method: "dialog", onsubmit: () => api.setKey(input.value.trim()) },
        h("h2", { id: "key-title" }, "This deployment asks for a key"),
        reason && h("p", { class: "soft" }, reason),
        h("label", { class: "field", for: "api-key" }, h("span", {}, "API key"), input),
        h("p", { class: "faint" }, "It stays in this tab and is forgotten when you close it."),
        h("div", { class: "dialog-buttons" },
          h("button", { class: "button quiet", type: "button", onclick: () => dialog.close("declined") }, "Not now"),
          h("button", { class: "button primary", value: "given" }, "Use this key"))),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}
