"""`config`: every setting, its value, and where it was set."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import typer

from likewise.cli.context import CommandLine, command_line
from likewise.cli.options import Json
from likewise.cli.output import print_json, stdout, table
from likewise.explanations import explanations
from likewise.settings.loader import setting_values

if TYPE_CHECKING:
    from collections.abc import Iterator


class Setting(msgspec.Struct, frozen=True):
    """One setting and its effective value."""

    name: str
    value: object
    """A secret is masked."""
    origin: str
    meaning: str


def config(context: typer.Context, as_json: Json = False) -> None:
    """Show every setting: its value, where it was set, and what it means.

    redis.url is `url` in the table `redis` of likewise.toml, and LIKEWISE_REDIS_URL in the
    environment. Secrets are masked.

    ```
    likewise config
    likewise config --json
    ```
    """
    settings = list(_effective(command_line(context)))
    if as_json:
        print_json(settings)
        return
    shown = table("setting", "value", "set by", "meaning")
    for one in settings:
        shown.add_row(one.name, _text(one.value), one.origin, one.meaning)
    stdout().print(shown, markup=False)


def _effective(cli: CommandLine) -> Iterator[Setting]:
    for table_name, name, value in setting_values(cli.settings):
        dotted = f"{table_name}.{name}"
        yield Setting(
            name=dotted,
            value=_shown(value),
            origin="likewise up" if dotted in cli.adopted else cli.origins.get(dotted, "default"),
            meaning=_meaning(type(getattr(cli.settings, table_name)), name),
        )


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _meaning(kind: type, name: str) -> str:
    texts = explanations(kind)
    return texts.get(name) or texts.get("kinds", "")


def _shown(value: object) -> object:
    """Return the value without secrets, which `str` masks, and without passwords in URLs."""
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, tuple):
        return list(value)
    without_user = re.sub(r"://.*@", "://********@", str(value))
    return re.sub(r"([?&](?!db=)[^=&]*=)[^&]*", r"\1********", without_user)
