from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.deployment import Deployment, deployment
from tests.serving_rig import BLOCK_ITEMS, like, likes_but_one

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A deployment on fakes, whose user `ann` likes all but the third item of a block."""
    with deployment(tmp_path_factory.mktemp("models"), wait_timeout_ms=100) as made:
        like(made.store, "ann", likes_but_one(3, missing=2))
        for missing in range(BLOCK_ITEMS):  # users whom the model knows
            like(made.store, f"7/{missing}", likes_but_one(7, missing))
        yield made
