"""Attacks on a running gateway: keys, roles, paths, headers, bodies, limits, and what it logs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import pytest

from gateway.security.key_file import change_keys
from gateway.security.keys import new_key, stored_key
from likewise.log.kafka import KafkaBroker
from likewise.log.topics import Topics
from likewise.messages.event_decoding import decode_event
from likewise.messages.events import Like
from tests.http_connections import ask, connect, status_of
from tests.live_gateway import LiveGateway, live_gateway
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from gateway.security.principal import Role

KEYS: dict[str, str] = {
    name: new_key() for name in ("reader", "writer", "admin", "old", "slow", "gone")
}
LIKE = "/v1/users/ann/likes/dune"
LIST = "/v1/users/ann/recommendations"


def stored(name: str, *roles: Role, **fields: Any) -> Any:
    return stored_key(KEYS[name], name=name, roles=roles, **fields)


@pytest.fixture(scope="module")
def keys_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    keys = (
        stored("reader", "read"),
        stored("writer", "write"),
        stored("admin", "admin"),
        stored("old", "admin", expires=datetime.now(UTC) - timedelta(seconds=1)),
        stored("slow", "read", requests_per_s=2),
        stored("gone", "read"),
    )
    change_keys(path, lambda _: keys)
    return path


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory,
    keys_file: Path,
    bootstrap_servers: str,
    redis_url: str,
) -> Iterator[LiveGateway]:
    directory = tmp_path_factory.mktemp("gateway")
    limits = {"header_timeout_s": 1.0, "body_timeout_s": 1.0}
    with live_gateway(
        directory, bootstrap_servers, redis_url, keys_file=keys_file, **limits
    ) as running:
        yield running
    # After every test of this module, and after the stop.
    assert '"answered"' in running.log
    password = urlsplit(redis_url).password
    for secret in (*KEYS.values(), password, "Bearer", "wrong-key"):
        assert secret is None or secret not in running.log


@pytest.fixture
def call(gateway: LiveGateway) -> Iterator[Any]:
    with gateway.client() as client:

        def send(method: str, path: str, key: str | None = None, **more: Any) -> httpx.Response:
            headers = {"Authorization": f"Bearer {KEYS.get(key, key)}"} if key else {}
            headers.update(more.pop("headers", {}))
            return client.request(method, path, headers=headers, **more)

        yield send


def code_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    assert "content-security-policy" in answer.headers
    return answer.status_code, answer.json()["code"]


def test_without_keys_a_public_address_refuses_to_start() -> None:
    refused = run_gateway(LIKEWISE_GATEWAY_HOST="0.0.0.0", LIKEWISE_GATEWAY_PORT="0")
    assert refused.returncode == 2
    assert "gateway.host" in refused.stderr
    assert "likewise keys create" in refused.stderr


def test_a_refused_start_shows_no_password() -> None:
    secret = "never-to-be-shown"
    refused = run_gateway(
        LIKEWISE_GATEWAY_API_KEY=secret,
        LIKEWISE_GATEWAY_PORT="0",
        LIKEWISE_LOGGING_LEVEL="debug",
        LIKEWISE_REDIS_URL=f"redis://ann:{secret}@127.0.0.1:1/0",
        LIKEWISE_REDIS_PASSWORD=secret,
        LIKEWISE_KAFKA_SECURITY_PROTOCOL="SASL_PLAINTEXT",
        LIKEWISE_KAFKA_SASL_MECHANISM="PLAIN",
        LIKEWISE_KAFKA_SASL_USERNAME="ann",
        LIKEWISE_KAFKA_SASL_PASSWORD=secret,
    )
    assert refused.returncode == 2
    assert "gateway.api_key" in refused.stderr
    assert secret not in refused.stderr


def run_gateway(**variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway"],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_keys_and_roles(call: Any) -> None:
    assert code_of(call("GET", LIST)) == (401, "missing_key")
    assert code_of(call("GET", LIST, "wrong-key")) == (401, "invalid_key")
    assert code_of(call("GET", LIST, "old")) == (401, "expired_key")
    assert code_of(call("PUT", LIKE, "reader")) == (403, "missing_role")
    assert code_of(call("GET", LIST, "writer")) == (403, "missing_role")
    assert code_of(call("GET", "/metrics")) == (401, "missing_key")
    assert code_of(call("GET", "/metrics", "reader")) == (403, "missing_role")
    assert call("GET", LIST, "reader").status_code == 200
    assert call("PUT", LIKE, "writer").status_code == 200
    assert call("GET", "/metrics", "admin").status_code == 200
    assert call("GET", "/healthz").status_code == 200


def test_a_removed_key_stops_working_within_two_seconds(call: Any, keys_file: Path) -> None:
    assert call("GET", LIST, "gone").status_code == 200
    change_keys(keys_file, lambda keys: tuple(key for key in keys if key.name != "gone"))
    wait_until(lambda: call("GET", LIST, "gone").status_code == 401, "the key is refused", 2.5)
    assert call("GET", LIST, "reader").status_code == 200


def test_each_key_has_a_limit(call: Any) -> None:
    answers = [call("GET", LIST, "slow") for _ in range(10)]
    refused = next(answer for answer in answers if answer.status_code != 200)
    assert code_of(refused) == (429, "rate_limited")
    assert int(refused.headers["retry-after"]) >= 1
    assert call("GET", LIST, "reader").status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_ten_megabytes_is_refused(call: Any, chunked: bool) -> None:
    parts = (bytes(100_000) for _ in range(100))
    answer = call(
        "POST",
        "/v1/recommendations",
        "reader",
        content=parts if chunked else bytes(10_000_000),
        headers={"Content-Type": "application/json"},
    )
    assert code_of(answer) == (413, "body_too_large")
    assert call("GET", LIST, "reader").status_code == 200


@pytest.mark.parametrize(
    "start",
    [
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        b"POST /v1/recommendations HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
        b"Authorization: Bearer " + KEYS["reader"].encode() + b"\r\n\r\n{",
    ],
    ids=["headers", "body"],
)
def test_a_slow_request_is_refused(gateway: LiveGateway, start: bytes) -> None:
    answer = ask(gateway.port, start)
    assert status_of(answer) == 408
    assert KEYS["reader"].encode() not in answer


PATHS = [
    "/page/../problem.py",
    "/page/..%2fproblem.py",
    "/page/%2e%2e/problem.py",
    "/page/%2e%2e%2fproblem.py",
    "/page/..%5cproblem.py",
    "/page/..\\problem.py",
    "/page/....//problem.py",
    "/page//etc/passwd",
    "/page/%2fetc%2fpasswd",
    "/page/%252e%252e/problem.py",
    "/page/%c0%ae%c0%ae/problem.py",
    "/page/%u002e%u002e/problem.py",
    "/page/index.html%00.py",
    "/page/%00",
    "/page/",
    "/page/.",
    "/page/a" + "/a" * 2_000,
    "/page/" + "a" * 4_000,
    "/page/%ff",
    "//etc/passwd",
    "/../../../../etc/passwd",
    "/%2e%2e/etc/passwd",
    "/v1/../page/../problem.py",
    "/v1/users/%ff/likes/x",
    "/v1/users/%c0%af/likes/x",
    "/v1/users/%00/recommendations%00",
    "/v1/users//recommendations",
    "/v1/%75sers",
]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_leads_nowhere_but_to_the_page(gateway: LiveGateway, path: str) -> None:
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = ask(gateway.port, head.encode())
    assert status_of(answer) in {400, 401, 404, 405}
    assert b"application/problem+json" in answer
    assert b"class Problem" not in answer
    assert b"root:" not in answer


IDS = [
    "a/b",
    "..%2f",
    "%2e%2e",
    "..",
    "'\"` ; -- \\",
    "\u202eexe.txt\u202c",
    "<script>alert(1)</script>",
    "a\r\nSet-Cookie: stolen=1",
    "a\0b",
    "?x=1#y",
    " ",
    "é\u0301🙂",
    "{{7*7}}${7*7}",
    "x" * 256,
]


def test_ids_reach_the_topic_exactly(gateway: LiveGateway) -> None:
    accepted = [wanted for wanted in IDS if _like(gateway.port, wanted) == 200]
    assert set(IDS) - set(accepted) <= {"a\0b"}
    published: set[tuple[str, str]] = set()
    with closing(KafkaBroker(gateway.settings.kafka)) as broker:
        topic = Topics(gateway.settings.kafka.topic_prefix).likes
        start = dict.fromkeys(broker.partitions(topic), 0)
        with closing(broker.reader(start)) as reader:
            while not {(wanted, wanted) for wanted in accepted} <= published:
                for record in reader.poll(1_000):
                    event = decode_event(record)
                    assert isinstance(event, Like)
                    published.add((event.user_id, event.item_id))


def _like(port: int, wanted: str) -> int:
    encoded = quote(wanted, safe="")
    return status_of(
        ask(
            port,
            f"PUT /v1/users/{encoded}/likes/{encoded} HTTP/1.1\r\nHost: localhost\r\n"
            f"Connection: close\r\nAuthorization: Bearer {KEYS['writer']}\r\n\r\n".encode(),
        )
    )


@pytest.mark.parametrize("wanted", IDS)
def test_an_id_is_data_wherever_it_comes_back(gateway: LiveGateway, wanted: str) -> None:
    encoded = quote(wanted, safe="")
    for method, path, key in (
        ("PUT", f"/v1/users/{encoded}/likes/{encoded}", "writer"),
        ("GET", f"/v1/users/{encoded}/recommendations?count=1", "reader"),
        ("GET", f"/v1/users/ann/recommendations?exclude={encoded}", "reader"),
        ("GET", f"/v1/items/{encoded}", "reader"),
        ("GET", f"/v1/users/ann/recommendations?ranker={encoded}&fields={encoded}", "reader"),
        ("GET", f"/{encoded}", "reader"),
    ):
        answer = ask(
            gateway.port,
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            f"Authorization: Bearer {KEYS[key]}\r\nLikewise-Position: {encoded}\r\n\r\n".encode(),
        )
        head, _, body = answer.partition(b"\r\n\r\n")
        assert status_of(answer) < 500, answer
        assert b"stolen" not in head
        assert b"\r\nx-content-type-options: nosniff" in head
        if body:
            assert b"\r\ncontent-type: application/" in head
            json.loads(body)


def test_a_browser_of_another_site_is_refused(call: Any) -> None:
    headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert code_of(call("PUT", LIKE, "writer", headers=headers)) == (403, "cross_site")
    assert "access-control-allow-origin" not in call("OPTIONS", LIKE, headers=headers).headers


def test_requests_after_a_refused_one_are_their_own(gateway: LiveGateway) -> None:
    """A body that is not read must not become the next request (request smuggling)."""
    hidden = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = ask(
        gateway.port,
        b"GET /v1/nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % (len(hidden), hidden),
    )
    assert answer.count(b"HTTP/1.1 ") == 2
    assert b"likewise_gateway" not in answer


def test_a_stop_waits_for_no_idle_connection(
    tmp_path: Path, bootstrap_servers: str, redis_url: str
) -> None:
    with (
        live_gateway(tmp_path, bootstrap_servers, redis_url) as running,
        connect(running.port) as idle,
    ):
        running.process.terminate()
        assert running.process.wait(20) == 0
        assert idle.recv(1) == b""
