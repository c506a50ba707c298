// The last minutes as a table, for those who do not see the curves.

import { h } from "../dom.js";
import { time } from "./format.js";
import { sampled } from "./history.js";

const STEP_S = 10;

/** Return `{root, show()}`; `series` is `[{label, read, format}]`. The rows are made only while it is open. */
export function historyTable(series) {
  const body = h("tbody");
  const heads = ["Time", ...series.map(({ short, label }) => short ?? label)];
  const root = h("details", { class: "live-table", ontoggle: show },
    h("summary", {}, "These minutes as a table"),
    h("div", { class: "ops-scroll", tabindex: 0, role: "region", "aria-label": "The last minutes" },
      h("table", { class: "ops-table" },
        h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))),
        body)),
  );
  const cell = ({ read, format }, tick) => {
    const value = read(tick);
    return h("td", {}, value === undefined || value === null ? "–" : format(value));
  };
  function show() {
    if (!root.open) return;
    body.replaceChildren(
      ...sampled(STEP_S).map((tick) =>
        h("tr", {}, h("th", { scope: "row" }, time(tick.at_ms)), series.map((one) => cell(one, tick)))),
    );
  }
  return { root, show };
}
