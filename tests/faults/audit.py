"""The audit at the end of a run: everything is compared with the log, and nothing may be missing."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from likewise.errors import ModelFileError, TransientError
from likewise.messages.experiments import decode_stored_experiment
from likewise.models.checksums import verify_checksums
from likewise.models.versions import list_versions
from likewise.operations.applied import wait_until_applied
from likewise.operations.experiment_verification import ExperimentVerifier
from likewise.operations.tallies import tally_of
from likewise.operations.verification import Verifier
from tests.faults import experiment
from tests.faults.oracle import Oracle
from tests.faults.traffic import SIGNALS
from tests.waiting import wait_until

if TYPE_CHECKING:
    from likewise.log.port import Broker
    from likewise.log.topics import Topics
    from likewise.records import TopicPartition
    from likewise.settings import Settings
    from likewise.store.port import LikeStore
    from tests.faults.ledger import Ledger
    from tests.faults.traffic import Traffic

SETTLING_TIMEOUT_S = 90.0
KINDS = SIGNALS.accepted


@dataclass
class Figures:
    """The figures of a run; `lost` is asserted to be 0, and printed to show it."""

    faults: Counter[str] = field(default_factory=Counter)
    events: int = 0
    scattered_users: int = 0
    duplicates: int = 0
    poison: int = 0
    requests: int = 0
    answered: int = 0
    refused: int = 0
    answered_twice: int = 0
    lost: int = 0
    credited_likes: int = 0
    """Likes that an experiment counted."""

    def row(self) -> dict[str, object]:
        """Return the figures with the faults added up."""
        return {**asdict(self), "faults": sum(self.faults.values())}


def settle(broker: Broker, store: LikeStore, topics: Topics, traffic: Traffic) -> None:
    """Return once every event is applied and every request has its reply; fail if not in time."""
    ends = broker.end_offsets(broker.partitions(topics.likes))
    try:
        wait_until_applied(store, ends, standstill_timeout_s=SETTLING_TIMEOUT_S)
    except TransientError as error:
        stored = dict(zip(ends, store.positions(list(ends)), strict=True))
        behind = {p.partition: (stored[p], end) for p, end in ends.items() if stored[p] != end}
        raise AssertionError(f"partitions that stalled (applied, end): {behind}") from error
    listed = list(ends)
    wait_until(  # on a Redis Cluster, a bucket that has lost writes is read again
        lambda: all(
            (extent.lowest or 0) == ends[one]
            for one, extent in zip(listed, store.extents(listed), strict=True)
        ),
        "every part of the store has every event",
        SETTLING_TIMEOUT_S,
    )
    wait_until(
        lambda: not traffic.ledger.open_asks(),
        "every request has a reply",
        SETTLING_TIMEOUT_S,
    )
    traffic.hang_up()


def audit(
    broker: Broker,
    store: LikeStore,
    topics: Topics,
    ledger: Ledger,
    figures: Figures,
) -> Oracle:
    """Fail if an event was lost, applied twice or out of order, or a liked item recommended."""
    oracle = Oracle.of(broker, topics.likes)
    lost = [place for place, value in ledger.confirmed.items() if oracle.values[place] != value]
    assert not lost, f"confirmed events that are not in the log: {lost}"
    differences = _differences(state_of(store), oracle.state())
    assert not differences, f"users with (surplus, missing) likes or signals: {differences}"
    found = Verifier(broker, store, topics.likes, kinds=KINDS).run(lambda _read, _total: None)
    assert found.equal, found
    _check_answers(ledger, oracle)
    figures.events = oracle.events
    figures.scattered_users = oracle.scattered_users()
    figures.duplicates += ledger.duplicates
    figures.poison += len(ledger.poison)
    _count_requests(ledger, figures)
    return oracle


def audit_experiment(broker: Broker, store: LikeStore, topics: Topics, figures: Figures) -> None:
    """Wait until the experiment is counted; fail if a count is not what the topics define."""
    partitions = [*broker.partitions(topics.exposures), *broker.partitions(topics.likes)]
    ends = broker.end_offsets(partitions)

    def behind() -> dict[TopicPartition, tuple[int, int]]:
        reached = store.attribution_positions()
        at = {one: reached[one].offset if one in reached else 0 for one in ends}
        return {one: (at[one], end) for one, end in ends.items() if at[one] != end}

    wait_until(
        lambda: not behind(), lambda: f"counted (reached, end): {behind()}", SETTLING_TIMEOUT_S
    )
    expected = experiment.counts_in(broker, topics)
    [one] = map(decode_stored_experiment, store.experiments().values())
    tally = tally_of(store, one)
    counted = {
        name: getattr(tally.variants[variant], count)
        for name in expected
        for variant, count in [name.split("/")]
    }
    wrong = {name: (counted[name], n) for name, n in expected.items() if counted[name] != n}
    assert not wrong, f"counts that differ (counted, in the log): {wrong}"
    found = ExperimentVerifier(broker, store, topics, one.name).run()
    assert found.proven, found
    figures.credited_likes += sum(each.likes for each in tally.variants.values())
    assert figures.credited_likes > 0


def state_of(store: LikeStore) -> dict[str, set[str]]:
    """Return the likes of every user in the store, and as `kind:user` the signals."""
    users = sorted({user for users in store.scan_users(1_000) for user in users})
    state = {
        str(user): {str(item) for item in items}
        for user, items in zip(users, store.likes(users), strict=True)
    }
    for kind in store.kinds():
        own = sorted({user for users in store.scan_users_of(kind, 1_000) for user in users})
        for user, signals in zip(own, store.signals(own, [kind]), strict=True):
            state[f"{kind}:{user}"] = {str(item) for item in signals[kind]}
    return state


def _differences(
    stored: dict[str, set[str]], expected: dict[str, set[str]]
) -> dict[str, tuple[set[str], set[str]]]:
    """Return, for each user whose likes are wrong, those too many and those missing."""
    return {
        user: (stored.get(user, set()) - likes, likes - stored.get(user, set()))
        for user, likes in ({user: set[str]() for user in stored} | expected).items()
        if stored.get(user, set()) != likes
    }


def check_models(settings: Settings) -> int:
    """Fail if a version on disk is incomplete; return how many there are.

    The indexer may prune a version while it is checked; its manifest goes first.
    """
    directory = settings.model.directory
    versions = list_versions(directory)
    for manifest in versions:
        try:
            verify_checksums(directory, manifest)
        except ModelFileError:
            if manifest in list_versions(directory):
                raise
    return len(versions)


def _check_answers(ledger: Ledger, oracle: Oracle) -> None:
    for ask in ledger.asks.values():
        if ask.after is None:
            continue
        for items in ask.answers:
            liked = [i for i in items if oracle.liked_ever_since(ask.user, i, ask.after)]
            assert not liked, f"{ask.user} was recommended {liked}, liked since {ask.after}"


def _count_requests(ledger: Ledger, figures: Figures) -> None:
    asks = ledger.asks.values()
    figures.requests += len(asks)
    figures.answered += sum(bool(ask.answers) for ask in asks)
    figures.refused += sum(bool(ask.errors and not ask.answers) for ask in asks) + ledger.refused
    figures.answered_twice += sum(len(ask.answers) + len(ask.errors) > 1 for ask in asks)
    figures.lost += len(ledger.open_asks())
    assert figures.lost == 0
