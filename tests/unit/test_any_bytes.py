"""Whatever bytes come in, each decoder gives a value or the one error that its callers expect."""

from __future__ import annotations

import json
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from likewise.errors import InvalidInputError, ModelFileError, ReplyError
from likewise.messages.announcements import Announcement, decode_announcement
from likewise.messages.dead_letters import DeadLetter, decode_dead_letter
from likewise.messages.event_decoding import decode_event
from likewise.messages.events import Event
from likewise.messages.experiments import Experiment, RemoveExperiment, decode_experiment
from likewise.messages.items import CatalogueItem, RemoveItem, decode_item
from likewise.messages.replies import Recommendations, decode_reply
from likewise.messages.request_decoding import decode_request
from likewise.messages.requests import Request
from likewise.messages.scenarios import RemoveScenario, Scenario, decode_scenario
from likewise.testing.memory_log import MemoryRecord

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from(
    [
        "user_id",
        "item_id",
        "kind",
        "into",
        "recommendation_id",
        "title",
        "categories",
        "labels",
        "published_at",
        "name",
        "defaults",
        "variants",
        "started_at_ms",
        "outcome",
        "where",
        "only",
        "boost",
        "pin",
        "max_per",
        "fields",
        "rotation",
        "source",
        "scenario",
        "next_of",
        "action",
        "version",
        "specversion",
        "type",
        "data",
        "count",
        "after",
        "exclude",
        "liked",
        "deadline_ms",
        "explain",
        "reply_to",
        "request_id",
        "error",
        "code",
        "message",
        "items",
        "score",
        "source",
        "model",
        "age_s",
        "snapshot_at_ms",
        "users",
        "likes",
        "ranker",
    ]
)
objects = st.dictionaries(fields, json_values, max_size=6)
# Bytes that are nearly right come further than bytes drawn by chance.
payloads = st.binary(max_size=200) | objects.map(lambda body: json.dumps(body).encode())
header_names = st.sampled_from(
    [
        *[f"likewise_source_{name}" for name in ("topic", "partition", "offset", "timestamp")],
        *["likewise_reason", "likewise_detail", "likewise_truncated", "ce_specversion", "ce_type"],
    ]
)
header_values = st.binary(max_size=20) | st.integers().map(lambda n: str(n).encode())
headers = st.lists(st.tuples(header_names | st.text(), header_values), max_size=10).map(tuple)
records = st.builds(
    MemoryRecord,
    topic=st.just("likes"),
    partition=st.just(0),
    offset=st.just(0),
    timestamp=st.integers(-1, 2**62),
    key=st.none() | st.binary(max_size=20),
    value=st.none() | payloads,
    headers=headers,
)


@given(records)
def test_any_record_is_an_event_or_an_invalid_input(record: MemoryRecord) -> None:
    with suppress(InvalidInputError):
        assert isinstance(decode_event(record), Event)


@given(records)
def test_any_record_is_a_dead_letter_or_an_invalid_input(record: MemoryRecord) -> None:
    with suppress(InvalidInputError):
        assert isinstance(decode_dead_letter(record), DeadLetter)


@given(st.none() | payloads)
def test_any_value_is_a_request_or_an_invalid_input(value: bytes | None) -> None:
    with suppress(InvalidInputError):
        assert isinstance(decode_request(value), Request)


@given(records)
def test_any_record_is_an_item_a_removal_or_an_invalid_input(record: MemoryRecord) -> None:
    with suppress(InvalidInputError):
        assert isinstance(decode_item(record), CatalogueItem | RemoveItem)


@given(records)
def test_any_record_is_a_scenario_a_removal_or_an_invalid_input(record: MemoryRecord) -> None:
    with suppress(InvalidInputError):
        assert isinstance(decode_scenario(record), Scenario | RemoveScenario)


@given(records)
def test_any_record_is_an_experiment_a_removal_or_an_invalid_input(record: MemoryRecord) -> None:
    with suppress(InvalidInputError):
        assert isinstance(decode_experiment(record), Experiment | RemoveExperiment)


@given(payloads)
def test_any_bytes_are_an_announcement_or_a_model_file_error(raw: bytes) -> None:
    with suppress(ModelFileError):
        assert isinstance(decode_announcement(raw), Announcement)


@given(payloads)
def test_any_bytes_are_recommendations_or_a_reply_error(raw: bytes) -> None:
    with suppress(ReplyError):
        assert isinstance(decode_reply(raw), Recommendations)
