"""The command line's frame: help, exit codes, and what goes to which stream."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer.main
from typer.testing import CliRunner

import likewise
from consumers.measures import METRICS
from consumers.stats import ConsumerStats
from likewise.cli.app import app
from likewise.cli.exit_codes import FAILED, MISSING_EXTRA, OUT_OF_REACH, USAGE, exit_code_of
from likewise.cli.output import duration, size
from likewise.embedded import free_port
from likewise.errors import (
    InvalidInputError,
    LikewiseError,
    MissingExtraError,
    ReplyTimeoutError,
    SettingsError,
    TransientError,
)
from likewise.service.monitoring.endpoint import monitoring
from likewise.service.runtime import open_runtime
from likewise.settings import LoggingSettings, MonitoringSettings, Settings
from likewise.settings.loader import setting_names

if TYPE_CHECKING:
    from typer.testing import Result

SOURCES = Path(likewise.__file__).parents[1]


@pytest.fixture(autouse=True)
def _away_from_settings_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(app, arguments, env=environment)


def python(
    *arguments: str, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(SOURCES), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def commands(group: typer.Typer, *before: str) -> list[tuple[str, ...]]:
    found = [
        (*before, info.name or info.callback.__name__)
        for info in group.registered_commands
        if info.callback is not None
    ]
    for info in group.registered_groups:
        assert info.typer_instance is not None
        assert info.name is not None
        found += commands(info.typer_instance, *before, info.name)
    return found


def examples_of(command: tuple[str, ...]) -> list[str]:
    """Return the lines of the code blocks in a command's docstring."""
    found: Any = typer.main.get_command(app)
    for name in command:
        found = found.commands[name]
    _, *blocks = found.help.split("```")
    return [line.strip() for block in blocks[::2] for line in block.strip().splitlines()]


@pytest.mark.parametrize("width", ["80", "120"])
@pytest.mark.parametrize("command", commands(app), ids=" ".join)
def test_the_help_of_every_command_has_examples_on_lines_of_their_own(
    command: tuple[str, ...], width: str
) -> None:
    shown = run(*command, "--help", COLUMNS=width)
    assert shown.exit_code == 0
    examples = examples_of(command)
    assert any(f" {' '.join(command)}" in example for example in examples)
    lines = [line.strip() for line in shown.output.splitlines()]
    assert [line for line in lines if line in examples] == examples
    assert "[bold]" not in shown.output


def test_the_commands_are_those_of_the_documentation() -> None:
    names = {" ".join(command) for command in commands(app)}
    assert names >= {
        *("up", "consume", "index", "serve", "like", "unlike", "recommend", "similar", "import"),
        *("export", "status", "models list", "models use", "models prune", "dead-letters list"),
        *("dead-letters replay", "verify", "demo", "forget", "config", "health"),
    }


def test_help_and_version_load_no_heavy_library() -> None:
    heavy = ["numpy", "scipy", "sklearn", "annoy", "pandas", "kafka", "redis", "prometheus_client"]
    loaded = python(
        "-c",
        "import sys; from likewise.cli.app import app; app(['--help'], standalone_mode=False); "
        f"print(*(name for name in {heavy} if name in sys.modules), file=sys.stderr)",
    )
    assert loaded.returncode == 0
    assert loaded.stderr.strip() == ""


def test_the_version_is_printed() -> None:
    shown = run("--version")
    assert (shown.exit_code, shown.stdout) == (0, f"likewise {likewise.__version__}\n")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LikewiseError("x"), FAILED),
        (InvalidInputError("x", "y"), FAILED),
        (SettingsError("x"), USAGE),
        (MissingExtraError("x"), MISSING_EXTRA),
        (TransientError("x"), OUT_OF_REACH),
        (ReplyTimeoutError("x"), OUT_OF_REACH),
    ],
)
def test_each_branch_of_errors_has_its_exit_code(error: LikewiseError, code: int) -> None:
    assert exit_code_of(error) == code


def test_an_unknown_command_is_an_error_of_usage() -> None:
    assert run("nonsense").exit_code == USAGE


