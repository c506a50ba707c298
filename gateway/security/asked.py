"""The headers of a request that decide whether it is let in, read in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.problem import Problem

if TYPE_CHECKING:
    from starlette.types import Scope

_WANTED = frozenset({b"host", b"authorization", b"origin", b"sec-fetch-site", b"sec-fetch-mode"})


@dataclass(slots=True)
class Asked:
    """Who asks, from where, and whom. A header that is absent is None."""

    client: str
    """The address at the other end of the connection."""
    host: bytes | None
    authorization: bytes | None
    origin: bytes | None
    site: bytes | None
    """`Sec-Fetch-Site`: where the page that asks comes from, as the browser says."""
    navigates: bool
    """A user follows a link: the answer is shown to them, and no page can read it."""

    @classmethod
    def of(cls, scope: Scope) -> Asked:
        """Read the headers of a request.

        Raises:
            Problem: one of them is there twice: a proxy may have looked at the other one.
        """
        found: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name in _WANTED:
                if name in found:
                    header = name.decode()
                    raise Problem("invalid_request", f"the header `{header}` is there twice")
                found[name] = value
        client, get = scope["client"], found.get
        return cls(
            client[0] if client else "",
            get(b"host"),
            get(b"authorization"),
            get(b"origin"),
            get(b"sec-fetch-site"),
            get(b"sec-fetch-mode") == b"navigate" and scope["method"] == "GET",
        )
