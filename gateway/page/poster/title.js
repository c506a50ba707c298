// Titles set as large as their box allows, broken into lines where that makes them largest.

import { s } from "../dom.js";

/** How each face is set; sizes are in units of the sheet. */
export const FACES = {
  gothic: { family: '"League Gothic", "Oswald", Impact, sans-serif', weight: 400, upper: true, largest: 132, leading: 0.93, tracking: 0.4, ascent: 0.76 },
  serif: { family: '"Instrument Serif", Georgia, serif', weight: 400, upper: false, largest: 84, leading: 0.94, tracking: -0.8, ascent: 0.74 },
  sans: { family: '"Instrument Sans", system-ui, sans-serif', weight: 650, upper: false, largest: 60, leading: 1.02, tracking: -1, ascent: 0.76 },
};
const SMALLEST = 22;
const MOST_LINES = 5;

const context = document.createElement("canvas").getContext("2d");
const widths = new Map();

/** Resolves when the faces can be measured, or after a second without them. */
export const facesReady = Promise.race([
  Promise.all(Object.values(FACES).map(({ family, weight }) => document.fonts.load(`${weight} 40px ${family}`))),
  new Promise((resolve) => setTimeout(resolve, 1000)),
]).then(() => widths.clear(), () => null);

/** Return `{lines, size}` of the largest setting of a text in a box. */
export function fitted(text, face, width, height) {
  const words = wordsOf(face.upper ? text.toLocaleUpperCase() : text);
  let best = null;
  for (let count = 1; count <= Math.min(MOST_LINES, words.length); count += 1) {
    const lines = broken(words, count, face);
    const widest = Math.max(...lines.map((line) => measured(line, face)));
    const size = Math.min(face.largest, (width / widest) * 100, height / (count * face.leading));
    if (!best || size > best.size * 1.02) best = { lines, size };
  }
  return best.size >= SMALLEST ? best : shortened(best, face, width, height);
}

/** Return the SVG text of fitted lines; the first baseline is `ascent` below `y`. */
export function set({ lines, size }, face, x, y, fill) {
  return s("text", { fill, "font-family": face.family, "font-weight": face.weight, "font-size": size.toFixed(1), "letter-spacing": ((face.tracking * size) / 100).toFixed(2) },
    lines.map((line, place) => s("tspan", { x, y: (y + size * (face.ascent + place * face.leading)).toFixed(1) }, line)));
}

/** The words of a text; one without spaces (Japanese, an id) may break at any character. */
function wordsOf(text) {
  const words = text.split(/ +/).filter(Boolean);
  return words.flatMap((word) => (word.length > 18 ? word.match(/.{1,9}/gsu) : [word]));
}

/** Break words into `count` lines whose widest is as narrow as can be. */
function broken(words, count, face) {
  const joined = (from, to) => words.slice(from, to).join(" ");
  const best = new Map();
  const solve = (from, lines) => {
    const key = from * 10 + lines;
    if (best.has(key)) return best.get(key);
    let found = { widest: Infinity, breaks: [] };
    if (lines === 1) found = { widest: measured(joined(from), face), breaks: [joined(from)] };
    for (let to = from + 1; lines > 1 && to <= words.length - lines + 1; to += 1) {
      const rest = solve(to, lines - 1);
      const widest = Math.max(measured(joined(from, to), face), rest.widest);
      if (widest < found.widest) found = { widest, breaks: [joined(from, to), ...rest.breaks] };
    }
    best.set(key, found);
    return found;
  };
  return solve(0, count).breaks;
}

function shortened(best, face, width, height) {
  const rows = Math.max(1, Math.min(best.lines.length, Math.floor(height / (SMALLEST * face.leading))));
  const lines = best.lines.slice(0, rows).map((line) => {
    let text = line;
    while (text.length > 1 && (measured(text, face) * SMALLEST) / 100 > width) text = text.slice(0, -1);
    return text === line ? line : `${text.trimEnd()}…`;
  });
  return { lines, size: SMALLEST };
}

/** The width of a line at size 100, with its tracking. */
function measured(line, face) {
  const key = face.family + line;
  if (!widths.has(key)) {
    context.font = `${face.weight} 100px ${face.family}`;
    widths.set(key, Math.max(context.measureText(line).width + face.tracking * line.length, 1));
  }
  return widths.get(key);
}
