from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from likewise.service import tracing
from tests.gateway_rig import gateway_rig

if TYPE_CHECKING:
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan

TRACE = "0af7651916cd43dd8448eb211c80319c"
HEADERS = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}


def spans_of(directory: Path, method: str, *paths: str) -> tuple[list[ReadableSpan], list[bytes]]:
    """Return the spans of these requests, and the header `traceparent` of each published event."""
    exporter, found = InMemorySpanExporter(), []

    async def run() -> None:
        async with gateway_rig(directory) as rig:
            await asyncio.gather(
                *(rig.client.request(method, path, headers=HEADERS) for path in paths)
            )
            found.extend(rig.broker.records("likes"))

    with tracing.tracing("gateway", exporter):
        asyncio.run(run())
    sent = [dict(record.headers)["traceparent"] for record in found]
    return list(exporter.get_finished_spans()), sent


def test_a_published_event_carries_the_trace_of_its_request(tmp_path: Path) -> None:
    (sent, http), (header,) = spans_of(tmp_path, "PUT", "/v1/users/ann/likes/x")
    assert http.name == "PUT /v1/users/{user_id}/likes/{item_id}"
    assert http.attributes is not None
    assert http.attributes["http.response.status_code"] == 200
    assert sent.context is not None
    assert header.decode() == f"00-{TRACE}-{sent.context.span_id:016x}-01"


def test_no_span_names_a_user_or_an_item(tmp_path: Path) -> None:
    spans, _ = spans_of(tmp_path, "PUT", "/v1/users/ann-secret/likes/item-secret")
    assert "secret" not in "".join(span.to_json() for span in spans)


def test_concurrent_requests_do_not_mix_their_spans(tmp_path: Path) -> None:
    paths = [f"/v1/users/u{number}/likes/x" for number in range(20)]
    spans, headers = spans_of(tmp_path, "PUT", *paths)
    http = {span.context.span_id for span in spans if span.context and span.name.startswith("PUT")}
    assert len(http) == len(set(headers)) == 20
    parents = {span.parent.span_id for span in spans if span.parent and span.name == "send likes"}
    assert parents == http


def test_what_is_not_found_has_no_route(tmp_path: Path) -> None:
    (span,), _ = spans_of(tmp_path, "GET", "/v1/nothing/ann")
    assert span.name == "GET"
    assert span.attributes is not None
    assert "http.route" not in span.attributes
    assert span.attributes["http.response.status_code"] == 404


def test_a_method_of_the_callers_choice_is_no_name(tmp_path: Path) -> None:
    (span,), _ = spans_of(tmp_path, "BREW", "/v1/users/ann/likes/x")
    assert span.name == "HTTP"
    assert "BREW" not in span.to_json()
