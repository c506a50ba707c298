from __future__ import annotations

import pytest

from likewise.errors import TransientError, UndeliverableError
from likewise.log.kafka.topic_sizes import TopicSizes
from likewise.log.topic_listing import TopicListing


class Cluster:
    """Topics with their sizes, a clock, and how often was asked."""

    def __init__(self, **sizes: int) -> None:
        self.sizes = sizes
        self.now_s = 0.0
        self.asked = 0
        self.down = False
        self.known = TopicSizes(self.ask, clock_s=lambda: self.now_s)

    def ask(self) -> dict[str, int]:
        self.asked += 1
        if self.down:
            raise TransientError("down")
        return dict(self.sizes)


def test_an_existing_topic_is_looked_up_every_thirty_seconds() -> None:
    cluster = Cluster(likes=3)
    for now_s in (0.0, 0.1, 29.0, 31.0, 32.0):
        cluster.now_s = now_s
        cluster.known.check("likes", 2)
    assert cluster.asked == 2


def test_a_missing_topic_is_looked_up_again_after_a_second() -> None:
    cluster = Cluster()
    for _ in range(5):
        with pytest.raises(UndeliverableError, match="there is no topic likes"):
            cluster.known.check("likes")
    assert cluster.asked == 1
    cluster.sizes["likes"] = 1
    cluster.now_s = 1.1
    cluster.known.check("likes")


def test_a_partition_that_was_added_is_found_after_a_second() -> None:
    cluster = Cluster(likes=3)
    with pytest.raises(UndeliverableError, match="3 partitions, none with number 3"):
        cluster.known.check("likes", 3)
    cluster.sizes["likes"] = 4
    cluster.now_s = 1.1
    cluster.known.check("likes", 3)


def test_a_negative_partition_is_refused() -> None:
    with pytest.raises(UndeliverableError):
        Cluster(likes=3).known.check("likes", -1)


def test_a_known_topic_is_trusted_during_an_outage() -> None:
    cluster = Cluster(likes=3)
    cluster.known.check("likes")
    cluster.down, cluster.now_s = True, 60.0
    cluster.known.check("likes")
    with pytest.raises(TransientError):
        cluster.known.check("other")


def test_a_thousand_names_that_do_not_exist_cost_one_question_a_second() -> None:
    cluster = Cluster(likes=3)
    for cluster.now_s in (0.0, 0.5, 1.0):
        for number in range(1_000):
            with pytest.raises(UndeliverableError):
                cluster.known.check(f"made-up-{number}")
        cluster.known.check("likes")
    assert cluster.asked == 2


def test_a_slow_list_of_topics_takes_at_most_a_twentieth_of_the_time() -> None:
    cluster = Cluster(likes=3)

    def slow() -> dict[str, int]:
        cluster.now_s += 0.5
        return cluster.ask()

    listing = TopicListing(slow, found_for_s=30.0, clock_s=lambda: cluster.now_s)
    while cluster.now_s < 20.0:
        assert listing.size("made-up") == 0
        cluster.now_s += 0.25
    assert cluster.asked == 2


def test_an_invalidated_topic_is_asked_for_again_with_all_others() -> None:
    cluster = Cluster(likes=3, other=1)
    listing = TopicListing(cluster.ask, found_for_s=30.0, clock_s=lambda: 0.0)
    assert (listing.size("likes"), listing.size("other")) == (3, 1)
    cluster.sizes = {"likes": 4}
    listing.invalidate("likes")
    listing.invalidate("other")
    assert (listing.size("likes"), listing.size("other")) == (4, 0)
    assert cluster.asked == 2
