"""Which extra of likewise brings which package, for those who have not installed it."""

from __future__ import annotations

from likewise.errors import MissingExtraError

_OURS = frozenset({"likewise", "consumers", "indexer", "serving", "gateway"})
_OPTIONAL = {
    "pandas": ("reading and writing files of likes", "files"),
    "pyarrow": ("reading and writing files of likes", "files"),
    **dict.fromkeys(("fsspec", "s3fs"), ("model files in object storage", "s3")),
    "sklearn": ("evaluation", "evaluation"),
    "faiss": ("the index `faiss`", "search"),
    **dict.fromkeys(("distributed", "dask"), ("indexer.engine = 'dask'", "cluster")),
    **dict.fromkeys(("starlette", "uvicorn", "httptools", "uvloop"), ("the gateway", "gateway")),
}
_REST = ("the command line and the services", "server")


def missing_extra(error: ModuleNotFoundError) -> MissingExtraError | None:
    """Return the error that names the extra to install, or None if the module is our own."""
    package = (error.name or "").partition(".")[0]
    if not package or package in _OURS:
        return None
    return extra_of(package)


def extra_of(package: str) -> MissingExtraError:
    """Return the error that names the extra to install for a package."""
    user, extra = _OPTIONAL.get(package, _REST)
    return MissingExtraError(
        f"the Python package {package!r} is missing; {user} requires it: "
        f"pip install 'likewise[{extra}]'"
    )
