"""Prints the demo's steps and results, with film titles; the console is silent with `--json`."""

from __future__ import annotations

import os
import sys
import time
from shutil import which
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.padding import Padding

from likewise.cli.demo.figures import Newcomer, percentile
from likewise.cli.output import duration, table

if TYPE_CHECKING:
    from typing import Any

    from rich.console import Console

    from likewise.cli.demo.figures import Figures
    from likewise.cli.demo.films import FilmLikes
    from likewise.client.client import Likewise
    from likewise.embedded import EmbeddedServers
    from likewise.messages.ids import ItemId, UserId
    from likewise.messages.replies import Recommendations, RecommendedItem

GENRES = ("Horror", "Romance", "Animation")
NEWCOMER = "newcomer"
_NEWCOMER_GENRE = "Sci-Fi"
_SHOWN = 5


class Story:
    """Prints each step when it is done."""

    def __init__(self, console: Console, film_likes: FilmLikes) -> None:
        """Print nothing yet."""
        self._console = console
        self._film_likes = film_likes

    def servers(self, servers: EmbeddedServers) -> None:
        """Print what is running."""
        self._section("Two real servers, two services")
        self._say(f"Broker   {servers.broker_description} on {servers.bootstrap_servers}")
        self._say(f"Store    {servers.redis_description} on {servers.redis_address}")
        self._say("Services `likewise consume` and `likewise serve`, as separate processes")

    def likes(self, published_s: float, applied_s: float) -> None:
        """Print how fast the likes were published and applied."""
        count, users = len(self._film_likes.likes), len(self._film_likes.users)
        self._section("Likes of real people")
        self._say(
            f"{count:,} likes (MovieLens ratings of 4 and more) of {users:,} people for "
            f"{self._film_likes.n_liked:,} films, in time order:"
        )
        self._say(f"published to Kafka in {_speed(count, published_s)},")
        self._say(f"all of them in Redis after {_speed(count, applied_s)}.")

    def model(self, built: dict[str, Any]) -> None:
        """Print the model."""
        steps = ", ".join(f"{name} {seconds:.2g} s" for name, seconds in built["seconds"].items())
        self._section("A model")
        self._say(
            f"{built['version']}: {built['users']:,} users × {built['items']:,} films, "
            f"ranker {built['ranker']} ({steps})"
        )

    def user(self, client: Likewise, user_id: UserId) -> None:
        """Request recommendations for one user; print their likes, the items and the reasons."""
        liked = self._film_likes.liked_by(user_id)
        newest = ", ".join(self._title(item) for item in liked[-_SHOWN:])
        self._section(f"User {user_id}")
        self._say(f"likes {len(liked)} films, most recently: {newest}")
        self._answer(client.recommend(user_id, count=_SHOWN, explain=True))

    def newcomer(self, client: Likewise) -> Newcomer:
        """Let a new user like three films and unlike one; print that each next answer includes it."""
        liked = self._film_likes.best_liked(_NEWCOMER_GENRE, 3)
        self._section("A new user")
        self._say(f"likes {', '.join(self._title(item) for item in liked)},")
        position = [client.like(NEWCOMER, item) for item in liked][-1]
        asked_s = time.monotonic()
        first = client.recommend(NEWCOMER, count=_SHOWN, explain=True, after=position)
        answer_ms = (time.monotonic() - asked_s) * 1000
        self._say(f"and gets this answer {answer_ms:.0f} ms later, from the model built before:")
        self._answer(first)
        taken_back = liked[0]
        position = client.unlike(NEWCOMER, taken_back)
        second = client.recommend(NEWCOMER, count=_SHOWN, explain=True, after=position)
        self._say(f"then unlikes {self._title(taken_back)}; the next answer already reflects it:")
        self._answer(second)
        return Newcomer(
            liked=[self._title(item) for item in liked],
            recommended=self._titles(first),
            answer_ms=round(answer_ms, 1),
            taken_back=self._title(taken_back),
            recommended_afterwards=self._titles(second),
        )

    def answers(self, client: Likewise, count: int) -> list[float]:
        """Send requests for many users, one after the other; return the latencies in ms."""
        users = self._film_likes.users
        taken_ms = []
        for number in range(count):
            asked_s = time.monotonic()
            client.recommend(users[number % len(users)])
            taken_ms.append(round((time.monotonic() - asked_s) * 1000, 1))
        self._section("Many requests")
        self._say(
            f"{count} requests, one at a time: median {percentile(taken_ms, 0.5):.0f} ms, "
            f"99th percentile {percentile(taken_ms, 0.99):.0f} ms"
        )
        return taken_ms

    def verified(self, events: int, *, equal: bool) -> None:
        """Print whether Redis is equal to a replay of the log."""
        outcome = "matches them" if equal else "does not match them"
        self._section("Verification")
        self._say(f"`likewise verify` replayed {events:,} events from Kafka: Redis {outcome}.")

    def summary(self, figures: Figures) -> None:
        """Print all figures in one table."""
        rows = table("", "#")
        rows.show_header = False
        per_s = f"{figures.events / figures.applied_s:,.0f} events/s"
        rows.add_row("published", f"{figures.events / figures.published_s:,.0f} events/s")
        rows.add_row("published and applied", per_s)
        rows.add_row("model built in", duration(figures.build_s))
        rows.add_row("answer, median", f"{figures.answer_p50_ms:.0f} ms")
        rows.add_row("answer, 99th percentile", f"{figures.answer_p99_ms:.0f} ms")
        rows.add_row("model", figures.model)
        rows.add_row("total time", duration(figures.total_s))
        self._section("Summary")
        self._console.print(Padding(rows, (0, 2), expand=False))
        self._console.print()
        self._say(
            "Nothing is left running. Next, like these films yourself, on http://localhost:8080:"
        )
        self._say(f"  {_command()} up --demo")

    def _answer(self, answer: Recommendations) -> None:
        rows = table("recommended", "genres", "because of")
        for item in answer.items:
            film = self._film_likes.films[item.item_id]
            genres = ", ".join(sorted(film.genres))
            rows.add_row(escape(film.title), escape(genres), self._because(item))
        self._console.print(Padding(rows, (0, 0, 1, 4), expand=False))

    def _because(self, item: RecommendedItem) -> str:
        reasons = (item.because or ())[:2]
        return escape(", ".join(self._title(reason.item_id) for reason in reasons))

    def _titles(self, answer: Recommendations) -> list[str]:
        return [self._film_likes.films[item.item_id].title for item in answer.items]

    def _title(self, item_id: ItemId) -> str:
        return self._film_likes.films[item_id].title

    def _section(self, title: str) -> None:
        self._console.print()
        self._console.rule(f"[bold]{title}[/]", align="left", characters="─")

    def _say(self, text: str) -> None:
        self._console.print(f"  {text}", markup=False)  # some titles have brackets


def _command() -> str:
    """Return how to call likewise from this directory: by its path if it is not on PATH."""
    return "likewise" if which("likewise") else os.path.relpath(sys.executable + "/../likewise")


def _speed(events: int, seconds: float) -> str:
    return f"{duration(seconds)} ({events / seconds:,.0f}/s)"
