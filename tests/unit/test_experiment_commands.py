"""`likewise experiments`, on a broker and a store in memory."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.testing import CliRunner

from likewise.cli.app import app
from likewise.cli.bars import columns, interval
from likewise.cli.context import CommandLine
from likewise.cli.experiment_options import variant_of
from likewise.cli.experiment_tables import print_report
from likewise.experiments.tally import PLACES, ExperimentTally, VariantTally
from likewise.log.topics import Topics
from likewise.messages.experiments import (
    Experiment,
    Variant,
    decode_stored_experiment,
    experiment_json,
)
from likewise.operations.experiment_reports import ExperimentReport
from likewise.settings import Settings
from likewise.testing import MemoryBroker, MemoryStore
from tests.unit.test_consumer_documents import consume

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOPICS = Topics()
VERDICT = {
    "comparisons": [
        {"variant": "ridge", "effect": 0.12, "low": 0.02, "high": 0.24, "decision": "better"},
        {"variant": "new", "effect": -0.1, "low": -0.2, "high": None, "decision": "undecided"},
        {"variant": "few", "effect": 0.5, "low": None, "high": None, "decision": "undecided"},
    ],
    "guardrails": [{"name": "latency", "ok": False, "sentence": "95% of the lists are slow"}],
    "sample_ratio_p": 0.42,
    "sample_ratio_ok": True,
    "sentence": "`ridge` gets 12.0% more likes a list than `control`.",
}


class Deployment:
    """A command line whose servers are in memory."""

    def __init__(self) -> None:
        self.broker, self.store = MemoryBroker(), MemoryStore()
        self.broker.ensure_topics(TOPICS.specs(1))

    def run(self, *arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, ("experiments", *arguments))
        assert result.exit_code == code, result.output
        consume(self.broker, self.store, Settings())
        return result.output

    def run_json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json"))

    def stored(self, name: str) -> Experiment:
        return decode_stored_experiment(self.store.experiments()[name])


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Deployment:
    made = Deployment()

    @contextmanager
    def broker(_: CommandLine) -> Iterator[MemoryBroker]:
        yield made.broker

    @contextmanager
    def store(_: CommandLine) -> Iterator[MemoryStore]:
        yield made.store

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("LIKEWISE_INDEXER_ALTERNATIVES", "ridge")
    monkeypatch.setattr(CommandLine, "broker", broker)
    monkeypatch.setattr(CommandLine, "store", store)
    return made


def test_an_experiment_starts_is_shown_stops_and_is_removed(deployment: Deployment) -> None:
    started = deployment.run(
        "start", "taste", "--variant", "ridge,ranker=ridge", "--share", "0.2", "--exclude", "bot"
    )
    assert "0:0  taste started: control 50%, ridge 50% of 20% of the users" in started
    assert "no model of ranker 'ridge' is built yet" in started
    assert deployment.stored("taste").exclude == ("bot",)
    assert "likewise: an experiment 'taste' runs already" in deployment.run(
        "start", "taste", "--variant", "b", code=1
    )
    assert "taste  split, running since" in deployment.run("show", "taste")
    assert deployment.run_json("list")[0]["state"] == "running"
    assert "'taste' runs; stop it first" in deployment.run("remove", "taste", code=1)
    assert "taste stopped" in deployment.run("stop", "taste", "--reason", "enough")
    shown = deployment.run("show", "taste")
    assert "stopped: enough" in shown
    assert "The verdict is that of the end" in shown
    assert deployment.run("list").split()[7:10] == ["taste", "stopped", "split"]
    deployment.run("remove", "taste")
    assert "no experiments" in deployment.run("list")
    assert "there is no experiment 'taste'" in deployment.run("show", "taste", code=1)


def test_a_definition_comes_from_a_file_and_options_replace_its_fields(
    deployment: Deployment, tmp_path: Path
) -> None:
    (tmp_path / "definition.json").write_text(
        '{"kind": "interleaved", "variants": [{"name": "a"}, {"name": "b"}], "exclude": ["u1"], '
        '"seed": "s", "margin": 0.1}'
    )
    (tmp_path / "bots.txt").write_text("u2\n\n u3 \n")
    found = deployment.run_json(
        "start", "duel", "--file", "definition.json", "--margin", "0.02", "--window", "60",
        "--exclude-file", "bots.txt", "--exclude", "u4",
    )["experiment"]  # fmt: skip
    assert found == json.loads(deployment.store.experiments()["duel"])
    assert (found["kind"], found["seed"], found["margin"]) == ("interleaved", "s", 0.02)
    assert (found["window_s"], found["exclude"]) == (60.0, ["u1", "u4", "u2", "u3"])


@pytest.mark.parametrize(
    "arguments",
    [
        ("--variant", "b,novelty"),
        ("--variant", "b,where={"),
        ("--file", "missing.json"),
        ("--exclude-file", "missing.txt"),
        ("--kind", "both"),
    ],
)
def test_an_option_that_cannot_be_used_is_a_usage_error(
    deployment: Deployment, arguments: tuple[str, str]
) -> None:
    deployment.run("start", "taste", *arguments, code=2)
    assert deployment.store.experiments() == {}


@pytest.mark.parametrize(
    ("text", "variant"),
    [
        ("a", {"name": "a"}),
        ("a,share=2", {"name": "a", "share": 2}),
        ("a,model=20260101T000000.000Z,share=0.5", {"name": "a", "share": 0.5, "model": "20260101T000000.000Z"}),
        ("a, model=previous", {"name": "a", "model": "previous"}),
        (
            'a,where={"a": 1, "b": [2, 3]},count=5,source=popular',
            {"name": "a", "defaults": {"where": {"a": 1, "b": [2, 3]}, "count": 5, "source": "popular"}},
        ),
        ('a,ranker="ridge",explain=true', {"name": "a", "ranker": "ridge", "defaults": {"explain": True}}),
    ],
)  # fmt: skip
def test_a_variant_is_a_name_and_values_in_json(text: str, variant: dict[str, Any]) -> None:
    assert variant_of(text) == variant


def test_a_variant_without_a_value_is_refused() -> None:
    with pytest.raises(typer.BadParameter, match="NAME,OPTION=VALUE"):
        variant_of("a,novelty=0.5,count")


def test_a_report_shows_counts_comparisons_and_checks(capsys: pytest.CaptureFixture[str]) -> None:
    experiment = Experiment(
        name="taste",
        kind="split",
        variants=tuple(Variant(name=name) for name in ("control", "ridge", "new", "few")),
        seed="1",
        started_at_ms=0,
        exclude=("bot",),  # type: ignore[arg-type]  # any text is a user id
        scenario="home",
    )
    shown, likes = [10, 10] + [0] * (PLACES - 2), [4, 1] + [0] * (PLACES - 2)
    tally = VariantTally(
        users=5, lists=10, shown=20, likes=5, hits=4, shown_at=shown, likes_at=likes
    )
    tallies = ExperimentTally({variant.name: tally for variant in experiment.variants})
    print_report(experiment, ExperimentReport(experiment_json(experiment), tallies, VERDICT))
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines if line}
    assert "for scenario home" in "\n".join(lines)
    assert "control 25%, ridge 25%, new 25%, few 25% of all users" in lines[1]
    assert rows["control"] == ["5", "10", "20", "5", "0.5000", "0.4000", "█▃"]
    assert [line.split()[1:] for line in lines if line.startswith(("ridge ", "new ", "few "))][3:] == [
        ["+12.0%", "[+2.0,", "+24.0]", "│├────●─────┤", "better"],
        ["-10.0%", "[-20.0,", "∞)", "├────●────┼───────────▶", "undecided"],
        ["+50.0%", "undecided"],
    ]  # fmt: skip
    assert "✗ latency: 95% of the lists are slow" in lines
    assert lines[-1] == VERDICT["sentence"]


def test_columns_are_as_high_as_their_values() -> None:
    assert columns([4, 2, 0, 0.1], largest=4) == "█▅ ▁"
    assert columns([], largest=0) == ""
    assert columns([0, 0], largest=0) == "  "


def test_an_interval_that_leaves_its_axis_ends_with_arrows() -> None:
    assert interval(-0.5, 0.0, 0.5, largest=1.0).strip() == "├─────●─────┤"
    assert interval(-2.0, 0.5, 2.0, largest=1.0) == "◀───────────┼─────●─────▶"
    assert interval(0.25, 0.5, 0.5, largest=1.0).strip() == "│  ├──●"
