"""`evaluate`: measures the quality of recommendations on held-out likes."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from likewise.cli.build_progress import build_progress
from likewise.cli.context import command_line
from likewise.cli.evaluation_tables import print_evaluation
from likewise.cli.excluding import effect_on_others, read_excluded, remaining
from likewise.cli.options import Json, LikesFile
from likewise.cli.output import print_json
from likewise.cli.reading_likes import complain_of, read_likes
from likewise.cli.reading_options import with_reading_options, with_signal_kinds
from likewise.errors import LikewiseError
from likewise.messages.ids import SignalKind
from likewise.operations.files.options import ReadOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from indexer.progress import Progress
    from likewise.evaluation.likes.splits import Division
    from likewise.evaluation.likes.table import LikeTable
    from likewise.evaluation.likes.until import Until
    from likewise.evaluation.tuning.search import Tuning


@with_reading_options
def evaluate(
    context: typer.Context,
    reading: ReadOptions,
    file: LikesFile = None,
    from_redis: Annotated[
        bool, typer.Option("--from-redis", help="Use the current likes in Redis.")
    ] = False,
    from_topic: Annotated[
        bool, typer.Option("--from-topic", help="Use the likes topic, with its times.")
    ] = False,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="OFFSET|TIME",
            help="Train on the likes before this point, test on the likes after it: "
            "2026-01-31T12:00, -7d, or (with --from-topic) 0:1042,1:990.",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="Kind of signal to predict. Default: like, or the only kind that there is.",
        ),
    ] = None,
    k: Annotated[int, typer.Option("--k", min=1, help="Length of the lists.")] = 20,
    ranker: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Measure only this ranker, in addition to the served model. May be repeated.",
        ),
    ] = None,
    sample: Annotated[
        int,
        typer.Option(
            min=0,
            help="Number of users for the rankers and baselines compared with the served model; 0: all.",
        ),
    ] = 5_000,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
    split_column: Annotated[
        str, typer.Option(help="Column with train, valid or test, if there is one.")
    ] = "split",
    tune: Annotated[
        bool,
        typer.Option("--tune", help="First search for better settings, on the validation likes."),
    ] = False,
    budget: Annotated[
        str, typer.Option(metavar="TIME", help="CPU time limit of the search: 90s, 5m, 1h.")
    ] = "5m",
    settings_out: Annotated[
        Path | None,
        typer.Option(metavar="FILE.toml", help="Write the settings found by --tune to this file."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE.html", help="Also write a report with charts to this file."),
    ] = None,
    exclude: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Leave the users in this file out, one id a line, and measure what that changes.",
        ),
    ] = None,
    strict: bool = False,
    as_json: Json = False,
) -> None:
    """Measure all rankers on held-out likes, with the same code that serves requests.

    A column `split` (train, valid, test) is used if there is one. Otherwise each user's last likes are
    held out, or random ones if there are no times. Models are fitted on train and valid. The served
    model is the one built with your settings. docs/ranking.md defines the metrics.

    `--until` trains on the likes before a point and tests on the new likes after it. TIME is ISO 8601
    (UTC if it has no time zone) or a time ago (-90m, -12h, -7d, -2w). OFFSET is the first event that is
    not used for training: `partition:offset` for every partition of the topic.

    A column `kind` (like, view, buy, dislike …) separates kinds of signals; the topic and Redis have them
    too. The report says whether each kind helps to predict the target, with its weight in `[signals]` or
    else 0.5. `--tune` also searches for the weights.

    `--tune` fits on train and searches on valid. The test likes are used only once, at the end.

    `--exclude` leaves users out of everything. In addition, the served recipe is fitted with and without their
    likes, and both models are measured on the test likes of all other users, side by side.

    ```
    likewise evaluate likes.csv.gz
    likewise evaluate --from-redis --json
    likewise evaluate --from-topic --until -7d
    likewise evaluate likes.parquet --ranker neighbours --report report.html
    likewise evaluate events.csv --target buy
    likewise evaluate likes.csv.gz --exclude bots.txt
    likewise evaluate likes.csv.gz --tune --budget 5m --settings-out tuned.toml
    likewise --config tuned.toml index
    ```
    """
    from indexer.weighing import weights_of
    from likewise.evaluation.evaluate import Options
    from likewise.evaluation.evaluate import evaluate as measure
    from likewise.evaluation.likes.splits import divide
    from likewise.evaluation.report.account import as_json as account_of

    cli = command_line(context)
    if [file is not None, from_redis, from_topic].count(True) != 1:
        raise typer.BadParameter("give exactly one source: FILE, --from-redis or --from-topic")
    point = None if until is None else _until(until, file=file, from_redis=from_redis)
    names, budget_s = _names(ranker), _seconds(budget)
    reading = with_signal_kinds(replace(reading, split=split_column), None)
    _check_settings_out(settings_out, tune)
    excluded = read_excluded(exclude)
    with build_progress() as progress:
        progress.step("reading")
        read, source = read_likes(
            cli, file, reading, progress, point, target, from_redis=from_redis, strict=strict
        )
        division = divide(read.likes, seed=seed)
        likes, divided = remaining(read.likes, division, excluded)
        weights = weights_of(cli.given)
        tuning = _tune(likes, divided, weights, k, seed, budget_s, progress) if tune else None
        if tuning is not None and settings_out is not None:
            _write_settings(settings_out, tuning, source, k)
        options = Options(k=k, rankers=names, sample=sample or None, seed=seed, weights=weights)
        options = options.with_tuned(tuning)
        found = measure(likes, divided, cli.given.model, options, progress)
        effect = effect_on_others(read.likes, division, found, excluded, progress)
    account = account_of(found, read, source, tuning, point, effect)
    if report is not None:
        _write_report(report, account)
    if as_json:
        print_json(account)
    else:
        complain_of(read)
        print_evaluation(account)


def _names(given: list[str] | None) -> tuple[str, ...]:
    from likewise.evaluation.contenders import NAMES

    unknown = sorted(set(given or ()) - set(NAMES))
    if unknown:
        raise typer.BadParameter(f"no ranker {unknown[0]!r}; choose from {', '.join(NAMES)}")
    return tuple(given) if given else NAMES


def _until(text: str, *, file: str | None, from_redis: bool) -> Until:
    from likewise.errors import InvalidInputError
    from likewise.evaluation.likes.until import parse_until

    try:
        until = parse_until(
            text, now_ms=time.time_ns() // 1_000_000, numbers_are_times=file is not None
        )
    except InvalidInputError as error:
        raise typer.BadParameter(
            f"--until {text!r} is not a time (2026-01-31T12:00), a time ago (-7d) or offsets "
            f"(0:1042,1:990): {error.message}"
        ) from error
    if from_redis:
        raise typer.BadParameter(
            "--until needs times, which Redis does not have; use --from-topic or a FILE"
        )
    if file is not None and until.offsets:
        raise typer.BadParameter("--until with a FILE takes a time; offsets need --from-topic")
    return until


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|h|)", text.strip())
    if not found or not float(found[1]):
        raise typer.BadParameter(f"{text!r} is not a time; write it as 90s, 5m or 1h")
    return float(found[1]) * {"s": 1, "": 1, "m": 60, "h": 3_600}[found[2]]


def _check_settings_out(path: Path | None, tune: bool) -> None:
    from likewise.evaluation.tuning.settings_file import check_settings_file

    if path is None:
        return
    if not tune:
        raise typer.BadParameter("--settings-out needs --tune")
    check_settings_file(path)


def _tune(
    likes: LikeTable,
    division: Division,
    weights: Mapping[SignalKind, float],
    k: int,
    seed: int,
    budget_s: float,
    progress: Progress,
) -> Tuning:
    from likewise.evaluation.tuning.both import tune_all

    return tune_all(
        likes, division.splits, weights, k=k, seed=seed, budget_s=budget_s, progress=progress
    )


def _write_settings(path: Path, tuning: Tuning, source: str, k: int) -> None:
    from likewise.evaluation.tuning.settings_file import settings_toml, write_settings_file

    best, default = tuning.best, tuning.default
    remarks = [
        f"Found by `likewise evaluate --tune` on {source}, in {tuning.trials} trials.",
        f"On the validation likes of {tuning.users} users: recall@{k} {best.recall:.4f}, "
        f"nDCG@{k} {best.ndcg:.4f}; untuned {default.recall:.4f}, {default.ndcg:.4f}.",
    ]
    weights = None if tuning.weights is None else tuning.weights.weights
    write_settings_file(path, settings_toml(best.recipe, remarks, weights))


def _write_report(path: Path, account: dict[str, object]) -> None:
    from likewise.evaluation.report.html import as_html

    try:
        path.write_text(as_html(account), encoding="utf-8")
    except OSError as error:
        raise LikewiseError(f"{path} can't be written: {error.strerror}") from error
