"""The options for reading a file of likes, shared by the commands that read one."""

from __future__ import annotations

import inspect
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from likewise.operations.files.options import ReadOptions

_PANEL = "How to read FILE (detected if not given)"
_WHICH_PANEL = "Which rows to use, and what they mean"


def reading_option(*names: str, panel: str = _PANEL, **more: Any) -> Any:
    """Return a `typer.Option` in the panel of the options that say how to read a file."""
    return typer.Option(*names, rich_help_panel=panel, **more)


Delimiter = Annotated[
    str | None,
    reading_option(metavar="TEXT", help="Field separator: `;`, `tab`, `space`, `::` …"),
]
Skip = Annotated[
    int, reading_option(min=0, metavar="LINES", help="Number of lines to skip at the start.")
]
Encoding = Annotated[
    str | None, reading_option(metavar="NAME", help="Text encoding: `latin-1`, `cp1252`, `gbk` …")
]
Null = Annotated[
    list[str] | None,
    reading_option(metavar="TEXT", help="Text that means no value, such as NULL. May be repeated."),
]
Member = Annotated[
    str | None,
    reading_option(
        metavar="NAME",
        help="Files to read from a ZIP archive or directory: a name or a pattern.",
    ),
]


def _names(
    user_column: Annotated[
        str | None,
        reading_option(
            metavar="NAME", help="Column of the user ids: a name, or a number starting at 1."
        ),
    ] = None,
    item_column: Annotated[
        str | None, reading_option(metavar="NAME", help="Column of the item ids.")
    ] = None,
    timestamp_column: Annotated[
        str | None,
        reading_option(
            "--timestamp-column", "--time-column", metavar="NAME", help="Column of the times."
        ),
    ] = None,
    timestamp_format: Annotated[
        str | None,
        reading_option(
            metavar="FORMAT",
            help="`day-first` or `month-first` for 1/2/2024; `s`, `ms`, `us` or `ns` since 1970; or a "
            "strptime format such as `%d.%m.%Y %H:%M`.",
        ),
    ] = None,
    delimiter: Delimiter = None,
    no_header: Annotated[
        bool, reading_option("--no-header", help="There is no header line; columns are 1, 2, 3…")
    ] = False,
    skip: Skip = 0,
    encoding: Encoding = None,
    null: Null = None,
    member: Member = None,
    kind_column: Annotated[
        str | None,
        reading_option(
            "--kind-column",
            "--action-column",
            metavar="NAME",
            panel=_WHICH_PANEL,
            help="Column of actions (`like`, `unlike` …) and kinds of signals, or of kinds for --only and --map.",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        reading_option(
            metavar="KIND",
            panel=_WHICH_PANEL,
            help="Use rows of this kind, skip others. May be repeated.",
        ),
    ] = None,
    kinds: Annotated[
        list[str] | None,
        reading_option(
            "--map",
            metavar="KIND=ACTION",
            panel=_WHICH_PANEL,
            help="Action or signal for a kind, such as purchase=like or pv=view; skip other kinds. May be repeated.",
        ),
    ] = None,
    rating_column: Annotated[
        str | None, reading_option(metavar="NAME", panel=_WHICH_PANEL, help="Column of ratings.")
    ] = None,
    min_rating: Annotated[
        float | None,
        reading_option(metavar="NUMBER", panel=_WHICH_PANEL, help="Skip rows with a lower rating."),
    ] = None,
    action: Annotated[
        str,
        reading_option(
            metavar="ACTION",
            panel=_WHICH_PANEL,
            help="Action of rows without a kind: `forget_user` for a list of users.",
        ),
    ] = "like",
    strict: Annotated[
        bool,
        reading_option(
            "--strict",
            panel=_WHICH_PANEL,
            help="Check the whole file first. Do nothing if there is a bad row, a bad time or a warning.",
        ),
    ] = False,
) -> None:
    """Declare the options that `with_reading_options` adds to commands."""


def with_reading_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with the options above in place of its parameter `reading`.

    The command receives a `ReadOptions` there, and `strict` as it was given.
    """
    hints = get_type_hints(command, include_extras=True)
    shared_hints = get_type_hints(_names, include_extras=True)
    del hints["reading"], hints["return"], shared_hints["return"]
    own = inspect.signature(command).parameters
    shared = inspect.signature(_names).parameters
    last = [name for name in ("as_json",) if name in own]  # as in every other command

    @wraps(command)
    def called(*arguments: Any, **given: Any) -> None:
        values = {name: given.pop(name) for name in shared}
        command(*arguments, **given, reading=read_options(**values), strict=values["strict"])

    order = [
        *(name for name in own if name in hints and name not in (*shared, *last)),
        *shared,
        *last,
    ]
    # Typer reads the signature and does not evaluate annotations that are text.
    called.__signature__ = inspect.Signature(  # type: ignore[attr-defined] # as `inspect` documents it
        [
            (shared.get(name) or own[name]).replace(
                kind=inspect.Parameter.KEYWORD_ONLY,
                annotation=shared_hints.get(name, hints.get(name)),
            )
            for name in order
        ]
    )
    called.__annotations__ = {name: shared_hints.get(name, hints.get(name)) for name in order}
    return called


def read_options(**given: Any) -> ReadOptions:
    """Return the options for the reader.

    Raises:
        typer.BadParameter: an option has an invalid value.
    """
    from likewise.operations.files.dialect import delimiter_named
    from likewise.operations.files.options import ReadOptions

    kinds = dict(_pair(text) for text in given["kinds"] or ())
    if given["delimiter"] is not None and delimiter_named(given["delimiter"]) in ("", '"', "\n"):
        raise typer.BadParameter(
            "--delimiter must be one or more characters, not a quote or a line break"
        )
    return ReadOptions(
        user=given["user_column"],
        item=given["item_column"],
        timestamp=given["timestamp_column"],
        kind=given["kind_column"],
        rating=given["rating_column"],
        split=given.get("split_column"),
        delimiter=given["delimiter"],
        header=False if given["no_header"] else None,
        skip=given["skip"],
        encoding=given["encoding"],
        null=frozenset(given["null"] or ()),
        timestamp_format=given["timestamp_format"],
        action=given["action"],
        kinds=kinds,
        only=frozenset(given["only"] or ()),
        min_rating=given["min_rating"],
        member=given["member"],
    )


def with_signal_kinds(reading: ReadOptions, kinds: Collection[str] | None) -> ReadOptions:
    """Return the options to read rows of these kinds of signals, next to actions; None: of any kind.

    Raises:
        typer.BadParameter: `--map` or `--action` names neither an action nor one of them.
    """
    from likewise.errors import InvalidInputError
    from likewise.messages.events import ACTIONS
    from likewise.messages.ids import parse_kind

    for action in (reading.action, *reading.kinds.values()):
        if action in ACTIONS or action in (kinds or ()):
            continue
        try:
            if kinds is None and parse_kind(action):
                continue
        except InvalidInputError as error:
            raise typer.BadParameter(error.message) from error
        names = ", ".join(sorted(ACTIONS.union(kinds or ())))
        raise typer.BadParameter(f"{action!r} is not an action; use one of {names}")
    return replace(reading, signal_kinds=None if kinds is None else frozenset(kinds))


def check_source(file: str) -> None:
    """Return if the file or directory exists, or is `-`.

    Raises:
        typer.BadParameter: it does not exist.
    """
    if file != "-" and not Path(file).exists():
        raise typer.BadParameter(f"there is no file or directory {file!r}")


def _pair(text: str) -> tuple[str, str]:
    kind, separator, action = text.rpartition("=")
    if not separator:
        raise typer.BadParameter(f"--map {text!r} is not of the form KIND=ACTION, such as buy=like")
    return kind.strip(), action.strip()
