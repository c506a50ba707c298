"""The headers of a request that decide whether it is let in, read in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.problem import Problem

if TYPE_CHECKING:
    from starlette.types import Scope

_WANTED = {
    b"host": "host",
    b"authorization": "authorization",
    b"origin": "origin",
    b"sec-fetch-site": "site",
    b"sec-fetch-mode": "mode",
}


@dataclass(slots=True)
class Asked:
    """Who asks, from where, and whom. A header that is absent is None."""

    client: str
    """The address at the other end of the connection."""
    navigates: bool = False
    """A user follows a link: the answer is shown to them, and no page can read it."""
    host: bytes | None = None
    authorization: bytes | None = None
    origin: bytes | None = None
    site: bytes | None = None
    """`Sec-Fetch-Site`: where the page that asks comes from, as the browser says."""
    mode: bytes | None = None

    @classmethod
    def of(cls, scope: Scope) -> Asked:
        """Read the headers of a request.

        Raises:
            Problem: one of them is there twice: a proxy may have looked at the other one.
        """
        client = scope.get("client")
        asked = cls(client[0] if client else "")
        for name, value in scope["headers"]:
            wanted = _WANTED.get(name)
            if wanted is not None:
                if getattr(asked, wanted) is not None:
                    header = name.decode()
                    raise Problem("invalid_request", f"the header `{header}` is there twice")
                setattr(asked, wanted, value)
        asked.navigates = asked.mode == b"navigate" and scope["method"] == "GET"
        return asked
