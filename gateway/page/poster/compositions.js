// The compositions. Each draws the art above the title: `r` is the item's randomness, `p` its palette
// [ground, a, b, c, ink], and `h` the height that it may fill; below or above is the title.

import { WIDTH, around, box, circle, half, n, path, ring, shape, stroke, turned } from "./shapes.js";

const MIDDLE = WIDTH / 2;
const range = (count) => Array.from({ length: count }, (_, place) => place);

/** Light through blinds, red where it falls on the moon. */
export function blinds(r, [, a, b, c], h) {
  const [x, y, radius] = [r.between(150, 260), h * r.between(0.42, 0.56), r.between(95, 125)];
  const bars = r.whole(9, 12);
  const step = h / bars;
  const parts = [circle(x, y, radius, c)];
  for (const bar of range(bars)) {
    const top = bar * step + step * 0.3;
    const height = step * (0.22 + (0.36 * bar) / bars);
    const lean = 18;
    parts.push(shape([[0, top + lean], [WIDTH, top - lean], [WIDTH, top - lean + height], [0, top + lean + height]], a));
    const middle = top + height / 2;
    const chord = Math.sqrt(Math.max(radius ** 2 - (middle - y) ** 2, 0));
    const at = (px) => top + lean - (2 * lean * px) / WIDTH;
    if (chord > 8) {
      parts.push(shape([[x - chord, at(x - chord)], [x + chord, at(x + chord)], [x + chord, at(x + chord) + height], [x - chord, at(x - chord) + height]], b));
    }
  }
  return parts;
}

/** A planet, its orbits and their moons. */
export function orbits(r, [ground, a, b, c], h) {
  const [x, y, radius] = [MIDDLE + r.between(-50, 50), h * r.between(0.46, 0.58), r.between(62, 100)];
  const tilt = r.between(-38, 38);
  const stars = range(34).map(() => circle(r.between(8, 392), r.between(8, h), r.between(0.7, 2), b));
  const tracks = range(4).map((place) => {
    const [rx, ry] = [radius + 45 + place * 48, (radius + 45 + place * 48) * 0.3];
    const angle = r.between(0, 360);
    const [dx, dy] = [Math.cos(angle) * rx, Math.sin(angle) * ry];
    return [
      path(`M${n(x - rx)} ${n(y)}A${n(rx)} ${n(ry)} 0 0 1 ${n(x + rx)} ${n(y)}`, "none"),
      stroke(`M${n(x - rx)} ${n(y)}A${n(rx)} ${n(ry)} 0 1 0 ${n(x + rx)} ${n(y)}A${n(rx)} ${n(ry)} 0 1 0 ${n(x - rx)} ${n(y)}`, place % 2 ? c : b, 1.6),
      circle(x + dx, y + dy, r.between(4, 11), place % 2 ? a : b),
    ];
  });
  return [
    stars,
    turned(tilt, x, y, tracks),
    circle(x, y, radius, a),
    half(x, y, radius, tilt + 40, c),
    circle(x - radius * 0.35, y - radius * 0.3, radius * 0.13, ground),
  ];
}

/** Tiles of halves and discs, in good humour. */
export function tiles(r, [ground, a, b, c], h) {
  const columns = r.one([3, 4]);
  const size = WIDTH / columns;
  const rows = Math.max(1, Math.floor((h + 6) / size));
  const colours = [a, b, c];
  return range(rows * columns).map((place) => {
    const [x, y] = [(place % columns) * size, Math.floor(place / columns) * size + h - rows * size];
    const [fill, other] = r.shuffled(colours);
    const [cx, cy] = [x + size / 2, y + size / 2];
    const kind = r.whole(0, 4);
    if (kind === 0) return [box(x, y, size, size, fill), circle(cx, cy, size * 0.36, other)];
    if (kind === 1) return [half(cx, cy, size / 2, r.one([0, 90, 180, 270]), fill)];
    if (kind === 2) return [circle(cx, cy, size / 2, fill), half(cx, cy, size / 2, 90, other)];
    if (kind === 3) return turned(r.one([0, 90, 180, 270]), cx, cy, path(`M${n(x)} ${n(y)}A${n(size)} ${n(size)} 0 0 1 ${n(x + size)} ${n(y + size)}H${n(x)}Z`, fill));
    return [box(x, y, size, size, fill), half(cx, cy, size / 2, r.one([0, 180]), ground)];
  });
}

