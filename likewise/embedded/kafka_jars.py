"""The jars of Apache Kafka's broker: fetched once with Maven, and checked before every start."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from likewise.errors import LikewiseError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable

KAFKA_VERSION = "4.3.1"
_OLDEST_JAVA = 17
_POM = Path(__file__).with_name("apache-kafka.pom.xml")
_CHECKSUMS = Path(__file__).with_name("apache-kafka.sha256")
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_FETCH_TIMEOUT_S = 600


def java_binary() -> Path:
    """Return the `java` of JAVA_HOME, else the one on PATH; blocks for 0.1 s.

    Raises:
        MissingExtraError: there is none, or it is too old for Kafka.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home, "bin")) if home else None)
    if found is None:
        where = f"JAVA_HOME = {home}" if home else "PATH"
        raise MissingExtraError(
            f"Apache Kafka {KAFKA_VERSION} needs Java {_OLDEST_JAVA} or newer, and there is no java "
            f"in {where}; install one (Debian: apt-get install openjdk-17-jre-headless), or leave "
            "out --kafka apache"
        )
    run = subprocess.run(  # noqa: S603 - the user's own java
        [found, "-version"], capture_output=True, check=False, text=True, timeout=30
    )
    version = re.search(r'version "(\d+)', run.stderr)
    if version is None or int(version[1]) < _OLDEST_JAVA:
        raise MissingExtraError(
            f"Apache Kafka {KAFKA_VERSION} needs Java {_OLDEST_JAVA} or newer, and {found} is "
            f"{version[1] if version else 'of an unknown version'}; set JAVA_HOME to a newer one"
        )
    return Path(found)


def kafka_jars(say: Callable[[str], None]) -> Path:
    """Return the directory of the jars, complete and with the pinned checksums.

    The first call downloads 44 MB to the user's cache, in a directory named after Kafka's version.
    `say` is called before a download.

    Raises:
        MissingExtraError: the jars have to be fetched, and Maven is not installed.
        LikewiseError: Maven fails, or what it fetched does not match the checksums.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "likewise")
    jars = cache / f"apache-kafka-{KAFKA_VERSION}"
    pinned = _pinned()
    if _checksums(jars) == pinned:
        return jars
    maven = shutil.which("mvn")
    if maven is None:
        raise MissingExtraError(
            f"Apache Kafka {KAFKA_VERSION} is fetched with Maven, and there is no mvn on PATH; "
            "install it (Debian: apt-get install maven), or leave out --kafka apache"
        )
    say(f"fetching Apache Kafka {KAFKA_VERSION} with Maven, 44 MB, once")
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=cache) as directory:
        fetched = Path(directory, "jars")
        _fetch(maven, fetched)
        _compare(_checksums(fetched), pinned)
        shutil.rmtree(jars, ignore_errors=True)
        fetched.rename(jars)
    return jars


def _fetch(maven: str, directory: Path) -> None:
    command = [maven, "--batch-mode", "--quiet", f"--file={_POM}", _COPY]
    options = ["-DincludeScope=runtime", f"-DoutputDirectory={directory}"]
    try:
        run = subprocess.run(  # noqa: S603 - Maven, with our arguments
            [*command, *options],
            capture_output=True,
            check=False,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=_FETCH_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise LikewiseError(
            f"Maven did not fetch Apache Kafka within {_FETCH_TIMEOUT_S} s; try again"
        ) from error
    if run.returncode != 0:
        raise LikewiseError(
            f"Maven could not fetch Apache Kafka {KAFKA_VERSION}:\n{(run.stdout + run.stderr)[-2000:]}"
        )


def _compare(found: dict[str, str], pinned: dict[str, str]) -> None:
    wrong = sorted({name for name, _ in found.items() ^ pinned.items()})
    if wrong:
        raise LikewiseError(
            f"the jars of Apache Kafka {KAFKA_VERSION} that Maven fetched are not the pinned ones: "
            f"{', '.join(wrong)}; none was run or kept"
        )


def _pinned() -> dict[str, str]:
    lines = _CHECKSUMS.read_text(encoding="ascii").splitlines()
    return {name: checksum for checksum, name in (line.split() for line in lines)}


def _checksums(directory: Path) -> dict[str, str]:
    """Return the SHA-256 of each jar in a directory; empty if there is no directory."""
    found = {}
    for path in sorted(directory.glob("*.jar")):
        with path.open("rb") as jar:
            found[path.name] = hashlib.file_digest(jar, "sha256").hexdigest()
    return found
