"""`LIKEWISE_…` variables: which are settings, which are Kubernetes' own, and which are misspelt."""

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

# Read elsewhere: the loader's own, and which servers the test suite runs against.
_OTHER_VARIABLES = frozenset({CONFIG_VARIABLE, STRICT_VARIABLE, "LIKEWISE_TEST_SERVERS"})

# Kubernetes tells every pod of every Service, in variables named after the Service: one called
# `likewise-redis` gives LIKEWISE_REDIS_SERVICE_HOST and the like (enableServiceLinks, on by default).
_SERVICE_LINK = re.compile(
    r"(.*_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://\S+:\d+")


class Given(NamedTuple):
    """One setting that the environment gives."""

    table: str
    name: str
    variable: str
    value: str


class Unknown(NamedTuple):
    """One variable that looks like a setting and is none."""

    variable: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.variable}: no such setting; {self.remedy}"


def sort_variables(
    environ: Mapping[str, str], known: Collection[tuple[str, str]]
) -> tuple[list[Given], list[Unknown]]:
    """Return the settings that the variables give, and the variables that are no setting.

    `known` has (table, name) of every setting. Variables that Kubernetes makes for a Service are in
    neither list, also where one has a setting's name: LIKEWISE_MONITORING_PORT=tcp://10.0.0.9:9100.
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
        else:
            unknown.append(Unknown(variable, _remedy(variable, settings)))
    return given, unknown


def is_service_link(variable: str, value: str) -> bool:
    """Whether Kubernetes made this variable for a Service whose name begins with `likewise`."""
    name = variable.removeprefix(ENV_PREFIX)
    if _SERVICE_LINK.fullmatch(name):
        return True
    return (name == "PORT" or name.endswith("_PORT")) and bool(_SERVICE_URL.fullmatch(value))


def wants_strictness(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment asks for unknown variables to be errors."""
    return environ.get(STRICT_VARIABLE, "").strip().lower() in {"1", "true", "yes", "on"}


def _remedy(variable: str, settings: Collection[str]) -> str:
    close = difflib.get_close_matches(variable, settings, n=1, cutoff=0.75)
    if close:
        return f"did you mean {close[0]}?"
    return "`likewise config` lists the settings"
