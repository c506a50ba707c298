"""The curl examples of docs/http.md and of the page work as printed."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from gateway.endpoints.documents import document
from gateway.openapi.curl import curl, example_of

if TYPE_CHECKING:
    from tests.deployment import Deployment

PAGE = (Path(__file__).parents[2] / "docs/http.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def call(command: str, url: str) -> httpx.Response:
    """Send what curl would send."""
    words = shlex.split(command.replace("\\\n", " "))
    assert words.pop(0) == "curl"
    [target] = [
        word
        for at, word in enumerate(words)
        if not word.startswith("-") and not words[at - 1].startswith("-")
    ]
    options = {flag: value for flag, value in pairwise(words) if flag in ("-X", "-H", "-d")}
    name, _, header = options.get("-H", "").partition(": ")
    return httpx.request(
        options.get("-X", "POST" if "-d" in options else "GET"),
        target.replace("http://localhost:8080", url),
        headers={name: header} if name else {},
        content=options.get("-d"),
    )


@pytest.mark.parametrize("command", EXAMPLES)
def test_an_example_of_the_page_is_answered(command: str, running: Deployment) -> None:
    answer = call(command, running.url)
    assert answer.status_code in {200, 504}, answer.text  # 504: there is no event yet


@pytest.mark.parametrize("path", ["/v1/events", "/v1/recommendations", "/v1/items/{item_id}"])
def test_an_example_of_the_document_is_answered(path: str, running: Deployment) -> None:
    for method, operation in document()["paths"][path].items():
        if method != "delete":
            answer = call(curl(example_of(path, method, operation)), running.url)
            assert answer.status_code in {200, 404}, answer.text  # 404: no such item yet
