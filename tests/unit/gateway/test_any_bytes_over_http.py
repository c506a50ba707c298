"""Whatever bytes a client sends, in whatever pieces: no exception, bounded memory, and an end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.server import ServerState

from gateway.security.connections import MAX_FRAMING_BYTES, MAX_PIPELINED, Connections, Limits

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

LIMITS = Limits(connections=1, header_s=10, body_s=10, write_s=10, idle_s=10)
LONG_AFTER_S = 1e6
PIECES = [
    b"GET / HTTP/1.1\r\n",
    b"POST /v1/x HTTP/1.1\r\n",
    b"HEAD / HTTP/1.0\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n",
    b"Host: a\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
    b"Expect: 100-continue\r\n",
    b"\r\n",
    b"5\r\nhello\r\n",
    b"0\r\n",
    b"hello",
    b"X-Long: " + b"a" * MAX_FRAMING_BYTES,
    b"GET / HTTP/1.1\r\n\r\n" * 100,
    b"\x00\xff",
]
sent = st.lists(st.sampled_from(PIECES) | st.binary(max_size=20), max_size=12).map(b"".join)


class Transport(asyncio.Transport):
    """Keeps what is written, and whether the connection has ended."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.ended = False

    def write(self, data: Any) -> None:
        self.written += data

    def write_eof(self) -> None:
        pass

    def close(self) -> None:
        self.ended = True

    abort = close

    def is_closing(self) -> bool:
        return self.ended

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0


async def read_everything(scope: Scope, receive: Receive, send: Send) -> None:
    while (message := await receive()).get("more_body"):
        pass
    if message["type"] == "http.request":
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


@given(sent, st.lists(st.integers(min_value=1, max_value=5_000), max_size=10))
def test_any_bytes_are_answered_or_refused_and_the_connection_ends(
    data: bytes, sizes: list[int]
) -> None:
    asyncio.run(_send(data, sizes))


async def _send(data: bytes, sizes: list[int]) -> None:
    loop = asyncio.get_running_loop()
    failures: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: failures.append(context))
    config = uvicorn.Config(read_everything, ws="none", lifespan="off", log_config=None)
    config.load()
    connections, transport = Connections(LIMITS), Transport()
    protocol = connections.protocol(config=config, server_state=ServerState(), app_state={})
    protocol.connection_made(transport)
    for size in [*sizes, len(data)]:
        piece, data = data[:size], data[size:]
        if piece and not transport.ended:
            protocol.data_received(piece)
            await asyncio.sleep(0)
            assert len(protocol.pipeline) <= MAX_PIPELINED
    for check in range(1, 4):
        await asyncio.sleep(0)
        if not transport.ended:
            protocol.check(loop.time() + check * LONG_AFTER_S)
    assert transport.ended
    protocol.connection_lost(None)
    await asyncio.gather(*protocol.tasks)
    assert not connections.open
    assert not failures
    answers = transport.written.split(b"HTTP/1.1 ")[1:]
    assert all(answer[:3].isdigit() for answer in answers)
