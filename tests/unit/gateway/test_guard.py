"""Who is let in: keys and roles, hosts and origins, rates, and what answers tell browsers."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest

from gateway.endpoint import Endpoint
from gateway.endpoints import ENDPOINTS
from gateway.problem import HTTP_ERRORS, Problem
from gateway.security.guard import Guard
from gateway.security.hosts import host_name, is_loopback, network_of
from gateway.security.key_file import change_keys
from gateway.security.key_source import KeySource
from gateway.security.keys import ApiKey, new_key, stored_key
from gateway.security.rates import Rates
from likewise.errors import SettingsError
from likewise.settings import Settings
from likewise.settings.gateway import GatewaySettings
from tests.gateway_rig import gateway_rig

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.security.principal import Role

PUBLIC = [
    "0.0.0.0",
    "::",
    "",
    "192.0.2.1",
    "2001:db8::1",
    "shop.example",
    "0",
    "127.1",
    "unix:/run/x",
]
LOOPBACK = ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "LOCALHOST", "::ffff:127.0.0.1"]


def endpoint(role: Role | None = "read", weight: float = 1) -> Endpoint:
    async def handler(_: Any) -> Any:
        raise AssertionError

    return Endpoint(
        method="PUT",
        path="/v1/x",
        handler=handler,
        summary="",
        tag="items",
        role=role,
        weight=weight,
    )


def scope(
    *headers: tuple[str, str], host: str | None = "localhost:8080", method: str = "PUT", **more: Any
) -> dict[str, Any]:
    sent = [*headers] if host is None else [("host", host), *headers]
    return {
        "type": "http",
        "method": method,
        "client": ("127.0.0.1", 1),
        "headers": [(name.encode(), value.encode()) for name, value in sent],
        **more,
    }


def bearer(key: str) -> tuple[str, str]:
    return ("authorization", f"Bearer {key}")


def refusal(guard: Guard, asked: dict[str, Any], wanted: Endpoint | None = None) -> str:
    with pytest.raises(Problem) as raised:
        guard.let_in(asked, wanted or endpoint())
    assert raised.value.status == HTTP_ERRORS[raised.value.code].status
    return raised.value.code


class Keys:
    """A guard with a few keys, and a clock."""

    def __init__(self, **settings: Any) -> None:
        self.keys: dict[str, str] = {}
        self.now_s = 0.0
        stored = [
            self._key("reader", roles=("read",)),
            self._key("writer", roles=("write",)),
            self._key("admin", roles=("admin",)),
            self._key("slow", roles=("read",), requests_per_s=2),
        ]
        source = KeySource(tuple(stored), None)
        self.guard = Guard(GatewaySettings(**settings), source, clock=lambda: self.now_s)

    def _key(self, name: str, **fields: Any) -> ApiKey:
        self.keys[name] = new_key()
        return stored_key(self.keys[name], name=name, **fields)

    def __call__(self, name: str) -> tuple[str, str]:
        return bearer(self.keys[name])


@pytest.mark.parametrize("host", PUBLIC)
def test_without_keys_an_address_for_other_machines_refuses_to_start(host: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Guard.of(GatewaySettings(host=host))
    assert "gateway.host" in str(refused.value)
    assert "likewise keys create" in str(refused.value)
    assert "LIKEWISE_GATEWAY_KEYS_FILE" in str(refused.value)


@pytest.mark.parametrize("host", LOOPBACK)
def test_on_loopback_no_keys_are_needed(host: str) -> None:
    guard = Guard.of(GatewaySettings(host=host))
    assert not guard.keys_required
    assert guard.let_in(scope(), endpoint("admin")).roles == {"read", "write", "admin"}


def test_with_keys_they_are_required_on_loopback_too() -> None:
    keys = Keys()
    assert keys.guard.keys_required
    assert refusal(keys.guard, scope()) == "missing_key"


@pytest.mark.parametrize(
    ("name", "role", "code"),
    [
        ("reader", "read", None),
        ("reader", "write", "missing_role"),
        ("reader", "admin", "missing_role"),
        ("writer", "read", "missing_role"),
        ("writer", "write", None),
        ("writer", "admin", "missing_role"),
        ("admin", "read", None),
        ("admin", "write", None),
        ("admin", "admin", None),
        ("reader", None, None),
    ],
)
def test_a_key_does_what_its_roles_allow(name: str, role: Role | None, code: str | None) -> None:
    keys = Keys()
    if code is None:
        assert keys.guard.let_in(scope(keys(name)), endpoint(role)).name == name
    else:
        assert refusal(keys.guard, scope(keys(name)), endpoint(role)) == code


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer lk_wrong", "Bearer \xe4", "bearer x y", "lk_x"],
)
def test_a_wrong_key_is_refused_even_where_none_is_needed(authorization: str) -> None:
    asked = scope(("authorization", authorization))
    assert refusal(Keys().guard, asked, endpoint(None)) == "invalid_key"


def test_a_refused_key_is_not_repeated() -> None:
    keys = Keys()
    presented = keys.keys["reader"] + "x"
    with pytest.raises(Problem) as raised:
        keys.guard.let_in(scope(bearer(presented)), endpoint())
    assert raised.value.headers["WWW-Authenticate"] == "Bearer"
    assert presented not in f"{raised.value} {raised.value.body()!r} {raised.value.headers}"


def test_without_a_key_public_endpoints_answer() -> None:
    principal = Keys().guard.let_in(scope(), endpoint(None))
    assert (principal.name, principal.roles) == ("nobody", frozenset())


@pytest.mark.parametrize("header", ["authorization", "host", "origin", "sec-fetch-site"])
def test_a_header_that_decides_must_not_be_there_twice(header: str) -> None:
    asked = scope((header, "x"), (header, "x"))
    assert refusal(Guard.of(GatewaySettings()), asked) == "invalid_request"


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", "LocalHost"]
)
def test_without_keys_this_machine_may_be_named(host: str) -> None:
    Guard.of(GatewaySettings()).let_in(scope(host=host), endpoint())


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "localhost:x",
        "localhost@evil.example",
        "192.168.1.5",
        "[::ffff:192.168.1.5]",
        "a b",
    ],
)
def test_without_keys_another_name_is_refused(host: str | None) -> None:
    """DNS rebinding: a page whose name was pointed at 127.0.0.1 is of the same origin to a browser."""
    guard = Guard.of(GatewaySettings())
    assert refusal(guard, scope(host=host)) == "unknown_host"
    with pytest.raises(Problem, match="unknown_host"):
        guard.let_in(scope(host=host), None)


def test_allowed_hosts_may_be_named() -> None:
    guard = Guard.of(GatewaySettings(allowed_hosts=("Shop.example",)))
    guard.let_in(scope(host="shop.example:443"), endpoint())
    assert refusal(guard, scope(host="other.example")) == "unknown_host"


def test_with_keys_every_name_is_answered_unless_some_are_listed() -> None:
    keys = Keys()
    keys.guard.let_in(scope(keys("reader"), host="anything.example"), endpoint())
    keys = Keys(allowed_hosts=("shop.example",))
    keys.guard.let_in(scope(keys("reader"), host="shop.example"), endpoint())
    asked = scope(keys("reader"), host="10.0.0.7:8080")
    assert refusal(keys.guard, asked) == "unknown_host"
    keys.guard.let_in(asked, endpoint(None))  # a probe of a load balancer


CROSS_SITE = [
    pytest.param([("origin", "https://evil.example")], id="origin"),
    pytest.param([("origin", "null")], id="null origin"),
    pytest.param([("origin", "http://localhost:9999")], id="other port"),
    pytest.param([("origin", "http://localhost:8080.evil.example")], id="prefix"),
    pytest.param([("sec-fetch-site", "cross-site")], id="cross-site"),
    pytest.param([("sec-fetch-site", "same-site")], id="same-site"),
    pytest.param([("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], id="form"),
    pytest.param([("sec-fetch-site", "?"), ("origin", "http://localhost:8080")], id="unknown"),
]


@pytest.mark.parametrize("headers", CROSS_SITE)
def test_a_page_of_another_site_changes_nothing(headers: list[tuple[str, str]]) -> None:
    keys = Keys()
    for guard, sent in ((Guard.of(GatewaySettings()), []), (keys.guard, [keys("admin")])):
        assert refusal(guard, scope(*headers, *sent), endpoint("write")) == "cross_site"


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([], id="no browser"),
        pytest.param([("origin", "http://localhost:8080")], id="old browser"),
        pytest.param(
            [("origin", "http://localhost:8080"), ("sec-fetch-site", "same-origin")], id="the page"
        ),
        pytest.param([("sec-fetch-site", "none")], id="typed"),
    ],
)
def test_the_page_and_programs_may_change_things(headers: list[tuple[str, str]]) -> None:
    Guard.of(GatewaySettings()).let_in(scope(*headers), endpoint("write"))


def test_another_site_may_link_to_the_page_and_not_read_the_api() -> None:
    guard = Guard.of(GatewaySettings())
    cross = ("sec-fetch-site", "cross-site")
    guard.let_in(scope(cross, ("sec-fetch-mode", "navigate"), method="GET"), None)
    assert refusal(guard, scope(cross, ("sec-fetch-mode", "cors"), method="GET")) == "cross_site"
    assert refusal(guard, scope(cross, ("sec-fetch-mode", "no-cors"), method="GET")) == "cross_site"


def test_a_named_origin_may_call_and_read() -> None:
    guard = Guard.of(GatewaySettings(cors_origins=("https://shop.example",)))
    asked = scope(("origin", "https://shop.example"), ("sec-fetch-site", "cross-site"))
    guard.let_in(asked, endpoint("write"))
    headers: list[tuple[bytes, bytes]] = []
    guard.secure(headers, asked, page=False)
    sent = dict(headers)
    assert sent[b"access-control-allow-origin"] == b"https://shop.example"
    assert sent[b"vary"] == b"origin"
    assert b"likewise-position" in sent[b"access-control-expose-headers"]
    assert b"access-control-allow-credentials" not in sent


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "https://shop.example.evil.example", "http://shop.example", "null"],
)
def test_another_origin_gets_no_permission(origin: str) -> None:
    guard = Guard.of(GatewaySettings(cors_origins=("https://shop.example",)))
    asked = scope(("origin", origin), method="OPTIONS")
    answer = guard.preflight(asked)
    guard.secure(answer.raw_headers, asked, page=False)
    assert b"access-control-allow-origin" not in dict(answer.raw_headers)
    assert b"access-control-allow-methods" not in dict(answer.raw_headers)


def test_no_origin_is_named_by_default() -> None:
    guard = Guard.of(GatewaySettings())
    headers: list[tuple[bytes, bytes]] = []
    guard.secure(headers, scope(("origin", "https://shop.example")), page=False)
    assert not guard.shares
    assert not [name for name, _ in headers if name.startswith(b"access-control")]


@pytest.mark.parametrize(
    "origin", ["*", "null", "shop.example", "https://shop.example/", "HTTPS://S"]
)
def test_what_is_not_an_origin_is_refused(origin: str) -> None:
    with pytest.raises(SettingsError, match=r"gateway.cors_origins"):
        Guard.of(GatewaySettings(cors_origins=(origin,)))


@pytest.mark.parametrize(
    "source", ["https: script-src *", "x;y", "a,b", "https:\r\nSet-Cookie: a=b", "'self'"]
)
def test_a_source_of_pictures_cannot_add_to_the_policy(source: str) -> None:
    with pytest.raises(SettingsError, match=r"gateway.image_sources"):
        Guard.of(GatewaySettings(image_sources=(source,)))


def test_the_policy_of_the_page_allows_no_inline_script() -> None:
    headers: list[tuple[bytes, bytes]] = []
    guard = Guard.of(GatewaySettings(image_sources=("https://images.example",)))
    guard.secure(headers, scope(), page=True)
    policy = dict(headers)[b"content-security-policy"].decode()
    assert "default-src 'none'; script-src 'self'; style-src 'self';" in policy
    assert "img-src 'self' data: https://images.example;" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_answers_of_the_api_are_neither_stored_nor_sniffed() -> None:
    headers = [(b"cache-control", b"max-age=60")]
    guard = Guard.of(GatewaySettings())
    guard.secure(headers, scope(), page=False)
    assert headers.count((b"cache-control", b"max-age=60")) == 1
    assert len({name for name, _ in headers}) == len(headers)
    headers.clear()
    guard.secure(headers, scope(), page=False)
    sent = dict(headers)
    assert sent[b"cache-control"] == b"no-store"
    assert sent[b"x-content-type-options"] == b"nosniff"
    assert sent[b"content-security-policy"] == b"default-src 'none'; frame-ancestors 'none'"


def test_each_key_has_its_own_limit() -> None:
    keys = Keys(requests_per_s=10)
    for _ in range(20):
        keys.guard.let_in(scope(keys("reader")), endpoint())
    assert refusal(keys.guard, scope(keys("reader"))) == "rate_limited"
    keys.guard.let_in(scope(keys("admin")), endpoint())
    for _ in range(4):
        keys.guard.let_in(scope(keys("slow")), endpoint())
    assert refusal(keys.guard, scope(keys("slow"))) == "rate_limited"
    keys.now_s += 0.1
    keys.guard.let_in(scope(keys("reader")), endpoint())
    assert refusal(keys.guard, scope(keys("reader"))) == "rate_limited"


def test_a_costly_call_counts_several_times_and_the_wait_is_named() -> None:
    keys = Keys(requests_per_s=10)
    keys.guard.let_in(scope(keys("reader")), endpoint(weight=20))
    with pytest.raises(Problem) as raised:
        keys.guard.let_in(scope(keys("reader")), endpoint(weight=15))
    assert (raised.value.status, raised.value.headers["Retry-After"]) == (429, "2")
    keys.now_s += 2
    keys.guard.let_in(scope(keys("reader")), endpoint(weight=1_000))  # waits for a full bucket


def test_trying_keys_is_slowed_down_by_address() -> None:
    keys = Keys()
    wrong = scope(bearer("lk_wrong"), client=("192.0.2.1", 1))
    codes = [refusal(keys.guard, wrong) for _ in range(101)]
    assert codes == ["invalid_key"] * 100 + ["rate_limited"]
    assert refusal(keys.guard, scope(client=("192.0.2.1", 2)), endpoint(None)) == "rate_limited"
    keys.guard.let_in(scope(keys("reader"), client=("192.0.2.1", 3)), endpoint())
    keys.guard.let_in(scope(client=("192.0.2.2", 1)), endpoint(None))


def test_without_keys_there_is_no_limit_unless_one_is_set() -> None:
    guard = Guard.of(GatewaySettings())
    for _ in range(5_000):
        guard.let_in(scope(), endpoint())
    guard = Guard(GatewaySettings(requests_per_s=1), None, clock=lambda: 0.0)
    guard.let_in(scope(), endpoint())
    guard.let_in(scope(), endpoint())
    assert refusal(guard, scope()) == "rate_limited"
    guard.let_in(scope(client=("127.0.0.2", 1)), endpoint())


def test_a_limit_of_zero_is_none() -> None:
    keys = Keys(requests_per_s=0)
    for _ in range(5_000):
        keys.guard.let_in(scope(keys("reader")), endpoint())


def test_the_memory_of_limits_is_bounded() -> None:
    rates = Rates(burst_s=1, max_buckets=100)
    for number in range(1_000):
        assert rates.take(f"address {number}", 1, 1, now_s=0) == 0
    assert len(rates) == 100
    assert rates.take("address 999", 1, 1, now_s=0.5) == 0.5


def test_addresses_of_one_network_share_a_limit() -> None:
    assert network_of("2001:db8:1:2::1") == network_of("2001:db8:1:2:ffff::9")
    assert network_of("2001:db8:1:2::1") != network_of("2001:db8:1:3::1")
    assert network_of("192.0.2.1") != network_of("192.0.2.2")
    assert network_of("::ffff:192.0.2.1") != network_of("::ffff:192.0.2.2")
    assert network_of("no address") == "no address"


def test_names_and_addresses() -> None:
    assert [is_loopback(host) for host in LOOPBACK] == [True] * len(LOOPBACK)
    assert [is_loopback(host) for host in PUBLIC] == [False] * len(PUBLIC)
    assert host_name(b"[2001:DB8::1]:80") == "2001:db8::1"
    assert host_name(b"a/b") is None


def test_everything_that_changes_something_needs_a_role() -> None:
    for one in ENDPOINTS:
        if one.method != "GET" and one.path != "/v1/recommendations":
            assert one.role in {"write", "admin"}, f"{one.method} {one.path}"


def test_the_application_asks_the_guard(tmp_path: Path) -> None:
    asyncio.run(_ask_the_application(tmp_path))


async def _ask_the_application(tmp_path: Path) -> None:
    key, file = new_key(), tmp_path / "keys.json"
    change_keys(file, lambda _: (stored_key(key, name="shop", roles=("read",)),))
    settings = Settings(
        gateway=GatewaySettings(keys_file=file, cors_origins=("https://shop.example",))
    )
    async with gateway_rig(tmp_path, settings) as rig:
        session = await rig.client.get("/v1/session")
        assert session.json() == {"name": "nobody", "roles": [], "keys_required": True}
        headers = {"Authorization": f"Bearer {key}"}
        session = await rig.client.get("/v1/session", headers=headers)
        assert session.json() == {"name": "shop", "roles": ["read"], "keys_required": True}
        refused = await rig.client.get("/v1/users/ann/recommendations")
        assert (refused.status_code, refused.json()["code"]) == (401, "missing_key")
        assert refused.headers["www-authenticate"] == "Bearer"
        refused = await rig.client.put("/v1/users/ann/likes/dune", headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (403, "missing_role")
        assert "default-src 'none'" in refused.headers["content-security-policy"]
        answer = await rig.client.get("/v1/users/ann/recommendations", headers=headers)
        assert answer.status_code == 200
        page = await rig.client.get("/")
        assert "script-src 'self'" in page.headers["content-security-policy"]
        preflight = await rig.client.options(
            "/v1/users/ann/likes/dune",
            headers={"Origin": "https://shop.example", "Access-Control-Request-Method": "PUT"},
        )
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == "https://shop.example"
        assert "PUT" in preflight.headers["access-control-allow-methods"]


def test_no_endpoint_answers_without_the_role_that_it_names(tmp_path: Path) -> None:
    asyncio.run(_call_every_endpoint(tmp_path))


async def _call_every_endpoint(tmp_path: Path) -> None:
    roles: list[Role] = ["read", "write"]
    keys = {role: new_key() for role in roles}
    lacking: dict[Role, Role] = {"read": "write", "write": "read", "admin": "read"}
    file = tmp_path / "keys.json"
    stored = tuple(stored_key(keys[role], name=role, roles=(role,)) for role in roles)
    change_keys(file, lambda _: stored)
    async with gateway_rig(tmp_path, Settings(gateway=GatewaySettings(keys_file=file))) as rig:
        for one in ENDPOINTS:
            if one.role is None:
                continue
            path = re.sub(r"{\w+}", "x", one.path)
            answer = await rig.client.request(one.method, path)
            assert (answer.status_code, answer.json()["code"]) == (401, "missing_key"), one.name
            headers = {"Authorization": f"Bearer {keys[lacking[one.role]]}"}
            answer = await rig.client.request(one.method, path, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "missing_role"), one.name
