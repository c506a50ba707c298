"""The TypeScript client is generated from the OpenAPI document, type-checks, and works."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.clients.programs import BUILD_TIMEOUT_S, BUILT, RUN_TIMEOUT_S, check
from tests.clients.taste import CATS
from tests.running_up import ROOT
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.running_up import RunningUp

pytestmark = pytest.mark.timeout(600)

CLIENTS = ROOT / "clients"


@pytest.fixture(scope="module")
def package() -> Path:
    """A copy of the package with its dependencies, built."""
    copy = BUILT / "clients"
    shutil.rmtree(copy / "typescript" / "src", ignore_errors=True)  # of a run that was ended
    ignored = shutil.ignore_patterns("node_modules", "dist")
    shutil.copytree(CLIENTS, copy, ignore=ignored, dirs_exist_ok=True)
    package = copy / "typescript"
    check(["npm", "ci", "--silent"], package, BUILD_TIMEOUT_S)
    check(["npm", "run", "--silent", "build"], package, BUILD_TIMEOUT_S)
    return package


def test_its_types_are_those_of_the_document(package: Path) -> None:
    check(["npm", "run", "--silent", "generate"], package, RUN_TIMEOUT_S)
    generated = (package / "src/schema.ts").read_text(encoding="utf-8")
    committed = (CLIENTS / "typescript/src/schema.ts").read_text(encoding="utf-8")
    assert generated == committed, "run `npm run generate` in clients/typescript"


def test_a_call_of_another_form_does_not_compile(package: Path) -> None:
    wrong = package / "src/wrong.ts"
    wrong.write_text(
        'import { createLikewise } from "./index.js";\n'
        'const likewise = createLikewise("http://localhost:8080");\n'
        'await likewise.PUT("/v1/users/{user_id}/likes/{item_id}", '
        '{ params: { path: { user_id: "ann" } } });\n'
    )
    try:
        with pytest.raises(AssertionError, match="item_id"):
            check(["npm", "run", "--silent", "check"], package, RUN_TIMEOUT_S)
    finally:
        wrong.unlink()


def test_the_example_likes_and_gets_an_answer_that_counts_it(
    package: Path, tansu: RunningUp
) -> None:
    # The gateway follows a new model a moment after the servers do.
    similar = f"{tansu.page.rstrip('/')}/v1/items/cat%201/similar"
    wait_until(lambda: httpx.get(similar).status_code == 200, "the gateway has the model")
    printed = check(["node", "dist/example.js", tansu.page], package, RUN_TIMEOUT_S)
    first, second, asked, refused = map(json.loads, printed.splitlines())
    assert (first["did"], second["did"]) == ("like", "like")
    assert first["position"] != second["position"]
    assert asked["source"] == "model"
    assert {item for item, _ in asked["items"]} <= {*CATS} - {"cat 1"}
    assert {because for _, because in asked["items"]} == {"cat 1"}
    assert refused == {"did": "refused", "code": "invalid_count", "status": 400}


def test_the_example_of_the_readme_type_checks(package: Path) -> None:
    readme = (package / "README.md").read_text(encoding="utf-8")
    example = readme.partition("```ts\n")[2].partition("```")[0]
    program = package / "src/readme.ts"
    program.write_text(example.replace('"likewise-client"', '"./index.js"'), encoding="utf-8")
    try:
        check(["npm", "run", "--silent", "check"], package, RUN_TIMEOUT_S)
    finally:
        program.unlink()
