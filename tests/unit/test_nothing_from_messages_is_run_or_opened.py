"""No message becomes code, and none becomes a path: read off the source, and tried."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import likewise
from likewise.errors import ModelFileError
from likewise.models.files import read_manifest, read_model
from tests.serving_rig import VERSION, write_block_model

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(likewise.__file__).parents[1]
PACKAGES = ["likewise", "consumers", "indexer", "serving"]
SOURCES = sorted(path for package in PACKAGES for path in (SOURCE / package).rglob("*.py"))
# These understand what comes over the wire, and answer it.
ON_THE_WIRE = [
    *(SOURCE / "likewise/messages").glob("*.py"),
    *(SOURCE / "serving").glob("*.py"),
    SOURCE / "consumers/batches.py",
    SOURCE / "consumers/worker.py",
    SOURCE / "consumers/fold.py",
]
RUNS_CODE = {"eval", "exec", "compile", "__import__"}
UNPACKS_CODE = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "runpy"}
OPENS_FILES = {"os", "io", "pathlib", "shutil", "tempfile", "glob", "subprocess"}


def _imports(tree: ast.AST) -> Iterator[str]:
    """Yield the top-level names of all modules imported at run time."""
    if isinstance(tree, ast.If) and "TYPE_CHECKING" in ast.dump(tree.test):
        return
    if isinstance(tree, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in tree.names)
    if isinstance(tree, ast.ImportFrom):
        yield (tree.module or "").partition(".")[0]
    for child in ast.iter_child_nodes(tree):
        yield from _imports(child)


def _calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id


def _tree(path: Path) -> ast.AST:
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_module_runs_or_unpickles_what_it_is_given(path: Path) -> None:
    tree = _tree(path)
    assert not RUNS_CODE & set(_calls(tree))
    assert not UNPACKS_CODE & set(_imports(tree))
    assert "allow_pickle=True" not in ast.unparse(tree)


@pytest.mark.parametrize("path", ON_THE_WIRE, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_module_that_reads_messages_can_open_a_file(path: Path) -> None:
    tree = _tree(path)
    assert not OPENS_FILES & set(_imports(tree))
    assert "open" not in set(_calls(tree))


def test_the_checks_would_notice() -> None:
    tree = ast.parse("import pickle\nfrom pathlib import Path\neval(open('x').read())")
    assert set(_imports(tree)) == {"pickle", "pathlib"}
    assert set(_calls(tree)) == {"eval", "open"}


@pytest.mark.parametrize(
    "version",
    [
        f"../elsewhere/{VERSION}",
        f"/{VERSION}",
        f"./{VERSION}",
        f"{VERSION}/",
        f"{VERSION}/../{VERSION}",
        f"{VERSION}\n",
        f"{VERSION}\0",
        "..",
        ".",
        "",
    ],
)
def test_a_version_in_an_announcement_is_a_name_and_never_a_way_out_of_the_model_directory(
    version: str, tmp_path: Path
) -> None:
    for directory in ("models", "elsewhere"):
        write_block_model(tmp_path / directory, VERSION, blocks=2)
    read_manifest(tmp_path / "models", VERSION)
    for read in (read_manifest, read_model):
        with pytest.raises(ModelFileError, match="is not a model version"):
            read(tmp_path / "models", version)


@given(st.text(max_size=300))
def test_any_other_text_is_refused_as_a_version(version: str) -> None:
    with pytest.raises(ModelFileError):
        read_manifest(Path("/"), version)
