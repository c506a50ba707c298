// What would be recommended without one like: both lists, and where each item moves.

import { showDialog } from "../dialog.js";
import { h, s } from "../dom.js";
import { factsOf, nameOf } from "../facts.js";
import { picture } from "../poster.js";

const COMPARED = 8;
const ROW_HEIGHT = 56;
const GAP = 72;

/** `ask(query)` answers for the visitor with the options that are set. */
export async function showWhatIf(like, ask) {
  const [now, then] = await Promise.all([ask({ count: COMPARED }), ask({ count: COMPARED, without: like.item_id })]);
  const changed = then.items.filter(({ item_id }) => !now.items.some((entry) => entry.item_id === item_id)).length;
  showDialog(
    `What if you had not liked ${factsOf(like).title}?`,
    h("p", { class: "soft" }, sentence(changed, now.items.length)),
    h("div", { class: "what-if" },
      column("Now", now.items, then.items, "leaves"),
      links(now.items, then.items),
      column(`Without ${factsOf(like).title}`, then.items, now.items, "arrives")));
}

function sentence(changed, count) {
  if (changed === 0) return "The same items would be there. Your other likes lead to them too.";
  return `${changed} of the first ${count} would be ${changed === 1 ? "another" : "others"}.`;
}

function column(title, entries, others, mark) {
  return h("div", { class: "column" },
    h("h3", { class: "eyebrow" }, title),
    h("ol", { class: "compared" }, entries.map(({ item }) => {
      const alone = !others.some(({ item_id }) => item_id === item.item_id);
      return h("li", { class: alone ? mark : "" }, picture(item), h("span", {}, nameOf(item), alone && h("span", { class: "visually-hidden" }, `, ${mark}`)));
    })));
}

/** Threads from each item's place in one list to its place in the other. */
function links(now, then) {
  const paths = now.map(({ item_id }, from) => {
    const to = then.findIndex((entry) => entry.item_id === item_id);
    const [y1, y2] = [from, to].map((place) => (place + 0.5) * ROW_HEIGHT);
    if (to === -1) return s("path", { class: "broken", d: `M0 ${y1}h${GAP * 0.3}` });
    return s("path", { class: from === to ? "" : "moved", d: `M0 ${y1}C${GAP / 2} ${y1} ${GAP / 2} ${y2} ${GAP} ${y2}` });
  });
  const height = Math.max(now.length, then.length, 1) * ROW_HEIGHT;
  return s("svg", { class: "what-if-links", viewBox: `0 0 ${GAP} ${height}`, preserveAspectRatio: "none", width: GAP, height, "aria-hidden": "true" }, paths);
}
