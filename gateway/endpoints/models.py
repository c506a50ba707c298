"""The model versions: which there are, how each was built, and using one."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from gateway.answers import json_answer
from gateway.endpoint import Call, Endpoint
from gateway.endpoints.paging import Cursor, cursor_of, place_of
from gateway.problem import Problem
from likewise.errors import ModelFileError
from likewise.messages.announcements import Announcement
from likewise.models.files import read_manifest
from likewise.models.manifest import FileEntry
from likewise.models.place import models_place
from likewise.operations.models import (
    ModelRow,
    current_version,
    model_rows,
    use_version,
)
from likewise.ranking.recipe import Recipe

if TYPE_CHECKING:
    from starlette.responses import Response

    from gateway.gateway import Gateway


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


async def _models(call: Call) -> Response:
    gateway, query = call.gateway, call.query
    before = place_of(query.cursor, str)

    def rows() -> list[ModelRow]:
        current = current_version(gateway.store)
        return model_rows(models_place(gateway.settings), current, store=gateway.store)

    found = [row for row in await gateway.run(rows) if before is None or row.version < before]
    page = found[: query.limit]
    more = len(found) > len(page)
    return json_answer(ModelPage(page, cursor_of(page[-1].version) if more else None))


async def _model(call: Call) -> Response:
    return json_answer(await call.gateway.run(_details, call.gateway, call.path["version"]))


def _details(gateway: Gateway, version: str) -> ModelDetails:
    try:
        manifest = read_manifest(models_place(gateway.settings), version)
    except ModelFileError as error:
        raise unknown_version(version) from error
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
    place = models_place(gateway.settings)
    try:
        read_manifest(place, version)
    except ModelFileError as error:
        raise unknown_version(version) from error
    with closing(gateway.broker.sink()) as sink:
        try:
            return use_version(place, gateway.store, sink, gateway.topics, version)
        except ModelFileError as error:
            raise Problem("broken_version", str(error)) from error


def unknown_version(version: str) -> Problem:
    """Return the problem of a version that is not on this disk."""
    return Problem("unknown_version", f"there is no model version {version[:64]!r} on this disk")


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/models",
        handler=_models,
        summary="List the model versions, newest first.",
        description="Those in the model directory of the gateway, or in the model store.",
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
)
