from __future__ import annotations

import pytest

from likewise.errors import InvalidInputError, SettingsError
from likewise.log.topic_listing import FOUND_FOR_S, MISSING_FOR_S, TopicListing
from likewise.log.topics import Topics, TopicSpec
from likewise.messages.reply_routes import ReplyRoute
from likewise.settings import ServingSettings
from likewise.testing import MemoryBroker
from serving.reply_topics import ReplyTopics


class CountingBroker(MemoryBroker):
    """Counts how often it is asked for its topics."""

    asked = 0

    def topic_sizes(self) -> dict[str, int]:
        self.asked += 1
        return super().topic_sizes()


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def broker() -> CountingBroker:
    broker = CountingBroker()
    broker.ensure_topics([*Topics("a.").specs(1), TopicSpec("shop.replies", 2, {})])
    return broker


DEFAULT = ServingSettings().reply_topic_pattern


def refusal(broker: MemoryBroker, route: ReplyRoute, pattern: str = r".*") -> str | None:
    """Return the code with which the route is refused, or None."""
    try:
        ReplyTopics(TopicListing(broker.topic_sizes), Topics("a."), pattern).check(route)
    except InvalidInputError as error:
        return error.code
    return None


def test_a_topic_that_exists_may_be_replied_to(broker: CountingBroker) -> None:
    assert refusal(broker, ReplyRoute("shop.replies")) is None
    assert refusal(broker, ReplyRoute("shop.replies", partition=1)) is None


@pytest.mark.parametrize(
    "topic",
    [
        "a.likes", "a.likes.dead-letters", "a.recommendation-requests", "a.models",
        "likes", "b.likes", "b.recommendation-replies", "staging-recommendation-requests", "b.models",
        "__consumer_offsets", "", ".", "..", "a b", "x" * 250, "a/b", "täst", "shop.replies\n",
    ],
)  # fmt: skip
def test_topics_that_we_read_and_invalid_names_are_refused(
    broker: CountingBroker, topic: str
) -> None:
    for pattern in (r".*", DEFAULT):
        assert refusal(broker, ReplyRoute(topic), pattern) == "reply_topic_refused"
    assert broker.asked == 0


@pytest.mark.parametrize(
    "topic",
    [
        "replies",
        "shop.replies",
        "shop-replies",
        "shop_reply",
        "reply-1",
        "a.b.replies.7",
        "shop.reply.x",
    ],
)
def test_by_default_the_name_of_a_reply_topic_shows_that_it_is_one(
    broker: CountingBroker, topic: str
) -> None:
    broker.ensure_topics([TopicSpec(topic, 1, {})])
    assert refusal(broker, ReplyRoute(topic), DEFAULT) is None


@pytest.mark.parametrize(
    "topic",
    [
        "_schemas-x",
        "connect-configs-x",
        "orders",
        "_shop.replies",
        "-replies",
        "noreplies",
        "repliesx",
    ],
)
def test_by_default_other_topics_are_not_written_to(broker: CountingBroker, topic: str) -> None:
    broker.ensure_topics([TopicSpec(topic, 1, {})])
    assert refusal(broker, ReplyRoute(topic), DEFAULT) == "reply_topic_refused"
    assert refusal(broker, ReplyRoute(topic), r".*") is None


def test_a_refusal_names_the_setting(broker: CountingBroker) -> None:
    topics = ReplyTopics(TopicListing(broker.topic_sizes), Topics("a."), DEFAULT)
    with pytest.raises(InvalidInputError, match="LIKEWISE_SERVING_REPLY_TOPIC_PATTERN"):
        topics.check(ReplyRoute("orders"))


def test_a_topic_has_to_match_the_pattern_as_a_whole(broker: CountingBroker) -> None:
    assert refusal(broker, ReplyRoute("shop.replies"), r"shop") == "reply_topic_refused"
    assert refusal(broker, ReplyRoute("shop.replies"), r"shop\..*") is None


def test_the_default_reply_topic_is_allowed_whatever_the_pattern(broker: CountingBroker) -> None:
    assert refusal(broker, ReplyRoute("a.recommendation-replies"), r"shop\..*") is None


def test_a_topic_or_partition_that_does_not_exist_is_refused(broker: CountingBroker) -> None:
    assert refusal(broker, ReplyRoute("nowhere")) == "reply_topic_unknown"
    assert refusal(broker, ReplyRoute("shop.replies", partition=2)) == "invalid_reply_partition"


def test_a_partition_that_was_added_is_found_at_once_and_others_asked_for_once_a_second(
    broker: CountingBroker,
) -> None:
    clock = Clock()
    listing = TopicListing(broker.topic_sizes, clock_s=clock)
    assert listing.size("shop.replies") == 2
    broker.add_partitions("shop.replies", 3)
    clock.now_s += MISSING_FOR_S
    assert listing.size("shop.replies", at_least=3) == 3
    asked = broker.asked
    for _ in range(10):
        clock.now_s += MISSING_FOR_S / 10
        assert listing.size("shop.replies", at_least=10**9) == 3
    assert broker.asked == asked + 1


def test_a_pattern_that_is_not_a_regular_expression_is_refused_with_the_setting(
    broker: CountingBroker,
) -> None:
    with pytest.raises(SettingsError, match="LIKEWISE_SERVING_REPLY_TOPIC_PATTERN"):
        ReplyTopics(TopicListing(broker.topic_sizes), Topics(), "(")


def test_a_topic_once_found_is_asked_for_once_a_minute(broker: CountingBroker) -> None:
    clock = Clock()
    listing = TopicListing(broker.topic_sizes, clock_s=clock)
    for _ in range(100):
        assert listing.size("shop.replies") == 2
    assert broker.asked == 1
    clock.now_s += FOUND_FOR_S
    listing.size("shop.replies")
    assert broker.asked == 2


def test_a_topic_created_after_it_was_missing_is_found_a_second_later(
    broker: CountingBroker,
) -> None:
    clock = Clock()
    listing = TopicListing(broker.topic_sizes, clock_s=clock)
    assert listing.size("new") == 0
    broker.ensure_topics([TopicSpec("new", 1, {})])
    assert listing.size("new") == 0
    clock.now_s += MISSING_FOR_S
    assert listing.size("new") == 1


def test_an_invalidated_topic_is_asked_for_again(broker: CountingBroker) -> None:
    listing = TopicListing(broker.topic_sizes, clock_s=Clock())
    listing.size("shop.replies")
    listing.invalidate("shop.replies")
    listing.invalidate("never seen")
    listing.size("shop.replies")
    assert broker.asked == 2
