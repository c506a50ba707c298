"""What a bisect has measured, in a file, so that an interrupted run continues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from likewise.errors import LikewiseError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

NAME = "bisect.json"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the results depend on. A run continues only with the same plan."""

    topic: str
    ends: dict[str, int]
    """The end of each partition when the run began, by number: later events are not read."""
    good_ms: int | None
    bad_ms: int | None
    rebuild: bool
    probes: int
    seed: int
    excluded: int
    """A checksum of the users left out of the probes."""
    recipe: dict[str, Any] = {}


class _Stored(msgspec.Struct):
    plan: Plan
    measured: dict[str, list[list[float]]] = {}


class Measurements:
    """The scores of each model by its name, measured once, and saved if there is a directory."""

    def __init__(self, plan: Plan, directory: Path | None) -> None:
        """Begin with nothing measured."""
        self._stored = _Stored(plan, {})
        self._directory = directory
        self._loaded: frozenset[str] = frozenset()
        self._asked: set[str] = set()

    @classmethod
    def resumed(cls, directory: Path) -> Measurements:
        """Return those of an interrupted run.

        Raises:
            LikewiseError: there is none in the directory, or it cannot be read.
        """
        path = directory / NAME
        try:
            stored = msgspec.json.decode(path.read_bytes(), type=_Stored)
        except OSError as error:
            raise LikewiseError(f"{path} can't be read: {error.strerror}") from error
        except msgspec.MsgspecError as error:
            raise LikewiseError(f"{path} is not the state of a bisect: {error}") from error
        found = cls(stored.plan, directory)
        found._stored = stored
        found._loaded = frozenset(stored.measured)
        return found

    @property
    def plan(self) -> Plan:
        """What the results depend on."""
        return self._stored.plan

    @property
    def built(self) -> int:
        """How many models were measured, in all runs."""
        return len(self._stored.measured)

    @property
    def reused(self) -> int:
        """How many measurements of an earlier run this run did not repeat."""
        return len(self._loaded & self._asked)

    def get(self, name: str, measure: Callable[[], NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return the scores [users, 2] under the name; measures and saves them if they are new.

        Raises:
            LikewiseError: the state cannot be written.
        """
        self._asked.add(name)
        known = self._stored.measured.get(name)
        if known is not None:
            return np.array(known, np.float64).reshape(-1, 2)
        found = measure()
        self._stored.measured[name] = found.tolist()
        self.save()
        return found

    def save(self) -> None:
        """Write the state, complete or not at all; nothing without a directory."""
        if self._directory is None:
            return
        path = self._directory / NAME
        aside = path.with_suffix(".part")
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            aside.write_bytes(msgspec.json.encode(self._stored))
            aside.replace(path)
        except OSError as error:
            raise LikewiseError(f"{path} can't be written: {error.strerror}") from error
