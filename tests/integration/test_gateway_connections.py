"""Slow, large and malformed requests, and too many connections, on a real HTTP server."""

from __future__ import annotations

import resource
import socket
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from gateway.security.connections import MAX_FRAMING_BYTES, MAX_HEADERS, MAX_URL_BYTES
from tests.http_connections import LIMITS, all_of, ask, connect, serving, status_of
from tests.live_gateway import live_gateway
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

    from gateway.security.connections import Connections

HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
GET = HEAD + b"\r\n"
LAST = HEAD + b"Connection: close\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
LARGE = 8_000_000
ENDLESS = b"a" * 1_000_000


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the length of the body; `/large` with many bytes, `/refused` without reading."""
    request = Request(scope, receive)
    if request.url.path == "/large":
        await Response(bytes(LARGE))(scope, receive, send)
    elif request.url.path == "/refused":
        await Response(b"refused", 413)(scope, receive, send)
    else:
        try:
            size = len(await request.body())
        except ClientDisconnect:
            return
        await Response(f"{size} {sorted(dict(request.headers))}")(scope, receive, send)


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[int, Connections]]:
    with serving(echo) as served:
        yield served


@pytest.fixture
def port(server: tuple[int, Connections]) -> Iterator[int]:
    """The port; the test must leave no connection open."""
    yield server[0]
    wait_until(lambda: not server[1].open, "all connections are closed", 10.0)


def test_requests_are_answered_one_after_another(port: int) -> None:
    answer = ask(port, GET * 5 + POST + b"Content-Length: 3\r\nConnection: close\r\n\r\nabc")
    assert answer.count(b"HTTP/1.1 200") == 6
    assert b"\r\n\r\n3 [" in answer


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(b"GET / HT", id="request line"),
        pytest.param(HEAD + b"X-Slow: ", id="header"),
        pytest.param(GET + HEAD, id="second request"),
        pytest.param(POST + b"Content-Length: 5\r\n\r\nab", id="body"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", id="chunk"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-T: ", id="trailer"),
    ],
)
def test_a_request_that_never_ends_is_refused(port: int, start: bytes) -> None:
    answer = ask(port, start)
    assert b" 408 Request Timeout\r\n" in answer
    assert b'"code":"request_timeout"' in answer
    assert b"\r\nconnection: close\r\n" in answer


@pytest.mark.parametrize("start", [b"", b"\r\n\r\n"], ids=["nothing", "blank lines"])
def test_a_connection_without_a_request_is_closed(port: int, start: bytes) -> None:
    assert ask(port, start) == b""


def test_one_byte_at_a_time_does_not_gain_time(port: int) -> None:
    began_s = time.monotonic()
    with connect(port) as connection:
        connection.sendall(HEAD + b"X-Slow: ")
        connection.settimeout(0.05)
        answer = b""
        while not answer:
            try:
                answer = connection.recv(65_536)
            except TimeoutError:
                connection.sendall(b"x")
    assert status_of(answer) == 408
    assert time.monotonic() - began_s < 5.0


def test_an_idle_connection_is_closed_after_its_answer(port: int) -> None:
    answer = ask(port, GET)
    assert status_of(answer) == 200


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        pytest.param(b"GET /" + b"a" * MAX_URL_BYTES + b" HTTP/1.1\r\n\r\n", 414, id="URL"),
        pytest.param(HEAD + b"X: " + ENDLESS, 431, id="endless header"),
        pytest.param(HEAD + b"X: " + b"a" * MAX_FRAMING_BYTES + b"\r\n\r\n", 431, id="header"),
        pytest.param(HEAD + b"X: y\r\n" * MAX_HEADERS + b"\r\n", 431, id="many headers"),
        pytest.param(b"GET http://localhost/ HTTP/1.1\r\n\r\n", 400, id="absolute form"),
        pytest.param(b"OPTIONS * HTTP/1.1\r\n\r\n", 400, id="asterisk form"),
        pytest.param(b"CONNECT host:1 HTTP/1.1\r\n\r\n", 400, id="authority form"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400, id="folded header"),
        pytest.param(b"GET / HTTP/1.1\r\nX: a\x00b\r\n\r\n", 400, id="NUL in a header"),
        pytest.param(b"GET /\x00 HTTP/1.1\r\n\r\n", 400, id="NUL in the path"),
        pytest.param(b"GET /\xc0\xaf HTTP/1.1\r\n\r\n", 400, id="raw overlong UTF-8"),
        pytest.param(b"GET / HTTP/9.9\r\n\r\n", 400, id="version"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00", 400, id="TLS"),
        pytest.param(POST + b"Content-Length: -1\r\n\r\n", 400, id="negative length"),
        pytest.param(
            POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400, id="smuggling"
        ),
        pytest.param(POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n", 400, id="lengths"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400, id="chunk size"),
        pytest.param(
            POST + b"Transfer-Encoding: chunked\r\n\r\n1;" + ENDLESS,
            431,
            id="chunk extension",
        ),
        pytest.param(
            POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: " + ENDLESS,
            431,
            id="endless trailer",
        ),
    ],
)
def test_what_is_too_large_or_malformed_is_refused_with_a_problem(
    port: int, request_: bytes, status: int
) -> None:
    answer = ask(port, request_)
    assert status_of(answer) == status
    assert b"\r\ncontent-type: application/problem+json\r\n" in answer
    assert b"\r\ncontent-security-policy: " in answer


def test_a_trailer_does_not_become_a_header(port: int) -> None:
    answer = ask(
        port,
        POST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"1\r\na\r\n0\r\nAuthorization: Bearer x\r\n\r\n",
    )
    assert status_of(answer) == 200
    assert b"authorization" not in answer


def test_an_endless_upload_is_refused_and_ended(port: int) -> None:
    head = b"POST /refused HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000000\r\n\r\n"
    with connect(port) as connection:
        connection.sendall(head)
        assert status_of(connection.recv(65_536)) == 413
        with pytest.raises(ConnectionError):
            _send_endlessly(connection)


def _send_endlessly(connection: socket.socket) -> None:
    while True:
        connection.sendall(ENDLESS)


def test_a_client_that_reads_its_refusal_can_send_the_next_request(port: int) -> None:
    body = bytes(100_000)
    with connect(port) as connection:
        connection.sendall(
            b"POST /refused HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"
        )
        assert status_of(connection.recv(65_536)) == 413
        connection.sendall(body + LAST)
        assert status_of(all_of(connection)) == 200


def test_a_client_that_does_not_read_is_disconnected(
    port: int, server: tuple[int, Connections]
) -> None:
    with connect(port) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: server[1].open, "the connection is there", 10.0)
        wait_until(lambda: not server[1].open, "the server has closed it", 10.0)


def test_a_client_that_reads_slowly_gets_everything(port: int) -> None:
    received = 0
    with connect(port) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while received < LARGE:
            chunk = connection.recv(200_000)
            assert chunk
            received += len(chunk)
            time.sleep(0.01)  # the client is the slow one here


def test_pipelining_without_reading_is_bounded(port: int) -> None:
    answer = ask(port, GET.replace(b" / ", b" /large ") + GET * 1_000)
    assert answer.count(b"HTTP/1.1 200") <= 17


def test_beyond_the_limit_connections_are_refused_at_once_and_the_others_work(
    port: int, server: tuple[int, Connections]
) -> None:
    with ExitStack() as stack:
        held = [stack.enter_context(connect(port)) for _ in range(LIMITS.connections)]
        wait_until(lambda: len(server[1].open) == LIMITS.connections, "all are open", 10.0)
        for connection in held:  # each gains time by a request
            connection.sendall(GET)
        refused = ask(port, b"")
        assert status_of(refused) == 503
        assert b"\r\nretry-after: 1\r\n" in refused
        assert {status_of(connection.recv(65_536)) for connection in held} == {200}
    wait_until(lambda: not server[1].open, "all are closed", 10.0)
    assert status_of(ask(port, LAST)) == 200


MANY = 10_000
SOME = 1_000
PROBE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def _many_files() -> Iterator[None]:
    """Let this process open as many files as it needs for both ends of its connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < MANY + SOME:
        resource.setrlimit(resource.RLIMIT_NOFILE, (MANY + SOME, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("_many_files")
def test_a_gateway_survives_ten_thousand_slow_connections(
    tmp_path: Path, bootstrap_servers: str, redis_url: str
) -> None:
    with (
        live_gateway(
            tmp_path, bootstrap_servers, redis_url, max_connections=SOME, header_timeout_s=60.0
        ) as gateway,
        connect(gateway.port) as earlier,
        ExitStack() as stack,
    ):

        def answers(connection: socket.socket) -> bool:
            connection.sendall(PROBE)
            received = b""
            while not received.endswith(b"ok\n"):
                if not (part := connection.recv(65_536)):
                    return False
                received += part
            return received.startswith(b"HTTP/1.1 200")

        assert answers(earlier)
        before_mb = gateway.memory_mb
        slow = [stack.enter_context(closing(connect(gateway.port))) for _ in range(MANY)]
        waiting = {connection for connection in slow if _begins_a_request(connection)}

        def all_but_some_are_refused() -> bool:
            waiting.difference_update([one for one in waiting if _is_refused(one)])
            return len(waiting) <= SOME - 1

        wait_until(all_but_some_are_refused, "the connections beyond the limit are refused", 40.0)
        assert len(waiting) == SOME - 1
        assert answers(earlier)
        assert gateway.memory_mb < before_mb + 100
        assert gateway.open_files < SOME + 200
        for connection in slow:
            connection.close()
        wait_until(lambda: status_of(ask(gateway.port, LAST)) == 200, "it answers", 20.0)


def _begins_a_request(connection: socket.socket) -> bool:
    """Send the start of a request that never ends; return whether the connection is still open."""
    try:
        connection.sendall(HEAD + b"X-Slow: ")
    except ConnectionError:
        return False
    connection.settimeout(0)
    return True


def _is_refused(connection: socket.socket) -> bool:
    """Return whether the server has closed, without waiting for it."""
    try:
        return connection.recv(65_536).startswith(b"HTTP/1.1 503")
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
