// Curves of the last minutes with their present values, which are the legend.

import { h } from "../dom.js";
import { curves } from "./curves.js";
import { columns, span } from "./history.js";

/**
 * Return `{root, begin(), show(tick), dispose()}`. `begin` is called once `root` is in the document, since curves
 * measure their place. `none` is shown while no tick has a value.
 */
export function panel({ name, area, series, format, floor, none }) {
  const values = series.map(() => h("dd", {}, "–"));
  const legend = series.map((one, place) =>
    h("div", {}, h("dt", { "data-colour": one.colour.slice(2) }, one.label), values[place]),
  );
  const place = h("div", { class: "curves", role: "img", "aria-label": `${name}, the last minutes` });
  const empty = none && h("p", { class: "soft curves-none", hidden: true }, none);
  const root = h("section", { class: "card panel", "data-area": area },
    h("header", {}, h("h2", {}, name), h("dl", { class: "figures" }, legend)),
    h("div", { class: "curves-place" }, place, empty),
  );
  let plot;
  const draw = () => {
    const data = columns(series.map(({ read }) => read));
    plot.draw(data, ...span());
    if (empty) empty.hidden = data.slice(1).some((column) => column.some((value) => value !== null));
  };
  return {
    root,
    draw,
    begin() {
      plot = curves(place, series, { format, floor });
    },
    show(tick) {
      series.forEach(({ read, unit = "", format: asText }, index) => {
        const value = read(tick);
        values[index].textContent = value == null ? "–" : asText(value) + unit;
      });
      draw();
    },
    dispose: () => plot.dispose(),
  };
}
