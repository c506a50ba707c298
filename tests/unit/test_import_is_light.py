from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import likewise

HEAVY = {
    "numpy", "scipy", "sklearn", "annoy", "pandas", "pyarrow", "redis", "structlog", "typer", "rich",
}  # fmt: skip


def modules_after(statement: str) -> set[str]:
    code = f"{statement}\nimport json, sys\nprint(json.dumps(list(sys.modules)))"
    output = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path(likewise.__file__).parents[1])},
        capture_output=True,
        check=True,
        timeout=60,
        text=True,
    ).stdout
    return {name.partition(".")[0] for name in json.loads(output)}


@pytest.mark.parametrize(
    "statement", ["import likewise.client.client", "from likewise import Likewise"]
)
def test_an_app_that_imports_the_client_gets_no_numerical_library(statement: str) -> None:
    modules = modules_after(statement)
    assert "kafka" in modules
    assert modules & {*HEAVY, "httpx"} == set()


def test_an_app_that_imports_the_http_client_gets_no_kafka_library() -> None:
    modules = modules_after("from likewise import LikewiseHttp")
    assert "httpx" in modules
    assert modules & {*HEAVY, "kafka"} <= {"rich"}, (
        "httpx takes it for its own command, if it is there"
    )


def test_importing_the_package_alone_brings_no_library() -> None:
    assert modules_after("import likewise") & (HEAVY | {"kafka", "httpx", "msgspec"}) == set()


@pytest.mark.parametrize("service", ["consumers", "indexer", "serving", "gateway"])
def test_no_service_gets_fsspec_without_a_model_store(service: str) -> None:
    modules = modules_after(
        f"import {service}.service, likewise.models.holder, likewise.operations.models\n"
        "from likewise.models.place import models_place, version_names\n"
        "from likewise.settings import Settings\n"
        "version_names(models_place(Settings()))"
    )
    assert "msgspec" in modules
    assert modules & {"fsspec", "s3fs", "aiobotocore", "botocore", "boto3"} == set()


def test_a_consumer_that_measures_no_quality_gets_no_numerical_library() -> None:
    modules = modules_after(
        "import consumers.service, consumers.worker, likewise.service.runtime\n"
        "from likewise.settings import RedisSettings\n"
        "from likewise.store.redis import RedisStore\n"
        "RedisStore(RedisSettings())"
    )
    assert "redis" in modules
    assert modules & {"numpy", "scipy", "sklearn", "annoy", "pandas", "pyarrow"} == set()


def test_an_indexer_that_builds_alone_gets_no_dask() -> None:
    modules = modules_after(
        "import indexer.service, likewise.cli.app\n"
        "from likewise.settings import Settings\n"
        "indexer.service.snapshots_of(Settings(), None)"
    )
    assert "scipy" in modules
    assert modules & {"dask", "distributed", "bokeh"} == set()


def test_a_server_gets_its_other_libraries_while_it_joins_and_not_before() -> None:
    modules = modules_after("import serving.service, likewise.service.runtime")
    assert "kafka" in modules
    slow = {"numpy", "scipy", "sklearn", "annoy", "pandas", "pyarrow", "redis", "prometheus_client"}
    assert modules & slow == set()


def test_faiss_is_imported_only_for_a_model_that_has_its_index() -> None:
    modules = modules_after(
        "import indexer.service, serving.service, serving.worker, gateway.service\n"
        "import likewise.models.files, likewise.ranking.recommend, indexer.choice"
    )
    assert "annoy" in modules
    assert "faiss" not in modules


def test_the_command_serve_gets_no_rich_before_it_prints() -> None:
    modules = modules_after("import likewise.cli.app")
    assert "typer" in modules
    assert modules & {"rich", "kafka", "redis", "numpy"} == set()
