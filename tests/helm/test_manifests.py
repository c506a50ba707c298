"""The chart renders to what Kubernetes, KEDA and Prometheus accept, and refuses values that are wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from tests.helm.charts import CHART, HERE, VALUES, Chart, CommandError, helm, render, run, validate

if TYPE_CHECKING:
    from pathlib import Path

SMALLEST = HERE / "values/smallest.yaml"
EVERYTHING = HERE / "values/everything.yaml"
OF_OTHERS = {path.stem: json.loads(path.read_text()) for path in HERE.glob("schemas/*.json")}
"""Schemas of the kinds that KEDA 2.21 and Prometheus Operator 0.85 add, without descriptions and patterns."""

pytestmark = pytest.mark.timeout(900)


def _strict(schema: Any) -> Any:
    """Refuse names that Kubernetes would drop."""
    if not isinstance(schema, dict):
        return schema
    closed = {name: _strict(value) for name, value in schema.items()}
    if "properties" in schema:
        closed["properties"] = {name: _strict(one) for name, one in schema["properties"].items()}
        closed.setdefault("additionalProperties", False)
    return closed


@pytest.mark.parametrize("values", VALUES, ids=lambda values: values.stem)
def test_helm_finds_nothing_wrong_with_the_chart(values: Path) -> None:
    run(helm(), "lint", "--strict", str(CHART), "--values", str(values))


@pytest.mark.parametrize("values", VALUES, ids=lambda values: values.stem)
def test_every_object_is_valid_by_its_schema(values: Path, tmp_path: Path) -> None:
    manifests = tmp_path / "manifests.yaml"
    manifests.write_text(render(values))
    printed = validate(manifests)
    objects = Chart.of(values).objects
    others = [one for one in objects if one["kind"] in OF_OTHERS]
    for one in others:
        jsonschema.validate(one, _strict(OF_OTHERS[one["kind"]]))
    assert printed.count("passed for resource") == len(objects) - len(others)


def test_a_name_that_kubernetes_does_not_know_is_found(tmp_path: Path) -> None:
    manifests = tmp_path / "manifests.yaml"
    manifests.write_text(render(SMALLEST).replace("readOnlyRootFilesystem:", "readOnlyRoot:"))
    with pytest.raises(CommandError, match="readOnlyRoot"):
        validate(manifests)
    [scaled, *_] = Chart.of(EVERYTHING).kind("ScaledObject").values()
    with pytest.raises(jsonschema.ValidationError, match="maxReplicas"):
        jsonschema.validate(
            scaled | {"spec": scaled["spec"] | {"maxReplicas": 3}},
            _strict(OF_OTHERS["ScaledObject"]),
        )


def test_everything_has_every_kind() -> None:
    kinds = {one["kind"] for one in Chart.of(EVERYTHING).objects}
    assert kinds == {
        *("Deployment", "ConfigMap", "ServiceAccount", "Service", "PersistentVolumeClaim", "Job"),
        *("PodDisruptionBudget", "NetworkPolicy", "Ingress", "HorizontalPodAutoscaler"),
        *OF_OTHERS,
    }


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("consumer.replica=2", "additional properties 'replica' not allowed"),
        ("consumer.replicas=-1", "minimum: got -1"),
        ("settings.monitoring.port=0", "/settings/monitoring/port"),
        ("settings.kafka.partitions.many=1", "/settings/kafka/partitions"),
        ("secrets.redis\\.password.name=redis", "missing property 'key'"),
        ("autoscaling.engine=vpa", "one of 'keda', 'hpa'"),
        ("models.accessModes={ReadOften}", "/models/accessModes/0"),
        ("gateway.ingress.enabled=true", "/gateway/ingress/hosts"),
        ("settings.kafka.bootstrap_servers=", "settings.kafka.bootstrap_servers is required"),
        ("settings.redis.url=", "settings.redis.url is required"),
        ("gateway.keys.name=", "gateway.keys.name is required"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name(wrong: str, sentence: str) -> None:
    with pytest.raises(CommandError) as refused:
        render(SMALLEST, "--set", wrong)
    assert sentence in str(refused.value)
