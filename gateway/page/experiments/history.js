// How the intervals narrow: what this tab has seen of them, kept while it is open.

import { h } from "../dom.js";
import { curves } from "../ops/curves.js";
import { signedRound } from "../ops/format.js";

const KEPT = 2_000;
const SHORTEST_MS = 30_000;
const COLOURS = 5;
const FEWEST = 2;
const seen = new Map();

/** Remember the comparisons of an experiment as they are now. */
export function remember({ name, started_at_ms: started }, comparisons, at_ms = Date.now()) {
  const key = `${name} ${started}`;
  const rows = seen.get(key) ?? [];
  if (comparisons.some(({ low }) => low !== null)) rows.push({ at_ms, comparisons });
  if (rows.length > KEPT) rows.splice(0, rows.length, ...rows.filter((_, place) => place % 2 === 0));
  seen.set(key, rows);
  return rows;
}

/** Return `{root, draw(rows), dispose()}`: the intervals over time, once there are two of them. */
export function narrowing(name) {
  const place = h("div", { class: "curves", role: "img" });
  const legend = h("ul", { class: "narrowing-legend", "aria-hidden": "true" });
  const root = h("div", { class: "narrowing", hidden: true }, h("h3", {}, "Since you opened this page"), legend, place);
  let plot = null;
  return {
    root,
    draw(rows) {
      root.hidden = rows.length < FEWEST;
      if (root.hidden || !root.isConnected) return;
      if (plot === null) {
        plot = drawn(place, rows[0].comparisons);
        legend.replaceChildren(...rows[0].comparisons.map(({ variant }, at) => h("li", { "data-colour": at % COLOURS }, h("bdi", {}, variant))));
      }
      place.setAttribute("aria-label", inWords(name, rows));
      const last = rows.at(-1).at_ms;
      plot.draw(columns(rows), Math.min(rows[0].at_ms, last - SHORTEST_MS) / 1000, last / 1000);
    },
    dispose: () => plot?.dispose(),
  };
}

/** For each comparison three columns: the lower end, the upper end and the effect. */
function columns(rows) {
  const each = rows[0].comparisons.flatMap((_, at) => ["low", "high", "effect"].map((end) => rows.map(({ comparisons }) => comparisons[at]?.[end] ?? null)));
  return [rows.map(({ at_ms }) => at_ms / 1000), ...each];
}

function drawn(place, comparisons) {
  const series = comparisons.flatMap(({ variant }, at) => {
    const colour = `--series-${1 + (at % COLOURS)}`;
    return [{ label: `${variant}, low`, colour, width: 1 }, { label: `${variant}, high`, colour, width: 1 }, { label: variant, colour }];
  });
  const bands = comparisons.map((_, at) => ({ series: [3 * at + 2, 3 * at + 1], colour: `--band-${1 + (at % COLOURS)}` }));
  return curves(place, series, { format: signedRound, range: around, bands, height: 130 });
}

/** The values with zero among them. */
function around(low, high) {
  const most = Math.max(Math.abs(low ?? 0), Math.abs(high ?? 0), 0.01);
  return [Math.max(-1, Math.min(0, low ?? 0) - 0.08 * most), Math.min(1, Math.max(0, high ?? 0) + 0.08 * most)];
}

function inWords(name, rows) {
  const [first, last] = [rows[0], rows.at(-1)].map(({ comparisons }) => comparisons[0]);
  return `The interval of ${name}: at first from ${signedRound(first.low ?? 0)} to ${signedRound(first.high ?? 0)}, now from ${signedRound(last.low ?? 0)} to ${signedRound(last.high ?? 0)}`;
}