/** Mesas before a low sun. */
export function mesas(r, [ground, a, b, c], h) {
  const [x, y] = [r.between(110, 290), h * r.between(0.4, 0.52)];
  const bands = range(3).map((place) => circle(x, y, 170 - place * 38, place === 2 ? a : mix(ground, a, 0.18 + place * 0.2)));
  const ridge = (base, fill, count) => {
    const points = [[0, h]];
    let px = -r.between(0, 60);
    for (const place of range(count)) {
      const [width, top] = [r.between(60, 120), base - r.between(20, 90) * (place % 2)];
      points.push([px, base], [px + 12, top], [px + width, top], [px + width + 14, base]);
      px += width + r.between(30, 80);
    }
    return shape([...points, [Math.max(px, WIDTH), base], [WIDTH + 20, h]], fill);
  };
  return [bands, ridge(h * 0.72, b, 5), ridge(h * 0.86, c, 4)];
}

/** Two discs and what they share. */
export function lens(r, [, a, b, c], h) {
  const radius = Math.min(r.between(112, 138), h * 0.36);
  const apart = radius * r.between(0.5, 0.8);
  const [x, y, tilt] = [MIDDLE, h * 0.54, r.between(-50, 50)];
  const rise = Math.sqrt(radius ** 2 - apart ** 2);
  const almond = `M${n(x)} ${n(y - rise)}A${n(radius)} ${n(radius)} 0 0 1 ${n(x)} ${n(y + rise)}A${n(radius)} ${n(radius)} 0 0 1 ${n(x)} ${n(y - rise)}Z`;
  const rings = range(3).map((place) => ring(x, y, radius + apart + 16 + place * 16, c, 1.4));
  return [turned(tilt, x, y, rings, circle(x - apart, y, radius, a), circle(x + apart, y, radius, c), path(almond, b))];
}

/** A moon over water. */
export function waves(r, [, a, b, c], h) {
  const parts = [circle(r.between(110, 290), h * r.between(0.26, 0.38), r.between(48, 84), b)];
  const layers = r.whole(4, 6);
  for (const layer of range(layers)) {
    const y = h * (0.5 + (0.44 * layer) / layers);
    const [height, phase, length] = [r.between(10, 26), r.between(-200, 0), r.between(170, 300)];
    let d = `M${n(phase)} ${n(y)}q${n(length / 4)} ${n(-height)} ${n(length / 2)} 0`;
    for (let px = phase + length / 2; px < WIDTH; px += length / 2) d += `t${n(length / 2)} 0`;
    parts.push(path(`${d}V${h + 20}H${n(phase)}Z`, mix(c, a, layer / (layers - 1))));
  }
  return parts;
}

/** A house at night: one window is not like the others. */
export function windows(r, [, a, b, c], h) {
  const [columns, rows] = [r.whole(4, 6), r.whole(5, 7)];
  const [left, top] = [38, 44];
  const [width, height] = [(WIDTH - 2 * left) / columns, (h - top) / rows];
  const chosen = r.whole(columns, columns * rows - 1);
  return range(columns * rows).map((place) => {
    const [x, y] = [left + (place % columns) * width, top + Math.floor(place / columns) * height];
    const fill = place === chosen ? b : r.chance(0.28) ? a : c;
    const [w, tall] = [width * 0.66, height * 0.7];
    return [box(x + width * 0.17, y + height * 0.15, w, tall, fill), place === chosen && box(x + width * 0.17 + w * 0.62, y + height * 0.15, w * 0.1, tall, a)];
  });
}

/** A sheet folded along a diagonal, and a disc that changes sides. */
export function fold(r, [, a, b, c], h) {
  const flip = r.chance(0.5);
  const [from, to] = flip ? [h * 0.2, h * 0.78] : [h * 0.78, h * 0.2];
  const [x, y] = [MIDDLE, (from + to) / 2];
  const radius = r.between(82, 118);
  const angle = (Math.atan2(to - from, WIDTH) * 180) / Math.PI;
  return [
    shape([[0, from], [WIDTH, to], [WIDTH, h + 10], [0, h + 10]], c),
    circle(x, y, radius, b),
    half(x, y, radius, angle + 90, a),
  ];
}

/** Mountains behind mountains. */
export function peaks(r, [ground, a, b, c], h) {
  const parts = [circle(r.between(90, 310), h * r.between(0.24, 0.4), r.between(38, 66), b)];
  for (const layer of range(3)) {
    const base = h * (0.56 + layer * 0.17);
    const fill = mix(c, a, layer / 2);
    const peak = r.between(40, 360);
    const top = base - r.between(110, 210) * (1 - layer * 0.22);
    const slope = r.between(0.75, 1.05);
    const reach = (h - top) / slope;
    parts.push(shape([[peak - reach, h + 8], [peak, top], [peak + reach, h + 8]], fill));
    parts.push(shape([[peak, top], [peak + reach, h + 8], [peak + reach * 0.2, h + 8]], mix(fill, "#000000", 0.14)));
    const cap = r.between(24, 40);
    parts.push(shape([[peak, top], [peak + cap / slope, top + cap], [peak + 9, top + cap * 0.72], [peak - 5, top + cap * 1.2], [peak - cap / slope, top + cap]], mix(ground, "#ffffff", 0.55)));
  }
  return parts;
}

