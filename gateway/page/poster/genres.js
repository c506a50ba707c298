// Which compositions, palettes and faces suit a category. A category that is not listed gets one by its name.

import * as art from "./compositions.js";

// The first genre of this list that an item has decides: rare genres come first.
const GENRES = [
  ["film-noir", "noir", "gothic", [art.blinds]],
  ["western", "desert", "gothic", [art.mesas], true],
  ["horror", "dread", "gothic", [art.fangs, art.fangs, art.tunnel]],
  ["musical", "bright", "serif", [art.bars]],
  ["war", "field", "gothic", [art.chevrons, art.fold, art.chevrons]],
  ["documentary", "print", "sans", [art.halftone]],
  ["children", "bright", "sans", [art.balloons, art.tiles]],
  ["animation", "bright", "sans", [art.balloons, art.tiles]],
  ["sci-fi", "space", "sans", [art.orbits, art.orbits, art.tunnel]],
  ["fantasy", "spell", "serif", [art.gate, art.gate, art.peaks, art.waves]],
  ["mystery", "noir", "serif", [art.keyhole, art.tunnel, art.windows, art.fold]],
  ["adventure", "heights", "gothic", [art.peaks], true],
  ["action", "blaze", "gothic", [art.burst, art.slash]],
  ["romance", "rose", "serif", [art.lens, art.lens, art.waves]],
  ["crime", "noir", "gothic", [art.blinds, art.windows, art.fold]],
  ["thriller", "dread", "gothic", [art.tunnel, art.slash, art.fold]],
  ["comedy", "bright", "sans", [art.tiles, art.tiles, art.bars]],
  ["drama", "quiet", "serif", [art.waves, art.windows, art.fold]],
].map(([genre, mood, face, compositions, titleOnTop = false]) => ({ genre, mood, face, compositions, titleOnTop }));

const OTHERS = [
  { mood: "quiet", face: "serif", compositions: [art.waves, art.fold], titleOnTop: false },
  { mood: "print", face: "sans", compositions: [art.halftone], titleOnTop: false },
  { mood: "bright", face: "sans", compositions: [art.tiles, art.bars], titleOnTop: false },
  { mood: "heights", face: "gothic", compositions: [art.peaks], titleOnTop: true },
  { mood: "space", face: "sans", compositions: [art.orbits, art.tunnel], titleOnTop: false },
  { mood: "spell", face: "serif", compositions: [art.gate, art.lens], titleOnTop: false },
];

/** Return the style of an item with these categories; `random` decides where they do not. */
export function styleOf(categories, random) {
  const names = new Set(categories.map((name) => name.toLowerCase()));
  const known = GENRES.find(({ genre }) => names.has(genre));
  return known ?? random.one(OTHERS);
}
