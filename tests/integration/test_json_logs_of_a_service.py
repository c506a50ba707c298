"""A service that logs JSON writes nothing else, also while its broker is gone and when it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from likewise.embedded import EmbeddedBroker
from likewise.settings import KafkaSettings, LoggingSettings, ModelSettings, RedisSettings, Settings
from likewise.settings.loader import environment_of
from tests.serving_rig import write_block_model
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("service", ["serving", "consumers"])
def test_every_line_is_json_while_the_broker_goes_away(
    service: str, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    write_block_model(models, "20260101T000000.000Z", blocks=2)
    with EmbeddedBroker(tmp_path / "broker") as broker:
        settings = Settings(
            kafka=KafkaSettings(
                bootstrap_servers=broker.bootstrap_servers, request_timeout_ms=2_000
            ),
            redis=RedisSettings(url=redis_url, key_prefix=prefix),
            model=ModelSettings(directory=models),
            logging=LoggingSettings(format="json", level="debug"),
        )
        said = tmp_path / "said.log"
        with (
            said.open("wb") as log,
            subprocess.Popen(
                [sys.executable, "-m", service],
                env={**os.environ, **environment_of(settings)},
                stdout=log,
                stderr=log,
            ) as process,
        ):
            try:
                started = "serving" if service == "serving" else "consuming"
                wait_until(lambda: f'"{started}"' in said.read_text(), "the service starts")
                broker.stop()
                wait_until(lambda: said.read_text().count("\n") >= 4, "it says that Kafka is gone")
                process.send_signal(signal.SIGTERM)
                process.wait(30)
            finally:
                process.kill()
    lines = [json.loads(line) for line in said.read_text().splitlines()]
    assert all(line["event"] and line["level"] and line["service"] for line in lines)
    assert any("logger" in line or "trying" in line["event"] for line in lines)
