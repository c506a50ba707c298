// The shell: shows the view that the path names, and what all views share.

import { api } from "./api.js";
import { fill, h, stylesheet } from "./dom.js";
import { setUpKey } from "./key.js";
import { subscribe } from "./live.js";
import { flown } from "./motion.js";
import { internalLink, matched } from "./router.js";
import { state } from "./state.js";
import { setUpTheme } from "./theme-switch.js";
import { toast } from "./toast.js";

const main = document.getElementById("main");
const context = { api, live: { subscribe }, toast, navigate, announce };
let dispose = null;
let shown = 0;
let page = null;

/** Show the view of a path of this page. */
function navigate(path, { replace = false } = {}) {
  history.replaceState({ scroll: scrollY }, "");
  history[replace ? "replaceState" : "pushState"](null, "", path);
  return show({ moved: true });
}

/** Have screen readers say a sentence. */
function announce(sentence) {
  document.getElementById("announcer").textContent = sentence;
}

async function show({ moved }) {
  const turn = (shown += 1);
  page = location.pathname + location.search;
  const route = matched(location.pathname);
  markCurrent();
  leave();
  const root = h("div", { class: `view view-${route?.view ?? "none"}` });
  try {
    if (!route) throw new Error("There is no such page.");
    const [view] = await Promise.all([import(`./views/${route.view}.js`), stylesheet(route.view)]);
    if (turn !== shown) return;
    document.title = title(view, route.params);
    fill(main, root);
    const left = await view.show(root, route.params, context);
    if (turn !== shown) left?.();
    else dispose = left ?? null;
  } catch (error) {
    if (turn !== shown || error.name === "AbortError") return;
    fill(main, failure(error));
  }
  if (moved && turn === shown) arrive();
}

function leave() {
  dispose?.();
  dispose = null;
}

function title(view, params) {
  const name = typeof view.title === "function" ? view.title(params) : view.title;
  return name ? `${name} · likewise` : "likewise";
}

function arrive() {
  if (!location.hash) scrollTo(0, 0);
  const heading = main.querySelector("h1") ?? main;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
  announce(document.title);
}

function failure(error) {
  const heading = h("h1", {}, error.status === 0 ? "No connection" : "That did not work");
  return state(heading, [
    h("p", { class: "soft" }, error.detail ?? error.message),
    h("button", { class: "button", onclick: () => show({ moved: true }) }, "Try again"),
  ], { role: "alert" });
}

function markCurrent() {
  for (const link of document.querySelectorAll(".nav a")) {
    if (link.pathname === location.pathname) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

document.addEventListener("click", (event) => {
  const link = internalLink(event);
  if (!link) return;
  event.preventDefault();
  const picture = matched(link.pathname).view === "item" ? link.closest("li")?.querySelector(".picture") : null;
  flown(picture, () => navigate(link.pathname + link.search + link.hash));
});
addEventListener("popstate", async (event) => {
  // The view itself follows links to a place in the same page.
  if (page === location.pathname + location.search) return;
  await show({ moved: true });
  scrollTo(0, event.state?.scroll ?? 0);
});
api.onAnswer(({ method, ms }) => {
  if (method === "GET") document.getElementById("latency").textContent = `answered in ${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
});

setUpTheme(document.getElementById("theme-button"));
setUpKey(document.getElementById("key-button"), () => show({ moved: false }));
show({ moved: false });
