"""A user: what the user likes, how many signals there are, and what was shown lately."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from gateway.answers import json_answer
from gateway.endpoint import Call, Endpoint
from gateway.endpoints.paging import Cursor, cursor_of, place_of
from gateway.item_fields import Item, shown_items
from likewise.messages.ids import ItemId, SignalKind, UserId
from likewise.store.shown_port import Viewer

if TYPE_CHECKING:
    from starlette.responses import Response

    from likewise.store.port import LikeStore
    from likewise.store.shown_port import ShownList

_MOST = 1_000
_LISTS_SHOWN = 20
_ITEMS_SHOWN = 50


class LikesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which of the likes to list."""

    limit: Annotated[int, Meta(ge=1, le=_MOST)] = 50
    cursor: Cursor | None = None
    """The `cursor` of the page before."""


class LikesPage(msgspec.Struct, frozen=True):
    """A page of what a user likes, in the order of the item ids."""

    items: list[Item]
    total: int
    """How many items the user likes."""
    cursor: str | None
    """For the next page; null on the last one."""


class Shown(msgspec.Struct, frozen=True):
    """One list that the user was shown."""

    at_ms: int
    recommendation_id: str
    page: int
    """Which page it was, counted from 1."""
    items: list[ItemId]
    """The first 50 of them."""


class User(msgspec.Struct, frozen=True):
    """What is stored about a user. A user without likes is not known as such: all counts are 0."""

    user_id: UserId
    likes: int
    signals: dict[str, int]
    """How many items there are for each kind of signal, such as `dislike`, that the user has."""
    shown: list[Shown]
    """The newest 20 lists, newest first, as far as impressions are recorded and kept."""


async def _user(call: Call) -> Response:
    user_id = call.user_id()
    return json_answer(await call.gateway.run(_read, call.gateway.store, user_id))


def _read(store: LikeStore, user_id: UserId) -> User:
    kinds: frozenset[SignalKind] = store.kinds()
    [signals] = store.signals([user_id], kinds) if kinds else [{}]
    [lists] = store.shown([Viewer("user", user_id)])
    counts = {str(kind): len(items) for kind, items in sorted(signals.items()) if items}
    shown = [_shown(one) for one in lists[:_LISTS_SHOWN]]
    return User(user_id, store.count_likes([user_id]), counts, shown)


def _shown(one: ShownList) -> Shown:
    return Shown(one.shown_at_ms, one.recommendation_id, one.page, [*one.items[:_ITEMS_SHOWN]])


async def _likes(call: Call) -> Response:
    query: LikesQuery = call.query
    after = place_of(query.cursor, str)
    [likes] = await call.gateway.run(call.gateway.store.likes, [call.user_id()])
    ordered = sorted(likes if after is None else (one for one in likes if one > after))
    page = ordered[: query.limit]
    items = await shown_items(call.gateway, page)
    more = len(ordered) > len(page)
    return json_answer(LikesPage(items, len(likes), cursor_of(page[-1]) if more else None))


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/users/{user_id}",
        handler=_user,
        summary="Show how much is known about a user, and what the user was shown lately.",
        description=(
            "Likes have no times: Redis holds what a user likes now. `shown` has times: "
            "draw a user's history from it."
        ),
        tag="users",
        answer=User,
    ),
    Endpoint(
        method="GET",
        path="/v1/users/{user_id}/likes",
        handler=_likes,
        summary="List what a user likes, with what the catalogue knows about the items.",
        tag="likes",
        query=LikesQuery,
        answer=LikesPage,
        errors=("invalid_cursor",),
    ),
)