/** Rays from one point. */
export function burst(r, [, a, b, c], h) {
  const [x, y] = [r.between(110, 290), h * r.between(0.5, 0.72)];
  const rays = r.whole(11, 17);
  const parts = range(rays).map((place) => {
    const start = (360 / rays) * place + r.between(-3, 3);
    const [from, to] = [around(x, y, start, 900), around(x, y, start + 180 / rays, 900)];
    return shape([[x, y], from, to], place % 3 === 0 ? b : place % 3 === 1 ? a : c);
  });
  return [parts, circle(x, y, r.between(34, 60), b), circle(x, y, r.between(12, 26), c)];
}

/** Bands at speed, and what is faster. */
export function slash(r, [ground, a, b, c], h) {
  const lean = r.one([-1, 1]) * r.between(0.5, 0.85);
  const count = r.whole(5, 7);
  const parts = [];
  let x = -160;
  for (const place of range(count)) {
    const width = r.between(28, 92);
    const gap = r.between(14, 44);
    const shift = lean * h * 0.5;
    parts.push(shape([[x + shift + 40, 0], [x + width + shift + 40, 0], [x + width - shift + 40, h], [x - shift + 40, h]], [a, c, b, a][place % 4]));
    x += width + gap + 16;
  }
  const [cx, cy, radius] = [r.between(140, 260), h * r.between(0.38, 0.58), r.between(58, 86)];
  return [parts, circle(cx, cy, radius + 13, ground), circle(cx, cy, radius, b), half(cx, cy, radius, (Math.atan2(h, -2 * lean * h * 0.5) * 180) / Math.PI + 90, a)];
}

/** A tunnel of discs, each off the centre of the one before. */
export function tunnel(r, [ground, a, b, c], h) {
  const rings = r.whole(8, 11);
  const [angle, drift] = [r.between(0, 360), r.between(5, 9)];
  const [x, y, radius] = [MIDDLE, h * 0.53, Math.min(178, h * 0.46)];
  return range(rings).map((place) => {
    const [px, py] = around(x, y, angle + place * 26, place * drift * 0.7);
    const fill = place === rings - 1 ? b : [a, ground, c, ground][place % 4];
    return circle(px, py, radius * (1 - place / rings), fill);
  });
}

/** A keyhole, and the light behind it. */
export function keyhole(r, [ground, a, b, c], h) {
  const [x, y] = [MIDDLE + r.between(-30, 30), h * 0.42];
  const fan = range(7).map((place) => {
    const start = 48 + place * 12.5;
    return shape([[x, y], around(x, y, start, 700), around(x, y, start + 6, 700)], place % 2 ? c : mix(ground, c, 0.5));
  });
  return [
    circle(x, y, 138, c),
    fan,
    circle(x, y, 96, a),
    circle(x, y - 16, 34, ground),
    shape([[x - 15, y], [x + 15, y], [x + 34, y + 66], [x - 34, y + 66]], ground),
    circle(x + 4, y - 14, 9, b),
  ];
}

/** Teeth that close on an eye. */
export function fangs(r, [ground, a, b, c], h) {
  const teeth = r.whole(5, 8);
  const width = WIDTH / teeth;
  const y = h * 0.52;
  const row = (edge, sign) =>
    range(teeth).map((place) => {
      const length = r.between(0.24, 0.4) * h;
      return shape([[place * width, edge], [(place + 1) * width, edge], [(place + 0.5) * width, edge + sign * length]], place % 2 ? a : c);
    });
  const radius = r.between(54, 74);
  return [
    row(0, 1),
    row(h, -1),
    path(`M${n(MIDDLE - radius * 1.9)} ${n(y)}Q${MIDDLE} ${n(y - radius * 1.7)} ${n(MIDDLE + radius * 1.9)} ${n(y)}Q${MIDDLE} ${n(y + radius * 1.7)} ${n(MIDDLE - radius * 1.9)} ${n(y)}Z`, b),
    circle(MIDDLE, y, radius * 0.7, a),
    path(`M${MIDDLE} ${n(y - radius * 0.6)}q${n(radius * 0.26)} ${n(radius * 0.6)} 0 ${n(radius * 1.2)}q${n(-radius * 0.26)} ${n(-radius * 0.6)} 0 ${n(-radius * 1.2)}Z`, ground),
  ];
}

