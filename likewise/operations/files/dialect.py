"""Detects the dialect of delimited text: its delimiter, the lines before the first row, its header."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from likewise.errors import InvalidInputError
from likewise.messages.times import parse_time_ms
from likewise.operations.files.columns import is_header, recognised
from likewise.operations.files.errors import LikeFileError
from likewise.operations.files.fields import MalformedError, split_fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likewise.operations.files.options import ReadOptions

_DELIMITERS = (",", "\t", ";", "|", "::", "\x01", " ")
_NAMED = {
    "comma": ",",
    "tab": "\t",
    "\\t": "\t",
    "semicolon": ";",
    "pipe": "|",
    "space": " ",
    "\\x01": "\x01",
    "^A": "\x01",
}
_COMMENTS = ("#", "%")
_LOOKED_AT = 100


class Dialect(NamedTuple):
    """How to split the lines of a file into fields."""

    delimiter: str
    names: list[str]
    """Names of the columns; 1, 2, 3… if there is no header."""
    has_header: bool
    skipped: int
    """The number of lines before the first row, including the header."""
    comments: int
    """How many of them are comments, blank, or skipped by an option."""
    blank_after: bool
    """Whether each delimiter is followed by a space that belongs to no field, as in the header."""

    def split(self, text: str) -> list[str]:
        """Return the fields of a record.

        Raises:
            MalformedError: see `split_fields`.
        """
        return split_fields(text, self.delimiter, blank_after=self.blank_after)


def dialect_of(lines: Sequence[str], options: ReadOptions, where: str) -> Dialect:
    """Return the dialect of a file with these first lines. `options` override what is detected.

    Raises:
        LikeFileError: there are no lines, no delimiter is found, or it is unclear whether there is a
            header.
    """
    first = _first_line(lines, options.skip)
    delimiter = delimiter_named(options.delimiter)
    if first < len(lines) and lines[first].lower().startswith("sep=") and len(lines[first]) <= 6:
        delimiter = delimiter or lines[first][4:]  # Excel's
        first = _first_line(lines, first + 1)
    header = None if options.header is False else _commented_header(lines, first, options)
    if first >= len(lines) and header is None:
        raise LikeFileError(f"{where} can't be read: it is empty")
    sample = ([] if header is None else [header]) + [line for line in lines[first:] if line.strip()]
    delimiter = delimiter or _delimiter_of(sample[:_LOOKED_AT], options)
    top = _split(sample[0], delimiter)
    before = first + (header is None)
    if header is not None or (options.header is not False and _heads(top, options)):
        padded = len(top) > 1 and all(name.startswith(" ") for name in top[1:])
        names = [name.strip() for name in top] if padded else top
        return Dialect(delimiter, names, True, before, first, blank_after=padded)
    if options.header is not False and not _is_row(top):
        raise LikeFileError(_unclear(where, sample[0], delimiter, top))
    names = [str(number) for number in range(1, len(top) + 1)]
    return Dialect(delimiter, names, False, first, first, blank_after=False)


def delimiter_named(text: str | None) -> str | None:
    """Return the delimiter that an option names: the character itself, or tab, space, pipe and so on."""
    return None if text is None else _NAMED.get(text, text)


def shown(delimiter: str) -> str:
    """Return the delimiter as text for messages."""
    return {"\t": "tab", " ": "space"}.get(delimiter, repr(delimiter))


def headless_columns(
    names: Sequence[str], rows: Sequence[Sequence[str]], action: str
) -> dict[str, str]:
    """Return the most likely column of each field in rows without a header.

    The first column is the user and the second the item. A later column with a time in every row is
    the timestamp. A single column is the subject of the action.

    Raises:
        LikeFileError: the second column has times, so the item is elsewhere.
    """
    if len(names) == 1:
        return {"item" if action in ("retire_item", "restore_item") else "user": "1"}
    times = [
        name
        for place, name in enumerate(names)
        if rows and all(place < len(row) and _is_time(row[place]) for row in rows)
    ]
    if "2" in times:
        raise LikeFileError(
            "column 2 holds times; name the item column, for example --item-column 3"
        )
    later = [name for name in times if name not in ("1", "2")]
    return {"user": "1", "item": "2"} | ({"timestamp": later[-1]} if later else {})


def may_grade(values: Sequence[str]) -> bool:
    """Whether the values of a column could be ratings or kinds: numbers, or few distinct values."""
    numbers = all(_is_number(value) for value in values)
    return bool(values) and (numbers or 2 * len(set(values)) < len(values))


def _first_line(lines: Sequence[str], start: int) -> int:
    at = start
    while at < len(lines) and (not lines[at].strip() or lines[at].startswith(_COMMENTS)):
        at += 1
    return at


def _commented_header(lines: Sequence[str], first: int, options: ReadOptions) -> str | None:
    """Return the header from a comment just before the rows, such as `# user_id item_id`."""
    for line in reversed(lines[options.skip : first]):
        text = line.lstrip("".join(_COMMENTS)).strip()
        if text:
            delimiter = delimiter_named(options.delimiter) or _delimiter_of([text], options)
            return text if recognised(_split(text, delimiter), options) == 2 else None
    return None


def _delimiter_of(lines: Sequence[str], options: ReadOptions) -> str:
    """Return the delimiter that splits the lines most uniformly; a comma for a single column."""
    best, best_score = ",", (0, 0.0, 1)
    for delimiter in _DELIMITERS:
        rows = [_split(line, delimiter) for line in lines]
        lengths = Counter(len(row) for row in rows)
        length, share = lengths.most_common(1)[0][0], lengths.most_common(1)[0][1] / len(rows)
        if len(rows[0]) < 2:
            continue
        score = (recognised(rows[0], options), round(share, 1), length)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return split_fields(line, delimiter)
    except MalformedError:
        return line.split(delimiter)


def _heads(fields: Sequence[str], options: ReadOptions) -> bool:
    return options.header is True or is_header(fields, options)


def _is_row(fields: Sequence[str]) -> bool:
    """Whether fields can't be column names because one of them is a number or a time."""
    return any(_is_number(field) or _is_time(field) for field in fields)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.strip().lower() not in ("nan", "inf", "infinity")


def _is_time(text: str) -> bool:
    """Whether the text is a time since 1990. Small numbers are ids or ratings."""
    try:
        time_ms = parse_time_ms(text)
    except InvalidInputError:
        return False
    return time_ms is not None and time_ms > 631_152_000_000


def _unclear(where: str, line: str, delimiter: str, fields: Sequence[str]) -> str:
    columns = "1 column" if len(fields) == 1 else f"{len(fields)} columns"
    listed = ", ".join(repr(field[:64]) for field in fields[:20])
    return (
        f"{where} has no column 'user_id'; its first line has {columns} with the delimiter "
        f"{shown(delimiter)}: {listed}. Name the right ones with --user-column and --item-column; if "
        "that line is a row, add --no-header, and columns are 1, 2, 3…; if it is split wrongly, name "
        "the --delimiter"
    )
