// Curves over time (uPlot), in the theme's colours and as wide as their place.

import uPlot from "../vendor/uplot/uPlot.esm.js";

const HEIGHT = 150;

/**
 * Draw curves into `place` and return `{draw, dispose}`.
 *
 * `series` is `[{label, colour, fill?, width?}]`, where a colour names a custom property such as `--series-1`. The y axis
 * begins at zero, unless `range(min, max)` says otherwise. `bands` is `[{series: [upper, lower], colour}]`, by the place of a
 * curve, counted from 1.
 * `draw(data, from, to)` takes uPlot's columns (seconds first; null is a gap) and the window shown.
 */
export function curves(place, series, { format, floor = 1, range = fromZero(floor), bands = [], height = HEIGHT }) {
  let colours = new Map();
  const colour = (name) => () => {
    if (!colours.has(name)) colours.set(name, resolved(place, name));
    return colours.get(name);
  };
  const plot = new uPlot(
    {
      width: Math.max(place.clientWidth, 1),
      height,
      padding: [8, 14, 0, 0],
      legend: { show: false },
      cursor: { show: false },
      scales: {
        x: { time: true, auto: false },
        y: { range: (_, min, max) => range(min, max) },
      },
      axes: [axis(colour, { space: 70, size: 24 }), axis(colour, { size: 52, space: 36, values: (_, ticks) => ticks.map(format) })],
      series: [{}, ...series.map((one) => curve(one, colour))],
      bands: bands.map((band) => ({ series: band.series, fill: colour(band.colour) })),
    },
    [[], ...series.map(() => [])],
    place,
  );
  const resized = new ResizeObserver(() => plot.setSize({ width: Math.max(place.clientWidth, 1), height }));
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

const fromZero = (floor) => (_, max) => [0, Math.max(floor, (max ?? 0) * 1.15)];

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

function curve({ label, colour: name, fill, width = 2 }, colour) {
  return {
    label,
    stroke: colour(name),
    fill: fill && colour(fill),
    width,
    points: { show: false },
    spanGaps: false,
  };
}
