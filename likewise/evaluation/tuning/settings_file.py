"""A recipe as a settings file for `likewise index`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from likewise.evaluation.errors import EvaluationError
from likewise.evaluation.likes.table import LIKE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from likewise.messages.ids import SignalKind
    from likewise.ranking.recipe import Recipe


def settings_toml(
    recipe: Recipe, remarks: list[str], weights: Mapping[SignalKind, float] | None = None
) -> str:
    """Return a TOML document with the table `[model]`, which has every number of the recipe.

    With weights there is a table `[signals]` too. A like has no weight there: it always weighs 1.
    """
    lines = [*(f"# {remark}" for remark in remarks), "[model]"]
    for name, value in msgspec.structs.asdict(recipe).items():
        lines.append(f"{name} = {_toml(value)}")
    named = {kind: weight for kind, weight in (weights or {}).items() if kind != LIKE}
    if named:
        lines += ["", "[signals]", *(f"{kind} = {weight!r}" for kind, weight in named.items())]
    return "\n".join(lines) + "\n"


def check_settings_file(path: Path) -> None:
    """Return if the path does not exist yet: an existing file would be lost.

    Raises:
        EvaluationError: something does, or there is no such directory.
    """
    if path.exists():
        raise EvaluationError(
            f"{path} is there already; name a new file, and move its [model] over afterwards"
        )
    if not path.parent.is_dir():
        raise EvaluationError(f"{path} can't be written: there is no directory {path.parent}")


def write_settings_file(path: Path, text: str) -> None:
    """Write a new file.

    Raises:
        EvaluationError: it can't be written, or has come to be meanwhile.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise EvaluationError(f"{path} can't be written: {error.strerror}") from error


def _toml(value: str | float) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)
