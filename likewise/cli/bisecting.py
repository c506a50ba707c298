"""`bisect`: finds the build, and the stretch of events, after which quality fell."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from likewise.cli.build_progress import build_progress
from likewise.cli.context import command_line
from likewise.cli.excluding import read_excluded
from likewise.cli.options import Json
from likewise.cli.output import note, plain, print_json, stdout, table
from likewise.messages.times import iso_time

if TYPE_CHECKING:
    from likewise.evaluation.bisect.run import Outcome
    from likewise.evaluation.bisect.search import Build, Stretch

_SHOWN = 5


def bisect(
    context: typer.Context,
    good: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Quality was good then. Default: the oldest version on disk."
        ),
    ] = None,
    bad: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Quality was bad then. Default: the newest version on disk."
        ),
    ] = None,
    rebuild: Annotated[
        bool,
        typer.Option(
            "--rebuild",
            help="Rebuild models from the log in place of the versions on disk. The bad end is then by "
            "default before the last 10% of the events, and the good end at a quarter of the rest.",
        ),
    ] = False,
    probes: Annotated[
        int, typer.Option(min=100, help="Likes that every model has to predict, at most.")
    ] = 2_000,
    builds: Annotated[
        int, typer.Option(min=0, help="Models to rebuild for the stretch of events, at most.")
    ] = 16,
    exclude: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Users whose likes need not be predicted, one id a line."
        ),
    ] = None,
    directory: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep what was measured here, so that --resume works."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run whose state is in --directory.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
    as_json: Json = False,
) -> None:
    """Find the build after which quality fell, and the stretch of events that explains it.

    Every model predicts the same likes: new ones that arrived after the bad end, each from the likes
    that its user had right before. If the model of the bad end predicts them worse than that of the good
    end beyond noise (bootstrap over users), a binary search over the versions between them finds the first
    bad one. Then the bad end is rebuilt from the log without some of the events around that place, to find
    a short stretch that explains the fall, and who dominates it.

    Times are as for `recommend --as-of`. The log is read into memory: some 250 bytes an event. Signals
    other than likes do not count.

    ```
    likewise bisect
    likewise bisect --good 2026-01-01 --bad "2h ago"
    likewise bisect --rebuild --directory state
    ```
    """
    from indexer.recipes import recipe_of
    from likewise.evaluation.bisect.run import Options
    from likewise.evaluation.bisect.run import bisect as search
    from likewise.models.place import models_place

    if resume and directory is None:
        raise typer.BadParameter("--resume needs --directory")
    cli = command_line(context)
    options = Options(
        good_ms=_time("--good", good),
        bad_ms=_time("--bad", bad),
        rebuild=rebuild,
        probes=probes,
        builds=builds,
        seed=seed,
        excluded=read_excluded(exclude) or frozenset(),
    )
    model = cli.settings.model
    try:
        with cli.broker() as broker, build_progress() as progress:
            outcome = search(
                broker,
                cli.topics.likes,
                models_place(cli.settings),
                recipe_of(model),
                options,
                progress,
                directory=directory,
                resume=resume,
            )
    except KeyboardInterrupt:
        if directory is not None:
            note(f"what was measured is in {directory}; the same command with --resume continues")
        raise
    account = account_of(outcome)
    if as_json:
        print_json(account)
    else:
        _print(account)


def _time(option: str, text: str | None) -> int | None:
    from likewise.errors import InvalidInputError
    from likewise.evaluation.past.moments import parse_moment

    if text is None:
        return None
    try:
        found = parse_moment(text, now_ms=time.time_ns() // 1_000_000)
    except InvalidInputError as error:
        raise typer.BadParameter(f"{option} {text!r} is not a time: {error.message}") from error
    if not isinstance(found, int):
        raise typer.BadParameter(f"{option} takes a time, not a position")
    return found


def account_of(outcome: Outcome) -> dict[str, Any]:
    """Return the result as one JSON object, with a sentence that sums it up."""
    found = outcome.found
    stretch = None if found.stretch is None else _stretch(found.stretch, outcome)
    return {
        "sentence": _sentence(outcome),
        "found": found.first_bad is not None,
        "users": found.users,
        "fall": found.fall._asdict(),
        "measured": [one._asdict() for one in found.measured],
        "models_measured": outcome.measurements.built,
        "reused": outcome.measurements.reused,
        "last_good": _place(found.last_good, outcome),
        "first_bad": _place(found.first_bad, outcome),
        "stretch": stretch,
    }


def _sentence(outcome: Outcome) -> str:
    found = outcome.found
    mean, low, high = found.fall
    figures = (
        f"nDCG {found.measured[0].ndcg:.4f} to {found.measured[-1].ndcg:.4f}, difference {-mean:+.4f}, 95% "
        f"interval {-high:+.4f} to {-low:+.4f}, {found.users:,} users"
    )
    if found.first_bad is None or found.last_good is None:
        return f"No fall found beyond noise: {figures}."
    return f"Quality fell between {found.last_good.name} and {found.first_bad.name}: {figures}."


def _place(build: Build | None, outcome: Outcome) -> dict[str, Any] | None:
    if build is None:
        return None
    last = outcome.events[build.events - 1] if build.events else None
    return {
        "name": build.name,
        "events": build.events,
        "last_event": None if last is None else str(last.position),
        "at": None if last is None else iso_time(last.time_ms),
    }


def _stretch(found: Stretch, outcome: Outcome) -> dict[str, Any]:
    part = outcome.events[found.start : found.end]
    return {
        "explains": found.explained,
        "events": len(part),
        "from": iso_time(part[0].time_ms) if part else None,
        "to": iso_time(part[-1].time_ms) if part else None,
        "first_event": str(part[0].position) if part else None,
        "last_event": str(part[-1].position) if part else None,
        "ndcg_without": found.recovered,
        "users": dict(found.users),
        "items": dict(found.items),
        "not_human": {
            one.user_id: [reason.sentence for reason in one.reasons] for one in found.suspects
        },
        "ndcg_without_them": found.without_users,
    }


def _print(account: dict[str, Any]) -> None:
    rows = table("build", "#events", "#hit rate", "#nDCG", "")
    for one in account["measured"]:
        mark = {None: "", True: "bad", False: "good"}[one["bad"]]
        figures = (f"{one[name]:.4f}" for name in ("hit_rate", "ndcg"))
        rows.add_row(plain(one["name"]), f"{one['events']:,}", *figures, mark)
    out = stdout()
    out.print(rows)
    out.print(account["sentence"], markup=False)
    if (stretch := account["stretch"]) is not None:
        _print_stretch(stretch)


def _print_stretch(stretch: dict[str, Any]) -> None:
    out = stdout()
    if not stretch["explains"]:
        out.print(
            "Models rebuilt from the log, with one recipe, do not fall beyond noise: a recipe or a setting "
            "may explain it."
        )
        return
    if stretch["ndcg_without"] is None:
        out.print("No stretch of events was found that explains it; try more --builds.")
        return
    out.print(
        f"{stretch['events']:,} events explain it, {stretch['first_event']} to {stretch['last_event']} "
        f"({stretch['from']} to {stretch['to']}): without them the nDCG is {stretch['ndcg_without']:.4f}.",
        markup=False,
    )
    for what in ("users", "items"):
        most = ", ".join(f"{name} ({n:,})" for name, n in [*stretch[what].items()][:_SHOWN])
        out.print(f"Most of its events: {what} {most}.", markup=False)
    for user, sentences in [*stretch["not_human"].items()][:_SHOWN]:
        out.print(f"Not human: {user}: {'; '.join(sentences)}.", markup=False)
    out.print(
        f"Without what {'those who are not human' if stretch['not_human'] else 'these users'} did in it, "
        f"the nDCG is {stretch['ndcg_without_them']:.4f}.",
        markup=False,
    )
