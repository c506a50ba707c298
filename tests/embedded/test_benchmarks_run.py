"""Every benchmark runs in its smallest size; how fast is not asked here."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from benchmarks.__main__ import existing
from benchmarks.results import Result


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", existing())
def test_the_benchmark_runs_and_prints_its_result_as_json(name: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--quick", "--json"],
        capture_output=True,
        check=False,
        timeout=280,
    )
    assert run.returncode == 0, run.stderr.decode()
    result = msgspec.json.decode(run.stdout, type=Result)
    assert result.name == name
    assert result.quick
    assert all(figure.samples for figure in result.figures)
    assert result.comparisons
