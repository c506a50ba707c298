"""One trace shows a like from its HTTP request to Redis, and a request from Kafka to its reply."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import httpx
import msgspec
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from consumers.service import run_consumer
from gateway.service import run_gateway
from likewise.embedded import free_port
from likewise.log.topics import Topics
from likewise.messages.reply_routes import CORRELATION_HEADER
from likewise.service import tracing
from likewise.settings import ModelSettings
from likewise.settings.gateway import GatewaySettings
from serving.service import run_server
from tests.consuming import opened, settings_for
from tests.services import in_a_thread
from tests.serving_rig import VERSION, write_block_model
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan

PARENT = "b7ad6b7169203331"
OF_A_LIKE = "0af7651916cd43dd8448eb211c80319c"
OF_A_REQUEST = "1af7651916cd43dd8448eb211c80319c"


def spans_of(exporter: InMemorySpanExporter, trace: str) -> dict[str, ReadableSpan]:
    """Return the finished spans of a trace, by their names."""
    return {
        span.name: span
        for span in exporter.get_finished_spans()
        if span.context is not None and f"{span.context.trace_id:032x}" == trace
    }


def parent_of(span: ReadableSpan) -> str:
    assert span.parent is not None
    return f"{span.parent.span_id:016x}"


def id_of(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"{span.context.span_id:016x}"


def test_one_trace_goes_through_the_gateway_kafka_and_the_services(
    bootstrap_servers: str, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    settings = msgspec.structs.replace(
        settings_for(bootstrap_servers, redis_url, prefix),
        model=ModelSettings(directory=tmp_path),
        gateway=GatewaySettings(port=free_port()),
    )
    topics, exporter = Topics(prefix), InMemorySpanExporter()
    url = f"http://127.0.0.1:{settings.gateway.port}"
    announcement = write_block_model(tmp_path, VERSION, blocks=4)
    with (
        tracing.tracing("test", exporter),
        opened(settings) as (broker, store),
        in_a_thread(settings, "consumer", partial(run_consumer, settings)),
        in_a_thread(settings, "server", partial(run_server, settings)),
        in_a_thread(settings, "gateway", partial(run_gateway, settings)),
    ):
        store.announce_model(announcement)

        def like() -> bool:
            try:
                headers = {"traceparent": f"00-{OF_A_LIKE}-{PARENT}-01"}
                return httpx.put(f"{url}/v1/users/ann/likes/x", headers=headers).is_success
            except httpx.TransportError:
                return False

        wait_until(like, "the gateway to answer")
        names = (
            "PUT /v1/users/{user_id}/likes/{item_id}",
            *(f"{one} {topics.likes}" for one in ("send", "process")),
        )
        wait_until(
            lambda: set(names) <= spans_of(exporter, OF_A_LIKE).keys(), "the spans of a like"
        )
        http, sent, processed = (spans_of(exporter, OF_A_LIKE)[name] for name in names)
        assert parent_of(http) == PARENT
        assert parent_of(sent) == id_of(http)
        assert parent_of(processed) == id_of(sent)

        sink = broker.sink()
        header = ("traceparent", f"00-{OF_A_REQUEST}-{PARENT}-01".encode())
        correlation = (CORRELATION_HEADER, b"12345678")
        sink.send(topics.requests, b'{"user_id": "ann"}', headers=[header, correlation]).result(10)
        sink.close()
        name = f"process {topics.requests}"
        wait_until(lambda: name in spans_of(exporter, OF_A_REQUEST), "the span of a request")
        answered = spans_of(exporter, OF_A_REQUEST)[name]
        assert parent_of(answered) == PARENT
        ends = broker.reader(dict.fromkeys(broker.partitions(topics.replies), 0))
        replies = wait_until(lambda: ends.poll(200), "the reply")
        ends.close()
        reply = dict(replies[0].headers)
        assert reply[CORRELATION_HEADER] == correlation[1]
        assert reply["traceparent"].decode() == f"00-{OF_A_REQUEST}-{id_of(answered)}-01"
