"""The AsyncAPI document of the topics. `make docs` writes asyncapi.json from asyncapi.yaml."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, cast

import msgspec

PATH = Path(__file__).with_suffix(".json")


@cache
def document() -> dict[str, Any]:
    """Return the document. Callers must not change it.

    Raises:
        OSError: the file is missing.
    """
    return cast("dict[str, Any]", msgspec.json.decode(PATH.read_bytes()))
