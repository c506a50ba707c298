"""The codes of error replies and dead letters: what each means, and what the sender can do.

docs/protocol.md has them as tables (`make docs`).
"""

from __future__ import annotations

from typing import NamedTuple

_FIX = "Fix the client."


class ErrorCode(NamedTuple):
    """One code of an error reply, in sentences for the documentation."""

    meaning: str
    remedy: str


REPLY_ERRORS = {
    "null_value": ErrorCode("The record has no value.", _FIX),
    "not_json": ErrorCode("The value is not JSON in UTF-8.", _FIX),
    "wrong_type": ErrorCode(
        "A field has the wrong type. This includes NaN, and a fraction as `count`.", _FIX
    ),
    "too_deep": ErrorCode("The JSON is nested too deeply.", _FIX),
    "too_large": ErrorCode(
        "The request is larger than 512 KiB, or a list has more than 10,000 items.", "Ask for less."
    ),
    "missing_field": ErrorCode(
        "None of `user_id`, `liked`, `similar_to`, `users_for` and `users_like` is set.", _FIX
    ),
    "ambiguous_subject": ErrorCode(
        "`liked` is set together with `user_id` or `similar_to`, or `users_for` or `users_like` with "
        "any other.",
        "Leave one of them out.",
    ),
    "invalid_id": ErrorCode(
        "An id is empty, is longer than 256 bytes, or contains a lone surrogate.", _FIX
    ),
    "invalid_count": ErrorCode("`count` is not from 1 to 1000.", _FIX),
    "invalid_diversity": ErrorCode("`diversity` is not from 0 to 1.", _FIX),
    "invalid_novelty": ErrorCode("`novelty` is not from 0 to 1.", _FIX),
    "invalid_rotation": ErrorCode("`rotation` is not from 0 to 1.", _FIX),
    "invalid_explore": ErrorCode("`explore` is not from 0 to 1.", _FIX),
    "invalid_where": ErrorCode(
        "`where` is not a filter, or has more than 10 levels or 200 conditions. The message names the "
        "place.",
        _FIX,
    ),
    "invalid_boost": ErrorCode(
        "`boost` has more than 20 entries, or a factor is not from 0 to 1000.", _FIX
    ),
    "invalid_pin": ErrorCode(
        "`pin` has more than 100 entries, a place that is not from 1 to `count`, or a place or an item "
        "twice.",
        _FIX,
    ),
    "invalid_max_per": ErrorCode(
        "`max_per.field` is not the name of a field, or `max_per.count` is not from 1 to 1000.",
        _FIX,
    ),
    "invalid_fields": ErrorCode("`fields` has more than 50 names, or one is not a name.", _FIX),
    "invalid_source": ErrorCode("`source` is not `model`, `popular`, `trending` or `new`.", _FIX),
    "invalid_recommendation_id": ErrorCode(
        "`next_of` or `recommendation_id` is not 1 to 64 of `A-Z a-z 0-9 _ -`.", _FIX
    ),
    "unknown_recommendation": ErrorCode(
        "`next_of` names no recent recommendation for this user.", "Ask without `next_of`."
    ),
    "invalid_scenario": ErrorCode(
        "`scenario` is not a name, or `defaults` of a scenario has a field that it can't set.", _FIX
    ),
    "unknown_scenario": ErrorCode("`scenario` names no scenario.", "Create it, or leave it out."),
    "invalid_deadline": ErrorCode("`deadline_ms` is not from 1 to 3,600,000.", _FIX),
    "invalid_reply_partition": ErrorCode(
        "`kafka_replyPartition` is not a number, or the reply topic has no such partition.", _FIX
    ),
    "invalid_position": ErrorCode(
        "`after` is not `partition:offset`, or the likes topic has no such partition.", _FIX
    ),
    "unsupported_version": ErrorCode("`version` is not 1.", _FIX),
    "unknown_item": ErrorCode(
        "The model does not contain the item in `similar_to` or `users_for`.",
        "Ask again after the next build, or ask for another item.",
    ),
    "no_user_ids": ErrorCode(
        "`users_for` and `users_like` need a model with user ids.",
        "Set `model.user_ids` for the indexer, and wait for the next build.",
    ),
    "deadline_exceeded": ErrorCode(
        "The deadline passed before there was an answer.", "Continue without it, or ask again."
    ),
    "after_timeout": ErrorCode(
        "The event in `after` was not applied in time (`serving.after_timeout_ms`).",
        "Ask again without `after`. Check that a consumer is running.",
    ),
    "overloaded": ErrorCode(
        "Too many requests wait for their `after`: 10,000 in total, or too many with the same reply "
        "topic and partition. Or the requests in line with the same reply topic and partition would "
        "take half a minute of processor time.",
        "Ask again later, or ask for less.",
    ),
    "reply_too_large": ErrorCode(
        "The reply topic does not accept so large a record.", "Lower `count`."
    ),
    "internal": ErrorCode("The server failed on this request.", "Read the server's log."),
}

DEAD_LETTERS = {
    "key_mismatch": "The record key names another user (or item) than the body.",
    "unknown_action": "`action` is not an action.",
    "invalid_kind": "`kind` is not 1 to 32 of `a-z 0-9 _ -`, or is `like`, `dislike` or `hide`.",
    "unknown_kind": "The settings do not name the `kind`: add it to the table `signals`.",
    "invalid_merge": "`into` is the same user as `user_id`.",
    "invalid_label": "A label of an item has no valid name or value.",
    "invalid_published_at": "`published_at` of an item is not a time.",
    "invalid_experiment": "An experiment has no valid name, kind, variants or shares; the message names it.",
    "invalid_exposure": "An exposure does not fit together; the message says why.",
    "reply_topic_refused": "The request names a reply topic that replies must not be sent to.",
    "reply_topic_unknown": "The request names a reply topic that does not exist.",
    "undecodable_record": "The record is damaged; the rest of its batch is intact.",
    "undecodable_batch": "The whole batch is damaged: its checksum or length is wrong, or its codec "
    "is unknown or not the one that was used.",
    "batch_too_large": "The batch is larger than 64 MiB when decompressed.",
    "reply_undeliverable": "The reply topic did not even accept a short error reply.",
}
"""Codes of dead letters that no error reply has; the codes of error replies are used as well."""
