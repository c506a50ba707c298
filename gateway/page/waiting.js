// Pauses.

/** Resolve after so many milliseconds, or as soon as `signal` aborts. */
export function waited(ms, signal = null) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
