// Numbers, durations and moments as text.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** 51,568 */
export const count = (number) => whole.format(number);

/** 0, 0.4, 36, 1,830: a rate keeps one decimal only while it is small. */
export const rate = (number) => (number > 0 && number < 10 ? one : whole).format(number);

/** 0 ms, 3.1 ms, 48 ms, 1.2 s */
export function latency(ms) {
  return ms < 1000 ? `${rate(ms)} ms` : `${one.format(ms / 1000)} s`;
}

/** 0%, 21.3% */
export const percent = (share) => `${(share ? one : whole).format(share * 100)}%`;

/** +4.2%, −1.1%, 0% */
export const signed = (share) => signOf(share) + percent(Math.abs(share));

/** 20%, 2.5%: without a decimal that is zero. */
export const roundPercent = (share) => percent(share).replace(".0%", "%");

/** +20%, −2.5%, 0% */
export const signedRound = (share) => signOf(share) + roundPercent(Math.abs(share));

const signOf = (share) => (Math.abs(share) < 0.0005 ? "" : share < 0 ? "−" : "+");

const UNITS = [["d", 86_400], ["h", 3_600], ["min", 60]];

/** 12 s, 4 min, 3 h, 2 d */
export function duration(seconds) {
  const [unit, size] = UNITS.find(([, size]) => seconds >= size) ?? ["s", 1];
  return `${whole.format(Math.max(0, Math.floor(seconds / size)))} ${unit}`;
}

/** 0:48, 12:05, 3:07:20: a clock that counts up without changing its width every second. */
export function clock(seconds) {
  const total = Math.max(0, Math.floor(seconds));
  const parts = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60];
  if (!parts[0]) parts.shift();
  return parts.map((part, place) => (place ? String(part).padStart(2, "0") : part)).join(":");
}

/** "4 min ago" */
export const ago = (ms) => `${duration((Date.now() - ms) / 1000)} ago`;

/** 2026-11-27 14:45:12, in the reader's time zone. */
export const moment = (ms) => new Date(ms).toLocaleString("sv");

/** 14:45:12, in the reader's time zone. */
export const time = (ms) => new Date(ms).toLocaleTimeString("sv");

/** 38 MB */
export function size(bytes) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let value = bytes;
  while (value >= 1000 && units.length > 1) {
    value /= 1000;
    units.shift();
  }
  return `${(value < 10 && units[0] !== "B" ? one : whole).format(value)} ${units[0]}`;
}

/** 0.043, 1.20: how many likes a list gets. */
export const ratio = (number) => number.toFixed(number < 1 ? 3 : 2);

/** "1 record", "12 records" */
export const counted = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
