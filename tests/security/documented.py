"""The commands that docs/security.md tells people to copy, and what they ask a broker for."""

from __future__ import annotations

import argparse
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType
from kafka.admin import ACLResourcePatternType as PatternType

if TYPE_CHECKING:
    from collections.abc import Iterator

_TEXT = (Path(__file__).parents[2] / "docs/security.md").read_text(encoding="utf-8")
_TOOLS = ("kafka-acls.sh", "kafka-topics.sh")
_SEPARATOR = "\x1f"


def documented(kind: str) -> str:
    """Return the one block of commands that is marked so."""
    [block] = re.findall(rf"^```{kind}\n(.*?)^```$", _TEXT, re.MULTILINE | re.DOTALL)
    return str(block)


def calls(kind: str, prefix: str) -> list[list[str]]:
    """Return the arguments of each call of a Kafka tool in a block, as a shell hands them over.

    The tools themselves would each start a Java machine: a minute for all of them.
    """
    stubs = "".join(f'{tool}() {{ printf "%s\\x1f" "$@"; echo; }}\n' for tool in _TOOLS)
    script = f"set -eu; BOOTSTRAP=broker:9093; ADMIN=; PREFIX={prefix}\n{stubs}{documented(kind)}"
    said = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True)
    return [line.split(_SEPARATOR)[:-1] for line in said.stdout.splitlines()]


def acls(prefix: str) -> Iterator[ACL]:
    """Yield what the documented calls of kafka-acls.sh grant."""
    parser = argparse.ArgumentParser(allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--bootstrap-server", required=True)
    parser.add_argument("--add", action="store_true", required=True)
    parser.add_argument("--allow-principal", required=True)
    parser.add_argument("--operation", action="append", required=True)
    parser.add_argument("--topic", action="append", default=[])
    parser.add_argument("--group", action="append", default=[])
    parser.add_argument("--resource-pattern-type", default="literal")
    for call in calls("sh kafka-acls", prefix):
        yield from _granted(parser.parse_args(call))


def _granted(asked: Any) -> Iterator[ACL]:
    resources = [(ResourceType.TOPIC, name) for name in asked.topic]
    resources += [(ResourceType.GROUP, name) for name in asked.group]
    pattern = PatternType[asked.resource_pattern_type.upper()]
    for operation in asked.operation:
        for kind, name in resources:
            yield ACL(
                principal=asked.allow_principal,
                host="*",
                # As Kafka's tool writes it: DescribeConfigs.
                operation=ACLOperation[re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).upper()],
                permission_type=ACLPermissionType.ALLOW,
                resource_pattern=ResourcePattern(kind, name, pattern),
            )
