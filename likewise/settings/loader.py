"""Reads settings from the file, the environment and options. Errors name the source and the fix."""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_origin, get_type_hints

import msgspec

from likewise.errors import SettingsError
from likewise.settings import Secret, Settings
from likewise.settings.environment import (
    CONFIG_VARIABLE,
    ENV_PREFIX,
    STRICT_VARIABLE,
    Unknown,
    sort_variables,
    wants_strictness,
)
from likewise.settings.signals import checked_weight

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEFAULT_FILE = Path("likewise.toml")
_FILE_SUFFIX = "_file"

Tables = dict[str, dict[str, object]]


def load_settings(
    *,
    file: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    options: Mapping[str, object] | None = None,
    strict: bool = False,
) -> Settings:
    """Return the settings from all sources, options over environment over file over defaults.

    `file` defaults to `$LIKEWISE_CONFIG`, else `likewise.toml` in the working directory where
    there is one. `options` are dotted names (`"redis.url"`) with values; None means not given.
    Unknown variables are ignored (`unknown_variables` returns them), unless `strict` or
    `$LIKEWISE_STRICT_SETTINGS` makes them errors.

    Raises:
        SettingsError: a source can't be read, the file names an unknown setting, or a value is
            unusable.
    """
    if (strict or wants_strictness(environ)) and (unknown := unknown_variables(environ)):
        raise SettingsError(
            f"{'; '.join(map(str, unknown))} (an error because of --strict-settings or "
            f"{STRICT_VARIABLE})"
        )
    tables, origins = _gather(file, environ, options or {})
    return Settings(**{table: _convert(table, tables.get(table, {}), origins) for table in _TABLES})


def setting_origins(
    *,
    file: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    options: Mapping[str, object] | None = None,
) -> dict[str, str]:
    """Return, by dotted name, a description of where each setting was set.

    The arguments are those of `load_settings`. Settings with their default are left out.

    Raises:
        SettingsError: a source can't be read.
    """
    _, origins = _gather(file, environ, options or {})
    return {
        f"{table}.{name}".removesuffix(_FILE_SUFFIX): said
        for (table, name), said in origins.items()
    }


def unknown_variables(environ: Mapping[str, str] = os.environ) -> list[Unknown]:
    """Return the unknown variables that begin with `LIKEWISE_`, sorted by name.

    Variables that Kubernetes adds for Services named `likewise-…` are left out.
    """
    return sort_variables(environ, _settable(), _OPEN_TABLES)[1]


def setting_names() -> list[tuple[str, str]]:
    """Return (table, name) of every setting with a fixed name, in the order of the documentation."""
    return [
        (table, field.encode_name)
        for table, kind in _TABLES.items()
        for field in msgspec.structs.fields(kind)
        if field.encode_name != _OPEN_TABLES.get(table)
    ]


def setting_values(settings: Settings) -> Iterator[tuple[str, str, object]]:
    """Yield (table, name, value) of every setting, those with names of the operator's choice last."""
    for table, name in setting_names():
        yield table, name, getattr(getattr(settings, table), name)
    for table, field in _OPEN_TABLES.items():
        for name, value in getattr(getattr(settings, table), field).items():
            yield table, name, value


def environment_of(settings: Settings) -> dict[str, str]:
    """Return variables that pass these settings to another process; defaults are left out."""
    defaults = {(table, name): value for table, name, value in setting_values(Settings())}
    return {
        f"{ENV_PREFIX}{table}_{name}".upper(): text_of(value)
        for table, name, value in setting_values(settings)
        if (table, name) not in defaults or value != defaults[table, name]
    }


