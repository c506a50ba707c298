"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text for people.")]
UserColumn = Annotated[str, typer.Option(help="Column of the user ids.")]
ItemColumn = Annotated[str, typer.Option(help="Column of the item ids.")]
TimestampColumn = Annotated[
    str, typer.Option(help="Column of times (s or ms since 1970, or ISO 8601), if any.")
]
