"""How long a model takes from the matrix to its files, in how much memory, and its SVD compared with others."""

from __future__ import annotations

import ctypes
import gc
import os
import tempfile
from importlib import import_module
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import typer
from scipy.sparse import csr_array, csr_matrix
from scipy.sparse.linalg import svds
from sklearn.decomposition import TruncatedSVD

from benchmarks.measure import AsJson, Full, Quick, alternate, report, timed
from benchmarks.results import Figure, Result, against, ratio
from benchmarks.rig import interactions, kilobytes
from benchmarks.synthetic import synthetic_likes
from indexer.build import build_model
from indexer.choice import build_best
from indexer.steps import Steps
from indexer.svd import normalise, truncated_svd
from indexer.warm_start import WarmStart
from likewise.models.files import write_model
from likewise.models.versions import new_version
from likewise.ranking.recipe import Recipe
from likewise.settings import ModelSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from indexer.interactions import Interactions
    from likewise.ranking.array_types import CsrMatrix
    from likewise.ranking.model import Model

QUESTION = """\
Seconds from a snapshot's matrix to durable, checksummed files: what is left then is one announcement. `cold`
is the first build of a process, `warm` one that begins with the factors of the last, made when one like in a
hundred was not there yet; `auto` tries its candidates too. Below, the truncated SVD alone, at the same rank:
scikit-learn's `TruncatedSVD` with its defaults (whose singular values are off by percents), SciPy's `svds`, and,
where it is installed, ALS of `implicit` with its defaults, which factorises too. Memory: the peak of a
cold build over what the process held before, against the matrix and the factors."""


class Workload(NamedTuple):
    """How much is measured."""

    users: int
    items: int
    rank: int
    repetitions: int


QUICK = Workload(users=400, items=300, rank=16, repetitions=1)
NORMAL = Workload(users=100_000, items=20_000, rank=128, repetitions=3)
LARGE = Workload(users=1_000_000, items=20_000, rank=128, repetitions=1)

_NEW_SHARE = 0.01


def measure(workload: Workload, *, quick: bool = False) -> Result:
    """Return the times of builds and factorisations, and the peak memory of a build."""
    now = interactions(synthetic_likes(workload.users, workload.items))
    recipe = Recipe(rank=workload.rank)
    with tempfile.TemporaryDirectory() as directory:
        builds = _builds(now, recipe, Path(directory))
        peak_mb = _peak_mb(builds["cold"])
        built = alternate(builds, repetitions=workload.repetitions, warm_up=False)
    factorised = alternate(
        {name: timed(run) for name, run in _factorisations(now.user_items, recipe).items()},
        repetitions=workload.repetitions,
        warm_up=False,
    )
    times = {
        name: Figure(name, "s", samples, "peer" if name in _PEERS else "candidate")
        for name, samples in (built | factorised).items()
    }
    held_mb = _megabytes(now.user_items, workload.rank)
    peak = Figure("peak memory of a cold build", "MB", [peak_mb])
    held = Figure("matrix and factors", "MB", [held_mb], "floor")
    return Result(
        name="model",
        title="Model",
        question=QUESTION,
        parameters={**workload._asdict(), "likes": now.likes},
        figures=[*times.values(), peak, held],
        comparisons=[
            against(times["cold"], at_most=10),
            against(times["auto"], at_most=10),
            ratio("peak memory / matrix and factors", peak, held, at_most=4),
            ratio("SVD, warm / SVD, cold", times["SVD, warm"], times["SVD, cold"]),
            *(
                ratio(f"SVD, cold / {name}", times["SVD, cold"], times[name])
                for name in _PEERS
                if name in times
            ),
        ],
        quick=quick,
    )


_PEERS = ("sklearn TruncatedSVD", "scipy svds", "implicit ALS")


def _builds(now: Interactions, recipe: Recipe, directory: Path) -> dict[str, Callable[[], float]]:
    """Return what builds and writes a model, each time as a new version."""
    before = interactions(_without(now.user_items, _NEW_SHARE))
    earlier = build_model(before, recipe).item_factors
    versions = count()

    def warm() -> WarmStart:
        start = WarmStart()
        start.remember(before.item_ids, recipe, earlier)
        return start

    def write(model: Model) -> None:
        write_model(directory, new_version(next(versions)), model, snapshot_at_ms=0)

    settings = ModelSettings(rank=recipe.rank)
    return {
        "cold": timed(lambda: write(build_model(now, recipe))),
        "warm": timed(lambda: write(build_model(now, recipe, warm=warm()))),
        "auto": timed(lambda: write(build_best(now, settings, steps=Steps()))),
    }


def _factorisations(user_items: CsrMatrix, recipe: Recipe) -> dict[str, Callable[[], object]]:
    a, b, rank = recipe.user_exponent, recipe.item_exponent, recipe.rank
    matrix = normalise(user_items, a, b)
    _, start = truncated_svd(normalise(_without(user_items, _NEW_SHARE), a, b), rank, seed=0)
    peers: dict[str, Callable[[], object]] = {
        "sklearn TruncatedSVD": lambda: TruncatedSVD(rank, random_state=0).fit(matrix),
        "scipy svds": lambda: svds(matrix, rank, rng=np.random.default_rng(0)),
    }
    if find_spec("implicit") is not None:
        als = import_module("implicit.als").AlternatingLeastSquares
        peers["implicit ALS"] = lambda: als(rank, random_state=0).fit(
            csr_matrix(user_items), show_progress=False
        )
    return {
        "SVD, cold": lambda: truncated_svd(matrix, rank, seed=0),
        "SVD, warm": lambda: truncated_svd(matrix, rank, seed=0, start=start),
        **peers,
    }


def _without(user_items: CsrMatrix, share: float) -> CsrMatrix:
    """Return the matrix without a random share of its likes, every row and column kept in place."""
    likes = user_items.tocoo()
    stays = np.random.default_rng(0).random(likes.nnz) >= share
    kept = (likes.data[stays], (likes.row[stays], likes.col[stays]))
    return csr_array(kept, shape=user_items.shape)


def _peak_mb(run: Callable[[], object]) -> float:
    """Return by how much the run's peak of resident memory is above what was held before; Linux."""
    gc.collect()
    # What was freed before and is still resident would be used again, and hide what the run needs.
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text(
        "5", encoding="ascii"
    )  # the peak starts at what is held
    before = kilobytes(os.getpid(), "VmRSS")
    run()
    return (kilobytes(os.getpid(), "VmHWM") - before) / 1_000


def _megabytes(user_items: CsrMatrix, rank: int) -> float:
    matrix = user_items.data.nbytes + user_items.indices.nbytes + user_items.indptr.nbytes
    return float(matrix + 4 * rank * user_items.shape[1]) / 1e6


def main(quick: Quick = False, full: Full = False, as_json: AsJson = False) -> None:
    """Measure how fast a model is built, compared with other factorisations."""
    workload = QUICK if quick else LARGE if full else NORMAL
    report(measure(workload, quick=quick), as_json=as_json)


if __name__ == "__main__":
    typer.run(main)
