from __future__ import annotations

import fnmatch
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from redis.crc import key_slot

from likewise.errors import SettingsError
from likewise.log.topics import Topics
from likewise.messages.ids import DISLIKE, HIDE, ItemId, SignalKind, UserId
from likewise.records import TopicPartition
from likewise.settings import RedisSettings
from likewise.store.cluster_keys import ClusterKeys
from likewise.store.keys import Keys, allows_slot_tags
from likewise.store.redis import RedisStore

prefixes = st.text(max_size=8)
users = st.text(min_size=1, max_size=20).map(UserId)
with_braces = st.text("{}a:\n", max_size=8)

KINDS = [DISLIKE, HIDE, SignalKind("buy"), SignalKind("buy-again")]


def test_the_topics_have_the_names_that_the_protocol_promises() -> None:
    assert [spec.name for spec in Topics().specs(partitions=6)] == [
        "likes",
        "recommendation-requests",
        "recommendation-replies",
        "likes.dead-letters",
        "models",
        "items",
        "scenarios",
        "experiments",
        "exposures",
    ]


def test_a_prefix_stands_before_every_topic() -> None:
    plain, prefixed = Topics().specs(6), Topics("shop.").specs(6)
    assert [spec.name for spec in prefixed] == [f"shop.{spec.name}" for spec in plain]


def test_topics_of_current_state_are_compacted_and_only_busy_topics_are_wide() -> None:
    specs = {spec.name: spec for spec in Topics().specs(partitions=6)}
    compacted = [name for name, spec in specs.items() if "cleanup.policy" in spec.config]
    assert compacted == ["models", "items", "scenarios", "experiments"]
    assert {name for name, spec in specs.items() if spec.partitions == 1} == {
        "likes.dead-letters",
        "models",
        "items",
        "scenarios",
        "experiments",
    }


@pytest.mark.parametrize("topic", ["recommendation-replies", "mine", "a.b_c-1", "x" * 249])
def test_replies_may_go_to_any_legal_topic(topic: str) -> None:
    assert Topics().may_be_replied_to(topic)


@pytest.mark.parametrize(
    "topic",
    [
        "", ".", "..", "a b", "é", "a/b", "mine\n", "x" * 250, "__consumer_offsets",
        "likes", "likes.dead-letters", "recommendation-requests", "models", "items", "scenarios",
        "experiments", "exposures",
    ],
)  # fmt: skip
def test_replies_never_go_to_what_likewise_reads_nor_to_internal_or_illegal_topics(
    topic: str,
) -> None:
    assert not Topics().may_be_replied_to(topic)


@pytest.mark.parametrize("prefix", ["", "shop.", "other-"])
def test_replies_never_go_to_the_topics_of_another_deployment(prefix: str) -> None:
    for spec in Topics(prefix).specs(1):
        assert not Topics("mine.").may_be_replied_to(spec.name)
    assert Topics("mine.").may_be_replied_to("mine.recommendation-replies")


# Keys


def test_a_users_likes_stand_where_the_product_promises() -> None:
    assert Keys().likes(UserId("u42")) == "likes:u42"


def test_a_users_signals_are_in_sets_of_documented_names() -> None:
    keys, user = Keys("shop:"), UserId("u42")
    assert keys.signals(DISLIKE, user) == "shop:dislikes:u42"
    assert keys.signals(HIDE, user) == "shop:hidden:u42"
    assert keys.signals(SignalKind("buy"), user) == "shop:signals:buy:u42"
    assert keys.of_user(user, [DISLIKE])[:2] == ["shop:likes:u42", "shop:dislikes:u42"]


@given(prefixes, users)
def test_the_user_is_read_back_from_the_key(prefix: str, user: UserId) -> None:
    keys = Keys(prefix)
    assert keys.user_of(keys.likes(user)) == user
    for kind in KINDS:
        assert keys.user_of(keys.signals(kind, user), kind) == user


@given(prefixes, users)
def test_the_pattern_of_a_kind_finds_every_set_of_that_kind_and_no_other(
    prefix: str, user: UserId
) -> None:
    keys = Keys(prefix)
    for kind in KINDS:
        assert matches(keys.signals_pattern(kind), keys.signals(kind, user))
        others = [keys.signals(other, user) for other in KINDS if other != kind]
        for key in (keys.likes(user), keys.kinds, *others):
            assert not matches(keys.signals_pattern(kind), key)


@given(prefixes, users)
def test_the_pattern_finds_every_set_of_likes_and_no_bookkeeping(prefix: str, user: UserId) -> None:
    keys = Keys(prefix)
    assert matches(keys.likes_pattern, keys.likes(user))
    for other in (
        keys.position("likes", 3),
        keys.changed,
        keys.kinds,
        *(keys.signals(kind, user) for kind in KINDS),
        keys.retired,
        keys.retired_version,
        keys.model,
        keys.lease("indexer"),
        keys.items(ItemId(user)),
        keys.scenarios,
        keys.experiments,
        keys.attribution_positions,
        keys.windows(user),
        keys.tally(user),
        keys.catalogue_changes,
    ):
        assert other.startswith(prefix)
        assert not matches(keys.likes_pattern, other)


