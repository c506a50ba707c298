// The picture of an item: its image, or a poster drawn from its title, year and categories.

import { h, s } from "./dom.js";
import { factsOf } from "./facts.js";
import { styleOf } from "./poster/genres.js";
import { PALETTES } from "./poster/palettes.js";
import { seeded } from "./poster/random.js";
import { HEIGHT, WIDTH, box } from "./poster/shapes.js";
import { FACES, facesReady, fitted, set } from "./poster/title.js";

export { facesReady };

const MARGIN = 26;
const TITLE_WIDTH = WIDTH - 2 * MARGIN;
const TITLE_HEIGHT = 214;
const YEAR_HEIGHT = 34;

/**
 * Return the picture of an item, 2 wide and 3 high. It is decoration where the control around it has a
 * name; with `label`, it is an image of that name. An image that cannot be loaded becomes the poster.
 */
export function picture(item, { label = null } = {}) {
  if (!/^https?:\/\//.test(item.image_url ?? "")) return poster(item, label);
  const image = h("img", { class: "picture", src: item.image_url, alt: label ?? "", loading: "lazy", decoding: "async", referrerpolicy: "no-referrer" });
  image.addEventListener("error", () => image.replaceWith(poster(item, label)), { once: true });
  return image;
}

/** Return the poster of an item: the same for the same id, title, year and categories. */
export function poster(item, label = null) {
  const random = seeded(item.item_id);
  const { title, year } = factsOf(item);
  const style = styleOf(item.categories ?? [], random);
  const palette = random.one(PALETTES[style.mood]);
  const draw = random.one(style.compositions);
  const face = FACES[style.face];
  const lines = fitted(short(title), face, TITLE_WIDTH, TITLE_HEIGHT);
  const block = lines.lines.length * lines.size * face.leading + YEAR_HEIGHT + 2 * MARGIN;
  const artHeight = HEIGHT - block;
  const top = style.titleOnTop ? MARGIN : artHeight + MARGIN - 4;
  return s("svg", { class: "picture", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "xMidYMid slice", ...named(label) },
    box(0, 0, WIDTH, HEIGHT, palette[0]),
    s("g", style.titleOnTop ? { transform: `translate(0 ${block.toFixed(1)})` } : {}, draw(random, palette, artHeight)),
    style.titleOnTop ? null : box(-4, artHeight, WIDTH + 8, block + 4, palette[0]),
    style.titleOnTop ? box(-4, -4, WIDTH + 8, block + 4, palette[0]) : null,
    s("text", { x: MARGIN, y: top + 17, fill: palette[4], "font-family": FACES.sans.family, "font-weight": 600, "font-size": 20, "letter-spacing": 1.2 }, year),
    set(lines, face, MARGIN, top + YEAR_HEIGHT - (year ? 0 : 14), palette[4]));
}

/** Without the asides of a long title, and with a dash that stays on its line. */
function short(title) {
  const plain = title.length > 24 ? title.replace(/\s*\([^)]*\)/g, "") : title;
  return (plain || title).replace(" - ", "\u00a0– ");
}

function named(label) {
  return label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" };
}
