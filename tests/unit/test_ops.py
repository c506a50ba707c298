"""Alerts, dashboard and runbook speak of metrics that exist, and of each other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import promql_parser
import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from consumers.measures import METRICS as CONSUMER
from consumers.stats import ConsumerStats
from gateway.measures import METRICS as GATEWAY
from gateway.stats import GatewayStats
from indexer.measures import METRICS as INDEXER
from indexer.worker import IndexerStats
from likewise.messages.announcements import Announcement
from likewise.service.monitoring.metrics import registry_of, sample_labels
from likewise.service.stats import ModelStoreStats
from serving.measures import METRICS as SERVER
from serving.stats import ServingStats

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.service.monitoring.measures import ServiceMetrics
    from likewise.service.stats import WorkerStats

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
ALERTS: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "ops/alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "ops/dashboard.json").read_text(encoding="utf-8"))
SERVICES: dict[str, tuple[ServiceMetrics[Any], type[WorkerStats]]] = {
    "consumer": (CONSUMER, ConsumerStats),
    "indexer": (INDEXER, IndexerStats),
    "server": (SERVER, ServingStats),
    "gateway": (GATEWAY, GatewayStats),
}

KNOWN = {
    name: labels
    for metrics, _ in SERVICES.values()
    for name, labels in sample_labels(metrics).items()
}
# Given by Prometheus itself, and by prometheus_client for every process.
FROM_OTHERS = {"up", "process_resident_memory_bytes", "process_cpu_seconds_total"}
TARGET_LABELS = {"job", "instance"}


def _dashboard_expressions() -> list[str]:
    return [
        target["expr"].replace("$__rate_interval", "5m")
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", [])
    ]


EXPRESSIONS = [rule["expr"] for rule in ALERTS] + _dashboard_expressions()


def _parts(node: Any) -> Iterator[Any]:
    """Yield the node and everything below it."""
    yield node
    for name in ("lhs", "rhs", "expr", "vector_selector"):
        if hasattr(node, name):
            yield from _parts(getattr(node, name))
    if isinstance(node, promql_parser.Call):
        for argument in node.args:
            yield from _parts(argument)


def _selectors(expression: str) -> list[Any]:
    parts = _parts(promql_parser.parse(expression))
    return [part for part in parts if isinstance(part, promql_parser.VectorSelector)]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_expression_is_promql_about_metrics_and_labels_that_exist(expression: str) -> None:
    selectors = _selectors(expression)
    assert selectors
    for selector in selectors:
        assert selector.name in KNOWN or selector.name in FROM_OTHERS, selector.name
        used = {matcher.name for matcher in selector.matchers.matchers}
        assert used <= KNOWN.get(selector.name, set()) | TARGET_LABELS, expression
    grouped = set(re.findall(r"\bby \(([\w, ]+)\)", expression))
    for labels in grouped:
        for label in labels.split(", "):
            assert any(label in KNOWN[one.name] for one in selectors if one.name in KNOWN), label


def test_the_expression_test_would_notice_a_metric_that_does_not_exist() -> None:
    [selector] = _selectors("sum by (le) (rate(likewise_server_latency_ms_bucket[5m])) > 1")
    assert selector.name not in KNOWN
    with pytest.raises(ValueError, match="parenthesis"):
        promql_parser.parse("sum(likewise_server_lag")


@pytest.mark.parametrize("service", SERVICES)
def test_the_services_give_the_samples_that_are_said_to_exist(service: str) -> None:
    metrics, stats_class = SERVICES[service]
    stats = stats_class()
    _fill(stats)
    text = generate_latest(registry_of(metrics, stats)).decode()
    given = {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("likewise_") and not sample.name.endswith("_created")
    }
    quality = {name for name in sample_labels(metrics) if "_quality_" in name}
    assert given == {k: v for k, v in sample_labels(metrics).items() if k not in quality}


def _fill(stats: Any) -> None:
    """Give a value to all that has none at first."""
    stats.server_errors["kafka"] += 1
    stats.model_store = ModelStoreStats()
    if isinstance(stats, IndexerStats):
        stats.seconds = {"svd": 1.0}
        stats.canary.version, stats.canary.effect = "v", 0.1
        stats.alternative_seconds = stats.alternative_failures = {"neighbours": 1}
        stats.current = Announcement(
            version="v", snapshot_at_ms=1, users=2, items=3, likes=4, ranker="blend"
        )
        return
    if isinstance(stats, GatewayStats):
        stats.requests["GET /v1/status", "200"] += 1
        stats.rejected["not_found"] += 1
        stats.model_version, stats.model_snapshot_at_ms = "v", 1
        stats.catalogue.looked_at_s = 0.0
        return
    stats.lag = {"0": 1}
    stats.held_back = {"0": 1}
    if isinstance(stats, ConsumerStats):
        stats.attribution.lists["wide", "control"] += 1
        stats.attribution.likes["wide", "control"] += 1
        stats.attribution.lag = {"exposures/0": 1}
    if isinstance(stats, ServingStats):
        stats.replies["model"] += 1
        stats.model_version, stats.model_snapshot_at_ms = "v", 1
        stats.catalogue.looked_at_s = 0.0


# --- the documents ---------------------------------------------------------------------------


def test_every_alert_has_a_runbook_entry_and_every_entry_an_alert() -> None:
    entries = re.findall(r"^#### (Likewise\w+)$", OPERATIONS, re.MULTILINE)
    assert entries == [rule["alert"] for rule in ALERTS]


def test_every_runbook_entry_says_what_it_means_and_what_to_do() -> None:
    _, *entries = re.split(r"^#### Likewise\w+$", OPERATIONS, flags=re.MULTILINE)
    for entry in entries:
        text = entry.partition("\n#")[0]
        assert len(text.split()) > 25, text


def test_every_alert_says_how_bad_it_is_and_what_it_saw() -> None:
    for rule in ALERTS:
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"]["summary"]


def test_no_two_panels_of_the_dashboard_overlap_and_each_has_a_number_of_its_own() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for at in [panel["gridPos"]]
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert all(x < 24 for x, _ in cells)
