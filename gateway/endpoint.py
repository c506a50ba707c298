"""An endpoint of the HTTP API as a row of a table, and one call of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from likewise.messages.ids import parse_item_id, parse_user_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from gateway.gateway import Gateway
    from gateway.security.principal import Principal, Role
    from likewise.messages.ids import ItemId, UserId

JSON = "application/json"


@dataclass(slots=True)
class Call:
    """One request to an endpoint, decoded."""

    request: Request
    path: Mapping[str, str]
    """The decoded path parameters. Ids are not checked yet."""
    query: Any
    """An instance of `Endpoint.query`."""
    body: Any
    """The decoded body, or its bytes with `Endpoint.raw_body`."""
    gateway: Gateway
    principal: Principal

    def header(self, name: bytes) -> str | None:
        """Return the first header of this name, in lower case; None if there is none."""
        for given, value in self.request.scope["headers"]:
            if given == name:
                return str(value, "latin-1")
        return None

    def user_id(self) -> UserId:
        """Return the user id in the path.

        Raises:
            InvalidInputError: it is not an id.
        """
        return parse_user_id(self.path["user_id"])

    def item_id(self) -> ItemId:
        """Return the item id in the path.

        Raises:
            InvalidInputError: it is not an id.
        """
        return parse_item_id(self.path["item_id"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One method of one path: what it reads, what it answers, and who may call it."""

    method: Literal["GET", "PUT", "POST", "DELETE"]
    path: str
    """With parameters in braces: `/v1/users/{user_id}/likes/{item_id}`."""
    handler: Callable[[Call], Awaitable[Response]]
    summary: str
    """One line for the documentation."""
    tag: str
    """`recommendations`, `likes`, `items`, `users`, `models`, `experiments` or `operations`."""
    description: str = ""
    """More for the documentation, in Markdown."""
    role: Role | None = "read"
    """Who may call it; None: everybody."""
    query: type | None = None
    """A msgspec struct of the parameters in the query string."""
    body: Any = None
    """The type of the body; None: no body is read."""
    raw_body: bool = False
    """Whether the handler decodes the body; `body` is then for the documentation."""
    accepts: tuple[str, ...] = (JSON,)
    """Media types of the body."""
    answer: Any = None
    """The type of the answer; None: it has no body."""
    status: int = 200
    also: tuple[int, ...] = ()
    """Further statuses of success, with the same answer."""
    media_type: str = JSON
    errors: tuple[str, ...] = ()
    """Error codes besides those that every endpoint has."""
    max_body: int = 1_048_576
    """The largest body, in bytes."""
    weight: float = 1
    """What a call costs for the rate limit."""

    name: str = field(init=False)
    """The endpoint in logs and metrics: `GET /v1/status`."""
    parameters: tuple[str, ...] = field(init=False)
    """The names of the path parameters, in their order."""

    def __post_init__(self) -> None:
        # Computed once, since every request needs them.
        names = (part[1:-1] for part in self.path.split("/") if part.startswith("{"))
        object.__setattr__(self, "name", f"{self.method} {self.path}")
        object.__setattr__(self, "parameters", tuple(names))
