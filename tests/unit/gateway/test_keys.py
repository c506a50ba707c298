"""API keys, their file, and the commands that change it."""

from __future__ import annotations

import hmac
import json
import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from gateway.security.key_file import change_keys, read_keys
from gateway.security.key_source import KeySource
from gateway.security.keys import ApiKey, KeyRing, new_key, sha256_of, stored_key
from likewise.cli.app import app
from likewise.errors import SettingsError
from likewise.settings import Secret
from likewise.settings.gateway import GatewaySettings
from likewise.settings.loader import load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result


def a_key(name: str = "shop", **fields: Any) -> tuple[str, ApiKey]:
    key = new_key()
    return key, stored_key(key, name=name, roles=fields.pop("roles", ("read",)), **fields)


def write(path: Path, *keys: ApiKey) -> None:
    change_keys(path, lambda _: keys)


def run(path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["keys", *arguments, "--file", str(path)])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_keys_are_random_long_and_recognisable() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert {len(key) for key in keys} == {46}
    assert all(key.startswith("lk_") for key in keys)


def test_a_presented_key_is_compared_with_every_key_in_constant_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = [a_key(f"key-{number}") for number in range(5)]
    ring = KeyRing(stored for _, stored in made)
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return original(one, other)

    original = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", compare)
    for key, stored in [*made, ("unknown", None)]:
        compared.clear()
        assert ring.find(key.encode()) == stored
        assert [one.hex() for one, _ in compared] == [stored.sha256 for _, stored in made]
        assert {other.hex() for _, other in compared} == {sha256_of(key)}


def test_admin_includes_the_other_roles_and_they_do_not_include_each_other() -> None:
    assert a_key(roles=("admin",))[1].rights == {"read", "write", "admin"}
    assert a_key(roles=("read",))[1].rights == {"read"}
    assert a_key(roles=("write",))[1].rights == {"write"}


def test_a_key_ends_when_it_expires() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    _, stored = a_key(expires=now)
    assert stored.is_expired(now)
    assert not stored.is_expired(now - timedelta(seconds=1))


def test_the_file_is_private_and_has_no_key(path: Path) -> None:
    key, stored = a_key()
    write(path, stored)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_keys(path) == (stored,)
    assert key not in path.read_text()
    assert list(path.parent.iterdir()) == [path]


def test_a_changed_file_keeps_its_mode_and_a_link_stays_a_link(path: Path) -> None:
    write(path, a_key()[1])
    path.chmod(0o640)
    link = path.with_name("link.json")
    link.symlink_to(path)
    write(link, a_key("other")[1])
    assert link.is_symlink()
    assert [key.name for key in read_keys(path)] == ["other"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_is_refused(path: Path, mode: int) -> None:
    write(path, a_key()[1])
    path.chmod(mode)
    with pytest.raises(SettingsError, match=r"gateway.keys_file: other users can write .*chmod"):
        read_keys(path)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "\xff",
        '{"keys": [{"name": "a"}]}',
        '{"keys": [{"name": "a", "roles": [], "sha256": "00", "created": "2026-01-01T00:00:00Z"}]}',
        '{"key": []}',
        '{"keys": [' + "[" * 100_000,
        '{"keys": []}' + " " * 2_000_000,
    ],
    ids=["empty", "list", "bytes", "fields", "hash", "unknown", "deep", "large"],
)
def test_what_is_not_a_file_of_keys_is_refused(path: Path, content: str) -> None:
    path.write_text(content, encoding="latin-1")
    path.chmod(0o600)
    with pytest.raises(SettingsError, match=r"gateway.keys_file: .*keys.json"):
        read_keys(path)


def test_two_keys_of_one_name_are_refused(path: Path) -> None:
    write(path, a_key()[1], a_key()[1])
    with pytest.raises(SettingsError, match="two keys have the same `name`"):
        read_keys(path)


def test_settings_without_keys_have_no_source() -> None:
    assert KeySource.of(GatewaySettings()) is None


def test_a_key_in_the_settings_has_all_roles() -> None:
    key = "0123456789abcdef0123456789abcdef"
    source = KeySource.of(GatewaySettings(api_key=Secret(key)))
    assert source is not None
    found = source.find(key.encode())
    assert found is not None
    assert found.rights == {"read", "write", "admin"}


def test_a_key_in_the_settings_that_could_be_guessed_is_refused_and_not_shown() -> None:
    with pytest.raises(SettingsError, match=r"gateway.api_key: .*at least 32") as raised:
        KeySource.of(GatewaySettings(api_key=Secret("hunter2")))
    assert "hunter2" not in str(raised.value)


