"""One block model for the whole run, and a new deployment for every test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.serving_rig import BLOCKS, VERSION, Rig, write_block_model

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def model_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with one sound model."""
    directory = tmp_path_factory.mktemp("block-model")
    write_block_model(directory, VERSION, blocks=BLOCKS)
    return directory


@pytest.fixture
def rig(model_directory: Path) -> Rig:
    """A server over fakes, with one partition of each topic."""
    return Rig(model_directory, VERSION)
