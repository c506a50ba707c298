// The state of the deployment in a sentence: calm, or what is wrong and where the remedy is described.

import { h } from "../dom.js";

/** Return `{root, show(problems)}`, where `problems` is `[{sentence, runbook}]`. */
export function healthBanner(announce) {
  const root = h("section", { class: "health", "aria-label": "Health" });
  let shown;
  return {
    root,
    show(problems) {
      const now = JSON.stringify(problems);
      if (now === shown) return;
      if (shown !== undefined || problems.length) {
        announce(problems.map(({ sentence }) => sentence).join(" ") || "All is well again.");
      }
      shown = now;
      root.dataset.state = problems.length ? "trouble" : "well";
      root.replaceChildren(
        problems.length
          ? h("ul", {}, problems.map(({ sentence, runbook }) => h("li", {}, h("strong", {}, sentence), " ", h("a", { href: runbook }, "What to do"))))
          : h("p", {}, h("strong", {}, "All is well."), " Events are applied, requests are answered."),
      );
    },
  };
}
