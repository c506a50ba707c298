// One stop of the Tab key for a whole grid or row of cards; arrow keys move within it.

const FOCUSABLE = "a[href], button";

/**
 * Let arrow keys, Home and End move between the children of `container`. Only the controls of the current
 * card are stops of the Tab key. Call the returned function after the children have changed.
 */
export function roving(container) {
  let current = null;

  function refresh() {
    if (!current?.isConnected || current.parentElement !== container) current = container.firstElementChild;
    for (const card of container.children) {
      for (const control of card.querySelectorAll(FOCUSABLE)) control.tabIndex = card === current ? 0 : -1;
    }
  }

  function move(event) {
    const cards = [...container.children];
    const place = cards.indexOf(current);
    const card = target(event.key, cards, place);
    if (!card) return;
    event.preventDefault();
    card.querySelector(FOCUSABLE)?.focus();
    card.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  container.addEventListener("keydown", move);
  container.addEventListener("focusin", (event) => {
    const card = [...container.children].find((child) => child.contains(event.target));
    if (card && card !== current) {
      current = card;
      refresh();
    }
  });
  refresh();
  return refresh;
}

function target(key, cards, place) {
  if (key === "ArrowRight") return cards[place + 1];
  if (key === "ArrowLeft") return cards[place - 1];
  if (key === "Home") return cards[0];
  if (key === "End") return cards.at(-1);
  if (key === "ArrowDown") return inNextLine(cards, place, 1);
  if (key === "ArrowUp") return inNextLine(cards, place, -1);
  return null;
}

/** The card of the next line that is nearest in x. */
function inNextLine(cards, place, step) {
  const from = cards[place].getBoundingClientRect();
  let line = null;
  let best = null;
  let nearest = Infinity;
  for (let at = place + step; at >= 0 && at < cards.length; at += step) {
    const box = cards[at].getBoundingClientRect();
    if (Math.abs(box.top - from.top) < 4) continue;
    line ??= box.top;
    if (Math.abs(box.top - line) > 4) break;
    if (Math.abs(box.left - from.left) < nearest) {
      nearest = Math.abs(box.left - from.left);
      best = cards[at];
    }
  }
  return best;
}
