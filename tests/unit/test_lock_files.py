"""The lock files pin what pyproject.toml asks for, by hash, and agree with each other."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PYTHONS = ["3.11.9", "3.12.4", "3.13.1"]


class Pin(NamedTuple):
    """One entry of a lock file."""

    requirement: Requirement
    hashes: int


def _pins(name: str) -> list[Pin]:
    joined = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    entries = [line for line in joined.splitlines() if line and line[0] not in " #"]
    return [Pin(Requirement(entry.split("--hash")[0]), entry.count("--hash")) for entry in entries]


def _versions(name: str, python: str) -> dict[str, str]:
    """Return what the lock installs on Linux with this Python."""
    environment = {
        "python_full_version": python,
        "python_version": python.rpartition(".")[0],
        "sys_platform": "linux",
        "platform_python_implementation": "CPython",
    }
    return {
        canonicalize_name(pin.requirement.name): str(pin.requirement.specifier).removeprefix("==")
        for pin in _pins(name)
        if pin.requirement.marker is None or pin.requirement.marker.evaluate(environment)
    }


def _asked_for(names: set[str]) -> list[Requirement]:
    """Return what the base install asks for, with these extras and dependency groups."""
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    optional = asked["project"]["optional-dependencies"] | asked["dependency-groups"]
    lines = [
        *asked["project"]["dependencies"],
        *(line for name in names for line in optional[name]),
    ]
    requirements = [Requirement(line) for line in lines]
    return [each for each in requirements if each.name != "likewise"]


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(
    ("lock", "names"),
    [
        ("requirements.lock", {"server", "files", "evaluation", "embedded", "demo", "dev"}),
        ("requirements-image.lock", {"server", "files", "evaluation"}),
    ],
)
def test_a_lock_has_a_fitting_version_of_everything_that_pyproject_asks_for(
    lock: str, names: set[str], python: str
) -> None:
    versions = _versions(lock, python)
    for wanted in _asked_for(names):
        assert wanted.specifier.contains(versions[canonicalize_name(wanted.name)]), wanted


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-image.lock"])
def test_every_version_is_pinned_by_hash_and_no_index_is_named(lock: str) -> None:
    for pin in _pins(lock):
        assert re.fullmatch(r"==[\w.]+", str(pin.requirement.specifier)), pin
        assert pin.hashes, pin
    assert "://" not in (ROOT / lock).read_text(encoding="utf-8")


@pytest.mark.parametrize("python", PYTHONS)
def test_the_image_gets_the_versions_that_were_tested(python: str) -> None:
    tested = _versions("requirements.lock", python)
    assert _versions("requirements-image.lock", python).items() <= tested.items()
