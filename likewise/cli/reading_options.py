"""The options that say how to read a file of likes, the same for every command that reads one."""

from __future__ import annotations

import inspect
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from likewise.cli.output import complain

if TYPE_CHECKING:
    from collections.abc import Callable

    from likewise.operations.files.importing import RowCounts
    from likewise.operations.files.layout import Layout
    from likewise.operations.files.options import ReadOptions

_PANEL = "How to read FILE (found out and told where not given)"
_WHICH_PANEL = "Which rows count"


def _option(*names: str, panel: str = _PANEL, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel=panel, **more)


def _names(
    user_column: Annotated[
        str | None,
        _option(metavar="NAME", help="Column of the user ids: a name, or a number from 1."),
    ] = None,
    item_column: Annotated[
        str | None, _option(metavar="NAME", help="Column of the item ids.")
    ] = None,
    timestamp_column: Annotated[
        str | None,
        _option("--timestamp-column", "--time-column", metavar="NAME", help="Column of the times."),
    ] = None,
    timestamp_format: Annotated[
        str | None,
        _option(
            metavar="FORMAT",
            help="`day-first` or `month-first` for 1/2/2024; s, ms, us or ns; or as for strptime: "
            "`%d.%m.%Y %H:%M`.",
        ),
    ] = None,
    delimiter: Annotated[
        str | None, _option(metavar="TEXT", help="Between fields: `;`, `tab`, `space`, `::` …")
    ] = None,
    no_header: Annotated[
        bool, _option("--no-header", help="The first line is a row; columns are 1, 2, 3…")
    ] = False,
    skip: Annotated[
        int, _option(min=0, metavar="LINES", help="Leave out so many lines at the start.")
    ] = 0,
    encoding: Annotated[
        str | None, _option(metavar="NAME", help="`latin-1`, `cp1252`, `gbk`… (default: UTF-8).")
    ] = None,
    null: Annotated[
        list[str] | None,
        _option(metavar="TEXT", help="What stands for nothing, such as NULL; may be repeated."),
    ] = None,
    member: Annotated[
        str | None,
        _option(
            metavar="NAME", help="Which files of a ZIP archive or directory: a name or a pattern."
        ),
    ] = None,
    kind_column: Annotated[
        str | None,
        _option(
            "--kind-column",
            "--action-column",
            metavar="NAME",
            panel=_WHICH_PANEL,
            help="Column that says what a row is: `like`, `unlike`…, or kinds for --only and --map.",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        _option(
            metavar="KIND", panel=_WHICH_PANEL, help="Take rows of this kind; may be repeated."
        ),
    ] = None,
    kinds: Annotated[
        list[str] | None,
        _option(
            "--map",
            metavar="KIND=ACTION",
            panel=_WHICH_PANEL,
            help="What a kind means, as in buy=like; other kinds are skipped. May be repeated.",
        ),
    ] = None,
    rating_column: Annotated[
        str | None, _option(metavar="NAME", panel=_WHICH_PANEL, help="Column of ratings.")
    ] = None,
    min_rating: Annotated[
        float | None,
        _option(metavar="NUMBER", panel=_WHICH_PANEL, help="Skip rows with a lower rating."),
    ] = None,
    action: Annotated[
        str,
        _option(
            metavar="ACTION",
            panel=_WHICH_PANEL,
            help="What rows without a kind mean: `forget_user` for a list of users, say.",
        ),
    ] = "like",
    strict: Annotated[
        bool,
        _option(
            "--strict",
            panel=_WHICH_PANEL,
            help="Check all first, and stop if a row or a time is bad or a column is warned of.",
        ),
    ] = False,
) -> None:
    """Carry the options; `with_reading_options` gives them to commands."""


def with_reading_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with the options above in place of its parameter `reading`.

    It gets a `ReadOptions` there. `strict` is handed over as it is where the command has it.
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
    # Typer reads the signature, and evaluates no text in it.
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
    """Return the options as the reader takes them.

    Raises:
        typer.BadParameter: one of them makes no sense.
    """
    from likewise.messages.events import ACTIONS
    from likewise.operations.files.dialect import delimiter_named
    from likewise.operations.files.options import ReadOptions

    kinds = dict(_pair(text) for text in given["kinds"] or ())
    for action in (given["action"], *kinds.values()):
        if action not in ACTIONS:
            raise typer.BadParameter(
                f"{action!r} is no action; there are {', '.join(sorted(ACTIONS))}"
            )
    if given["delimiter"] is not None and delimiter_named(given["delimiter"]) in ("", '"', "\n"):
        raise typer.BadParameter(
            "--delimiter is one or more characters, and neither a quote nor a line break"
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


def check_source(file: str) -> None:
    """Return if there is such a file or directory, or it is `-`.

    Raises:
        typer.BadParameter: there is none.
    """
    if file != "-" and not Path(file).exists():
        raise typer.BadParameter(f"there is no file or directory {file!r}")


def _pair(text: str) -> tuple[str, str]:
    kind, separator, action = text.rpartition("=")
    if not separator:
        raise typer.BadParameter(f"--map {text!r} is none of KIND=ACTION, such as buy=like")
    return kind.strip(), action.strip()


class LayoutTeller:
    """Says how a file is read: once for parts that are alike, and all that is warned of."""

    def __init__(self, *, always: bool = False) -> None:
        """Say nothing yet; `always` says also what is as expected."""
        self.layouts: dict[str, Layout] = {}
        self._said: set[str] = set()
        self._always = always

    @property
    def warnings(self) -> list[str]:
        """What was warned of so far, each once."""
        return list(dict.fromkeys(text for one in self.layouts.values() for text in one.warnings))

    def __call__(self, name: str, layout: Layout) -> None:
        """Take in how a part is read, and say so on standard error."""
        self.layouts[name] = layout
        sentences = [*layout.warnings, *layout.remarks]
        if self._always or not layout.usual:
            sentences.insert(0, f"read as {layout}")
        for sentence in sentences:
            if sentence not in self._said:
                self._said.add(sentence)
                complain(f"{name}: {sentence}")


def complain_of_rows(counts: RowCounts) -> None:
    """Say which rows do not count, or without their time, and why; nothing where all do."""
    if counts.bad:
        rows = "row" if counts.bad == 1 else "rows"
        complain(f"{counts.bad:,} bad {rows} of {counts.rows:,} left out:")
        for row in counts.first_bad:
            complain(f"  {row}")
        if "unknown_action" in counts.bad_by_code:
            complain("  --map KIND=ACTION or --only KIND says what other kinds mean")
    if counts.untimed:
        rows = "row counts" if counts.untimed == 1 else "rows count"
        complain(f"{counts.untimed:,} {rows} without a time, since theirs is not understood:")
        complain(f"  {counts.first_untimed}")
        complain("  --timestamp-format says how times are written")
    for reason, number in counts.skipped.items():
        complain(f"skipped {number:,}: {reason}")


def refusal(file: str, counts: RowCounts, warnings: list[str]) -> str | None:
    """Return why `--strict` refuses the file, if it does."""
    if counts.bad:
        first = counts.first_bad[0]
        return (
            f"{file}: {counts.bad} of {counts.rows} rows are bad, the first in {first}. Nothing was "
            "done; without --strict they are left out"
        )
    if counts.untimed:
        return f"{file}: {counts.untimed} times are not understood, the first in {counts.first_untimed}"
    if warnings:
        return f"{file}: {warnings[0]}"
    return None
