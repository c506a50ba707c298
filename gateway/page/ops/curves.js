// Curves over time (uPlot), in the theme's colours and as wide as their place.

import uPlot from "../vendor/uplot/uPlot.esm.js";

const HEIGHT = 150;

/**
 * Draw curves into `place` and return `{draw, dispose}`.
 *
 * `series` is `[{label, colour, fill?}]`, where a colour names a custom property such as `--series-1`.
 * `draw(data, from, to)` takes uPlot's columns (seconds first; null is a gap) and the window shown.
 */
export function curves(place, series, { format, floor = 1 }) {
  let colours = new Map();
  const colour = (name) => () => {
    if (!colours.has(name)) colours.set(name, resolved(place, name));
    return colours.get(name);
  };
  const plot = new uPlot(
    {
      width: Math.max(place.clientWidth, 1),
      height: HEIGHT,
      padding: [8, 14, 0, 0],
      legend: { show: false },
      cursor: { show: false },
      scales: {
        x: { time: true, auto: false },
        y: { range: (_, __, max) => [0, Math.max(floor, (max ?? 0) * 1.15)] },
      },
      axes: [axis(colour, { space: 70, size: 24 }), axis(colour, { size: 52, space: 36, values: (_, ticks) => ticks.map(format) })],
      series: [{}, ...series.map((one) => curve(one, colour))],
    },
    [[], ...series.map(() => [])],
    place,
  );
  const resized = new ResizeObserver(() => plot.setSize({ width: Math.max(place.clientWidth, 1), height: HEIGHT }));
  resized.observe(place);
  const recolour = () => {
    colours = new Map();
    plot.redraw(false);
  };
  addEventListener("themechange", recolour);
  return {
    draw(data, from, to) {
      plot.batch(() => {
        plot.setData(data, false);
        plot.setScale("x", { min: from, max: to });
      });
    },
    dispose() {
      resized.disconnect();
      removeEventListener("themechange", recolour);
      plot.destroy();
    },
  };
}

/** Return a custom property's colour as a canvas understands it, whatever functions it is made of. */
function resolved(place, name) {
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  place.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

function axis(colour, options) {
  const faint = { stroke: colour("--line"), width: 1 };
  return {
    stroke: colour("--ink-faint"),
    font: "12px 'Instrument Sans', system-ui, sans-serif",
    grid: faint,
    ticks: { show: false },
    gap: 6,
    ...options,
  };
}

function curve({ label, colour: name, fill }, colour) {
  return {
    label,
    stroke: colour(name),
    fill: fill && colour(fill),
    width: 2,
    points: { show: false },
    spanGaps: false,
  };
}
