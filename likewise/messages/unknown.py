"""Refusals of well-formed messages that name something which the receiver does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.errors import InvalidInputError

if TYPE_CHECKING:
    from likewise.messages.ids import SignalKind


def unknown_kind(kind: SignalKind) -> InvalidInputError:
    """Return the reason to refuse a signal whose kind the settings do not name."""
    return InvalidInputError(
        "unknown_kind", f"`kind` is {kind!r}, which the settings do not name: set signals.{kind}"
    )


def unknown_scenario(name: str) -> InvalidInputError:
    """Return the reason to refuse a request whose scenario does not exist."""
    return InvalidInputError("unknown_scenario", f"`scenario` is {name!r}, which does not exist")


def unknown_recommendation(recommendation_id: str) -> InvalidInputError:
    """Return the reason to refuse a request for the next page of a list that this user was not shown."""
    return InvalidInputError(
        "unknown_recommendation",
        f"`next_of` is {recommendation_id!r}, which is no recent recommendation for this subject",
    )
