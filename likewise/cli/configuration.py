"""`config`: every setting, what it is now, and who said so."""

from __future__ import annotations

import ast
import inspect
import re
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
import typer

from likewise.cli.context import CommandLine, command_line
from likewise.cli.options import Json
from likewise.cli.output import print_json, stdout, table
from likewise.settings_loader import setting_names

if TYPE_CHECKING:
    from collections.abc import Iterator


class Setting(msgspec.Struct, frozen=True):
    """One setting, as it is in force."""

    name: str
    value: object
    """Secrets show as asterisks."""
    origin: str
    meaning: str


def config(context: typer.Context, as_json: Json = False) -> None:
    """Show every setting: its value, where it was given, and what it means.

    In likewise.toml, redis.url is `url` in the table `redis`; in the environment it is
    LIKEWISE_REDIS_URL. Secrets are not shown.

    ```
    likewise config
    likewise config --json
    ```
    """
    settings = list(_effective(command_line(context)))
    if as_json:
        print_json(settings)
        return
    shown = table("setting", "value", "given by", "meaning")
    for one in settings:
        shown.add_row(one.name, str(one.value), one.origin, one.meaning)
    stdout().print(shown, markup=False)


def _effective(cli: CommandLine) -> Iterator[Setting]:
    for table_name, name in setting_names():
        kind = getattr(cli.settings, table_name)
        value = getattr(kind, name)
        dotted = f"{table_name}.{name}"
        yield Setting(
            name=dotted,
            value=_shown(value),
            origin=cli.origins.get(dotted, "default"),
            meaning=_meanings(type(kind)).get(name, ""),
        )


def _shown(value: object) -> object:
    """Return the value without secrets, which `str` masks, and without passwords in URLs."""
    if value is None or isinstance(value, int | float):
        return value
    without_user = re.sub(r"://.*@", "://********@", str(value))
    return re.sub(r"([?&](?!db=)[^=&]*=)[^&]*", r"\1********", without_user)


def _meanings(kind: type) -> dict[str, str]:
    """Return the docstring that stands below each field, from the class's own source."""
    (definition,) = ast.parse(inspect.getsource(kind)).body
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