def test_a_bad_setting_is_one_sentence_on_standard_error() -> None:
    failed = run("config", LIKEWISE_KAFKA_PARTITIONS="many")
    assert failed.exit_code == USAGE
    assert failed.stdout == ""
    assert failed.stderr.startswith("likewise: LIKEWISE_KAFKA_PARTITIONS: 'many' can't be used")
    assert failed.stderr.count("\n") == 1


def test_a_traceback_is_shown_only_when_it_is_asked_for() -> None:
    bad = {"LIKEWISE_KAFKA_PARTITIONS": "many"}
    assert "Traceback" not in run("config", **bad).stderr
    assert "Traceback" in run("--debug", "config", **bad).stderr


def test_servers_out_of_reach_have_their_own_exit_code_and_json_stays_json() -> None:
    kafka, redis = f"127.0.0.1:{free_port()}", f"redis://127.0.0.1:{free_port()}/0"
    # A process of its own: a Kafka client that could not connect leaves its sockets to the end.
    failed = python(
        *("-m", "likewise", "--bootstrap-servers", kafka, "--redis-url", redis),
        *("status", "--json"),
        LIKEWISE_KAFKA_REQUEST_TIMEOUT_MS="500",
    )
    assert failed.returncode == OUT_OF_REACH
    status = json.loads(failed.stdout)
    assert status["kafka"] is None
    assert status["redis"] is None
    assert len(status["unreachable"]) == 2
    assert "Traceback" not in failed.stderr


def test_a_missing_dependency_names_the_extra_to_install() -> None:
    failed = python(
        "-c",
        "import sys; sys.modules['typer'] = None\nfrom likewise.__main__ import main; main()",
    )
    assert failed.returncode == MISSING_EXTRA
    assert "pip install 'likewise[server]'" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize(
    ("package", "extra", "command"),
    [
        ("pandas", "files", ["import", "likes.csv", "--dry-run"]),
        ("pyarrow", "files", ["import", "likes.csv"]),
        ("pyarrow", "files", ["export", "likes.csv"]),
        ("pandas", "files", ["evaluate", "likes.csv"]),
        ("sklearn", "evaluation", ["evaluate", "likes.csv"]),
        ("sklearn", "evaluation", ["evaluate", "--from-redis"]),
    ],
)
def test_a_command_names_the_extra_that_it_lacks_in_one_sentence(
    package: str, extra: str, command: list[str], tmp_path: Path
) -> None:
    (tmp_path / "likes.csv").write_text("user_id,item_id\nu,i\n")
    failed = python(
        "-c",
        f"import sys; sys.modules[{package!r}] = None\nfrom likewise.__main__ import main; main()",
        *command,
        cwd=tmp_path,
    )
    assert failed.returncode == MISSING_EXTRA
    assert failed.stdout == ""
    assert failed.stderr.startswith(f"likewise: the Python package {package!r} is missing; ")
    assert failed.stderr.endswith(f": pip install 'likewise[{extra}]'\n")
    assert failed.stderr.count("\n") == 1


def test_the_current_directory_is_not_imported_from(tmp_path: Path) -> None:
    for package in ("consumers", "indexer", "serving", "typer", "json"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise SystemExit('imported')")
    shown = python("-m", "likewise", "--version", cwd=tmp_path)
    assert (shown.returncode, shown.stdout) == (0, f"likewise {likewise.__version__}\n")


def test_a_fault_of_our_own_is_not_taken_for_a_missing_dependency() -> None:
    failed = python(
        "-c",
        "import sys; sys.modules['likewise.log.topics'] = None\nfrom likewise.__main__ import main\nmain()",
    )
    assert failed.returncode == 1
    assert "Traceback" in failed.stderr


def test_output_into_a_closed_pipe_ends_without_a_traceback() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "likewise", "config", "--json"],
        cwd=SOURCES,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout is not None
        assert writer.stderr is not None
        writer.stdout.close()
        complaint = writer.stderr.read()
    assert "Traceback" not in complaint


