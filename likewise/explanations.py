"""The explanations that the code gives its settings and exit codes: the string below each of them."""

from __future__ import annotations

import ast
import inspect
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType


def explanations(of: type | ModuleType) -> dict[str, str]:
    """Return, by name, the string literal below each assignment in a class or module.

    Each text is on one line. Names without a string below them are left out.
    """
    tree = ast.parse(inspect.getsource(of))
    body = tree.body
    if isinstance(of, type) and isinstance(tree.body[0], ast.ClassDef):
        body = tree.body[0].body
    return {
        name: " ".join(below.value.value.split())
        for node, below in pairwise(body)
        if isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
        and (name := _assigned_name(node)) is not None
    }


def _assigned_name(node: ast.stmt) -> str | None:
    match node:
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
            return name
    return None
