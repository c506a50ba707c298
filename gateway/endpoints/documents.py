"""The documentation of the API: the OpenAPI document, and the page made from it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from starlette.responses import HTMLResponse, Response

from gateway.endpoint import JSON, Call, Endpoint
from gateway.openapi import page
from gateway.openapi.document import openapi

_STYLE = Path(page.__file__).with_name("docs.css")


@cache
def document() -> dict[str, Any]:
    """Return the OpenAPI document of the gateway. Callers must not change it."""
    from gateway.endpoints import ENDPOINTS  # the table has these endpoints, too

    return openapi(ENDPOINTS)


@cache
def _json() -> bytes:
    return msgspec.json.encode(document())


@cache
def _page() -> str:
    return page.page_of(document())


@cache
def _style() -> bytes:
    return _STYLE.read_bytes()


async def _answer_json(_: Call) -> Response:
    return Response(_json(), media_type=JSON)


async def _answer_page(_: Call) -> Response:
    return HTMLResponse(_page())


async def _answer_style(_: Call) -> Response:
    return Response(_style(), media_type="text/css")


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/openapi.json",
        handler=_answer_json,
        summary="This API as an OpenAPI document.",
        tag="operations",
        role=None,
        answer=dict[str, Any],
    ),
    Endpoint(
        method="GET",
        path="/docs",
        handler=_answer_page,
        summary="This API as a page for people.",
        tag="operations",
        role=None,
        answer=str,
        media_type="text/html",
    ),
    Endpoint(
        method="GET",
        path="/docs/style.css",
        handler=_answer_style,
        summary="The style sheet of that page.",
        tag="operations",
        role=None,
        answer=str,
        media_type="text/css",
    ),
)
