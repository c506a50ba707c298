// Randomness that depends on nothing but a text, so that an item has the same poster everywhere.

/** Return a generator seeded by a text (FNV-1a, then mulberry32). */
export function seeded(text) {
  let hash = 2166136261;
  for (let place = 0; place < text.length; place += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(place), 16777619);
  }
  const next = () => {
    hash = (hash + 0x6d2b79f5) | 0;
    let mixed = Math.imul(hash ^ (hash >>> 15), 1 | hash);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
  return {
    next,
    between: (low, high) => low + (high - low) * next(),
    whole: (low, high) => Math.floor(low + (high - low + 1) * next()),
    one: (list) => list[Math.floor(next() * list.length)],
    chance: (probability) => next() < probability,
    shuffled: (list) => list.map((value) => [next(), value]).sort((a, b) => a[0] - b[0]).map(([, value]) => value),
  };
}
