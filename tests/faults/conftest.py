"""The options of the fault harness, and the table at the end of a run.

`make test-faults` runs it in full. `--bounded` is the selection for CI: the same tests, fewer kills,
shorter outages. Every random choice is drawn from `--seed`; the timing depends on the machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.audit import Figures

if TYPE_CHECKING:
    from collections.abc import Iterator

_TABLE = pytest.StashKey[dict[str, Figures]]()


@dataclass(frozen=True)
class Effort:
    """How many faults, and how long they last."""

    seed: int
    kills: int
    outage_s: float
    soak_minutes: float
    storm_s: float
    rounds: int
    """How often each fault of a list occurs."""
    longest_fault_s: float
    flood: int


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults")
    group.addoption("--seed", type=int, default=20261122, help="seed of every random choice")
    group.addoption("--minutes", type=float, default=None, help="length of the soak")
    group.addoption("--kills", type=int, default=None, help="services to kill in one run")
    group.addoption("--bounded", action="store_true", help="the selection that runs in CI")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_TABLE] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # kafka-python leaves sockets that were cut off to the garbage collector. Those are the harness's
    # own; whether the services' handles are let go of is counted in the soak.
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))


@pytest.fixture
def effort(request: pytest.FixtureRequest) -> Effort:
    """The effort that the command line asks for."""
    option = request.config.getoption
    bounded = option("--bounded", default=True)
    minutes = option("--minutes", default=None)
    kills = option("--kills", default=None)
    return Effort(
        seed=option("--seed", default=20261122),
        kills=kills or (10 if bounded else 50),
        outage_s=8.0 if bounded else 30.0,
        soak_minutes=minutes or (0.4 if bounded else 5.0),
        storm_s=10.0 if bounded else 45.0,
        rounds=1 if bounded else 3,
        longest_fault_s=2.5 if bounded else 6.0,
        flood=1_000 if bounded else 5_000,
    )


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Iterator[Figures]:
    """Filled by the test, printed at the end of the run."""
    yielded = Figures()
    yield yielded
    request.config.stash.setdefault(_TABLE, {})[request.node.name] = yielded


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    table = config.stash.get(_TABLE, {})
    if not table:
        return
    columns = list(Figures().row())
    terminalreporter.section("faults")
    terminalreporter.line("| run | " + " | ".join(columns).replace("_", " ") + " |")
    terminalreporter.line("| --- |" + " ---: |" * len(columns))
    for name, found in table.items():
        cells = " | ".join(f"{count:,}" for count in found.row().values())
        terminalreporter.line(f"| {name.removeprefix('test_').replace('_', ' ')} | {cells} |")
    faults = {kind for found in table.values() for kind in found.faults}
    for kind in sorted(faults):
        count = sum(found.faults[kind] for found in table.values())
        terminalreporter.line(f"{count:5d} × {kind}")