@given(prefixes, users)
def test_the_bucket_of_every_item_is_among_the_buckets(prefix: str, item: str) -> None:
    keys = Keys(prefix)
    assert keys.items(ItemId(item)) in keys.items_buckets()


@pytest.mark.parametrize("prefix", ["a*:", "a?:", "[ab]:", "a\\:"])
def test_glob_characters_in_a_prefix_stand_for_themselves(prefix: str) -> None:
    pattern = Keys(prefix).likes_pattern
    assert matches(pattern, f"{prefix}likes:u1")
    assert not matches(pattern, "aX:likes:u1")
    assert not matches(pattern, "a:likes:u1")


@given(prefixes | with_braces, users | with_braces.map(UserId))
def test_on_a_cluster_all_keys_of_a_user_are_in_the_slot_of_the_bucket(
    prefix: str, user: UserId
) -> None:
    assume(allows_slot_tags(prefix))
    keys = ClusterKeys(prefix, 16)
    sets = [keys.likes(user), *(keys.signals(kind, user) for kind in KINDS)]
    bucket = keys.group_of(user)
    moved = keys.moved(user, TopicPartition("likes", 3), 7)
    names = [*keys.of_user(user, KINDS), *map(keys.times, sets), moved]
    names += [keys.changed_in(bucket), keys.scattered_in(bucket), keys.state(bucket)]
    assert len({key_slot(name.encode()) for name in names}) == 1
    assert keys.user_of(keys.likes(user)) == user
    assert [keys.user_of(keys.signals(kind, user), kind) for kind in KINDS] == [user] * len(KINDS)


@given(prefixes | with_braces)
def test_on_a_cluster_all_shared_keys_are_in_one_slot(prefix: str) -> None:
    assume(allows_slot_tags(prefix))
    keys = ClusterKeys(prefix, 16)
    names = [keys.state(keys.shared), keys.retired, keys.times(keys.retired), keys.retired_version]
    names += [keys.scenarios, keys.catalogue_changes, keys.new_likes, keys.windows(UserId("u"))]
    names += [keys.attribution_positions, keys.trending, keys.trending_epoch]
    assert len({key_slot(name.encode()) for name in names}) == 1


def test_on_a_cluster_the_names_differ_by_their_hash_tags_alone() -> None:
    keys, plain = ClusterKeys("shop:", 4), Keys("shop:")
    user = UserId("u1")
    for kind in KINDS:
        assert re.sub(r"\{b\d\}:", "", keys.signals(kind, user)) == plain.signals(kind, user)
    assert re.sub(r"\{b\d\}:", "", keys.times(keys.likes(user))) == plain.times(plain.likes(user))
    assert keys.retired.replace("{shared}:", "") == plain.retired
    assert re.sub(r"\{b\d\}:", "", keys.items(ItemId("i"))) == plain.items(ItemId("i"))


@pytest.mark.parametrize("prefix", ["{", "shop{", "{}", "a{}{b}", "}{"])
def test_a_prefix_that_breaks_hash_tags_is_refused_on_a_cluster_alone(prefix: str) -> None:
    with pytest.raises(SettingsError, match="LIKEWISE_REDIS_KEY_PREFIX"):
        RedisStore(RedisSettings(key_prefix=prefix, cluster=True))
    RedisStore(RedisSettings(key_prefix=prefix))


@pytest.mark.parametrize("prefix", ["", "shop.", "{shop}.", "}", "a{b{c}."])
def test_other_prefixes_are_accepted_on_a_cluster(prefix: str) -> None:
    RedisStore(RedisSettings(key_prefix=prefix, cluster=True))


def test_no_two_keys_are_the_same() -> None:
    keys = Keys("shop:")
    names = [
        keys.likes(UserId("u1")),
        keys.kinds,
        *(keys.signals(kind, UserId("u1")) for kind in KINDS),
        keys.position("likes", 0),
        keys.position("likes", 1),
        keys.position("other", 0),
        keys.changed,
        keys.retired,
        keys.retired_version,
        keys.model,
        keys.lease("indexer"),
        keys.items(ItemId("i1")),
        keys.scenarios,
        keys.experiments,
        keys.attribution_positions,
        keys.closed_runs,
        keys.windows(UserId("a")),
        keys.totals("a"),
        keys.tally("a"),
        keys.shown_items("a", "b"),
        keys.catalogue_changes,
        keys.lease("other"),
    ]
    assert len(set(names)) == len(names)


def matches(pattern: str, key: str) -> bool:
    """Whether Redis' glob matches; as in `fnmatch`, with backslash as the escape."""
    translated = ""
    escaped = False
    for character in pattern:
        if not escaped and character == "\\":
            escaped = True
            continue
        translated += f"[{character}]" if escaped and character != "]" else character
        escaped = False
    return fnmatch.fnmatchcase(key, translated)