def test_config_gives_every_setting_with_its_meaning_and_origin() -> None:
    shown = run("--topic-prefix", "a.", "config", "--json", LIKEWISE_INDEXER_KEEP_VERSIONS="2")
    settings = {setting["name"]: setting for setting in json.loads(shown.stdout)}
    assert list(settings) == [f"{table}.{name}" for table, name in setting_names()]
    assert settings["kafka.topic_prefix"]["value"] == "a."
    assert settings["kafka.topic_prefix"]["origin"] == "option kafka.topic_prefix"
    assert settings["indexer.keep_versions"]["value"] == 2
    assert settings["indexer.keep_versions"]["origin"] == "LIKEWISE_INDEXER_KEEP_VERSIONS"
    assert settings["serving.max_batch"]["origin"] == "default"
    assert settings["serving.max_batch"]["meaning"].startswith("Maximum number of requests")


@pytest.mark.parametrize("form", [["--json"], []])
def test_config_shows_no_secret(form: list[str], tmp_path: Path) -> None:
    (tmp_path / "likewise.toml").write_text('[kafka]\nsasl_password = "open sesame"\n')
    shown = run(
        "config",
        *form,
        LIKEWISE_REDIS_URL="redis://me:open%20sesame@redis:6379/0",
        LIKEWISE_REDIS_PASSWORD="open sesame",
    )
    assert shown.exit_code == 0
    assert "sesame" not in shown.output
    assert "********" in shown.output
    assert "@redis:6379" in shown.output


def test_health_without_a_port_says_what_to_set() -> None:
    failed = run("health")
    assert failed.exit_code == USAGE
    assert "LIKEWISE_MONITORING_PORT" in failed.stderr


def test_health_of_nobody_is_bad() -> None:
    assert run("health", "--port", str(free_port())).exit_code == FAILED


def test_health_and_readiness_are_asked_for_apart() -> None:
    stats = ConsumerStats()
    settings = MonitoringSettings(port=free_port())
    with monitoring(settings, METRICS, stats):
        asked = run("health", LIKEWISE_MONITORING_PORT=str(settings.port))
        assert (asked.exit_code, asked.stdout) == (0, "ok\n")
        assert run("health", "--ready", "--port", str(settings.port)).exit_code == FAILED
        stats.heartbeat.beat(ready=True)
        assert run("health", "--ready", "--port", str(settings.port)).exit_code == 0


def test_json_of_a_build_goes_only_with_a_build() -> None:
    assert run("index", "--json").exit_code == USAGE


def test_more_consumers_than_partitions_are_refused() -> None:
    failed = run("up", "--consumers", "7")
    assert failed.exit_code == USAGE
    assert "kafka.partitions" in failed.stderr


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.44, "0.4 s"), (12, "12 s"), (119, "119 s"), (180, "3 min"), (7_200, "2 h"), (2e5, "2 d")],
)
def test_durations_read_well(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("n_bytes", "said"),
    [(0, "0 B"), (999, "999 B"), (3_100_000, "3.1 MB"), (4 * 10**12, "4000.0 GB")],
)
def test_sizes_read_well(n_bytes: int, said: str) -> None:
    assert size(n_bytes) == said


def test_a_misspelt_variable_is_a_warning_or_with_strict_settings_an_error() -> None:
    misspelt = {"LIKEWISE_KAFKA_PARTITION": "3"}
    warned = run("config", "--json", **misspelt)
    assert warned.exit_code == 0
    assert json.loads(warned.stdout)
    assert "did you mean LIKEWISE_KAFKA_PARTITIONS?" in warned.stderr
    refused = run("--strict-settings", "config", **misspelt)
    assert refused.exit_code == USAGE
    assert "did you mean LIKEWISE_KAFKA_PARTITIONS?" in refused.stderr


def test_a_service_logs_misspelt_variables_as_it_logs_everything(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIKEWISE_KAFKA_PARTITION", "3")
    settings = Settings(logging=LoggingSettings(format="json"))
    with open_runtime(settings, METRICS, ConsumerStats()):
        pass
    (line,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (line["variable"], line["level"]) == ("LIKEWISE_KAFKA_PARTITION", "warning")
    assert "LIKEWISE_KAFKA_PARTITIONS" in line["remedy"]