def test_a_key_in_the_settings_may_be_in_a_file(path: Path) -> None:
    path.write_text("0123456789abcdef0123456789abcdef\n")
    settings = load_settings(environ={"LIKEWISE_GATEWAY_API_KEY_FILE": str(path)})
    assert settings.gateway.api_key is not None
    assert settings.gateway.api_key.reveal() == "0123456789abcdef0123456789abcdef"
    assert "0123456789abcdef" not in repr(settings)


@pytest.mark.parametrize("written", [None, "{}", '{"keys": []}'])
def test_a_file_without_keys_is_an_error_that_names_the_remedy(
    path: Path, written: str | None
) -> None:
    if written is not None:
        path.write_text(written)
        path.chmod(0o600)
    with pytest.raises(SettingsError, match=r"gateway.keys_file"):
        KeySource.of(GatewaySettings(keys_file=path))


def test_a_running_gateway_follows_its_file(path: Path) -> None:
    now_s = 0.0
    first, stored = a_key("first")
    second, added = a_key("second")
    write(path, stored)
    source = KeySource((), path, clock=lambda: now_s)
    write(path, added)
    assert source.find(first.encode()) == stored  # looked at less than a second ago
    now_s = 1.0
    assert source.find(first.encode()) is None
    assert source.find(second.encode()) == added


def test_a_broken_or_missing_file_keeps_the_earlier_keys(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now_s = 0.0
    key, stored = a_key()
    write(path, stored)
    source = KeySource((), path, clock=lambda: now_s)
    path.write_text('{"keys": [')
    for _ in range(3):
        now_s += 1.0
        assert source.find(key.encode()) == stored
    path.unlink()
    now_s += 1.0
    assert source.find(key.encode()) == stored
    assert capsys.readouterr().out.count("keys not read") == 2  # once for each change
    write(path, a_key()[1])
    now_s += 1.0
    assert source.find(key.encode()) is None


def test_the_commands_create_list_and_remove_keys(path: Path) -> None:
    created = run(path, "create", "shop", "--role", "read", "--role", "write", "--expires", "90d")
    assert created.exit_code == 0
    key = created.stdout.strip()
    assert "only time that it is shown" in created.stderr
    [stored] = read_keys(path)
    assert stored.sha256 == sha256_of(key)
    assert stored.rights == {"read", "write"}
    assert stored.expires is not None
    assert timedelta(89) < stored.expires - datetime.now(UTC) <= timedelta(90)

    listed = run(path, "list")
    assert "shop  read, write" in listed.stdout
    assert key not in listed.stdout
    assert run(path, "remove", "shop").exit_code == 0
    assert read_keys(path) == ()
    missing = run(path, "remove", "shop")
    assert missing.exit_code == 1
    assert "has no key 'shop'" in missing.stderr


def test_the_commands_print_json(path: Path) -> None:
    arguments = ["create", "ops", "--role", "admin", "--requests-per-s", "5", "--json"]
    created = json.loads(run(path, *arguments).stdout)
    assert read_keys(path)[0].sha256 == sha256_of(created["key"])
    [listed] = json.loads(run(path, "list", "--json").stdout)
    assert listed == {
        "name": "ops",
        "roles": ["admin"],
        "created": created["created"],
        "expires": None,
        "expired": False,
        "requests_per_s": 5,
    }


def test_a_name_is_used_once(path: Path) -> None:
    assert run(path, "create", "shop", "--role", "read").exit_code == 0
    again = run(path, "create", "shop", "--role", "admin")
    assert again.exit_code == 1
    assert "already has a key 'shop'" in again.stderr
    assert [key.rights for key in read_keys(path)] == [{"read"}]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a b", "--role", "read"], "letters, digits"),
        (["shop", "--role", "root"], "root"),
        (["shop"], "--role"),
        (["shop", "--role", "read", "--expires", "soon"], "neither a duration"),
        (["shop", "--role", "read", "--expires", "9999999d"], "neither a duration"),
        (["shop", "--role", "read", "--expires", "2020-01-01"], "has passed"),
        (["shop", "--role", "read", "--requests-per-s", "0"], "requests-per-s"),
    ],
)
def test_options_that_make_no_key_are_refused(path: Path, arguments: list[str], said: str) -> None:
    refused = run(path, "create", *arguments)
    assert refused.exit_code == 2
    assert said in " ".join(refused.stderr.replace("│", " ").split())
    assert not path.exists()


def test_without_a_file_the_commands_name_the_setting() -> None:
    refused = CliRunner().invoke(app, ["keys", "list"])
    assert refused.exit_code == 2
    assert "LIKEWISE_GATEWAY_KEYS_FILE" in refused.stderr
