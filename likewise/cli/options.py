"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

LikesFile = Annotated[
    str | None,
    typer.Argument(
        metavar="[FILE]",
        help="Delimited text, JSON lines or Parquet, as for `import`; `-` is standard input.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
