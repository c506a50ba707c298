"""The model versions: which there are, how each was built, comparing two, and using one."""

from __future__ import annotations

from contextlib import closing
from itertools import islice
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from gateway.answers import json_answer
from gateway.endpoint import Call, Endpoint
from gateway.endpoints.paging import Cursor, cursor_of, place_of
from gateway.item_fields import stored_fields
from gateway.model_comparison import LISTED, Compared, compared
from gateway.problem import Problem
from likewise.errors import ModelFileError
from likewise.messages.announcements import Announcement
from likewise.messages.ids import ItemId, UserId
from likewise.models.files import read_manifest
from likewise.models.holder import load_model
from likewise.models.manifest import FileEntry
from likewise.operations.models import (
    ModelRow,
    current_version,
    find_version,
    model_rows,
    use_version,
)
from likewise.ranking.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.responses import Response

    from gateway.gateway import Gateway
    from likewise.models.holder import ServedModel

_EXAMPLES = 5


class ModelsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which versions to list."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: Cursor | None = None
    """The `cursor` of the page before."""


class ModelPage(msgspec.Struct, frozen=True):
    """A page of versions, newest first."""

    versions: list[ModelRow]
    cursor: str | None
    """For the next page; null on the last one."""


class Build(msgspec.Struct, frozen=True):
    """How a version was built."""

    seconds: dict[str, float]
    """How long each step took."""
    choice: dict[str, Any] | None
    """With the ranker `auto`: the recipes `tried` on `held_out_likes`, and which of them was `chosen`."""


class ModelDetails(msgspec.Struct, frozen=True, kw_only=True):
    """One version, as its manifest describes it."""

    version: str
    current: bool
    snapshot_at_ms: int
    """When the snapshot of the likes began that it was built from (ms since the epoch)."""
    users: int
    items: int
    likes: int
    rank: int
    """Dimensions of the item vectors."""
    recipe: Recipe
    weights: dict[str, float]
    """The weight of each kind of signal; likes weigh 1."""
    build: Build
    files: dict[str, FileEntry]


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


async def _models(call: Call) -> Response:
    gateway, query = call.gateway, call.query
    before = place_of(query.cursor, str)

    def rows() -> list[ModelRow]:
        current = current_version(gateway.store)
        return model_rows(gateway.settings.model.directory, current)

    found = [row for row in await gateway.run(rows) if before is None or row.version < before]
    page = found[: query.limit]
    more = len(found) > len(page)
    return json_answer(ModelPage(page, cursor_of(page[-1].version) if more else None))


async def _model(call: Call) -> Response:
    return json_answer(await call.gateway.run(_details, call.gateway, call.path["version"]))


def _details(gateway: Gateway, version: str) -> ModelDetails:
    try:
        manifest = read_manifest(gateway.settings.model.directory, version)
    except ModelFileError as error:
        raise _unknown(version) from error
    return ModelDetails(
        version=version,
        current=version == current_version(gateway.store),
        snapshot_at_ms=manifest.snapshot_at_ms,
        users=manifest.users,
        items=manifest.items,
        likes=manifest.likes,
        rank=manifest.rank,
        recipe=manifest.recipe,
        weights=manifest.weights,
        build=Build(manifest.build.get("seconds", {}), manifest.build.get("choice")),
        files=manifest.files,
    )


async def _use(call: Call) -> Response:
    return json_answer(await call.gateway.slow.run(_used, call.gateway, call.path["version"]))


def _used(gateway: Gateway, version: str) -> Announcement:
    directory = gateway.settings.model.directory
    try:
        read_manifest(directory, version)
    except ModelFileError as error:
        raise _unknown(version) from error
    with closing(gateway.broker.sink()) as sink:
        try:
            return use_version(directory, gateway.store, sink, gateway.topics, version)
        except ModelFileError as error:
            raise Problem("broken_version", str(error)) from error


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
    directory = gateway.settings.model.directory
    try:
        version = find_version(name, directory, gateway.store)
    except ModelFileError as error:
        raise _unknown(name) from error
    served = gateway.models.current()
    if served.version == version:
        return served
    try:
        return load_model(directory, version)
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


def _unknown(version: str) -> Problem:
    return Problem("unknown_version", f"there is no model version {version[:64]!r} on this disk")


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/models",
        handler=_models,
        summary="List the model versions, newest first.",
        description="Those in the model directory of the gateway.",
        tag="models",
        query=ModelsQuery,
        answer=ModelPage,
        errors=("invalid_cursor",),
    ),
    Endpoint(
        method="GET",
        path="/v1/models/{version}",
        handler=_model,
        summary="Show how a version was built, and what `auto` tried.",
        tag="models",
        answer=ModelDetails,
        errors=("unknown_version",),
    ),
    Endpoint(
        method="POST",
        path="/v1/models/{version}/use",
        handler=_use,
        summary="Make a version the current one.",
        description=(
            "Its files are verified first. Servers load it within a second. It stays current until the "
            "indexer announces its next build."
        ),
        tag="models",
        role="admin",
        answer=Announcement,
        errors=("unknown_version", "broken_version", "overloaded"),
        weight=10,
    ),
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
