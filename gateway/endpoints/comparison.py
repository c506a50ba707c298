"""Comparing two model versions: what both recommend to the same users."""

from __future__ import annotations

from itertools import islice
from statistics import fmean
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from gateway.answers import json_answer
from gateway.endpoint import Call, Endpoint
from gateway.endpoints.models import unknown_version
from gateway.item_fields import stored_fields
from gateway.model_comparison import LISTED, Compared, compared
from gateway.problem import Problem
from likewise.errors import ModelFileError
from likewise.messages.ids import ItemId, UserId
from likewise.models.holder import load_model
from likewise.models.place import models_place
from likewise.operations.models import find_version

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.responses import Response

    from gateway.gateway import Gateway
    from likewise.models.holder import ServedModel

_EXAMPLES = 5


class Comparing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which versions to compare, and for how many users."""

    versions: Annotated[list[str], Meta(min_length=2, max_length=2)]
    """Two versions; `current` and `previous` name versions, too."""
    users: Annotated[int, Meta(ge=1, le=1_000)] = 200


class ListedItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """An item of a list."""

    item_id: ItemId
    title: str | None = None


class ComparedUser(msgspec.Struct, frozen=True):
    """What both versions recommend to one user."""

    user_id: UserId
    overlap: float
    lists: list[list[ListedItem]]


class ModelComparison(msgspec.Struct, frozen=True):
    """How alike the recommendations of two versions are."""

    versions: list[str]
    users: int
    """How many users with likes were compared."""
    overlap: float
    """The mean share of the first 20 items that both recommend, from 0 to 1."""
    examples: list[ComparedUser]
    """The users whose lists differ most."""


async def _compare(call: Call) -> Response:
    return json_answer(await call.gateway.slow.run(_comparison, call.gateway, call.body))


def _comparison(gateway: Gateway, asked: Comparing) -> ModelComparison:
    one, other = (_loaded(gateway, version) for version in asked.versions)
    likes = _likes_of_some(gateway, asked.users)
    found = compared((one.model, other.model), likes, gateway.store.retired()[1])
    examples = found[:_EXAMPLES]
    titles = _titles(gateway, {item for each in examples for items in each.lists for item in items})
    return ModelComparison(
        [one.version, other.version],
        len(found),
        fmean(each.overlap for each in found) if found else 1.0,
        [_example(each, titles) for each in examples],
    )


def _loaded(gateway: Gateway, name: str) -> ServedModel:
    """Return the named version, from memory if it is the current one."""
    place = models_place(gateway.settings)
    try:
        version = find_version(name, place, gateway.store)
    except ModelFileError as error:
        raise unknown_version(name) from error
    served = gateway.models.current()
    if served.version == version:
        return served
    try:
        return load_model(place, version)
    except ModelFileError as error:
        raise Problem("broken_version", str(error)) from error


def _likes_of_some(gateway: Gateway, count: int) -> dict[UserId, Collection[ItemId]]:
    """Return the likes of the first users that the store names, in no particular order."""
    users: dict[UserId, None] = {}
    for chunk in gateway.store.scan_users(count):
        users |= dict.fromkeys(chunk)
        if len(users) >= count:
            break
    chosen = list(islice(users, count))
    liked = gateway.store.liked_items(chosen)
    return {user: items for user, items in zip(chosen, liked, strict=True) if items}


def _titles(gateway: Gateway, items: set[ItemId]) -> dict[ItemId, str | None]:
    wanted = sorted(items)
    stored = gateway.store.catalogue_get(wanted) if wanted else []
    return {
        item: stored_fields(document).get("title")
        for item, document in zip(wanted, stored, strict=True)
    }


def _example(each: Compared, titles: dict[ItemId, str | None]) -> ComparedUser:
    lists = [[ListedItem(item, titles[item]) for item in items] for items in each.lists]
    return ComparedUser(each.user_id, round(each.overlap, 4), lists)


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/models/compare",
        handler=_compare,
        summary="Compare what two versions recommend to the same users.",
        description=(
            f"Both recommend {LISTED} items to each of so many users, from their current likes. A version that "
            "is not in use is loaded first, and takes its memory until the answer. `likewise models compare` "
            "does more: it answers recent requests again and checks what users liked afterwards."
        ),
        tag="models",
        role="admin",
        body=Comparing,
        answer=ModelComparison,
        errors=("unknown_version", "broken_version", "overloaded"),
        weight=50,
    ),
)
