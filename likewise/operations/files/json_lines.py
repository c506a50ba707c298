"""Rows of JSON lines: one object per line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from likewise.operations.files.columns import choose
from likewise.operations.files.errors import LikeFileError
from likewise.operations.files.layout import Layout, settle
from likewise.operations.files.rows import COLUMNS, Row
from likewise.operations.files.text import MAX_LINE, lines_of

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator, Mapping, Sequence

    from likewise.operations.files.columns import Choice
    from likewise.operations.files.options import ReadOptions

# MongoDB's extended JSON.
_WRAPPERS = frozenset({"$oid", "$date", "$numberLong", "$numberInt", "$uuid"})


def is_json(head: Sequence[str], where: str) -> bool:
    """Whether text that begins with these lines is JSON lines.

    Raises:
        LikeFileError: it is JSON in another form.
    """
    first = next((line.strip() for line in head if line.strip()), "")
    if first.startswith("[") and first[1:].lstrip()[:1] in ("", "{"):
        raise LikeFileError(
            f"{where} can't be read: it is a JSON array. Write one object per line: jq -c '.[]'"
        )
    if first == "{":
        raise LikeFileError(
            f"{where} can't be read: its JSON objects span several lines. Write one per line: jq -c ."
        )
    return first.startswith("{")


def look_at(
    head: Sequence[str], options: ReadOptions, constants: Mapping[str, str | None], where: str
) -> tuple[Choice, Layout]:
    """Return the key of each field, and a description of the file.

    Keys of nested objects are `outer.inner`.

    Raises:
        LikeFileError: a key is missing from all of these lines.
    """
    objects = []
    for line in head[options.skip :]:
        try:
            objects.append(_flat(parse_object(line)))
        except ValueError:
            continue  # reported when the rows are read
    if not objects:
        raise LikeFileError(
            f"{where} can't be read: it begins with '{{' but its lines are not JSON"
        )
    names = list(dict.fromkeys([*(name for one in objects for name in one), *constants]))
    choice = choose(names, options, where)
    samples = {
        field: [one[name] for one in objects if name in one] for field, name in choice.names.items()
    }
    return settle("JSON lines", choice, samples, options, where)


def rows_of(
    stream: io.RawIOBase,
    encoding: str,
    options: ReadOptions,
    choice: Choice,
    constants: Mapping[str, str | None],
) -> Iterator[Row]:
    """Yield a row for each line that is not blank. A line that is not a JSON object has a fault."""
    wanted = [choice.names.get(column) for column in COLUMNS]
    deep = any(name is not None and "." in name for name in wanted)
    for number, line in enumerate(lines_of(stream, encoding), 1):
        if line is None:
            yield Row(number, fault=f"the line is longer than {MAX_LINE:,} characters")
            continue
        if number <= options.skip or not line.strip():
            continue
        try:
            found = parse_object(line)
        except ValueError as error:
            yield Row(number, fault=str(error))
            continue
        if constants:
            found = {**constants, **found}
        values = _flat(found) if deep else found
        yield Row(
            number, *[None if name is None else unwrapped(values.get(name)) for name in wanted]
        )


def parse_object(line: str) -> dict[str, Any]:
    """Return the JSON object on the line.

    Raises:
        ValueError: it is not one; the message says why.
    """
    try:
        found = json.loads(line)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    except ValueError as error:
        reason = (
            "single quotes instead of double quotes, as Python prints them"
            if line.startswith("{'")
            else str(error)
        )
        raise ValueError(f"not JSON: {reason}"[:200]) from error
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")
    return found


def _flat(found: dict[str, Any]) -> dict[str, Any]:
    """Return the object with the keys of nested objects added as `outer.inner`."""
    flat = dict(found)
    for name, value in found.items():
        if isinstance(value, dict) and not (value.keys() & _WRAPPERS):
            flat.update({f"{name}.{inner}": one for inner, one in _flat(value).items()})
    return flat


def unwrapped(value: Any) -> Any:
    """Return the value without MongoDB's wrapper object."""
    if isinstance(value, dict) and len(value) == 1 and (key := next(iter(value))) in _WRAPPERS:
        return unwrapped(value[key])
    return value
