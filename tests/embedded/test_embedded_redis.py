"""The embedded Redis keeps its data, and keeps it private."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from likewise.embedded import EmbeddedRedis, EmbeddedServerError, embedded_redis
from likewise.embedded.ports import is_free


def test_a_set_makes_the_round_trip(tmp_path: Path) -> None:
    with embedded_redis(tmp_path) as url, redis.Redis.from_url(url) as client:
        client.sadd("likes:u1", "i1", "i2")
        assert client.smembers("likes:u1") == {b"i1", b"i2"}


def test_two_at_once_do_not_share_keys(tmp_path: Path) -> None:
    with (
        embedded_redis(tmp_path / "a") as first_url,
        embedded_redis(tmp_path / "b") as second_url,
        redis.Redis.from_url(first_url) as first,
        redis.Redis.from_url(second_url) as second,
    ):
        first.sadd("likes:u1", "i1")
        assert second.exists("likes:u1") == 0


def test_a_restart_after_a_kill_has_every_acknowledged_write(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server:
        url = server.url
        with redis.Redis.from_url(url) as client:
            client.sadd("likes:u1", "i1", "i2")
        server.kill()
        assert not server.running
        server.start()
        assert server.url == url
        with redis.Redis.from_url(url) as client:
            assert client.smembers("likes:u1") == {b"i1", b"i2"}


def test_a_server_that_crashed_can_be_started_again(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server:
        with redis.Redis.from_url(server.url) as client:
            client.sadd("likes:u1", "i1")
        pid = server.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        server.start()
        with redis.Redis.from_url(server.url) as client:
            assert client.smembers("likes:u1") == {b"i1"}


def test_it_listens_on_loopback_and_syncs_every_second_and_never_evicts(tmp_path: Path) -> None:
    with (
        embedded_redis(tmp_path, unrestricted=True) as url,
        redis.Redis.from_url(url) as client,
    ):
        settings = client.config_get()
    wanted = {
        "bind": "127.0.0.1",
        "protected-mode": "yes",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    assert {name: settings[name] for name in wanted} == wanted


def test_given_config_lines_replace_the_usual_ones(tmp_path: Path) -> None:
    config = {"maxmemory": "64mb", "appendfsync": "always"}
    with (
        embedded_redis(tmp_path, config=config, unrestricted=True) as url,
        redis.Redis.from_url(url) as client,
    ):
        assert client.config_get("maxmemory") == {"maxmemory": str(64 * 2**20)}
        assert client.config_get("appendfsync") == {"appendfsync": "always"}


def test_only_the_owner_can_read_the_directory_and_its_files(tmp_path: Path) -> None:
    directory = tmp_path / "new"
    with embedded_redis(directory) as url, redis.Redis.from_url(url) as client:
        client.sadd("likes:u1", "i1")
        modes = {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert modes <= {0o600, 0o700}


def test_a_second_one_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as first, redis.Redis.from_url(first.url) as client:
        with pytest.raises(EmbeddedServerError, match="another one is running in"):
            EmbeddedRedis(tmp_path).start()
        assert client.ping()


def test_a_setting_that_redis_refuses_is_reported_with_its_message(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError) as caught:
        EmbeddedRedis(tmp_path, config={"appendfsync": "sometimes"}).start()
    assert caught.value.server == "The embedded Redis"
    assert "sometimes" in caught.value.command
    assert any("sometimes" in line for line in caught.value.log_tail)


def test_an_error_inside_the_block_still_stops_it(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path)
    with pytest.raises(KeyError), server:
        raise KeyError
    assert not server.running
    assert is_free(server.port)


def test_it_describes_itself(tmp_path: Path) -> None:
    name, version = EmbeddedRedis(tmp_path).description.split()
    assert name in {"Redis", "Valkey"}
    assert int(version.partition(".")[0]) >= 7, "one that still gets security fixes"


def test_it_requires_the_password_and_no_command_line_shows_it(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path / "new") as server:
        with redis.Redis(port=server.port, retry=Retry(NoBackoff(), 0)) as stranger:
            for command in ("GET x", "EVAL 'return 1' 0", "CONFIG GET dir", "MODULE LIST"):
                with pytest.raises(redis.AuthenticationError):
                    stranger.execute_command(command)
        arguments = Path(f"/proc/{server.pid}/cmdline").read_bytes()
        environment = Path(f"/proc/{server.pid}/environ").read_bytes()
        assert server.password.encode() not in arguments + environment
        assert server.password_path.read_text().strip() == server.password
        assert stat.S_IMODE(server.password_path.stat().st_mode) == 0o600


def test_an_authenticated_client_can_write_no_file_and_load_no_code(tmp_path: Path) -> None:
    with embedded_redis(tmp_path) as url, redis.Redis.from_url(url) as client:
        for command in (
            "CONFIG SET dir /tmp",
            "MODULE LOAD /tmp/evil.so",
            "DEBUG SLEEP 0",
            "REPLICAOF 127.0.0.1 1",
            "SLAVEOF 127.0.0.1 1",
            "ACL SETUSER evil on nopass ~* +@all",
            "MIGRATE 127.0.0.1 1 x 0 100",
        ):
            with pytest.raises(redis.ResponseError, match="unknown command"):
                client.execute_command(*command.split())
        assert client.eval("return 1", 0) == 1
        assert client.flushall()
