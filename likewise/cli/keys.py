"""`keys`: who may use the HTTP API. The gateway follows the file, so a change counts within a second."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from likewise.cli.context import command_line
from likewise.cli.exit_codes import FAILED
from likewise.cli.options import Json
from likewise.cli.output import complain, note, plain, print_json, stdout, table
from likewise.errors import InvalidInputError, SettingsError

if TYPE_CHECKING:
    from gateway.security.keys import ApiKey

app = typer.Typer(no_args_is_help=True, help="Create, list and remove API keys of the gateway.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Who uses the key.")]
KeysFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The file of keys. Default: gateway.keys_file."),
]
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}
_DURATION = re.compile(r"(\d{1,6})([dhm])")


class _Role(StrEnum):
    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@app.command()
def create(
    context: typer.Context,
    name: Name,
    role: Annotated[
        list[_Role],
        typer.Option(help="What the key may do. Repeatable; `admin` includes the others."),
    ],
    expires: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="When it ends: `90d`, `12h`, or a date. Default: never."),
    ] = None,
    requests_per_s: Annotated[
        float | None,
        typer.Option(min=0.001, metavar="N", help="Its limit. Default: gateway.requests_per_s."),
    ] = None,
    file: KeysFile = None,
    as_json: Json = False,
) -> None:
    """Create a key and print it. Only its hash is stored: it cannot be shown again.

    Creates the file, with mode 600, if it does not exist. An application that sends events needs `write`,
    one that asks for recommendations `read`; the page needs both, and `admin` for operators.

    ```
    likewise keys create shop --role read --role write --expires 365d
    ```
    """
    from gateway.security.key_file import change_keys
    from gateway.security.keys import KEY_NAME, new_key, stored_key

    path = _file(context, file)
    if not KEY_NAME.fullmatch(name):
        raise typer.BadParameter(
            f"NAME {name!r} has other characters than letters, digits, `.`, `_` and `-`, or more than 64"
        )
    key = new_key()
    stored = stored_key(
        key,
        name=name,
        roles=[one.value for one in role],
        expires=_end(expires),
        requests_per_s=requests_per_s,
    )

    def added(keys: tuple[ApiKey, ...]) -> tuple[ApiKey, ...]:
        if any(one.name == name for one in keys):
            complain(f"{path} already has a key {name!r}; remove it first, or use another name")
            raise typer.Exit(FAILED)
        return (*keys, stored)

    change_keys(path, added)
    if as_json:
        print_json({**_shown(stored), "key": key, "file": str(path)})
        return
    note(f"the key {name} is stored in {path}; this is the only time that it is shown")
    typer.echo(key)


@app.command()
def remove(
    context: typer.Context, name: Name, file: KeysFile = None, as_json: Json = False
) -> None:
    """Remove a key. Running gateways refuse it within a second. Exit code 1 if there is none.

    ```
    likewise keys remove shop
    ```
    """
    from gateway.security.key_file import change_keys

    path = _file(context, file)

    def without(keys: tuple[ApiKey, ...]) -> tuple[ApiKey, ...]:
        left = tuple(key for key in keys if key.name != name)
        if left == keys:
            complain(f"{path} has no key {name!r}")
            raise typer.Exit(FAILED)
        return left

    left = change_keys(path, without)
    if as_json:
        print_json({"removed": name, "left": len(left), "file": str(path)})


@app.command("list")
def list_(context: typer.Context, file: KeysFile = None, as_json: Json = False) -> None:
    """List the keys: names and rights, not the keys themselves.

    ```
    likewise keys list
    ```
    """
    from gateway.security.key_file import read_keys

    keys = [_shown(key) for key in read_keys(_file(context, file))]
    if as_json:
        print_json(keys)
        return
    rows = table("key", "roles", "created", "expires", "#requests/s")
    for key in keys:
        expires = "never" if key["expires"] is None else f"{key['expires']:%Y-%m-%d %H:%M}"
        rows.add_row(
            plain(key["name"]),
            ", ".join(key["roles"]),
            f"{key['created']:%Y-%m-%d}",
            f"{expires} (expired)" if key["expired"] else expires,
            "" if key["requests_per_s"] is None else f"{key['requests_per_s']:g}",
        )
    stdout().print(rows)


def _file(context: typer.Context, file: Path | None) -> Path:
    path = file or command_line(context).given.gateway.keys_file
    if path is None:
        raise SettingsError(
            "gateway.keys_file is not set; name the file with --file or LIKEWISE_GATEWAY_KEYS_FILE"
        )
    return path


def _end(text: str | None) -> datetime | None:
    """Return the time that `--expires` names."""
    from likewise.messages.times import parse_time_ms

    now = datetime.now(UTC).replace(microsecond=0)
    if text is None:
        return None
    try:
        if duration := _DURATION.fullmatch(text):
            end = now + timedelta(**{_UNITS[duration[2]]: int(duration[1])})
        else:
            end = datetime.fromtimestamp((parse_time_ms(text) or 0) / 1000, UTC)
    except (InvalidInputError, OverflowError) as error:
        raise typer.BadParameter(
            f"--expires {text!r} is neither a duration such as `90d` nor a time"
        ) from error
    if end <= now:
        raise typer.BadParameter(f"--expires {text!r} has passed")
    return end


def _shown(key: ApiKey) -> dict[str, Any]:
    return {
        "name": key.name,
        "roles": key.roles,
        "created": key.created,
        "expires": key.expires,
        "expired": key.is_expired(datetime.now(UTC)),
        "requests_per_s": key.requests_per_s,
    }
