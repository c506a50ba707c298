"""Shared by the tests of attribution: experiments, exposures, likes, and what they count."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import TYPE_CHECKING

from likewise.experiments.assignment import assigned
from likewise.experiments.attribution import Memory, fold
from likewise.experiments.kept import Liked
from likewise.experiments.runs import run_of
from likewise.experiments.tally import Fields, to_fields
from likewise.messages.events import Like, encode_event
from likewise.messages.experiments import Experiment, Variant, encode_experiment
from likewise.messages.exposures import Exposure, decode_exposure, encode_exposure
from likewise.messages.ids import ItemId, UserId
from likewise.messages.likes import decode_like
from likewise.store.port import Changes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from likewise.log.port import Sink
    from likewise.log.topics import Topics
    from likewise.records import Record
    from likewise.store.port import LikeStore

USERS = [UserId(f"user {number}") for number in range(40)]
ITEMS = [ItemId(f"item {number}") for number in range(30)]


def experiment(
    name: str = "wide", *, started_at_ms: int, stopped_at_ms: int | None = None
) -> Experiment:
    """Return a split experiment of two variants, in which everybody takes part."""
    return Experiment(
        name=name,
        kind="split",
        variants=(Variant(name="control"), Variant(name="wide")),
        seed=name,
        started_at_ms=started_at_ms,
        stopped_at_ms=stopped_at_ms,
        window_s=3_600.0,
    )


def put(store: LikeStore, *experiments: Experiment) -> None:
    """Store experiments as a consumer does."""
    store.apply(Changes(experiments={one.name: encode_experiment(one) for one in experiments}), {})


def exposure(
    one: Experiment | None, user: UserId, number: int, items: Iterable[ItemId], at_ms: int
) -> Exposure:
    """Return the exposure of a list with this number, for the variant of the user."""
    part = None if one is None else assigned(one, user)
    variant = None if part is None else part.variant
    return Exposure(
        recommendation_id=f"r{number}",
        user_id=user,
        shown_at_ms=at_ms,
        items=tuple(items),
        models=("m",),
        experiment=None if one is None else one.name,
        variant=None if variant is None else variant.name,
        scenario="home" if number % 2 else None,
        latency_ms=float(number % 30),
    )


def send_traffic(
    sink: Sink, topics: Topics, one: Experiment, *, seed: int, now_ms: int, lists: int
) -> None:
    """Publish lists shown now and likes of some of their items; one in five of either comes twice."""
    rng = random.Random(seed)
    for number in range(lists):
        user, shown = rng.choice(USERS), rng.sample(ITEMS, 5)
        body = encode_exposure(exposure(one, user, seed * 100_000 + number, shown, now_ms))
        liked = encode_event(
            Like(user, rng.choice(ITEMS if rng.random() < 0.3 else shown)),
            recommendation_id=f"r{seed * 100_000 + number}" if rng.random() < 0.3 else None,
        )
        records = [(topics.exposures, body), (topics.likes, liked)]
        for topic, value in records * (2 if rng.random() < 0.2 else 1):
            sink.send(topic, value, key=user.encode())
    sink.flush(30.0)


def counted_in(records: Iterable[Record], topics: Topics, one: Experiment) -> Fields:
    """Return the counts of all these records, folded at once."""
    by_user: dict[UserId, list[Exposure | Liked]] = defaultdict(list)
    for record in records:
        if record.topic == topics.exposures:
            shown = decode_exposure(record)
            by_user[shown.user_id].append(shown)
        elif (like := decode_like(record)) is not None:
            by_user[like.user_id].append(
                Liked(record.timestamp, like.item_id, like.recommendation_id)
            )
    [change] = fold([run_of(one)], by_user, Memory()).values()
    return to_fields(change.tally)
