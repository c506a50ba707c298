// The ticks of the last five minutes. They outlive the view, so that coming back shows them.

const KEPT_MS = 300_000;
const SHORTEST_MS = 60_000;
const GAP_MS = 3_500;
const ticks = [];

export function remember(tick) {
  ticks.push(tick);
  while (ticks[0].at_ms < tick.at_ms - KEPT_MS) ticks.shift();
}

/** Return columns for uPlot: seconds, then what each of `reads` finds in a tick; null where ticks are missing. */
export function columns(reads) {
  const rows = [[], ...reads.map(() => [])];
  const add = (ms, values) => [ms / 1000, ...values].forEach((value, place) => rows[place].push(value ?? null));
  ticks.forEach((tick, place) => {
    const before = ticks[place - 1];
    if (before && tick.at_ms - before.at_ms > GAP_MS) add(before.at_ms + 1, reads.map(() => null));
    add(tick.at_ms, reads.map((read) => read(tick)));
  });
  return rows;
}

/** Return the first and last second to show: what there is, but at least a minute. */
export function span() {
  const last = ticks.at(-1)?.at_ms ?? Date.now();
  const first = Math.min(ticks[0]?.at_ms ?? last, last - SHORTEST_MS);
  return [first / 1000, last / 1000];
}

/** Return every `step`-th tick, newest first. */
export const sampled = (step) => ticks.filter((_, place) => (ticks.length - 1 - place) % step === 0).reverse();
