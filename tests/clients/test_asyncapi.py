"""asyncapi.yaml generates classes that compile, and what they write is read by the code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from likewise.messages.event_decoding import decode_event
from likewise.messages.events import Like
from likewise.testing.memory_log import MemoryRecord
from tests.clients.programs import BUILT, HERE, check
from tests.running_up import ROOT

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path

pytestmark = pytest.mark.timeout(600)

_MODELINA = HERE / "modelina"
_TIMEOUT_S = 120
_JAVA_LIKE = """\
import com.fasterxml.jackson.databind.ObjectMapper;

public class WriteLike {
    public static void main(String[] arguments) throws Exception {
        var like = new likewise.Like();
        like.setUserId("u42");
        like.setItemId("i7");
        System.out.println(new ObjectMapper().writeValueAsString(like));
    }
}
"""


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory, builds: dict[str, Future[None]]) -> Path:
    """The folder of the classes, one a language."""
    builds["modelina"].result(timeout=600)
    directory = tmp_path_factory.mktemp("models")
    check(
        ["node", "generate.js", str(ROOT / "asyncapi.yaml"), str(directory)], _MODELINA, _TIMEOUT_S
    )
    return directory


def test_typescript_compiles_and_no_type_is_without_a_name(generated: Path) -> None:
    files = sorted(str(path) for path in (generated / "typescript").rglob("*.ts"))
    assert {"Like.ts", "RequestForUser.ts", "Recommendations.ts"} <= {
        path.rpartition("/")[2] for path in files
    }
    assert [path for path in files if "Anonymous" in path] == []
    tsc = [str(_MODELINA / "node_modules/.bin/tsc"), "--noEmit", "--strict", "--target", "es2022"]
    check([*tsc, "--module", "commonjs", *files], generated, _TIMEOUT_S)


def test_java_compiles_and_writes_a_like_that_is_one(
    generated: Path, builds: dict[str, Future[None]]
) -> None:
    builds["spring-kafka"].result(timeout=600)
    classpath = (BUILT / "spring.classpath").read_text()
    (generated / "WriteLike.java").write_text(_JAVA_LIKE)
    sources = [str(path) for path in (generated / "java").rglob("*.java")]
    javac = ["javac", "-proc:none", "-d", str(generated / "classes"), "-cp", classpath]
    check([*javac, *sources, "WriteLike.java"], generated, _TIMEOUT_S)
    java = ["java", "-cp", f"{generated}/classes:{classpath}", "WriteLike"]
    written = check(java, generated, _TIMEOUT_S)
    # With `"action": null` and `"timestamp": null`, which stand for what is not given.
    event = decode_event(MemoryRecord("likes", 0, 0, 0, None, written.encode(), ()))
    assert isinstance(event, Like)
    assert (event.user_id, event.item_id) == ("u42", "i7")


def test_go_compiles(generated: Path) -> None:
    (generated / "go/go.mod").write_text("module likewise\n\ngo 1.24\n")
    check(["go", "build", "./..."], generated / "go", _TIMEOUT_S)


def test_python_is_imported_and_takes_a_like(generated: Path) -> None:
    code = (
        "from likewise.like import Like; like = Like({'user_id': 'u42', 'item_id': 'i7'});"
        "print(like.user_id, like.item_id)"
    )
    python = str(BUILT / "python/bin/python")
    assert check([python, "-c", code], generated / "python", _TIMEOUT_S) == "u42 i7\n"


def test_c_sharp_has_a_class_for_each_message(generated: Path) -> None:
    """Generated only: there is no compiler for it here."""
    like = (generated / "csharp/likewise/Like.cs").read_text()
    assert re.search(r"public partial class Like|public class Like", like)
    assert "UserId" in like
