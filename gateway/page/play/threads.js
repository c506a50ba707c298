// The threads from likes to what follows from them: the wider one, the more that like contributes.

import { fill, s } from "../dom.js";
import { drawn } from "../motion.js";

/** Draws between two rows, `likes` above and `answers` below, in an SVG that covers the space between them. */
export class Threads {
  constructor(space, likes, answers) {
    Object.assign(this, { space, likes, answers, links: [] });
    this.svg = s("svg", { class: "threads", "aria-hidden": "true" });
    space.append(this.svg);
    this.observer = new ResizeObserver(() => this.draw());
    [space, likes, answers].forEach((element) => this.observer.observe(element));
    [likes, answers].forEach((row) => row.addEventListener("scroll", () => this.draw(), { passive: true }));
    for (const row of [likes, answers]) {
      row.addEventListener("pointerover", (event) => this.#light(event.target));
      row.addEventListener("pointerleave", () => this.#light(null));
      row.addEventListener("focusin", (event) => this.#light(event.target));
      row.addEventListener("focusout", () => this.#light(null));
    }
  }

  /** Show the contributions of an answer's items. */
  show(entries) {
    this.links = entries.flatMap(({ item_id, because = [] }) => {
      const most = Math.max(...because.map(({ contribution }) => contribution), 1e-9);
      return because.map((cause) => ({ from: cause.item_id, to: item_id, share: Math.max(cause.contribution, 0) / most }));
    });
    this.draw({ moving: true });
  }

  draw({ moving = false } = {}) {
    const frame = this.space.getBoundingClientRect();
    const paths = this.links.map((link) => this.#path(link, frame)).filter(Boolean);
    fill(this.svg, paths);
    if (moving) paths.forEach((path, place) => drawn(path, place * 12));
    this.#light(this.lit);
  }

  stop() {
    this.observer.disconnect();
  }

  #path({ from, to, share }, frame) {
    const start = place(this.likes, from);
    const end = place(this.answers, to);
    if (start === null || end === null) return null;
    const [x1, x2] = [start - frame.left, end - frame.left];
    if (Math.min(x1, x2) < -2 || Math.max(x1, x2) > frame.width + 2) return null;
    const [height, middle] = [frame.height, frame.height / 2];
    const path = s("path", { d: `M${x1} 0C${x1} ${middle} ${x2} ${middle} ${x2} ${height}`, pathLength: 1, "stroke-width": 1 + 3.5 * share });
    Object.assign(path.dataset, { from, to });
    return path;
  }

  #light(target) {
    this.lit = target;
    const id = target?.closest?.("[data-item]")?.dataset.item ?? null;
    this.svg.classList.toggle("lit", id !== null);
    for (const path of this.svg.children) {
      path.classList.toggle("on", id !== null && (path.dataset.from === id || path.dataset.to === id));
    }
  }
}

function place(row, id) {
  const card = [...row.children].find((child) => child.dataset.item === id);
  if (!card) return null;
  const { left, width } = card.getBoundingClientRect();
  return left + width / 2;
}
