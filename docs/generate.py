"""Writes what is generated of the documentation: `make docs`.

FILES are written whole. A table is the text between `<!-- generated: NAME -->` and `<!-- end -->` in one of the pages. The code
is the only source: settings and exit codes with their docstrings, metrics with their help, commands
with the first paragraph of their help, and the codes of the protocol.
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args

import msgspec
import typer.main
import yaml
from msgspec.inspect import (
    BoolType,
    CustomType,
    DictType,
    FloatType,
    IntType,
    LiteralType,
    StrType,
    UnionType,
    VarTupleType,
    type_info,
)

from consumers.measures import METRICS as CONSUMER
from gateway import asyncapi
from gateway.endpoints import ENDPOINTS, documents
from gateway.measures import METRICS as GATEWAY
from indexer.measures import METRICS as INDEXER
from likewise.cli import exit_codes
from likewise.cli.app import app
from likewise.explanations import explanations
from likewise.messages.codes import DEAD_LETTERS, REPLY_ERRORS
from likewise.service.monitoring.measures import EVERY_SERVICE
from likewise.settings import Secret, Settings
from likewise.settings.loader import text_of
from serving.measures import METRICS as SERVER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from consumers.stats import ConsumerStats
    from likewise.service.monitoring.measures import Distribution, Measure

    AnyMetric = Measure[Any] | Distribution[Any]  # of whichever service

ROOT = Path(__file__).parents[1]
PAGES = tuple(Path(__file__).parent / name for name in ("http.md", "operations.md", "protocol.md"))
_BLOCK = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_NO_DEFAULT = "–"
_OPEN_NAMES = {"kinds": "KIND"}


def generated(page: str) -> str:
    """Return the page with every generated block up to date.

    Raises:
        KeyError: the page has a block with an unknown name.
    """
    return _BLOCK.sub(lambda block: f"{block[1]}{BLOCKS[block[2]]()}{block[3]}", page)


def blocks_in(page: str) -> list[str]:
    """Return the names of the generated blocks of a page."""
    return [block[1] for block in _BLOCK.findall(page)]


def _settings() -> str:
    return "\n".join(_settings_table(field.name, field.type) for field in _fields(Settings))


def _settings_table(table: str, kind: Any) -> str:
    texts = explanations(kind)
    rows = (
        (
            f"`{table}.{_OPEN_NAMES.get(field.name, field.name)}`",
            _type_name(field.type),
            _default(field.default),
            texts[field.name],
        )
        for field in _fields(kind)
    )
    introduction = _one_line(inspect.getdoc(kind) or "")
    return f"### [{table}]\n\n{introduction}\n\n" + _table(
        ("setting", "type", "default", "explanation"), rows
    )


def _metrics_of_every_service() -> str:
    return _metrics("<service>", EVERY_SERVICE)


def _metrics_of_consumers() -> str:
    return _metrics("consumer", (*_measures(quality=False), *CONSUMER.distributions))


def _metrics_of_quality() -> str:
    return _metrics("consumer", _measures(quality=True))


def _metrics_of_indexers() -> str:
    return _metrics("indexer", INDEXER.measures)


def _metrics_of_servers() -> str:
    return _metrics("server", (*SERVER.measures, *SERVER.distributions))


def _metrics_of_gateways() -> str:
    return _metrics("gateway", (*GATEWAY.measures, *GATEWAY.distributions))


def _measures(*, quality: bool) -> list[Measure[ConsumerStats]]:
    return [one for one in CONSUMER.measures if one.name.startswith("quality_") == quality]


def _metrics(service: str, metrics: Iterable[AnyMetric]) -> str:
    rows = ((f"`{_metric_name(service, one)}`", _kind(one), one.documentation) for one in metrics)
    return _table(("metric", "type", "meaning"), rows)


def _metric_name(service: str, metric: AnyMetric) -> str:
    suffix = "_total" if _kind(metric) == "counter" else ""
    labels = ", ".join(getattr(metric, "labels", ()))
    return f"likewise_{service}_{metric.name}{suffix}" + (f"{{{labels}}}" if labels else "")


def _kind(metric: AnyMetric) -> str:
    counts = getattr(metric, "counts", None)
    return "histogram" if counts is None else "counter" if counts else "gauge"


def _commands() -> str:
    group: Any = typer.main.get_command(app)
    return _table(("command", "what it does"), _command_rows(group))


def _command_rows(group: Any, before: str = "") -> Iterator[tuple[str, str]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _command_rows(command, f"{before}{name} ")
        else:
            yield f"`{before}{name}`", _first_paragraph(command.help)


def _exit_codes() -> str:
    rows = (
        (str(getattr(exit_codes, name)), text) for name, text in explanations(exit_codes).items()
    )
    return _table(("exit code", "meaning"), rows)


def _http_paths() -> str:
    rows = (
        (f"`{one.method} {one.path}`", one.role or _NO_DEFAULT, one.summary) for one in ENDPOINTS
    )
    return _table(("path", "role", ""), rows)


def _reply_errors() -> str:
    rows = ((f"`{code}`", *texts) for code, texts in REPLY_ERRORS.items())
    return _table(("code", "meaning", "what to do"), rows)


def _dead_letters() -> str:
    rows = ((f"`{code}`", meaning) for code, meaning in DEAD_LETTERS.items())
    return _table(("code", "meaning"), rows)


BLOCKS: dict[str, Callable[[], str]] = {
    "settings": _settings,
    "metrics-every-service": _metrics_of_every_service,
    "metrics-consumer": _metrics_of_consumers,
    "metrics-quality": _metrics_of_quality,
    "metrics-indexer": _metrics_of_indexers,
    "metrics-server": _metrics_of_servers,
    "metrics-gateway": _metrics_of_gateways,
    "commands": _commands,
    "exit-codes": _exit_codes,
    "http-paths": _http_paths,
    "reply-errors": _reply_errors,
    "dead-letters": _dead_letters,
}


# --- from code to text -----------------------------------------------------------------------


def _fields(kind: Any) -> tuple[Any, ...]:
    return msgspec.structs.fields(kind)


def _type_name(annotation: Any) -> str:
    kind = type_info(annotation)
    match kind:
        case UnionType():
            return _type_name(next(one for one in get_args(annotation) if one is not NoneType))
        case LiteralType():
            return ", ".join(f"`{value}`" for value in get_args(annotation))
        case CustomType():
            return "secret" if kind.cls is Secret else "path"
        case BoolType():
            return "boolean"
        case StrType():
            return "text"
        case VarTupleType():
            return f"list of {_type_name(get_args(annotation)[0])}"
        case DictType():
            return _type_name(get_args(annotation)[1])
        case IntType() | FloatType():
            return ("integer" if isinstance(kind, IntType) else "number") + _bounds(kind)
    raise TypeError(annotation)


def _bounds(kind: IntType | FloatType) -> str:
    if kind.gt is not None:
        return f" > {kind.gt:,}"
    if kind.ge is None:
        return ""
    return f" ≥ {kind.ge:,}" if kind.le is None else f", {kind.ge:,} to {kind.le:,}"


def _default(value: object) -> str:
    if value in (None, msgspec.NODEFAULT):  # a dict has a factory
        return _NO_DEFAULT
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    text = text_of(value)
    return f"`{text}`" if text else "(empty)"


def _first_paragraph(text: str | None) -> str:
    return _one_line((text or "").partition("\n\n")[0])


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(head)
    lines = [names, ["---"] * len(names), *([_cell(text) for text in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def _asyncapi() -> str:
    return _json(yaml.safe_load((ROOT / "asyncapi.yaml").read_text(encoding="utf-8")))


def _runbook() -> str:
    """Return what to do about each alert, by its anchor: paragraphs, and lists of items."""
    operations = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    [alerts] = re.findall(r"^## Alerts$(.*?)^## ", operations, re.DOTALL | re.MULTILINE)
    sections = re.findall(r"^#### (\w+)\n\n(.*?)(?=^####|\Z)", alerts, re.DOTALL | re.MULTILINE)
    return _json(
        {
            name.lower(): [_plain(part) for part in text.strip().split("\n\n")]
            for name, text in sections
        }
    )


def _plain(part: str) -> str | list[str]:
    """Return a paragraph, or the items of a list, on one line each and without links."""
    text = re.sub(r"\[([^]]+)]\([^)]+\)", r"\1", part)
    if text.startswith("- "):
        return [_one_line(item) for item in re.split(r"^- ", text, flags=re.MULTILINE)[1:]]
    return _one_line(text)


def _json(document: Any) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _openapi() -> str:
    return _json(documents.document())


FILES: dict[Path, Callable[[], str]] = {
    asyncapi.PATH: _asyncapi,
    ROOT / "clients" / "openapi.json": _openapi,
    ROOT / "gateway" / "page" / "ops" / "runbook.json": _runbook,
}


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(generated(path.read_text(encoding="utf-8")), encoding="utf-8")
    for path, content in FILES.items():
        path.write_text(content(), encoding="utf-8")
