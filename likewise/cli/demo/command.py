"""`demo`: publishes real likes, shows recommendations, and removes everything again."""

from __future__ import annotations

import signal
import time
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from likewise.cli.exit_codes import FAILED
from likewise.cli.options import Json
from likewise.cli.output import print_json, progress, stdout
from likewise.errors import LikewiseError
from likewise.messages.ids import UserId

if TYPE_CHECKING:
    from rich.console import Console

    from likewise.cli.demo.deployment import Deployment
    from likewise.cli.demo.figures import Figures
    from likewise.cli.demo.films import FilmLikes
    from likewise.cli.demo.story import Story

_ANSWERS = 300
_WIDTH_OF_A_PIPE = 110


def demo(
    events: Annotated[
        int | None, typer.Option(min=1_000, help="Use only the first N of the 51,568 likes.")
    ] = None,
    user: Annotated[
        list[str] | None, typer.Option(help="User to show, 1 to 671. May be repeated.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the whole pipeline: from the likes of real people to recommendations.

    Starts its own broker and Redis on free ports, in a temporary directory. Ignores all settings.
    Stops everything it started, also after Ctrl-C.

    ```
    likewise demo
    likewise demo --user 15 --user 547
    likewise demo --events 5000 --json
    ```
    """
    from likewise.cli.demo.deployment import deployment
    from likewise.cli.demo.films import load_film_likes
    from likewise.cli.demo.story import Story

    for number in (signal.SIGINT, signal.SIGTERM):
        # Both stop the demo cleanly. A shell starts background jobs with SIGINT ignored.
        signal.signal(number, signal.default_int_handler)
    started_s = time.monotonic()
    film_likes = load_film_likes(events)
    story = Story(_console(silent=as_json), film_likes)
    with deployment() as running:
        story.servers(running.servers)
        figures = _tell(running, film_likes, story, _shown_users(film_likes, user))
    figures.total_s = round(time.monotonic() - started_s, 3)
    story.summary(figures)
    if as_json:
        print_json(figures)
    if not figures.verified:
        raise typer.Exit(FAILED)


def _console(*, silent: bool) -> Console:
    """Return the console for the story, with a readable width if there is no terminal."""
    console = stdout()
    console.quiet = silent
    if not console.is_terminal:
        console.width = _WIDTH_OF_A_PIPE
    return console


def _shown_users(film_likes: FilmLikes, wanted: list[str] | None) -> list[UserId]:
    from likewise.cli.demo.story import GENRES

    if not wanted:
        return film_likes.devotees(GENRES)
    users = set(film_likes.users)
    for name in wanted:
        if name not in users:
            raise typer.BadParameter(f"user {name} has no likes in this data")
    return [UserId(name) for name in wanted]


def _tell(running: Deployment, film_likes: FilmLikes, story: Story, shown: list[UserId]) -> Figures:
    """Run all steps; return the measurements, without the total time."""
    from likewise.cli.demo.figures import Figures, percentile
    from likewise.client.client import Likewise
    from likewise.operations.verification import Verifier

    published_s, applied_s = _publish_and_apply(running, film_likes)
    story.likes(published_s, applied_s)
    built = _build(running)
    story.model(built)
    with Likewise(settings=running.settings.kafka, timeout_s=30.0) as client:
        for user_id in shown:
            story.user(client, user_id)
        newcomer = story.newcomer(client)
        answers_ms = story.answers(client, _ANSWERS)
    verified = Verifier(running.broker, running.store, running.topics.likes).run(lambda *_: None)
    story.verified(verified.events, equal=verified.equal)
    return Figures(
        events=len(film_likes.likes),
        users=len(film_likes.users),
        films=film_likes.n_liked,
        published_s=round(published_s, 3),
        applied_s=round(applied_s, 3),
        build_s=round(sum(built["seconds"].values()), 3),
        model=built["version"],
        ranker=built["ranker"],
        newcomer=newcomer,
        answers=len(answers_ms),
        answer_p50_ms=percentile(answers_ms, 0.5),
        answer_p99_ms=percentile(answers_ms, 0.99),
        verified=verified.equal,
    )


def _publish_and_apply(running: Deployment, film_likes: FilmLikes) -> tuple[float, float]:
    """Publish all likes and wait until they are in Redis; return the seconds for each of the two."""
    from likewise.client.bulk import BULK_LINGER_MS, BulkPublisher
    from likewise.messages.events import Like
    from likewise.operations.applied import wait_until_applied

    total = len(film_likes.likes)
    with progress() as bars, closing(running.broker.sink(linger_ms=BULK_LINGER_MS)) as sink:
        waiting = bars.add_task("starting", total=None)
        running.await_ready("consumer")
        bars.remove_task(waiting)
        publishing = bars.add_task("publishing", total=total)
        applying = bars.add_task("applying", total=total)
        publisher = BulkPublisher(sink, running.topics.likes)
        started_s = time.monotonic()
        for user_id, item_id, timestamp_ms in film_likes.likes:
            publisher.publish(Like(user_id, item_id), timestamp_ms=timestamp_ms)
            bars.advance(publishing)
        published = publisher.finish()
        if published.failed:
            raise LikewiseError(f"{published.failed} events failed: {published.failures[0]}")
        published_s = time.monotonic() - started_s
        wait_until_applied(
            running.store,
            published.next_offsets,
            on_progress=lambda left: bars.update(applying, completed=total - left),
        )
        return published_s, time.monotonic() - started_s


def _build(running: Deployment) -> dict[str, Any]:
    """Build a model and wait until the server uses it."""
    with progress() as bars:
        bars.add_task("building a model", total=None)
        built = running.build_model()
        running.await_ready("server")
    return built
