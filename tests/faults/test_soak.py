"""A soak: everything runs for minutes under traffic, and nothing grows."""

from __future__ import annotations

import statistics
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.faults.deployment import settings_for
from tests.faults.scene import scene_of

if TYPE_CHECKING:
    from tests.faults.audit import Figures
    from tests.faults.conftest import Effort
    from tests.faults.deployment import Service

SAMPLE_INTERVAL_S = 0.5
# A service that leaks a model, a connection or a batch each time exceeds these within minutes.
MEMORY_GROWTH_MIB = 16.0
MEMORY_GROWTH_SHARE = 0.10
# A model that is being loaded or closed has eleven.
HANDLES_GROWTH = 12


class Sample(NamedTuple):
    """Memory and open files of a process at one moment."""

    memory_mib: float
    handles: int


@pytest.mark.timeout(7_200)
def test_a_soak_leaves_memory_and_file_handles_flat(
    bootstrap_servers: str,
    redis_url: str,
    prefix: str,
    tmp_path: Path,
    effort: Effort,
    figures: Figures,
) -> None:
    settings = settings_for(bootstrap_servers, redis_url, prefix, tmp_path)
    samples: dict[str, list[Sample]] = defaultdict(list)
    with scene_of(settings, tmp_path, effort.seed) as scene:
        with scene.flowing():
            ends_at_s = time.monotonic() + effort.soak_minutes * 60
            while time.monotonic() < ends_at_s:
                threading.Event().wait(SAMPLE_INTERVAL_S)
                for service in scene.services:
                    samples[service.log.stem].append(sample_of(service))
        scene.audit(figures)
    for name, taken in samples.items():
        check_flat(name, taken)


def sample_of(service: Service) -> Sample:
    """Return the service's memory and open files now."""
    service.check_alive()
    home = Path(f"/proc/{service.process.pid}")
    status = dict(
        line.split(":", 1) for line in (home / "status").read_text().splitlines() if ":" in line
    )
    return Sample(int(status["VmRSS"].split()[0]) / 1024, len(list((home / "fd").iterdir())))


def check_flat(name: str, samples: list[Sample]) -> None:
    """Fail if the last quarter exceeds the second; the first is for warming up."""
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    before = statistics.median(sample.memory_mib for sample in early)
    after = statistics.median(sample.memory_mib for sample in late)
    allowed = MEMORY_GROWTH_MIB + MEMORY_GROWTH_SHARE * before
    assert after - before < allowed, f"{name} grew from {before:.0f} to {after:.0f} MiB"
    handles = [statistics.median(sample.handles for sample in some) for some in (early, late)]
    assert handles[1] - handles[0] <= HANDLES_GROWTH, f"{name}: open files {handles}"
