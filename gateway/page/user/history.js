// How many items a user was shown over time, as a curve, where the server keeps what was shown.

import uPlot from "../vendor/uplot/uPlot.esm.js";
import { h, stylesheet } from "../dom.js";

/** Return the curve of `user.shown`, or null without one; the chart is added to `curves`. */
export async function history({ shown = [] }, curves) {
  const lists = shown.filter(({ at_ms }) => at_ms).sort((a, b) => a.at_ms - b.at_ms);
  if (lists.length < 2) return null;
  await stylesheet("../vendor/uplot/uPlot.min");
  const times = lists.map(({ at_ms }) => at_ms / 1000);
  let total = 0;
  const counts = lists.map(({ items }) => (total += items.length ?? items));
  const frame = h("div", { class: "curve", role: "img", "aria-label": `${total} items shown in ${lists.length} answers` });
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  requestAnimationFrame(() => {
    curves.push(new uPlot({
      width: frame.clientWidth, height: 180, legend: { show: false }, cursor: { show: false },
      series: [{}, { stroke: colour("--thread"), width: 2, paths: uPlot.paths.stepped({ align: 1 }) }],
      axes: [{ stroke: colour("--ink-faint"), grid: { show: false } }, { stroke: colour("--ink-faint"), grid: { stroke: colour("--line"), width: 1 } }],
    }, [times, counts], frame));
  });
  return frame;
}
