"""What was made of a file, to be told; and whether its ratings and kinds count."""

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
    """How a file is read, in words."""

    form: str
    """`text, delimiter ';', with a header`, `JSON lines`, `Parquet`."""
    columns: dict[str, str]
    """The columns that count, by field: user, item, timestamp, kind, rating, split."""
    remarks: tuple[str, ...] = ()
    """What is worth knowing and changes nothing."""
    warnings: tuple[str, ...] = ()
    """What may make likes of rows that are none; `--strict` refuses the file for them."""
    usual: bool = False
    """Whether it is what anybody expects: nothing had to be found out."""

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
    """Return the columns that count, and what to tell.

    A column of kinds counts where it is asked for, is called `action`, or holds actions only; a
    rating where there is a lowest one. Others are warned of, since every row is a like then.
    `samples` has values of the chosen columns by field, `unused` those of columns without a name.

    Raises:
        LikeFileError: a rating or a kind is asked for, and there is no such column.
    """
    columns, warnings, remarks = dict(choice.names), [], list(remarks)
    if "kind" in columns and not _kinds_count(columns["kind"], samples["kind"], options):
        warnings.append(
            f"column {columns.pop('kind')!r} ({_some(samples['kind'])}) is not looked at: every row is "
            "taken as a like. --kind-column with --only KIND or --map KIND=ACTION says which are"
        )
    if "rating" in columns and options.min_rating is None:
        warnings.append(
            f"column {columns.pop('rating')!r} ({_some(samples['rating'])}) is not looked at: every row is "
            "taken as a like. --min-rating NUMBER leaves out the lower ones"
        )
    for name, values in (unused or {}).items():
        warnings.append(
            f"column {name} ({_some(values)}) is not looked at: if it is a rating or a kind, every row is "
            f"taken as a like. --rating-column {name} --min-rating NUMBER, or --kind-column {name}, "
            "makes it count"
        )
    if options.min_rating is not None and "rating" not in columns:
        raise LikeFileError(f"{where} has no rating for --min-rating. Name it with --rating-column")
    if (options.kinds or options.only) and "kind" not in columns:
        raise LikeFileError(
            f"{where} has no kinds for --map and --only. Name them with --kind-column"
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
    return name.strip().lower() == "action" or (bool(held) and held <= ACTIONS)


def _about_ids(field: str, values: Sequence[object], options: ReadOptions) -> list[str]:
    texts = [value for value in values if isinstance(value, str) and value]
    found = []
    if texts and all(_WHOLE_AS_FLOAT.fullmatch(text) for text in texts):
        found.append(
            f"{field} ids such as {texts[0]!r} are taken as they are, and are not {texts[0][:-2]!r}"
        )
    empty = next((text for text in texts if text.lower() in _LIKE_NOTHING), None)
    if empty is not None and empty not in options.null:
        found.append(f"{empty!r} is taken as a {field} id; --null {empty} says that it is none")
    return found


def _some(values: Sequence[object]) -> str:
    """Return the first few different values, as text."""
    different = list(dict.fromkeys(str(value)[:32] for value in values))
    return ", ".join(different[:_SHOWN]) + (", …" if len(different) > _SHOWN else "")
