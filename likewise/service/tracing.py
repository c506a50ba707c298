"""OpenTelemetry traces through Kafka, where they are asked for; otherwise every function returns at once.

A trace passes from record to record in the header `traceparent` (W3C Trace Context). Traces are on if the
extra `otel` is installed and `OTEL_EXPORTER_OTLP_ENDPOINT` is set. Like OpenTelemetry itself, this module
has one state for the whole process.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from opentelemetry.sdk.trace.export import SpanExporter

    from likewise.records import Record, TopicPartition
    from likewise.service.spans import HttpSpan, Spans

Headers = list[tuple[str, bytes]]

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_spans: Spans | None = None


@contextmanager
def tracing(service: str, exporter: SpanExporter | None = None) -> Iterator[None]:
    """Trace during a `with` block if the environment asks for it, or to the exporter given.

    What is not exported yet when the block ends is exported then, for a few seconds at most.
    """
    global _spans
    if exporter is None and not _is_asked_for(os.environ):
        yield
        return
    try:
        from likewise.service.spans import Spans
    except ModuleNotFoundError as error:
        get_logger().warning(
            "no traces: a package is missing",
            package=error.name,
            fix="pip install 'likewise[otel]'",
        )
        yield
        return
    _spans = Spans.of(service, exporter)
    try:
        yield
    finally:
        ended, _spans = _spans, None
        ended.close()


def is_on() -> bool:
    """Whether this process traces."""
    return _spans is not None


def http(method: str, scheme: str, headers: Mapping[str, str]) -> HttpSpan:
    """Return the span of an HTTP request, in the caller's trace if the headers name one.

    Call it only while `is_on`. Names of headers are in lower case.
    """
    assert _spans is not None  # noqa: S101 # the caller has checked
    return _spans.http(method, scheme, headers)


def sending(topic: str) -> AbstractContextManager[Headers]:
    """Make a span of the `with` block, which sends a record; yields the record's headers."""
    return nullcontext([]) if _spans is None else _spans.sending(topic)


def processing(batch: Mapping[TopicPartition, Sequence[Record]]) -> AbstractContextManager[None]:
    """Make a span of the `with` block in the trace of each record that belongs to one."""
    return nullcontext() if _spans is None else _spans.processing(batch)


def received(records: Iterable[Record]) -> None:
    """Begin a span for each request that belongs to a trace; `replying` ends it."""
    if _spans is not None:
        _spans.received(records)


def replying(record: Record) -> Headers:
    """End the span of a request; return the headers of its reply."""
    return [] if _spans is None else _spans.replying(record)


def _is_asked_for(environ: Mapping[str, str]) -> bool:
    return (
        any(environ.get(name) for name in _ENDPOINTS)
        and environ.get("OTEL_SDK_DISABLED", "").lower() != "true"
        and environ.get("OTEL_TRACES_EXPORTER", "otlp") != "none"
    )
