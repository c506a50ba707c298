"""docker-compose.yml keeps what the data and the services rely on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.containers import KAFKA_IMAGE, REDIS_IMAGE

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
WORKERS = ["consumer", "indexer", "server"]
DASK = ["scheduler", "worker"]
OURS = [*WORKERS, "gateway", *DASK]
MODELS = "models:/var/lib/likewise/models"


def test_the_servers_are_the_ones_that_the_tests_run_against() -> None:
    assert SERVICES["kafka"]["image"] == KAFKA_IMAGE
    assert SERVICES["redis"]["image"] == REDIS_IMAGE


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_says_whether_it_is_healthy_and_comes_back_after_a_crash(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", OURS)
def test_our_services_start_when_kafka_and_redis_are_healthy(name: str) -> None:
    assert SERVICES[name]["depends_on"] == {
        "kafka": {"condition": "service_healthy"},
        "redis": {"condition": "service_healthy"},
    }


@pytest.mark.parametrize("name", WORKERS)
def test_our_workers_can_be_scaled(name: str) -> None:
    assert not {"container_name", "ports", "hostname"} & SERVICES[name].keys()


@pytest.mark.parametrize("name", OURS)
def test_our_services_can_write_nothing_but_their_volumes(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]


def test_the_indexer_writes_the_models_and_the_others_read_them() -> None:
    assert SERVICES["indexer"]["volumes"] == [MODELS]
    assert SERVICES["server"]["volumes"] == [f"{MODELS}:ro"]
    assert SERVICES["consumer"]["volumes"] == [f"{MODELS}:ro"]
    assert SERVICES["gateway"]["volumes"][0] == f"{MODELS}:ro"
    assert "LIKEWISE_MODEL_DIRECTORY=/var/lib/likewise/models" in DOCKERFILE


def test_the_gateway_has_its_keys_on_a_volume() -> None:
    assert SERVICES["gateway"]["volumes"][1:] == ["keys:/var/lib/likewise/keys"]
    assert "LIKEWISE_GATEWAY_KEYS_FILE=/var/lib/likewise/keys/keys.json" in DOCKERFILE
    assert "install -d -o likewise -g likewise -m 700 /var/lib/likewise/keys" in DOCKERFILE


def test_the_gateway_has_the_environment_of_the_other_services_and_its_address() -> None:
    own = {"LIKEWISE_GATEWAY_HOST": "0.0.0.0", "LIKEWISE_GATEWAY_PORT": "8080"}
    assert SERVICES["gateway"]["environment"] == SERVICES["server"]["environment"] | own
    assert SERVICES["gateway"]["environment"]["LIKEWISE_MONITORING_PORT"] != "8080"


def test_the_image_has_every_package() -> None:
    for package in ("likewise", "consumers", "indexer", "serving", "gateway"):
        assert f"COPY {package} /src/{package}\n" in DOCKERFILE
        assert f"!{package}\n" in (ROOT / ".dockerignore").read_text()


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_has_or_gains_privileges(name: str) -> None:
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in SERVICES[name]


def test_redis_can_write_its_volume_and_nothing_else() -> None:
    assert SERVICES["redis"]["read_only"] is True
    assert SERVICES["redis"]["user"] == "redis"


def test_kafka_and_redis_keep_their_data_on_volumes() -> None:
    directory = SERVICES["kafka"]["environment"]["KAFKA_LOG_DIRS"]
    assert SERVICES["kafka"]["volumes"] == [f"kafka:{directory}"]
    assert SERVICES["redis"]["volumes"] == ["redis:/data"]
    assert COMPOSE["volumes"].keys() == {"kafka", "redis", "models", "keys", "shards"}


def test_redis_writes_an_append_only_file_and_never_evicts() -> None:
    command = SERVICES["redis"]["command"]
    options = dict(zip(command[::2], command[1::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--maxmemory-policy"] == "noeviction"


def test_only_kafka_and_the_gateway_are_published_and_only_to_this_host() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {
        "kafka": ["127.0.0.1:${KAFKA_HOST_PORT:-9092}:9092"],
        "gateway": ["127.0.0.1:${HTTP_HOST_PORT:-8080}:8080"],
    }


def test_kafka_tells_clients_the_address_that_they_came_by() -> None:
    environment = SERVICES["kafka"]["environment"]
    advertised = environment["KAFKA_ADVERTISED_LISTENERS"].split(",")
    inside = SERVICES["server"]["environment"]["LIKEWISE_KAFKA_BOOTSTRAP_SERVERS"]
    assert advertised == [f"CONTAINERS://{inside}", "HOST://localhost:${KAFKA_HOST_PORT:-9092}"]


def test_the_dask_cluster_runs_only_on_request_and_reads_the_same_redis() -> None:
    assert {name for name in SERVICES if "profiles" in SERVICES[name]} == set(DASK)
    address = SERVICES["indexer"]["environment"]["LIKEWISE_INDEXER_DASK_SCHEDULER"]
    assert address in SERVICES["worker"]["command"]
    assert SERVICES["worker"]["volumes"] == ["shards:/var/lib/likewise/shards"]
    assert SERVICES["worker"]["environment"] == SERVICES["indexer"]["environment"]
    assert SERVICES["indexer"]["environment"]["LIKEWISE_INDEXER_ENGINE"].endswith(":-local}")


def test_a_misspelt_topic_is_not_made() -> None:
    assert SERVICES["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