def text_of(value: object) -> str:
    """Return a value as the text of an environment variable. A secret is revealed."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return value.reveal() if isinstance(value, Secret) else str(value)


_TABLES: dict[str, Any] = get_type_hints(Settings)
_OPEN_TABLES = {"signals": "kinds"}
"""Tables that accept any name, and the field that holds those that are not fields themselves."""


def _gather(
    file: Path | None, environ: Mapping[str, str], options: Mapping[str, object]
) -> tuple[Tables, dict[tuple[str, str], str]]:
    """Return the final value of each setting that a source sets, and its origin."""
    tables = _from_file(file, environ)
    origins = {
        (table, name): f"`{name}` in [{table}] of the settings file"
        for table, values in tables.items()
        for name in values
    }
    for table, name, variable, value in sort_variables(environ, _settable(), _OPEN_TABLES)[0]:
        tables.setdefault(table, {})[name] = value
        origins[table, name] = variable
    for dotted, option in options.items():
        if option is not None:
            table, _, name = dotted.partition(".")
            tables.setdefault(table, {})[name] = option
            origins[table, name] = f"option {dotted}"
    return tables, origins


def _from_file(file: Path | None, environ: Mapping[str, str]) -> Tables:
    named = file or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    path = named or DEFAULT_FILE
    if named is None and not path.exists():
        return {}
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"the settings file {path} can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"the settings file {path} is not valid TOML: {error}") from error
    for table, values in tables.items():
        if table not in _TABLES or not isinstance(values, dict):
            known = ", ".join(f"[{name}]" for name in _TABLES)
            raise SettingsError(f"{path}: no table [{table}]; there are {known}")
    return tables


def _settable() -> list[tuple[str, str]]:
    """Return (table, name) of everything that a variable can set: settings, and files of secrets."""
    files = [
        (table, f"{name}{_FILE_SUFFIX}")
        for table, kind in _TABLES.items()
        for name in sorted(_secrets(kind))
    ]
    return [*setting_names(), *files]


def _convert(table: str, values: Mapping[str, object], origins: Mapping[Any, str]) -> Any:
    kind = _TABLES[table]
    hints = get_type_hints(kind, include_extras=True)
    known = {name for its_table, name in setting_names() if its_table == table}
    converted: dict[str, object] = {}
    if table in _OPEN_TABLES:
        chosen = {name: value for name, value in values.items() if name not in known}
        values = {name: value for name, value in values.items() if name in known}
        converted[_OPEN_TABLES[table]] = {
            name: checked_weight(origins[table, name], name, value)
            for name, value in chosen.items()
        }
    for name, value in values.items():
        origin = origins[table, name]
        if name not in known and name.removesuffix(_FILE_SUFFIX) in _secrets(kind):
            converted[name.removesuffix(_FILE_SUFFIX)] = _secret_in(origin, str(value))
        elif name not in known:
            raise SettingsError(f"{origin}: no such setting{_closest(name, known)}")
        else:
            converted[name] = _value(origin, value, hints[name], secret=name in _secrets(kind))
    return kind(**converted)


def _value(origin: str, value: object, hint: object, *, secret: bool) -> object:
    if get_origin(hint) is tuple and isinstance(value, str):
        value = [item.strip() for item in value.split(",") if item.strip()]
    try:
        # strict=False, since environment variables are text: "8" must be accepted as a number.
        return msgspec.convert(value, hint, strict=False, dec_hook=_from_text)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        shown = Secret(value) if secret else value
        raise SettingsError(f"{origin}: {shown!r} can't be used: {error}") from error


def _from_text(kind: type, value: object) -> object:
    if kind in (Path, Secret) and isinstance(value, str | Path):
        return kind(value)
    raise TypeError("Expected `str`")  # msgspec turns it into a ValidationError


def _secrets(kind: Any) -> set[str]:
    return {name for name, hint in get_type_hints(kind).items() if "Secret" in str(hint)}


def _secret_in(origin: str, path: str) -> Secret:
    try:
        return Secret(Path(path).read_text(encoding="utf-8").rstrip("\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{origin}: the file {path!r} can't be read: {error}") from error


def _closest(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean `{close[0]}`?" if close else f"; there are {', '.join(sorted(known))}"
