"""Sorts `LIKEWISE_…` variables: settings, variables of Kubernetes, and unknown ones."""

from __future__ import annotations

import difflib
import os
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

ENV_PREFIX = "LIKEWISE_"
CONFIG_VARIABLE = "LIKEWISE_CONFIG"
STRICT_VARIABLE = "LIKEWISE_STRICT_SETTINGS"

# Read elsewhere: by the loader, and by the test suite to choose its servers.
_OTHER_VARIABLES = frozenset({CONFIG_VARIABLE, STRICT_VARIABLE, "LIKEWISE_TEST_SERVERS"})

# Kubernetes adds variables for every Service to every pod (enableServiceLinks, on by default): a
# Service `likewise-redis` adds LIKEWISE_REDIS_SERVICE_HOST and others.
_SERVICE_LINK = re.compile(
    r"(.*_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://\S+:\d+")


class Given(NamedTuple):
    """A setting in the environment."""

    table: str
    name: str
    variable: str
    value: str


class Unknown(NamedTuple):
    """A variable that looks like a setting but is unknown."""

    variable: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.variable}: no such setting; {self.remedy}"


def sort_variables(
    environ: Mapping[str, str],
    known: Collection[tuple[str, str]],
    open_tables: Collection[str] = (),
) -> tuple[list[Given], list[Unknown]]:
    """Return the settings in the environment, and the unknown variables.

    `known` has (table, name) of every setting; open tables have settings of any name. Variables that Kubernetes adds for a Service are in
    neither list, even with the name of a setting: LIKEWISE_MONITORING_PORT=tcp://10.0.0.9:9100.
    """
    settings = {f"{ENV_PREFIX}{table}_{name}".upper(): (table, name) for table, name in known}
    given, unknown = [], []
    for variable, value in sorted(environ.items()):
        if not variable.startswith(ENV_PREFIX) or variable in _OTHER_VARIABLES:
            continue
        if is_service_link(variable, value):
            continue
        if variable in settings:
            given.append(Given(*settings[variable], variable, value))
        elif table := next((one for one in open_tables if variable.startswith(_prefix(one))), None):
            name = variable.removeprefix(_prefix(table)).lower()
            given.append(Given(table, name, variable, value))
        else:
            unknown.append(Unknown(variable, _remedy(variable, settings)))
    return given, unknown


def is_service_link(variable: str, value: str) -> bool:
    """Whether Kubernetes added this variable for a Service whose name begins with `likewise`."""
    name = variable.removeprefix(ENV_PREFIX)
    if _SERVICE_LINK.fullmatch(name):
        return True
    return (name == "PORT" or name.endswith("_PORT")) and bool(_SERVICE_URL.fullmatch(value))


def wants_strictness(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment makes unknown variables errors."""
    return environ.get(STRICT_VARIABLE, "").strip().lower() in {"1", "true", "yes", "on"}


def _prefix(table: str) -> str:
    return f"{ENV_PREFIX}{table}_".upper()


def _remedy(variable: str, settings: Collection[str]) -> str:
    close = difflib.get_close_matches(variable, settings, n=1, cutoff=0.75)
    if close:
        return f"did you mean {close[0]}?"
    return "`likewise config` lists the settings"
