// Things that move from where they were to where they are (FLIP); nothing moves if the visitor prefers so.

const still = matchMedia("(prefers-reduced-motion: reduce)");
const CALM = { duration: 420, easing: "cubic-bezier(0.2, 0.7, 0.2, 1)" };

/** Call `update`, and move the children of `container` from their old places to their new ones. */
export function rearranged(container, update) {
  if (still.matches) return update();
  const before = new Map([...container.children].map((child) => [child, child.getBoundingClientRect()]));
  update();
  for (const child of container.children) {
    const from = before.get(child);
    const to = child.getBoundingClientRect();
    if (!from) {
      child.animate([{ opacity: 0, transform: "translateY(14px) scale(0.94)" }, { opacity: 1, transform: "none" }], { ...CALM, fill: "backwards" });
    } else if (from.left !== to.left || from.top !== to.top) {
      child.animate([{ transform: `translate(${from.left - to.left}px, ${from.top - to.top}px)` }, { transform: "none" }], CALM);
    }
  }
}

/** Draw a path from its start to its end; its `pathLength` must be 1. */
export function drawn(path, delay_ms = 0) {
  if (still.matches) return;
  path.animate([{ strokeDashoffset: 1 }, { strokeDashoffset: 0 }], { ...CALM, duration: 600, delay: delay_ms, fill: "backwards" });
}

const FLYING = "picture";

/**
 * Call `change`, which shows another view, and let `picture` fly to where that view shows it: the element
 * with the attribute `data-flight`. Without a picture, or where the visitor prefers it, views just change.
 */
export function flown(picture, change) {
  if (!picture || !document.startViewTransition || still.matches) return change();
  const named = (element, name) => element && (element.style.viewTransitionName = name);
  named(picture, FLYING);
  const transition = document.startViewTransition(async () => {
    await change();
    named(picture, "");
    named(document.querySelector("[data-flight] .picture"), FLYING);
  });
  transition.ready.catch(() => null); // a newer one may replace it
  return transition.finished.finally(() => named(document.querySelector("[data-flight] .picture"), ""));
}
