"""The client programs: how each is built, once for the run, and how it is run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
BUILT = HERE.parents[1] / ".clients"
"""What is built; kept between runs, and left out of git."""
VENV = BUILT / "python"
BUILD_TIMEOUT_S = 420
RUN_TIMEOUT_S = 90


@dataclass(frozen=True)
class Program:
    """A client in its language: the folder to be in, what builds it, and what runs it."""

    name: str
    directory: Path
    build: list[list[str]]
    run: list[str]


def python(name: str, folder: str) -> Program:
    requirements = str(HERE / "requirements.lock")
    pip = [str(VENV / "bin/pip"), "install", "--quiet", "--disable-pip-version-check"]
    build = [
        [sys.executable, "-m", "venv", str(VENV)],
        [*pip, "--require-hashes", "--requirement", requirements],
    ]
    return Program(name, HERE / folder, build, [str(VENV / "bin/python"), "client.py"])


def go(name: str, folder: str) -> Program:
    build = [["go", "build", "-o", f"{BUILT}/{folder}", f"./{folder}"]]
    return Program(name, HERE / "go", build, [f"{BUILT}/{folder}"])


def java(name: str, folder: str, main_class: str) -> Program:
    classpath = BUILT / f"{folder}.classpath"
    maven = ["mvn", "--batch-mode", "--quiet", "compile", "dependency:build-classpath"]
    run = [f'exec java -XX:TieredStopAtLevel=1 -cp "target/classes:$(cat {classpath})" "$@"']
    return Program(
        name,
        HERE / folder,
        [[*maven, f"-Dmdep.outputFile={classpath}"]],
        ["sh", "-c", *run, "sh", main_class],
    )


PROGRAMS = [
    python("confluent-kafka", "confluent"),
    python("aiokafka", "aio"),
    Program("kafkajs", HERE / "kafkajs", [["npm", "ci", "--silent"]], ["node", "client.js"]),
    go("franz-go", "franz"),
    go("sarama", "sarama"),
    java("spring-kafka", "spring", "likewise.Client"),
]

MODELINA = Program("modelina", HERE / "modelina", [["npm", "ci", "--silent"]], [])


def build(program: Program) -> None:
    """Return once the program can be run; fails with what its tools said."""
    BUILT.mkdir(exist_ok=True)
    for command in program.build:
        assert shutil.which(command[0]), f"{program.name} needs {command[0]}; see CONTRIBUTING.md"
        check(command, program.directory, BUILD_TIMEOUT_S)


def run(program: Program, *arguments: str) -> str:
    """Return what the program printed; fails if it fails."""
    return check([*program.run, *arguments], program.directory, RUN_TIMEOUT_S)


def check(command: list[str], directory: Path, timeout_s: float, **environment: str) -> str:
    """Run a command to its end and return its standard output; fails with all that it printed."""
    done = subprocess.run(
        command,
        cwd=directory,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, f"{command} failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout
