"""What the chart promises: the services start with its settings, have few rights, and stop in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from likewise import __version__
from likewise.log.topics import Topics
from likewise.service.signals import STOP_TIMEOUT_S
from likewise.settings.loader import load_settings
from tests.helm.charts import CHART, HERE, ROOT, VALUES, Chart

if TYPE_CHECKING:
    from pathlib import Path

    from likewise.settings import Settings

COMMANDS = {"consumer": "consume", "indexer": "index", "server": "serve", "gateway": "gateway"}
EVERYTHING = HERE / "values/everything.yaml"
SMALLEST = HERE / "values/smallest.yaml"
SECRETS = "/etc/likewise/secrets/"

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def everything() -> Chart:
    return Chart.of(EVERYTHING)


def settings_of(chart: Chart, service: str, directory: Path) -> Settings:
    """Read the variables of a service as it does itself, unknown ones being errors."""
    environment = chart.environment(service)
    assert environment["LIKEWISE_STRICT_SETTINGS"] == "true"
    for name, value in environment.items():
        if value.startswith(SECRETS):
            environment[name] = str(directory / value.removeprefix(SECRETS))
            (directory / value.removeprefix(SECRETS)).write_text(f"content of {name}")
    return load_settings(environ=environment)


# --- settings --------------------------------------------------------------------------------


@pytest.mark.parametrize("values", VALUES, ids=lambda values: values.stem)
def test_every_service_can_read_its_settings(values: Path, tmp_path: Path) -> None:
    chart = Chart.of(values)
    for service, command in COMMANDS.items():
        if service not in chart.pods():
            continue
        [container] = chart.pods()[service]["containers"]
        assert container["args"] == [command]
        ports = {one["name"]: one["containerPort"] for one in container["ports"]}
        settings = settings_of(chart, service, tmp_path)
        assert ports.pop("monitoring") == settings.monitoring.port
        assert list(ports.values()) == [settings.gateway.port] * (service == "gateway")
        mounted = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
        assert mounted["models"] == str(settings.model.directory)


def test_numbers_lists_and_secrets_arrive_as_they_were_given(
    everything: Chart, tmp_path: Path
) -> None:
    settings = settings_of(everything, "gateway", tmp_path)
    assert settings.consumer.max_records == 100_000
    assert settings.redis.timeout_s == 2.5
    assert settings.indexer.alternatives == ("spectral", "cooccurrence")
    assert settings.signals.weights["buy"] == 3
    password = "content of LIKEWISE_REDIS_PASSWORD_FILE"
    assert settings.redis.password is not None
    assert settings.redis.password.reveal() == password
    assert settings.kafka.ssl_cafile == tmp_path / "kafka.ssl_cafile"
    assert settings.gateway.keys_file == tmp_path / "gateway.keys_file"


def test_a_setting_that_does_not_exist_stops_a_service() -> None:
    chart = Chart.of(SMALLEST, "--set", "settings.kafka.partition=3")
    with pytest.raises(Exception, match="LIKEWISE_KAFKA_PARTITION"):
        load_settings(environ=chart.environment("consumer"))


def test_the_keys_of_the_gateway_are_mounted_nowhere_else(everything: Chart) -> None:
    pods = {name: pod for name, pod in everything.pods().items() if name != "dask-scheduler"}
    for service, pod in pods.items():
        [secrets] = [one["projected"]["sources"] for one in pod["volumes"] if "projected" in one]
        named = {one["secret"]["name"] for one in secrets}
        assert ("likewise-keys" in named) == (service == "gateway")


def test_the_image_is_that_of_this_version() -> None:
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == __version__
    [container] = Chart.of(SMALLEST).pods()["consumer"]["containers"]
    assert container["image"] == f"likewise:{__version__}"


def test_topics_are_created_by_the_job_alone(everything: Chart, tmp_path: Path) -> None:
    [container] = everything.pods()["topics"]["containers"]
    assert container["args"] == ["topics", "create"]
    assert "envFrom" not in container  # a hook runs before the ConfigMap exists
    assert not settings_of(everything, "consumer", tmp_path).kafka.create_topics
    job = settings_of(everything, "topics", tmp_path)
    assert job.kafka == settings_of(everything, "consumer", tmp_path).kafka
    [secrets] = [
        one["projected"] for one in everything.pods()["topics"]["volumes"] if "projected" in one
    ]
    assert "kafka-admin" in {one["secret"]["name"] for one in secrets["sources"]}


def test_the_indexer_and_the_workers_know_the_dask_scheduler(
    everything: Chart, tmp_path: Path
) -> None:
    scheduler = everything.kind("Service")["dask-scheduler"]
    settings = settings_of(everything, "indexer", tmp_path)
    assert settings.indexer.engine == "dask"
    assert settings.indexer.dask_shards == 16
    assert settings.indexer.dask_scheduler == f"tcp://{scheduler['metadata']['name']}:8786"
    assert settings_of(everything, "dask-worker", tmp_path).redis == settings.redis
    [worker] = everything.pods()["dask-worker"]["containers"]
    assert worker["command"] == ["dask", "worker"]
    assert worker["args"][:2] == [settings.indexer.dask_scheduler, "--nthreads=2"]
    [policy] = [everything.kind("NetworkPolicy")["dask"]["spec"]]
    assert policy["ingress"] == [{"from": [{"podSelector": policy["podSelector"]}]}]
    [members] = policy["podSelector"]["matchExpressions"]
    assert members["values"] == ["indexer", "dask-scheduler", "dask-worker"]


# --- rights ----------------------------------------------------------------------------------


@pytest.mark.parametrize("values", VALUES, ids=lambda values: values.stem)
def test_no_pod_has_rights_that_it_does_not_need(values: Path) -> None:
    for pod in Chart.of(values).pods().values():
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        [container] = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    assert "--uid 10001" in (ROOT / "Dockerfile").read_text()


def test_only_the_indexer_writes_the_models(everything: Chart) -> None:
    for service in COMMANDS:
        [container] = everything.pods()[service]["containers"]
        [models] = [one for one in container["volumeMounts"] if one["name"] == "models"]
        assert models["readOnly"] == (service != "indexer")


def test_the_policies_let_in_only_who_is_named(everything: Chart) -> None:
    policies = everything.kind("NetworkPolicy")
    assert policies[""]["spec"]["policyTypes"] == ["Ingress", "Egress"]
    for name, port, namespace in (("", 9200, "monitoring"), ("gateway", 9090, "ingress")):
        [rule] = policies[name]["spec"]["ingress"]
        assert [one["port"] for one in rule["ports"]] == [port]
        assert rule["from"] == [{"namespaceSelector": {"matchLabels": {"name": namespace}}}]
    ports = [one["port"] for rule in policies[""]["spec"]["egress"] for one in rule["ports"]]
    assert ports == [53, 53, 9093, 6380, 4318]


# --- life ------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", COMMANDS)
def test_probes_ask_the_monitoring_port(everything: Chart, service: str) -> None:
    [container] = everything.pods()[service]["containers"]
    for probe, path in (
        ("startup", "/healthz"),
        ("liveness", "/healthz"),
        ("readiness", "/readyz"),
    ):
        asked = container[f"{probe}Probe"]["httpGet"]
        assert asked == {"path": path, "port": "monitoring"}


@pytest.mark.parametrize("service", COMMANDS)
def test_a_pod_has_longer_to_stop_than_its_service_takes(everything: Chart, service: str) -> None:
    pod = everything.pods()[service]
    [container] = pod["containers"]
    before = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [0])
    spare_s = pod["terminationGracePeriodSeconds"] - STOP_TIMEOUT_S - float(before[-1])
    assert spare_s >= 5


def test_autoscaling_watches_the_groups_and_topics_of_the_services(
    everything: Chart, tmp_path: Path
) -> None:
    settings = settings_of(everything, "consumer", tmp_path)
    topics = Topics(settings.kafka.topic_prefix)
    scaled = everything.kind("ScaledObject")
    watched = {name: one["spec"]["triggers"][0]["metadata"] for name, one in scaled.items()}
    assert (watched["consumer"]["topic"], watched["server"]["topic"]) == (
        topics.likes,
        topics.requests,
    )
    assert watched["consumer"]["consumerGroup"] == "shop.appliers"
    assert watched["server"]["consumerGroup"] == f"shop.{settings.serving.group}"
    assert watched["consumer"]["lagThreshold"] == "2000000"
    assert everything.kind("HorizontalPodAutoscaler").keys() == {"gateway"}
    for name in (*scaled, "gateway"):
        assert "replicas" not in everything.kind("Deployment")[name]["spec"]


def test_without_keda_the_lag_is_that_of_the_pods() -> None:
    chart = Chart.of(HERE / "values/without_gateway.yaml")
    [scaler] = chart.kind("HorizontalPodAutoscaler").values()
    assert scaler["spec"]["metrics"][0]["pods"]["metric"] == {"name": "likewise_server_lag"}


def test_models_in_an_object_store_need_no_shared_volume(tmp_path: Path) -> None:
    chart = Chart.of(SMALLEST, "--set", "settings.model.store=s3://models/likewise")
    assert not chart.kind("PersistentVolumeClaim")
    for service, pod in chart.pods().items():
        [models] = [one for one in pod["volumes"] if one["name"] == "models"]
        assert models["emptyDir"] == {"sizeLimit": "10Gi"}
        [mount] = [one for one in pod["containers"][0]["volumeMounts"] if one["name"] == "models"]
        assert mount["readOnly"] is False
        settings = settings_of(chart, service, tmp_path)
        assert settings.model.store == "s3://models/likewise"
        assert str(settings.model.cache_directory) == mount["mountPath"]
    egress = chart.kind("NetworkPolicy")[""]["spec"]["egress"]
    assert 443 in [one["port"] for rule in egress for one in rule["ports"]]


def test_prometheus_gets_the_alerts_and_a_job_that_they_recognise(everything: Chart) -> None:
    [rules] = everything.kind("PrometheusRule").values()
    alerts: dict[str, Any] = yaml.safe_load((ROOT / "ops/alerts.yml").read_text(encoding="utf-8"))
    assert rules["spec"] == alerts
    [monitor] = everything.kind("ServiceMonitor").values()
    service = everything.kind("Service")["monitoring"]["metadata"]["labels"]
    assert service[monitor["spec"]["jobLabel"]] == "likewise"
    wanted: dict[str, str] = monitor["spec"]["selector"]["matchLabels"]
    assert wanted.items() <= service.items()
