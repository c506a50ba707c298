"""Tables of JSON: one object per line, an array of objects, or objects that span several lines."""

from __future__ import annotations

import codecs
import json
from typing import TYPE_CHECKING, Any

from likewise.operations.files.catalogue.rows import Table, TableRow
from likewise.operations.files.json_lines import parse_object, unwrapped
from likewise.operations.files.text import MAX_LINE, lines_of

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator, Mapping, Sequence

    from likewise.operations.files.catalogue.options import TableOptions

_BLOCK = 1 << 18
_decode = json.JSONDecoder().raw_decode


def is_json(head: Sequence[str]) -> bool:
    """Whether text that begins with these lines is JSON."""
    first = next((line.strip() for line in head if line.strip()), "")
    return first.startswith("{") or (
        first.startswith("[") and first[1:].lstrip()[:1] in ("", "{", "]")
    )


def json_table(
    head: Sequence[str],
    stream: io.RawIOBase,
    encoding: str,
    options: TableOptions,
    constants: Mapping[str, str | None],
) -> Table:
    """Return the table in JSON that begins with these lines."""
    first = next((line.strip() for line in head[options.skip :] if line.strip()), "")
    if first.startswith("[") or first == "{":
        names = list(dict.fromkeys(name for one in _sample("\n".join(head)) for name in one))
        rows = _spanning(stream, encoding)
        form = "a JSON array" if first.startswith("[") else "JSON objects"
    else:
        names = list(dict.fromkeys(name for one in _objects(head, options.skip) for name in one))
        rows = _lines(stream, encoding, options.skip)
        form = "JSON lines"
    return Table(form, [*names, *constants], _with(rows, constants))


def _with(rows: Iterator[TableRow], constants: Mapping[str, str | None]) -> Iterator[TableRow]:
    if not constants:
        return rows
    return (row._replace(values={**constants, **row.values}) for row in rows)


def _objects(head: Sequence[str], skip: int) -> Iterator[dict[str, Any]]:
    for line in head[skip:]:
        try:
            yield parse_object(line)
        except ValueError:
            continue  # reported when the rows are read


def _lines(stream: io.RawIOBase, encoding: str, skip: int) -> Iterator[TableRow]:
    for number, line in enumerate(lines_of(stream, encoding), 1):
        if line is None:
            yield TableRow(number, {}, f"the line is longer than {MAX_LINE:,} characters")
        elif number > skip and line.strip():
            try:
                found = parse_object(line)
            except ValueError as error:
                yield TableRow(number, {}, str(error))
            else:
                yield _row(number, found)


def _row(line: int, found: object) -> TableRow:
    if not isinstance(found, dict):
        return TableRow(line, {}, "not a JSON object")
    return TableRow(line, {name: unwrapped(value) for name, value in found.items()})


def _sample(text: str) -> Iterator[dict[str, Any]]:
    """Yield the complete objects at the start of the text."""
    at = 0
    while True:
        at = _next_value(text, at)
        try:
            found, at = _decode(text, at)
        except (ValueError, RecursionError):
            return
        if isinstance(found, dict):
            yield found


def _spanning(stream: io.RawIOBase, encoding: str) -> Iterator[TableRow]:
    """Yield a row for each value, with the line on which it begins. The first fault is the last row."""
    decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")
    text, at, line, ended = "", 0, 1, False
    while True:
        start = _next_value(text, at)
        line, at = line + text.count("\n", at, start), start
        try:
            found, end = _decode(text, at)
        except (ValueError, RecursionError) as error:
            if ended and text[at:].rstrip() in ("", "]"):
                return
            if ended or len(text) - at > MAX_LINE:
                yield TableRow(
                    line, {}, f"not JSON, so nothing is read from here on: {error}"[:200]
                )
                return
            block = stream.read(_BLOCK) or b""
            ended = not block
            text, at = text[at:] + decoder.decode(block, final=ended), 0
        else:
            yield _row(line, found)
            line, at = line + text.count("\n", at, end), end


def _next_value(text: str, at: int) -> int:
    """Return where the next value begins, after blanks, commas, and the bracket of the array."""
    while at < len(text) and (text[at].isspace() or text[at] in ",[\ufeff"):
        at += 1
    return at
