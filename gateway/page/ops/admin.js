// Actions and pages that need the role `admin`.

import { h } from "../dom.js";
import { askForKey } from "../key.js";
import { state } from "../state.js";

/** Return what `action` returns, or undefined if it failed, after explaining why. */
export async function asAdmin({ toast }, action) {
  try {
    return (await action()) ?? true;
  } catch (error) {
    if (error.name !== "ApiError") throw error;
    if (error.status === 403 && error.code !== "cross_site") {
      toast("This needs a key with the role admin.", { bad: true, action: { label: "Enter a key", run: askForKey } });
    } else {
      toast(error.detail, { bad: true });
    }
    return undefined;
  }
}

/** Return whether an error says that this visitor may not see the page. */
export const isForbidden = (error) => error.status === 401 || error.status === 403;

/** Return what a page shows in place of what only administrators may see. `retry` runs after a key was given. */
export function adminsOnly(what, retry) {
  const ask = async () => {
    if (await askForKey()) await retry();
  };
  return state(h("h2", {}, "For administrators"), [
    h("p", { class: "soft" }, `${what} Enter a key with the role admin.`),
    h("button", { class: "button primary", type: "button", onclick: ask }, "Enter a key"),
  ]);
}
