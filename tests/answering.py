"""A small server for tests of the client: decodes requests and answers them over the log."""

from __future__ import annotations

import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from likewise.errors import InvalidInputError, TransientError
from likewise.messages.replies import (
    ErrorBody,
    ErrorReply,
    ModelStamp,
    Recommendations,
    RecommendedItem,
    encode_reply,
)
from likewise.messages.reply_routes import reply_headers, reply_route
from likewise.messages.request_decoding import decode_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from likewise.log.port import Broker, Sink
    from likewise.log.topics import Topics
    from likewise.messages.requests import Request
    from likewise.records import Record

    Answer = Callable[[Request], Recommendations | ErrorReply | None]


def echo(request: Request) -> Recommendations:
    """Recommend items named after the request's subject: `<subject>-0`, `<subject>-1`, …"""
    subject = request.user_id or request.similar_to or "+".join(request.liked or ())
    return Recommendations(
        items=tuple(
            RecommendedItem(item_id=f"{subject}-{number}", score=1.0 / (number + 1))  # type: ignore[arg-type] # a test's ids
            for number in range(request.count)
        ),
        source="model",
        model=ModelStamp(version="v1", age_s=1.0),
        user_id=request.user_id,
    )


@contextmanager
def answering(broker: Broker, topics: Topics, answer: Answer = echo) -> Iterator[list[Request]]:
    """Answer requests in a thread during a `with` block; yields the requests.

    A request for which `answer` returns None gets no reply.
    """
    stop = threading.Event()
    seen: list[Request] = []

    def serve() -> None:
        start = broker.end_offsets(broker.partitions(topics.requests))
        with closing(broker.reader(start)) as reader, closing(broker.sink()) as sink:
            ready.set()
            while not stop.is_set():
                try:
                    records = reader.poll(50)
                except TransientError:
                    stop.wait(0.01)
                    continue
                for record in records:
                    _reply(record, sink, answer, seen)

    ready = threading.Event()
    thread = threading.Thread(target=serve, name="answering-server", daemon=True)
    thread.start()
    assert ready.wait(20), "the answering server did not start"
    try:
        yield seen
    finally:
        stop.set()
        thread.join(20)


def _reply(record: Record, sink: Sink, answer: Answer, seen: list[Request]) -> None:
    route = reply_route(record)
    assert route is not None
    reply: Recommendations | ErrorReply | None
    try:
        request = decode_request(record.value)
        seen.append(request)
        reply = answer(request)
    except InvalidInputError as error:
        reply = ErrorReply(error=ErrorBody(error.code, error.message))
    if reply is not None:
        headers = reply_headers(route)
        sink.send(route.topic, encode_reply(reply), headers=headers, partition=route.partition)
