"""The spans of HTTP requests and Kafka records, by OpenTelemetry's semantic conventions.

No span names a user or an item: paths are those of the endpoints, and keys are left out. The parent of the
span of a record that is read is the span that sent it, so that one trace shows the whole path.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import likewise

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span

    from likewise.records import Record, TopicPartition

Headers = list[tuple[str, bytes]]

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_W3C = TraceContextTextMapPropagator()
_TRACEPARENT = "traceparent"
_NOT_SAMPLED = b"-00"
_CLOSING_TIMEOUT_MS = 3_000
# A request whose partition has moved to another server is never answered here.
_MAX_OPEN = 10_000


class HttpSpan:
    """The span of one HTTP request: current during a `with` block."""

    def __init__(self, span: Span, method: str) -> None:
        self._span = span
        self._method = method

    def __enter__(self) -> Self:
        self._token = contexts.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(self, *_: object) -> None:
        contexts.detach(self._token)
        self._span.end()

    def answered(self, route: str | None, status: int) -> None:
        """Record the answer. `route` is the endpoint's path, with names in place of ids."""
        if route is not None:
            self._span.update_name(f"{self._method} {route}")
            self._span.set_attribute("http.route", route)
        self._span.set_attribute("http.response.status_code", status)
        if status >= 500:
            self._span.set_attribute("error.type", str(status))
            self._span.set_status(Status(StatusCode.ERROR))


class Spans:
    """Makes the spans of one process, and exports them in the background."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("likewise", likewise.__version__)
        self._open: OrderedDict[tuple[str, int, int], Span] = OrderedDict()

    @classmethod
    def of(cls, service: str, exporter: SpanExporter | None = None) -> Self:
        """Export to the endpoint that the environment names, or to the exporter given, at once.

        `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER` and the other variables of the SDK apply.
        """
        # Without shutdown_on_exit: `close` is always called.
        provider = TracerProvider(
            resource=Resource.create({"service.name": f"likewise-{service}"}),
            shutdown_on_exit=False,
        )
        if exporter is None:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        else:
            provider.add_span_processor(SimpleSpanProcessor(exporter))
        return cls(provider)

    def close(self) -> None:
        """Export what is left. Bounded by a few seconds."""
        self._provider.force_flush(_CLOSING_TIMEOUT_MS)
        self._provider.shutdown()

    def http(self, method: str, scheme: str, headers: Mapping[str, str]) -> HttpSpan:
        """Begin the span of an HTTP request; see `likewise.service.tracing.http`."""
        known = method in _METHODS  # others would make spans with names of the client's choice
        name = method if known else "HTTP"
        span = self._tracer.start_span(
            name,
            context=_W3C.extract(headers),
            kind=SpanKind.SERVER,
            attributes={
                "http.request.method": method if known else "_OTHER",
                "url.scheme": scheme,
            },
        )
        return HttpSpan(span, name)

    @contextmanager
    def sending(self, topic: str) -> Iterator[Headers]:
        """See `likewise.service.tracing.sending`."""
        with self._tracer.start_as_current_span(
            f"send {topic}", kind=SpanKind.PRODUCER, attributes=_attributes("send", topic)
        ):
            yield _headers()

    @contextmanager
    def processing(self, batch: Mapping[TopicPartition, Sequence[Record]]) -> Iterator[None]:
        """See `likewise.service.tracing.processing`."""
        spans = [span for records in batch.values() for span in self._spans_of(records)]
        try:
            yield
        finally:
            ended_ns = time.time_ns()
            for span in spans:
                span.end(ended_ns)

    def received(self, records: Iterable[Record]) -> None:
        """See `likewise.service.tracing.received`."""
        for record in records:
            for span in self._spans_of([record]):
                self._open[record.topic, record.partition, record.offset] = span
        while len(self._open) > _MAX_OPEN:
            self._open.popitem(last=False)[1].end()

    def replying(self, record: Record) -> Headers:
        """See `likewise.service.tracing.replying`."""
        span = self._open.pop((record.topic, record.partition, record.offset), None)
        if span is None:
            return []
        span.end()
        return _headers(span)

    def _spans_of(self, records: Iterable[Record]) -> Iterator[Span]:
        """Begin the span of each record that belongs to a sampled trace."""
        for record in records:
            headers = dict(record.headers)
            if headers.get(_TRACEPARENT, _NOT_SAMPLED).endswith(_NOT_SAMPLED):
                continue
            carrier = {name: headers[name].decode(errors="replace") for name in headers}
            context = _W3C.extract(carrier)
            if not trace.get_current_span(context).get_span_context().is_valid:
                continue
            attributes = _attributes("process", record.topic)
            attributes["messaging.destination.partition.id"] = str(record.partition)
            attributes["messaging.kafka.offset"] = record.offset
            yield self._tracer.start_span(
                f"process {record.topic}",
                context=context,
                kind=SpanKind.CONSUMER,
                attributes=attributes,
            )


def _attributes(operation: str, topic: str) -> dict[str, str | int]:
    return {
        "messaging.system": "kafka",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": topic,
    }


def _headers(span: Span | None = None) -> Headers:
    """Return the headers that name a span, by default the current one."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, None if span is None else trace.set_span_in_context(span))
    return [(name, value.encode()) for name, value in carrier.items()]
