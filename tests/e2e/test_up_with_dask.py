"""`likewise up --dask-workers`: models are built by Dask workers, and nothing is left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.running_up import environment, running_up

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(300)


def test_models_are_built_by_the_workers_and_status_names_the_dashboard(tmp_path: Path) -> None:
    with running_up(tmp_path, "--dask-workers", "1", "--no-gateway") as up:
        up.await_line("shards read by the Dask workers")
        up.await_line("model announced")
        up.await_line("ready")
        command = [sys.executable, "-m", "likewise", "status", "--json"]
        status = subprocess.run(
            command, env=environment(tmp_path), capture_output=True, check=True, timeout=120
        )
        assert json.loads(status.stdout)["dask_dashboard"].endswith("/status")
