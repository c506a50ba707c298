"""An app finds everything that the client takes, returns and raises in the package `likewise`."""

from __future__ import annotations

import ast
import builtins
import collections.abc
import importlib
import inspect
import typing

import grimp
import msgspec
import pytest

import likewise

ELSEWHERE = {*dir(builtins), *collections.abc.__all__, *typing.__all__, "datetime", "httpx"}
CLIENTS = (likewise.Likewise, likewise.LikewiseHttp, likewise.AsyncLikewiseHttp)


def names_in(annotation: object) -> set[str]:
    """Return the names in an annotation, without what Python itself provides."""
    tree = ast.parse(annotation if isinstance(annotation, str) else "None")
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - ELSEWHERE


def annotations_of(public: object) -> list[object]:
    """Return the annotations of a function, or of a class's public methods and fields."""
    if inspect.isfunction(public):
        return list(public.__annotations__.values())
    if not inspect.isclass(public):
        return []
    methods = [
        method
        for name, method in inspect.getmembers(public, inspect.isfunction)
        if name == "__init__" or not name.startswith("_")
    ]
    fields = [] if issubclass(public, Exception) else [*inspect.get_annotations(public).values()]
    return fields + [one for method in methods for one in annotations_of(method)]


def errors_raised() -> set[str]:
    """Return the names of our errors that the client, and what it imports, raises."""
    graph = grimp.build_graph("likewise", exclude_type_checking_imports=True)
    clients = {client.__module__ for client in CLIENTS}
    raised = set()
    for name in clients.union(*(graph.find_upstream_modules(client) for client in clients)):
        module = importlib.import_module(name)
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                error = getattr(module, ast.unparse(node.exc.func), None)
                if inspect.isclass(error) and issubclass(error, likewise.LikewiseError):
                    raised.add(error.__name__)
    return raised


def test_what_the_client_takes_and_returns_is_exported() -> None:
    assert names_in("Iterable[Event] | None") == {"Event"}
    structs = [
        one for name in likewise.__all__ if inspect.isclass(one := getattr(likewise, name))
        and issubclass(one, msgspec.Struct) and one is not likewise.KafkaSettings
    ]  # fmt: skip
    assert len(structs) > 5
    for public in (*CLIENTS, likewise.Options, likewise.Position, *structs):
        for annotation in annotations_of(public):
            assert names_in(annotation) <= {*likewise.__all__}, (public, annotation)


def test_every_event_is_exported() -> None:
    assert {event.__name__ for event in typing.get_args(likewise.Event)} <= {*likewise.__all__}


def test_every_error_that_a_call_can_raise_is_exported() -> None:
    raised = errors_raised()
    assert {"TransientError", "SettingsError", "UndeliverableError"} <= raised
    assert raised <= {*likewise.__all__}


def test_every_public_name_is_there_and_others_are_not() -> None:
    assert {name: getattr(likewise, name) for name in likewise.__all__}
    assert {*likewise.__all__} == {*likewise._HOMES, "__version__"}
    with pytest.raises(AttributeError, match="no attribute 'Dislike'"):
        _ = likewise.Dislike
