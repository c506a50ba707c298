// Whether the comparison can be trusted: the guardrails and the sample ratio, quiet unless one is broken.

import { h } from "../dom.js";
import { icon } from "../icons.js";
import { marked } from "../ops/marked.js";

/** Return the list of the checks, or null without a verdict. */
export function signs({ kind }, verdict) {
  if (!verdict) return null;
  const checks = verdict.guardrails.map(({ ok, sentence }) => ({ ok, sentence }));
  if (kind === "split" && verdict.sample_ratio_p !== null) checks.unshift(sampleRatio(verdict));
  if (!checks.length) return null;
  checks.sort((one, other) => one.ok - other.ok);
  return h("ul", { class: "signs", "aria-label": "Checks" }, checks.map(({ ok, sentence }) =>
    h("li", { "data-ok": String(ok) }, icon(ok ? "check" : "warning"), h("span", {}, !ok && h("strong", {}, "Broken: "), marked(`${sentence}.`)))));
}

function sampleRatio({ sample_ratio_p: p, sample_ratio_ok: ok }) {
  const chance = p < 0.001 ? "p < 0.001" : `p = ${p.toFixed(3)}`;
  const sentence = ok
    ? `The users are divided as the shares say (${chance})`
    : `The users are not divided as the shares say (${chance}): something treats the variants differently. Find it before you believe the comparison`;
  return { ok, sentence };
}
