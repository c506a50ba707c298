"""The files of the page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from gateway.problem import Problem

if TYPE_CHECKING:
    from starlette.requests import Request

_DIRECTORY = Path(__file__).parent / "page"
# The page routes these itself: each is its one document.
_VIEWS = frozenset({"/", "/live", "/models", "/experiments", "/dead-letters", "/messages"})
_VIEWS_OF = ("/items/", "/users/")
_FILES = "/page/"


class PageFiles:
    """Serves the page: one document for all views, and the files below `/page/`."""

    def __init__(self) -> None:
        self._files = StaticFiles(directory=_DIRECTORY)

    async def answer(self, request: Request) -> Response:
        """Return the file at a path.

        Raises:
            Problem: there is none.
        """
        path = request.scope["path"]
        if request.method in {"GET", "HEAD"}:
            if path in _VIEWS or path.startswith(_VIEWS_OF):
                return FileResponse(_DIRECTORY / "index.html")
            if path.startswith(_FILES):
                try:
                    return await self._files.get_response(path.removeprefix(_FILES), request.scope)
                except HTTPException:
                    pass
        raise Problem("not_found", "there is nothing at this path")
