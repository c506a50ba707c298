// The icons of buttons, drawn with lines on a sheet of 24 by 24. They are decoration: buttons have names.

import { s } from "./dom.js";

const LINES = {
  heart: "M12 20C5 15 3 11.5 3 8.5A4.5 4.5 0 0 1 12 7a4.5 4.5 0 0 1 9 1.5C21 11.5 19 15 12 20z",
  down: "M7 13V4h9l4 7-1 2h-6l1 5c0 1-1 2-2 2l-4-7zM7 4H4v9h3",
  hide: "M3 3l18 18M10 5.2A10 10 0 0 1 22 12a16 16 0 0 1-3 3.8M6.5 7A15 15 0 0 0 2 12c2 4 6 7 10 7a10 10 0 0 0 4.5-1.2M10 10a3 3 0 0 0 4 4",
  why: "M9 9.5a3 3 0 1 1 4.5 2.6c-1 .6-1.5 1.2-1.5 2.4M12 17.5v.1M12 2.5a9.5 9.5 0 1 0 0 19 9.5 9.5 0 0 0 0-19z",
  close: "M6 6l12 12M18 6L6 18",
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5L21 21",
  check: "M5 12.5l4.5 4.5L19 7.5",
  warning: "M12 3.5L22 20H2zM12 10v4.5M12 17.2v.1",
  next: "M5 12h14M13 6l6 6-6 6",
};

export function icon(name) {
  return s("svg", { viewBox: "0 0 24 24", "aria-hidden": "true", class: "icon" }, s("path", { d: LINES[name] }));
}
