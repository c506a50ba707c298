"""Apache Kafka's jars: nothing runs that is not pinned, and what is missing is named with its remedy.

Java and Maven are small scripts here: no network, no JVM.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from likewise.embedded import ApacheKafka, kafka_jars
from likewise.errors import LikewiseError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

JARS = {"kafka-server.jar": b"the server", "kafka-clients.jar": b"the clients"}


class Machine:
    """A PATH, a cache, and what Maven has in store."""

    def __init__(self, directory: Path) -> None:
        self.bin = directory / "bin"
        self.cache = directory / "cache" / "likewise"
        self.jars = self.cache / f"apache-kafka-{kafka_jars.KAFKA_VERSION}"
        self.in_store = directory / "store"
        self.pinned = directory / "pinned.sha256"
        self.said: list[str] = []
        self.bin.mkdir()
        write_jars(self.in_store)
        lines = [f"{hashlib.sha256(jar).hexdigest()}  {name}\n" for name, jar in JARS.items()]
        self.pinned.write_text("".join(lines))

    def install(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def install_maven(self) -> None:
        target = '$(printf "%s\\n" "$@" | /bin/sed -n "s/^-DoutputDirectory=//p")'
        self.install("mvn", f'/bin/cp -r {self.in_store} "{target}"')

    def fetch(self) -> dict[str, bytes]:
        """Return what is in the directory that may be run."""
        found = kafka_jars.kafka_jars(self.said.append)
        assert found == self.jars
        return {path.name: path.read_bytes() for path in found.iterdir()}


def write_jars(directory: Path) -> None:
    directory.mkdir(parents=True)
    for name, jar in JARS.items():
        (directory / name).write_bytes(jar)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setenv("PATH", str(made.bin))
    monkeypatch.setenv("XDG_CACHE_HOME", str(made.cache.parent))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(kafka_jars, "_CHECKSUMS", made.pinned)
    return made


def tamper(jars: Path) -> None:
    (jars / "kafka-server.jar").write_bytes(b"the server, with a gift")


def add(jars: Path) -> None:
    (jars / "gift.jar").write_bytes(b"earlier on the class path")


def remove(jars: Path) -> None:
    (jars / "kafka-clients.jar").unlink()


def test_jars_that_are_as_pinned_are_used_as_they_are(machine: Machine) -> None:
    write_jars(machine.jars)
    assert machine.fetch() == JARS
    assert machine.said == []


@pytest.mark.parametrize("change", [tamper, add, remove])
def test_a_cache_that_was_tampered_with_is_fetched_again(
    machine: Machine, change: Callable[[Path], None]
) -> None:
    write_jars(machine.jars)
    change(machine.jars)
    machine.install_maven()
    assert machine.fetch() == JARS
    assert len(machine.said) == 1


@pytest.mark.parametrize("change", [tamper, add, remove])
def test_a_cache_that_was_tampered_with_is_not_run_without_maven(
    machine: Machine, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    write_jars(machine.jars)
    change(machine.jars)
    machine.install("java", "echo 'openjdk version \"21.0.2\"' >&2")
    with pytest.raises(MissingExtraError, match=r"no mvn on PATH.*apt-get install maven"):
        ApacheKafka(tmp_path / "kafka").command()


def test_what_maven_fetches_is_neither_run_nor_kept_unless_it_is_pinned(machine: Machine) -> None:
    tamper(machine.in_store)
    machine.install_maven()
    with pytest.raises(LikewiseError, match=r"not the pinned ones: kafka-server\.jar;"):
        machine.fetch()
    assert list(machine.cache.iterdir()) == []


def test_the_first_start_fetches_and_the_next_one_needs_no_maven(machine: Machine) -> None:
    machine.install_maven()
    assert machine.fetch() == JARS
    (machine.bin / "mvn").unlink()
    assert machine.fetch() == JARS
    [sentence] = machine.said
    assert "44 MB" in sentence


def test_what_maven_prints_when_it_fails_is_reported(machine: Machine) -> None:
    machine.install("mvn", "echo 'Unknown host repo.maven.apache.org'; exit 1")
    with pytest.raises(LikewiseError, match=r"Unknown host repo\.maven\.apache\.org"):
        machine.fetch()


def test_a_missing_java_is_named_with_where_it_was_looked_for(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_jars(machine.jars)
    kafka = ApacheKafka(tmp_path / "kafka")
    with pytest.raises(MissingExtraError, match=r"no java in PATH.*apt-get install openjdk-17"):
        kafka.command()
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    with pytest.raises(MissingExtraError, match=r"no java in JAVA_HOME = /nowhere"):
        kafka.command()


@pytest.mark.parametrize(
    ("printed", "named"), [('openjdk version "11.0.2"', "is 11"), ("", "of an unknown version")]
)
def test_a_java_that_is_too_old_is_named_with_its_version(
    machine: Machine, tmp_path: Path, printed: str, named: str
) -> None:
    machine.install("java", f"echo '{printed}' >&2")
    with pytest.raises(MissingExtraError, match=rf"{named}.*JAVA_HOME"):
        ApacheKafka(tmp_path / "kafka").command()


def test_a_recent_java_runs_the_pinned_jars(machine: Machine, tmp_path: Path) -> None:
    machine.install("java", "echo 'openjdk version \"21.0.2\"' >&2")
    write_jars(machine.jars)
    command = ApacheKafka(tmp_path / "kafka").command()
    assert command[0] == str(machine.bin / "java")
    assert f"{machine.jars}/*" in command
