"""From bytes to numbered lines of bounded length, whatever the encoding."""

from __future__ import annotations

import codecs
import io
from typing import TYPE_CHECKING

from likewise.operations.files.errors import LikeFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINE = 1 << 20
"""In characters. Ids have at most 256 bytes, so a line of a megabyte is not one of a file of likes."""
_BLOCK = 1 << 18
_BOMS = (  # longer ones first: the mark of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def encoding_of(start: bytes, name: str, wanted: str | None) -> str:
    """Return the encoding to read with: `wanted`, else by byte order mark or NULs, else UTF-8.

    Raises:
        LikeFileError: the encoding is unknown, or the bytes are not text.
    """
    if wanted is not None:
        try:
            known = codecs.lookup(wanted)
            "".encode(wanted)  # not a codec from bytes to bytes
        except LookupError as error:
            raise LikeFileError(f"{name} can't be read: --encoding {wanted}: {error}") from error
        return "utf-8-sig" if known.name == "utf-8" else known.name
    for mark, encoding in _BOMS:
        if start.startswith(mark):
            return encoding
    length = max(len(start), 1)
    even, odd = start[::2].count(0) / length, start[1::2].count(0) / length
    if odd > 0.2 and even < 0.05:
        return "utf-16-le"
    if even > 0.2 and odd < 0.05:
        return "utf-16-be"
    if even + odd > 0.01:
        raise LikeFileError(f"{name} can't be read: it is neither text nor Parquet")
    return "utf-8-sig"


def lines_of(stream: io.RawIOBase, encoding: str) -> Iterator[str | None]:
    """Yield the lines without their ends (LF, CRLF or CR); None for one longer than `MAX_LINE`.

    Bytes that can't be decoded become lone surrogates, which ids may not contain; with UTF-16 and
    UTF-32 they raise UnicodeDecodeError.
    """
    errors = (
        "strict"
        if encoding.startswith(("utf-16", "utf-32", "utf_16", "utf_32"))
        else "surrogateescape"
    )
    decoder = io.IncrementalNewlineDecoder(
        codecs.getincrementaldecoder(encoding)(errors), translate=True
    )
    tail, too_long = "", False
    while True:
        block = stream.read(_BLOCK) or b""
        lines = (tail + decoder.decode(block, final=not block)).split("\n")
        tail = lines.pop()
        for line in lines:
            yield None if too_long or len(line) > MAX_LINE else line
            too_long = False
        if len(tail) > MAX_LINE:
            tail, too_long = "", True
        if not block:
            break
    if tail or too_long:
        yield None if too_long else tail
