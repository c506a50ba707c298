"""Describes how a file is read, and decides whether its ratings and kinds are used."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from likewise.messages.events import ACTIONS
from likewise.operations.files.errors import LikeFileError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from likewise.operations.files.columns import Choice
    from likewise.operations.files.options import ReadOptions

_SHOWN = 3
_WHOLE_AS_FLOAT = re.compile(r"\d+\.0")
_LIKE_NOTHING = frozenset({"nan", "null", "none", "na", "n/a", "\\n"})


class Layout(NamedTuple):
    """How a file is read, for people."""

    form: str
    """`text, delimiter ';', with a header`, `JSON lines`, `Parquet`."""
    columns: dict[str, str]
    """The columns that are used, by field: user, item, timestamp, kind, rating, split."""
    remarks: tuple[str, ...] = ()
    """Worth knowing, but without effect."""
    warnings: tuple[str, ...] = ()
    """Reasons why rows might be read as likes by mistake; `--strict` refuses the file for them."""
    usual: bool = False
    """Whether everything is the default, so that nothing had to be detected."""

    def __str__(self) -> str:
        columns = ", ".join(f"{field} {name!r}" for field, name in self.columns.items())
        return f"{self.form}; {columns}"


def settle(
    form: str,
    choice: Choice,
    samples: Mapping[str, Sequence[object]],
    options: ReadOptions,
    where: str,
    *,
    usual: bool = False,
    remarks: Sequence[str] = (),
    unused: Mapping[str, Sequence[object]] | None = None,
) -> tuple[Choice, Layout]:
    """Return the columns that are used, and the description of the file.

    A column of kinds is used if the caller names it, it is called `action`, it is called `kind` and has
    one that counts, or all its values are actions or known kinds of signals. A rating is used if there is a minimum. Otherwise there is a warning, because every row
    is then a like. `samples` has values of the chosen columns by field, `unused` has values of
    columns without a name.

    Raises:
        LikeFileError: the options use a rating or a kind, but there is no such column.
    """
    columns, warnings, remarks = dict(choice.names), [], list(remarks)
    if "kind" in columns and not _kinds_count(columns["kind"], samples["kind"], options):
        warnings.append(
            f"column {columns.pop('kind')!r} ({_some(samples['kind'])}) is ignored: every row is "
            "read as a like. To choose rows, use --kind-column with --only KIND or --map KIND=ACTION"
        )
    if "rating" in columns and options.min_rating is None:
        warnings.append(
            f"column {columns.pop('rating')!r} ({_some(samples['rating'])}) is ignored: every row is "
            "read as a like. To leave out low ratings, use --min-rating NUMBER"
        )
    for name, values in (unused or {}).items():
        warnings.append(
            f"column {name} ({_some(values)}) is ignored: every row is read as a "
            f"like. If it is a rating or a kind, use --rating-column {name} --min-rating NUMBER, or "
            f"--kind-column {name}"
        )
    if options.min_rating is not None and "rating" not in columns:
        raise LikeFileError(
            f"{where} has no rating column for --min-rating. Name it with --rating-column"
        )
    if (options.kinds or options.only) and "kind" not in columns:
        raise LikeFileError(
            f"{where} has no kind column for --map and --only. Name it with --kind-column"
        )
    for field in ("user", "item"):
        remarks += _about_ids(field, samples.get(field, ()), options)
    counted = choice._replace(
        places={field: place for field, place in choice.places.items() if field in columns},
        names=columns,
    )
    usual = usual and not choice.guessed & columns.keys()
    return counted, Layout(form, columns, tuple(remarks), tuple(warnings), usual)


def _kinds_count(name: str, values: Sequence[object], options: ReadOptions) -> bool:
    if options.kind is not None or options.kinds or options.only:
        return True
    held = {str(value).strip() for value in values if value not in (None, "")}
    known = ACTIONS | (options.signal_kinds or frozenset())
    match name.strip().lower():
        case "action":
            return True
        case "kind":
            return options.signal_kinds is None or not known.isdisjoint(held)
    return bool(held) and held <= known


def _about_ids(field: str, values: Sequence[object], options: ReadOptions) -> list[str]:
    texts = [value for value in values if isinstance(value, str) and value]
    found = []
    if texts and all(_WHOLE_AS_FLOAT.fullmatch(text) for text in texts):
        found.append(
            f"{field} ids such as {texts[0]!r} are used unchanged, not as {texts[0][:-2]!r}"
        )
    empty = next((text for text in texts if text.lower() in _LIKE_NOTHING), None)
    if empty is not None and empty not in options.null:
        found.append(
            f"{empty!r} is read as a {field} id; use --null {empty} if it means a missing value"
        )
    return found


def _some(values: Sequence[object]) -> str:
    """Return the first few distinct values, as text."""
    different = list(dict.fromkeys(str(value)[:32] for value in values))
    return ", ".join(different[:_SHOWN]) + (", …" if len(different) > _SHOWN else "")
