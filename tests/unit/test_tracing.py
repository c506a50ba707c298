from __future__ import annotations

import builtins
import threading
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from structlog.testing import capture_logs

from likewise.records import TopicPartition, Unsent
from likewise.service import tracing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.sdk.trace import ReadableSpan

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


class Traced:
    """A process that traces, and the spans that it has exported."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    @property
    def span(self) -> ReadableSpan:
        (span,) = self.spans
        return span


@pytest.fixture
def traced() -> Iterator[Traced]:
    exporter = InMemorySpanExporter()
    with tracing.tracing("gateway", exporter):
        yield Traced(exporter)


def record(*headers: tuple[str, bytes], topic: str = "likes", offset: int = 7) -> Unsent:
    return Unsent(b"{}", headers=headers, topic=topic, partition=3, offset=offset)


def in_trace(offset: int = 7, traceparent: str = TRACEPARENT) -> Unsent:
    return record(("traceparent", traceparent.encode()), offset=offset)


def ids(span: ReadableSpan) -> tuple[str, str | None]:
    """Return the ids of the trace and of the parent, in hex."""
    parent = None if span.parent is None else f"{span.parent.span_id:016x}"
    assert span.context is not None
    return f"{span.context.trace_id:032x}", parent


def facts(span: ReadableSpan) -> Mapping[str, Any]:
    return dict(span.attributes or {})


def batch(*records: Unsent) -> Mapping[TopicPartition, list[Any]]:
    return {TopicPartition("likes", 3): list(records)}


def test_nothing_is_traced_where_nothing_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        assert not name.startswith("opentelemetry"), "traces are off"
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with tracing.tracing("consumer"):
        assert not tracing.is_on()
        with tracing.sending("likes") as headers, tracing.processing(batch(in_trace())):
            assert headers == []
        tracing.received([in_trace()])
        assert tracing.replying(in_trace()) == []


@pytest.mark.parametrize(
    "environment",
    [
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_the_environment_can_turn_traces_off(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with tracing.tracing("consumer"):
        assert not tracing.is_on()


def test_without_the_extra_a_warning_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setitem(__import__("sys").modules, "likewise.service.spans", None)
    with capture_logs() as logs, tracing.tracing("consumer"):
        assert not tracing.is_on()
    assert "likewise[otel]" in logs[0]["fix"]


def test_an_http_request_is_a_span_in_the_trace_of_its_caller(traced: Traced) -> None:
    headers = {"traceparent": TRACEPARENT}
    with tracing.http("PUT", "http", headers) as span:
        span.answered("/v1/users/{user_id}/likes/{item_id}", 200)
    assert ids(traced.span) == (TRACE, PARENT)
    assert traced.span.name == "PUT /v1/users/{user_id}/likes/{item_id}"
    assert traced.span.kind is SpanKind.SERVER
    assert traced.span.resource.attributes["service.name"] == "likewise-gateway"
    assert facts(traced.span) == {
        "http.request.method": "PUT",
        "url.scheme": "http",
        "http.route": "/v1/users/{user_id}/likes/{item_id}",
        "http.response.status_code": 200,
    }


def test_only_failures_of_the_gateway_are_errors(traced: Traced) -> None:
    for status in (404, 503):
        with tracing.http("GET", "http", {}) as span:
            span.answered(None, status)
    of_caller, of_gateway = traced.spans
    assert of_caller.status.status_code is StatusCode.UNSET
    assert of_gateway.status.status_code is StatusCode.ERROR
    assert facts(of_gateway)["error.type"] == "503"


def test_a_trace_goes_from_a_request_through_a_record_to_its_consumer(traced: Traced) -> None:
    with tracing.http("PUT", "http", {}) as span:
        with tracing.sending("likes") as headers:
            pass
        span.answered("/v1/events", 200)
    with tracing.processing(batch(record(*headers))):
        pass
    sent, http, processed = traced.spans
    trace = ids(http)[0]
    assert sent.context is not None
    assert http.context is not None
    assert ids(sent) == (trace, f"{http.context.span_id:016x}")
    assert ids(processed) == (trace, f"{sent.context.span_id:016x}")
    assert (sent.name, sent.kind) == ("send likes", SpanKind.PRODUCER)
    assert (processed.name, processed.kind) == ("process likes", SpanKind.CONSUMER)
    assert facts(processed) == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "likes",
        "messaging.destination.partition.id": "3",
        "messaging.kafka.offset": 7,
    }


def test_a_span_that_fails_is_an_error(traced: Traced) -> None:
    with pytest.raises(RuntimeError), tracing.sending("likes"):
        raise RuntimeError
    assert traced.span.status.status_code is StatusCode.ERROR


def test_each_record_of_a_batch_is_a_span_in_its_own_trace(traced: Traced) -> None:
    other = TRACE.replace("0", "1")
    with tracing.processing(
        batch(in_trace(1), record(offset=2), in_trace(3, f"00-{other}-{PARENT}-01"))
    ):
        assert traced.spans == []
    assert [ids(span)[0] for span in traced.spans] == [TRACE, other]
    assert [facts(span)["messaging.kafka.offset"] for span in traced.spans] == [1, 3]


@pytest.mark.parametrize(
    "value", [b"", b"00", b"\xff\xfe-01", b"00-0-0-01", f"00-{TRACE}-{PARENT}-00".encode()]
)
def test_a_record_without_a_sampled_trace_is_no_part_of_one(value: bytes, traced: Traced) -> None:
    with tracing.processing(batch(record(("traceparent", value)))):
        pass
    assert traced.spans == []


def test_a_request_is_a_span_until_its_reply_which_belongs_to_the_trace(traced: Traced) -> None:
    asked = in_trace()
    tracing.received([asked, record(offset=8)])
    assert traced.spans == []
    reply = dict(tracing.replying(asked))
    assert traced.span.context is not None
    assert reply["traceparent"].decode() == f"00-{TRACE}-{traced.span.context.span_id:016x}-01"
    assert tracing.replying(asked) == []
    assert tracing.replying(record(offset=8)) == []


def test_requests_that_are_never_answered_do_not_pile_up(
    traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("likewise.service.spans._MAX_OPEN", 2)
    tracing.received([in_trace(offset) for offset in range(5)])
    assert [facts(span)["messaging.kafka.offset"] for span in traced.spans] == [0, 1, 2]


def test_two_threads_have_their_own_current_spans(traced: Traced) -> None:
    barrier = threading.Barrier(2, timeout=20)

    def request() -> None:
        with tracing.http("PUT", "http", {}) as span:
            barrier.wait()
            with tracing.sending("likes"):
                barrier.wait()
            span.answered(None, 200)

    threads = [threading.Thread(target=request) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    by_kind = {kind: [s for s in traced.spans if s.kind is kind] for kind in SpanKind}
    requests = {ids(span)[0] for span in by_kind[SpanKind.SERVER]}
    assert len(requests) == 2
    assert {ids(span)[0] for span in by_kind[SpanKind.PRODUCER]} == requests
