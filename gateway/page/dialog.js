// Modal dialogs. The browser keeps the focus inside and gives it back when the dialog closes.

import { h } from "./dom.js";
import { icon } from "./icons.js";

/** Show a dialog with a title. Returns it; `dialog.close()` ends it. */
export function showDialog(title, ...children) {
  const dialog = h("dialog", { class: "sheet", "aria-labelledby": "dialog-title", onclose: () => dialog.remove() },
    h("div", { class: "sheet-top" },
      h("h2", { id: "dialog-title" }, title),
      h("button", { class: "icon-button", type: "button", "aria-label": "Close", onclick: () => dialog.close() }, icon("close"))),
    ...children);
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.closest("a[href]")) dialog.close();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Ask before what cannot be undone. Resolves to whether the visitor confirmed. */
export function confirmed(title, sentence, action) {
  return new Promise((resolve) => {
    const dialog = showDialog(title,
      h("p", { class: "soft" }, sentence),
      h("div", { class: "dialog-buttons" },
        h("button", { class: "button quiet", type: "button", autofocus: true, onclick: () => dialog.close() }, "Cancel"),
        h("button", { class: "button danger", type: "button", onclick: () => dialog.close("confirmed") }, action)));
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "confirmed"));
  });
}
