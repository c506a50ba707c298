"""The examples of README.md and docs/clients.md run as printed, with only the client they name installed."""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.clients.programs import BUILT, HERE, check
from tests.clients.taste import CATS, DOGS
from tests.running_up import ROOT

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path

    from tests.running_up import RunningUp

pytestmark = pytest.mark.timeout(600)

_EXAMPLES = "\n".join(
    (ROOT / page).read_text(encoding="utf-8") for page in ("README.md", "docs/clients.md")
)
_LIKEWISE = os.environ.get("WHEEL_UNDER_TEST", str(ROOT))
_RUN_TIMEOUT_S = 60
_JAVA = """\
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.*;
import org.springframework.kafka.core.*;
import org.springframework.kafka.listener.*;
import org.springframework.kafka.requestreply.ReplyingKafkaTemplate;
import org.springframework.kafka.support.TopicPartitionOffset;

public class Readme {
    public static void main(String[] arguments) throws Exception {
%s
        System.exit(0); // an application would keep the template, and destroy it at its end
    }
}
"""


@pytest.fixture(params=["deployment", "tansu"])
def up(request: pytest.FixtureRequest) -> RunningUp:
    """Each example runs on Apache Kafka and on the embedded broker."""
    found: RunningUp = request.getfixturevalue(request.param)
    return found


def example(language: str, word: str, up: RunningUp) -> str:
    """The documented example in this language that contains the word, for these servers and 40 items."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", _EXAMPLES, re.MULTILINE | re.DOTALL)
    [code] = [code for code in found if word in code]
    assert "localhost:9092" in code
    code = code.replace("localhost:9092", up.bootstrap_servers)
    return re.sub(r'(count\\?"?(?:=|: ))5\b', r"\g<1>40", code)


@pytest.fixture(scope="module")
def python_with_likewise(tmp_path_factory: pytest.TempPathFactory) -> str:
    return fresh_python(tmp_path_factory.mktemp("likewise"), _LIKEWISE)


@pytest.fixture(scope="module")
def python_with_kafka(tmp_path_factory: pytest.TempPathFactory) -> str:
    return fresh_python(tmp_path_factory.mktemp("kafka"), "kafka-python")


def fresh_python(directory: Path, *packages: str) -> str:
    """A Python with these packages, and what they need, and nothing else."""
    check([sys.executable, "-m", "venv", str(directory)], ROOT, 60)
    pip = [str(directory / "bin/pip"), "install", "--quiet", "--disable-pip-version-check"]
    check([*pip, *packages], ROOT, 300)
    return str(directory / "bin/python")


def answer_in(said: str) -> dict[str, Any]:
    """The answer among what else the client prints."""
    [line] = [line for line in said.splitlines() if line.startswith('{"items"')]
    answer: dict[str, Any] = json.loads(line)
    return answer


def is_a_full_answer(reply: dict[str, Any]) -> bool:
    return {item["item_id"] for item in reply["items"]} <= {*CATS, *DOGS} and len(
        reply["items"]
    ) == 40


def test_the_python_client_does_what_the_readme_shows(
    up: RunningUp, python_with_likewise: str, tmp_path: Path
) -> None:
    # What the example names is in no model of this deployment; here it is.
    code = (
        example("python", "import Likewise", up).replace("dune", "cat 1").replace("alien", "cat 2")
    )
    said = check([python_with_likewise, "-P", "-c", code], tmp_path, _RUN_TIMEOUT_S).splitlines()
    assert len(said) == 40, said


def test_kafka_python_alone_does_what_the_readme_shows(
    up: RunningUp, python_with_kafka: str, tmp_path: Path
) -> None:
    said = check(
        [python_with_kafka, "-c", example("python", "KafkaConsumer", up)], tmp_path, _RUN_TIMEOUT_S
    )
    assert is_a_full_answer(ast.literal_eval(said.strip().splitlines()[-1]))


def test_kafkajs_alone_does_what_the_readme_shows(deployment: RunningUp, tmp_path: Path) -> None:
    lock = json.loads((HERE / "kafkajs/package-lock.json").read_text())
    version = lock["packages"]["node_modules/kafkajs"]["version"]
    check(["npm", "install", "--silent", f"kafkajs@{version}"], tmp_path, 300)
    code = example("js", "kafkajs", deployment).replace(
        "console.log(JSON.parse(await reply))", "console.log(await reply)"
    )
    (tmp_path / "readme.mjs").write_text(code)
    said = check(["node", "readme.mjs"], tmp_path, _RUN_TIMEOUT_S)
    assert is_a_full_answer(answer_in(said))


def test_spring_kafka_does_what_the_readme_shows(
    up: RunningUp, tmp_path: Path, builds: dict[str, Future[None]]
) -> None:
    builds["spring-kafka"].result(timeout=600)
    classpath = (BUILT / "spring.classpath").read_text()
    (tmp_path / "Readme.java").write_text(_JAVA % example("java", "ReplyingKafkaTemplate", up))
    check(["javac", "-cp", classpath, "Readme.java"], tmp_path, _RUN_TIMEOUT_S)
    java = ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{tmp_path}:{classpath}", "Readme"]
    said = check(java, tmp_path, _RUN_TIMEOUT_S)
    assert is_a_full_answer(answer_in(said))
