// The shapes that compositions are made of, on a sheet 400 wide and 600 high.

import { s } from "../dom.js";

export const WIDTH = 400;
export const HEIGHT = 600;

export const circle = (x, y, r, fill) => s("circle", { cx: n(x), cy: n(y), r: n(r), fill });
export const box = (x, y, width, height, fill, rx = 0) =>
  s("rect", { x: n(x), y: n(y), width: n(width), height: n(height), fill, rx: rx || null });
export const path = (d, fill) => s("path", { d, fill });
export const shape = (points, fill) => s("polygon", { points: points.map(([x, y]) => `${n(x)},${n(y)}`).join(" "), fill });
export const stroke = (d, colour, width) =>
  s("path", { d, fill: "none", stroke: colour, "stroke-width": width, "stroke-linecap": "round" });
export const ring = (x, y, r, colour, width) =>
  s("circle", { cx: n(x), cy: n(y), r: n(r), fill: "none", stroke: colour, "stroke-width": n(width) });
export const turned = (angle, x, y, ...children) => s("g", { transform: `rotate(${n(angle)} ${n(x)} ${n(y)})` }, children);

/** The half of a disc: `side` is the angle in degrees that its round side faces. */
export function half(x, y, r, side, fill) {
  return turned(side, x, y, path(`M${n(x)} ${n(y - r)}A${n(r)} ${n(r)} 0 0 1 ${n(x)} ${n(y + r)}Z`, fill));
}

/** The point at an angle in degrees and a distance from another. */
export function around(x, y, angle, distance) {
  const radians = (angle * Math.PI) / 180;
  return [x + Math.cos(radians) * distance, y + Math.sin(radians) * distance];
}

/** A number as short as an attribute needs. */
export function n(value) {
  return Math.round(value * 10) / 10;
}
