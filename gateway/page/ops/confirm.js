// Asks before something is done.

import { h } from "../dom.js";

/** Show a dialog and resolve to whether the action was confirmed. Escape means no. */
export function confirmed({ title, text, action }) {
  return new Promise((resolve) => {
    const button = (label, answer, style) =>
      h("button", { type: "button", class: `button ${style}`, onclick: () => dialog.close(answer) }, label);
    const dialog = h(
      "dialog",
      { class: "confirm", "aria-labelledby": "confirm-title", onclose: () => (dialog.remove(), resolve(dialog.returnValue === "yes")) },
      h("h2", { id: "confirm-title" }, title),
      [text].flat().map((paragraph) => h("p", { class: "soft" }, paragraph)),
      h("div", { class: "dialog-buttons" }, button("Cancel", "no", "quiet"), button(action, "yes", "primary")),
    );
    document.body.append(dialog);
    dialog.showModal();
    dialog.querySelector(".primary").focus();
  });
}
