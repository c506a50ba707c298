"""Rows of delimited text. Every line becomes part of a row, or a fault with its line number."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from likewise.operations.files.columns import choose
from likewise.operations.files.dialect import dialect_of, headless_columns, may_grade, shown
from likewise.operations.files.errors import LikeFileError
from likewise.operations.files.fields import MalformedError, UnclosedError
from likewise.operations.files.layout import Layout, settle
from likewise.operations.files.rows import COLUMNS, Row
from likewise.operations.files.text import MAX_LINE, lines_of

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator, Mapping, Sequence

    from likewise.operations.files.columns import Choice
    from likewise.operations.files.dialect import Dialect
    from likewise.operations.files.options import ReadOptions

_MOST_LINES = 1_000
"""The longest record, in lines. A quote that is still open after these is a stray quote."""

_UNENDED = "a quoted field is not closed on the line"


def look_at(
    head: Sequence[str], options: ReadOptions, constants: Mapping[str, str | None], where: str
) -> tuple[Dialect, Choice, Layout]:
    """Return how to read text that begins with these lines, and a description of it.

    `constants` are additional columns, with one value for all rows.

    Raises:
        LikeFileError: the columns can't be determined, or one is missing.
    """
    dialect = dialect_of(head, options, where)
    rows = [*sample_of(head[dialect.skipped :], dialect)]
    names, extra = [*dialect.names, *constants], list(constants.values())
    if not dialect.has_header:
        options = options.with_guess(_guess(dialect, rows, options, where))
    choice = choose(names, options, where, f" by the delimiter {shown(dialect.delimiter)}")
    samples: dict[str, list[object]] = {
        field: [row[place] for row in ([*one, *extra] for one in rows) if place < len(row)]
        for field, place in choice.places.items()
    }
    unused: dict[str, list[str]] = {}
    if not dialect.has_header:
        others = {
            name: [row[place] for row in rows if place < len(row)]
            for place, name in enumerate(dialect.names)
            if place not in choice.places.values()
        }
        unused = {name: values for name, values in others.items() if may_grade(values)}
    header = "with a header" if dialect.has_header else "without a header"
    remarks = []
    if dialect.comments:
        remarks.append(f"the first {dialect.comments} lines are comments or blank, and are skipped")
    choice, layout = settle(
        f"text, delimiter {shown(dialect.delimiter)}, {header}",
        choice,
        samples,
        options,
        where,
        usual=dialect.has_header and dialect.delimiter == ",",
        remarks=remarks,
        unused=unused,
    )
    return dialect, choice, layout


def rows_of(
    stream: io.RawIOBase,
    encoding: str,
    dialect: Dialect,
    choice: Choice,
    constants: Mapping[str, str | None],
) -> Iterator[Row]:
    """Yield a row for each record, without blank lines.

    A fault costs one line: if a quoted field is not closed, or would put a line break into an id,
    reading continues with the next line.
    """
    width, extra = len(dialect.names), list(constants.values())
    wanted = [choice.places.get(column) for column in COLUMNS]
    # The end of a row may be missing: unused columns, and its time.
    required = 1 + max(
        (at for column, at in choice.places.items() if at < width and column != "timestamp"),
        default=0,
    )
    ids = {
        choice.names[field]: choice.places[field]
        for field in ("user", "item")
        if field in choice.places
    }
    for line, fields in Records(lines_of(stream, encoding), dialect, ids):
        if isinstance(fields, str):
            yield Row(line, fault=fields)
            continue
        values = fields
        if len(fields) != width:
            if len(fields) < required or any(fields[width:]):
                yield Row(line, fault=misfit(len(fields), width))
                continue
            values = fields[:width] + [""] * (width - len(fields))
        if extra:
            values = [*values, *(value or "" for value in extra)]
        yield Row(line, *[None if at is None else values[at] or None for at in wanted])


class Records:
    """Joins lines into records. Yields the line number and the fields, or what is wrong with the line."""

    def __init__(
        self, lines: Iterator[str | None], dialect: Dialect, ids: Mapping[str, int]
    ) -> None:
        """`ids` are the columns that contain no line break, by name, and their places."""
        self._lines = enumerate(lines, 1)
        self._again: deque[tuple[int, str | None]] = deque()
        """Lines read ahead as part of a quoted field that turned out not to be; read again as records."""
        self._dialect = dialect
        self._ids = ids

    def __iter__(self) -> Iterator[tuple[int, list[str] | str]]:
        dialect = self._dialect
        plain = dialect.delimiter != " " and not dialect.blank_after
        while (numbered := self._next()) is not None:
            number, line = numbered
            if number <= dialect.skipped:
                continue
            if line is None:
                yield number, f"the line is longer than {MAX_LINE:,} characters"
            elif not line.strip():
                continue
            elif plain and '"' not in line:
                yield number, line.split(dialect.delimiter)
            else:
                yield number, self._taken_apart(line)

    def _next(self) -> tuple[int, str | None] | None:
        return self._again.popleft() if self._again else next(self._lines, None)

    def _taken_apart(self, line: str) -> list[str] | str:
        """Return the fields of the record that begins with this line, or what is wrong with it."""
        texts, taken = [line], list[tuple[int, str | None]]()
        fault: str | None = None
        while fault is None:
            try:
                fields = self._dialect.split("\n".join(texts))
            except UnclosedError:
                fault = None if self._extend(texts, taken) else _UNENDED
            except MalformedError as error:
                fault = _UNENDED if taken else str(error)
            else:
                fault = self._suspicion(fields, texts[1:])
                if fault is None:
                    return fields
        self._again.extendleft(reversed(taken))
        return fault

    def _extend(self, texts: list[str], taken: list[tuple[int, str | None]]) -> bool:
        """Add the following lines up to one that has a quote; return whether there is one."""
        length = sum(map(len, texts))
        while len(taken) < _MOST_LINES and (following := self._next()) is not None:
            taken.append(following)
            text = following[1]
            length += len(text or "")
            if text is None or length > MAX_LINE:
                return False
            texts.append(text)
            if '"' in text:
                return True
        return False

    def _suspicion(self, fields: list[str], continued: list[str]) -> str | None:
        """Return why these lines are not one record; None if they are."""
        if not continued:
            return None
        width, delimiter = len(self._dialect.names), self._dialect.delimiter
        for name, place in self._ids.items():
            if place < len(fields) and "\n" in fields[place]:
                return f"{_UNENDED}, in the column {name!r}"
        if len(fields) != width:
            return misfit(len(fields), width)
        if len(continued) > 1 and all(text.count(delimiter) + 1 == width for text in continued):
            return _UNENDED
        return None


def misfit(fields: int, width: int) -> str:
    """Return the fault of a row with another number of fields than the table has columns."""
    return f"{fields} field{'s' * (fields != 1)} instead of {width}"


def sample_of(lines: Sequence[str], dialect: Dialect) -> Iterator[list[str]]:
    """Yield the fields of each line that can be split and is not blank."""
    for line in lines:
        if line.strip():
            try:
                yield dialect.split(line)
            except MalformedError:
                continue  # reported when the rows are read


def _guess(
    dialect: Dialect, rows: Sequence[Sequence[str]], options: ReadOptions, where: str
) -> dict[str, str]:
    try:
        return headless_columns(dialect.names, rows, options.action)
    except LikeFileError as error:
        if options.item is not None:
            return {"user": "1"}
        raise LikeFileError(f"{where} has no header, and its {error}") from error
