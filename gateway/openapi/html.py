"""HTML in which all text is escaped."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_VOID = frozenset({"link", "meta", "br", "wbr"})
_CODE = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*")


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def h(name: str, /, *children: str | Iterable[str], **attributes: str | None) -> Html:
    """Return an element. Children are escaped unless they are `Html`; `class_` is written `class`."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{given}>")
    return Html(f"<{name}{given}>{join(children)}</{name}>")


def join(parts: Iterable[str | Iterable[str]]) -> Html:
    """Return the parts, one after another."""
    return Html("".join(map(_html, parts)))


def inline(text: str) -> Html:
    """Return a line in which Markdown's code and strong text are elements."""
    parts: list[str] = []
    end = 0
    for match in _CODE.finditer(text):
        parts.append(text[end : match.start()])
        parts.append(h("code", match[1]) if match[1] else h("strong", match[2]))
        end = match.end()
    return join([*parts, text[end:]])


def blocks(text: str) -> Html:
    """Return paragraphs and lists, written as in Markdown."""
    return join(_block(block.strip()) for block in text.split("\n\n") if block.strip())


def _block(block: str) -> Html:
    if not block.startswith("- "):
        return h("p", inline(" ".join(block.split())))
    items: Iterator[str] = (item for item in re.split(r"^- ", block, flags=re.MULTILINE) if item)
    return h("ul", *(h("li", inline(" ".join(item.split()))) for item in items))


def _html(part: str | Iterable[str]) -> Html:
    if isinstance(part, Html):
        return part
    if isinstance(part, str):
        return Html(escape(part))
    return join(part)