/** Bars that rise and fall as music does. */
export function bars(r, [, a, b, c], h) {
  const count = r.whole(6, 9);
  const width = (WIDTH - 56) / count;
  const phase = r.between(0, 6);
  return range(count).map((place) => {
    const swing = 0.5 + 0.5 * Math.sin(phase + place * 0.9);
    const height = h * (0.24 + 0.56 * swing);
    const x = 28 + place * width;
    const fill = [a, b, c][(place + 1) % 3];
    return [box(x + width * 0.11, h - height, width * 0.78, height - 8, fill, width * 0.39), circle(x + width / 2, h - height - width * 0.62, width * 0.28, [b, c, a][place % 3])];
  });
}

/** Chevrons that march down; one of them is hit. */
export function chevrons(r, [, a, b, c], h) {
  const rows = r.whole(5, 7);
  const step = h / (rows + 1.6);
  const hit = r.whole(1, rows - 2);
  return range(rows).map((row) => {
    const top = row * step + 20;
    const thick = step * 0.58;
    const dip = step * 1.5;
    const fill = row === hit ? b : row % 2 ? c : a;
    return shape([[30, top], [MIDDLE, top + dip], [370, top], [370, top + thick], [MIDDLE, top + dip + thick], [30, top + thick]], fill);
  });
}

/** A halftone field with one focus. */
export function halftone(r, [, a, b], h) {
  const step = WIDTH / 13;
  const [fx, fy] = [r.between(100, 300), h * r.between(0.3, 0.7)];
  const reach = r.between(190, 280);
  const rows = Math.floor((h - 16) / step);
  return range(rows * 12).map((place) => {
    const [x, y] = [((place % 12) + 1) * step, (Math.floor(place / 12) + 1) * step];
    const near = 1 - Math.min(Math.hypot(x - fx, y - fy) / reach, 1);
    return circle(x, y, 1.8 + near * step * 0.47, near > 0.82 ? b : a);
  });
}

/** A gate of arches under a star. */
export function gate(r, [ground, a, b, c], h) {
  const depth = r.whole(4, 6);
  const arch = (width, top, fill) => path(`M${n(MIDDLE - width)} ${h + 10}V${n(top + width)}A${n(width)} ${n(width)} 0 0 1 ${n(MIDDLE + width)} ${n(top + width)}V${h + 10}Z`, fill);
  const arches = range(depth).map((place) => {
    const width = 160 - place * (130 / depth);
    return arch(width, h * 0.2 + place * (h * 0.5 / depth), place % 2 ? mix(ground, c, 0.35) : place === 0 ? c : mix(c, a, place / depth));
  });
  const points = range(16).map((place) => around(MIDDLE, h * 0.66, place * 22.5 - 90, place % 2 ? 6 : place % 4 ? 17 : 34));
  const stars = range(18).map(() => circle(r.between(10, 390), r.between(10, h * 0.42), r.between(0.9, 2.6), b));
  return [stars, arches, arch(30, h * 0.6, a), shape(points, b)];
}

/** Balloons over hills. */
export function balloons(r, [, a, b, c], h) {
  const hills = [circle(r.between(40, 140), h + 190, 270, mix(c, "#ffffff", 0.18)), circle(r.between(270, 370), h + 190, 250, c)];
  const colours = r.shuffled([a, b, mix(a, b, 0.5), a, b]);
  const flying = range(r.whole(4, 5)).map((place) => {
    const radius = r.between(34, 60);
    const [x, y] = [50 + place * 72 + r.between(-12, 12), h * (place % 2 ? 0.22 : 0.5) + r.between(-16, 30)];
    return [
      stroke(`M${n(x)} ${n(y + radius)}q${n(r.between(-18, 18))} 34 0 74`, mix(c, "#000000", 0.2), 1.6),
      circle(x, y, radius, colours[place]),
      half(x, y, radius, 0, mix(colours[place], "#000000", 0.1)),
      shape([[x - 6, y + radius + 8], [x + 6, y + radius + 8], [x, y + radius - 3]], colours[place]),
    ];
  });
  return [hills, flying];
}

function mix(from, to, share) {
  const [one, other] = [from, to].map((colour) => [1, 3, 5].map((place) => parseInt(colour.slice(place, place + 2), 16)));
  return `#${one.map((value, place) => Math.round(value + (other[place] - value) * share).toString(16).padStart(2, "0")).join("")}`;
}
