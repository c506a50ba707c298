"""What is wrong with a deployment, in sentences that link to the runbook. Pure, with a memory of since when.

The rules are those of ops/alerts.yml, as far as one gateway can see what they are about, and sooner.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.live.tick import LiveProblem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.live.kafka_view import KafkaSeen
    from gateway.live.redis_view import RedisSeen
    from likewise.messages.quality import MeasuredQuality

RUNBOOK = "docs/operations.md#"
_STANDSTILL_S = 15.0
_MANY_BEHIND = 10_000
_MANY_BEHIND_FOR_S = 60.0
_OLD_MODEL_S = 3_600.0
_OTHER_MODEL_FOR_S = 60.0
_OLD_CATALOGUE_S = 30.0
_DEAD_LETTERS_OF_S = 600.0
_ENOUGH_SAMPLES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known at one moment; None where it is not."""

    now_s: float
    now_ms: int
    kafka: KafkaSeen | None
    kafka_error: str | None
    redis: RedisSeen | None
    redis_error: str | None
    behind: int | None
    """Events that are not applied yet."""
    applied: int | None
    """The sum of the applied positions."""
    served_version: str
    """The model that this gateway answers with."""
    catalogue_age_s: float | None
    quality: MeasuredQuality | None


class Problems:
    """Finds what is wrong from one set of facts to the next."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._last: dict[str, int] = {}
        self._dead_letters: deque[tuple[float, int]] = deque()

    def found(self, facts: Facts) -> list[LiveProblem]:
        """Return the problems at this moment, the most serious first."""
        return [LiveProblem(sentence, RUNBOOK + anchor) for sentence, anchor in self._found(facts)]

    def _found(self, facts: Facts) -> Iterator[tuple[str, str]]:
        if facts.kafka_error is not None:
            yield f"Kafka cannot be reached: {facts.kafka_error}.", "likewiseserversfail"
        if facts.redis_error is not None:
            yield f"Redis cannot be reached: {facts.redis_error}.", "likewiseserversfail"
        yield from self._of_redis(facts)
        yield from self._of_consumers(facts)
        yield from self._of_servers(facts)
        yield from self._of_models(facts)
        yield from self._of_dead_letters(facts)
        age_s = facts.catalogue_age_s
        if age_s is not None and age_s > _OLD_CATALOGUE_S and facts.redis is not None:
            yield (
                f"Filters and search use a catalogue that is {age_s:.0f} s old.",
                "likewisecataloguelate",
            )

    def _of_redis(self, facts: Facts) -> Iterator[tuple[str, str]]:
        if facts.redis is None:
            return
        policy, evicted = facts.redis.eviction
        if policy != "noeviction" or evicted:
            yield (
                f"Redis may evict likes: its policy is {policy}, and it has evicted {evicted:,} keys.",
                "likewiseredisevicts",
            )

    def _of_consumers(self, facts: Facts) -> Iterator[tuple[str, str]]:
        behind, applied = facts.behind, facts.applied
        if behind is None or applied is None:
            return
        still_s = self._still_s("applied", applied, behind > 0, facts.now_s)
        many_s = self._lasts_s("behind", behind > _MANY_BEHIND, facts.now_s)
        if still_s >= _STANDSTILL_S:
            yield (
                f"No consumer applies events: {behind:,} wait, and none was applied for "
                f"{still_s:.0f} s.",
                "likewisedown",
            )
        elif many_s >= _MANY_BEHIND_FOR_S:
            yield f"Consumers are {behind:,} events behind.", "likewiseconsumersbehind"

    def _of_servers(self, facts: Facts) -> Iterator[tuple[str, str]]:
        if facts.kafka is None:
            return
        waiting = max(facts.kafka.requests - facts.kafka.answered, 0)
        still_s = self._still_s("answered", facts.kafka.answered, waiting > 0, facts.now_s)
        if still_s >= _STANDSTILL_S:
            yield (
                f"No server answers requests over Kafka: {waiting:,} wait, and none was answered for "
                f"{still_s:.0f} s.",
                "likewiserequestswait",
            )

    def _of_models(self, facts: Facts) -> Iterator[tuple[str, str]]:
        announced = None if facts.redis is None else facts.redis.announced
        if announced is None or facts.redis is None:
            return
        age_s = facts.now_ms / 1000 - announced.snapshot_at_ms / 1000
        if age_s > _OLD_MODEL_S and facts.redis.changed_users:
            yield (
                f"The model is {age_s / 3600:.1f} hours old, and {facts.redis.changed_users:,} users "
                "have changed their likes since. Is an indexer running?",
                "likewisemodelold",
            )
        other = announced.version != facts.served_version
        if self._lasts_s("other model", other, facts.now_s) >= _OTHER_MODEL_FOR_S:
            yield (
                f"This gateway still uses model {facts.served_version}, not the current one, "
                f"{announced.version}.",
                "likewiseserversdisagree",
            )
        quality = facts.quality
        if quality is None or quality.samples < _ENOUGH_SAMPLES:
            return
        if quality.hit_rate < quality.popular_hit_rate:
            yield (
                "A list of the most popular items predicts new likes better than the model "
                f"({quality.popular_hit_rate:.1%} against {quality.hit_rate:.1%}).",
                "likewisemodelworsethanpopular",
            )

    def _of_dead_letters(self, facts: Facts) -> Iterator[tuple[str, str]]:
        if facts.kafka is None:
            return
        seen = self._dead_letters
        seen.append((facts.now_s, facts.kafka.dead_letters))
        while seen[0][0] < facts.now_s - _DEAD_LETTERS_OF_S:
            seen.popleft()
        refused = facts.kafka.dead_letters - seen[0][1]
        if refused > 0:
            noun = "event or request was" if refused == 1 else "events or requests were"
            yield f"{refused:,} {noun} refused in the last ten minutes.", "likewisedeadletters"

    def _still_s(self, name: str, count: int, waits: bool, now_s: float) -> float:
        """Return for how long the count has not moved although something waits."""
        moved = self._last.get(name) != count
        self._last[name] = count
        if moved:
            self._since.pop(name, None)
        return self._lasts_s(name, waits, now_s)

    def _lasts_s(self, name: str, holds: bool, now_s: float) -> float:
        """Return for how long this has been so at every look."""
        if not holds:
            self._since.pop(name, None)
            return 0.0
        return now_s - self._since.setdefault(name, now_s)
