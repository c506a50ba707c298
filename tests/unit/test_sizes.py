"""Modules and functions stay small; each exception is named here, with its reason."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import likewise

SOURCE = Path(likewise.__file__).parents[1]
MODULES = sorted(
    path
    for package in ("likewise", "consumers", "indexer", "serving", "gateway")
    for path in (SOURCE / package).rglob("*.py")
)
MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 40

# The exceptions, each with its reason.
LARGE_MODULES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}


def name_of(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def statements_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function's body, without its signature and docstring."""
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def long_functions(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [
        f"{name_of(path)}:{node.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and statements_lines(node) > MAX_FUNCTION_LINES
    ]


def test_no_module_is_larger_than_the_limit_but_those_that_are_named() -> None:
    large = {
        name_of(path)
        for path in MODULES
        if len(path.read_text(encoding="utf-8").splitlines()) > MAX_MODULE_LINES
    }
    assert large == LARGE_MODULES.keys()


def test_no_function_is_longer_than_the_limit_but_those_that_are_named() -> None:
    found = {name for path in MODULES for name in long_functions(path)}
    assert found == LONG_FUNCTIONS.keys()


@pytest.mark.parametrize("lines", [MAX_FUNCTION_LINES, MAX_FUNCTION_LINES + 1])
def test_a_docstring_and_a_signature_do_not_count(lines: int) -> None:
    body = "\n".join(["    x = 1"] * lines)
    [function] = ast.parse(f'def f(\n    a,\n    b,\n):\n    """Two\n    lines."""\n{body}').body
    assert isinstance(function, ast.FunctionDef)
    assert statements_lines(function) == lines
