// Bytes of a record: as text where they are text, else as a hex dump.

import { h } from "../dom.js";

const ROW = 16;
const SHOWN = 512;

/** Return a `pre` of the bytes in Base64; `null` (a record without a value) is named as such. */
export function octets(base64, name) {
  if (base64 === null || base64 === undefined) return h("p", { class: "soft" }, "none");
  const bytes = decoded(base64);
  const text = plain(bytes);
  const shown = text === null ? hexDump(bytes.subarray(0, SHOWN)) : escaped(text);
  return h("pre", { class: "octets", tabindex: 0, "aria-label": name, dir: "ltr", "data-form": text === null ? "hex" : "text" },
    shown || "(empty)",
    text === null && bytes.length > SHOWN && `\n… ${bytes.length - SHOWN} more bytes`,
  );
}

/** Return bytes in Base64 on one line: as text where they are text, else in hex. */
export function printable(base64) {
  const bytes = decoded(base64);
  const text = plain(bytes);
  return text === null ? [...bytes].map(hex).join(" ") : escaped(text);
}

const decoded = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
const hex = (byte) => byte.toString(16).padStart(2, "0");

/** Return the bytes as text, or null if they are not UTF-8. */
function plain(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** Return text in which invisible characters, such as right-to-left marks, are visible escapes. */
function escaped(text) {
  return text.replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cn}]/gu, (character) =>
    "\t\r\n".includes(character) ? character : `\\u{${character.codePointAt(0).toString(16)}}`);
}

function hexDump(bytes) {
  const lines = [];
  for (let start = 0; start < bytes.length; start += ROW) {
    const row = [...bytes.subarray(start, start + ROW)];
    const octets = row.map(hex).join(" ");
    const characters = row.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
    lines.push(`${start.toString(16).padStart(4, "0")}  ${octets.padEnd(ROW * 3 - 1)}  ${characters}`);
  }
  return lines.join("\n");
}
