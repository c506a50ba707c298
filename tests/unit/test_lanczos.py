"""Block Lanczos against the dense, exact decomposition; a warm start is quicker and as exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, sparse

from indexer import gram as gram_module
from indexer.gram import Gram, row_parts
from indexer.lanczos import BLOCK, dimensions_needed, largest_eigenpairs, orthonormal
from indexer.svd import normalise

RANK = 24
TASTES = 30
TOLERANCE = 1e-2


def likes(users: int = 1_500, items: int = 600, *, seed: int = 0) -> Any:
    """Users of overlapping tastes, whose likes have `TASTES` strong directions and much noise."""
    rng = np.random.default_rng(seed)
    taste = rng.permutation(np.arange(users) % (TASTES - 6))
    of_taste = rng.random((users, items)) < 0.4 / (1 + taste[:, None] % 7)
    liked = of_taste & (np.arange(items)[None, :] % (TASTES - 6) == taste[:, None])
    liked |= rng.random((users, items)) < 0.004
    return sparse.csr_array(liked.astype(np.float32))


def exact(matrix: Any, rank: int) -> tuple[Any, Any]:
    """Return the eigenpairs of R'R by the dense decomposition, in double precision."""
    dense = matrix.toarray().astype(np.float64)
    values, vectors = linalg.eigh(dense.T @ dense)
    return values[::-1][:rank], vectors[:, ::-1][:, :rank]


def without(matrix: Any, share: float) -> Any:
    """Return the matrix without a random share of its likes."""
    left = matrix.tocoo()
    stays = np.random.default_rng(9).random(left.nnz) >= share
    kept = (left.data[stays], (left.row[stays], left.col[stays]))
    return sparse.csr_array(kept, shape=matrix.shape)


def largest_angle(found: Any, true: Any) -> float:
    """Return the largest principal angle between the spans of the columns, in degrees."""
    return float(np.degrees(linalg.subspace_angles(found.astype(np.float64), true)[0]))


def test_the_gram_product_in_parts_is_the_plain_product(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = likes()
    block = np.random.default_rng(1).standard_normal((matrix.shape[1], 70), dtype=np.float32)
    monkeypatch.setattr(gram_module, "_LIKES_PER_PART", 500)
    assert np.allclose(Gram(matrix) @ block, matrix.T @ (matrix @ block), rtol=1e-4, atol=1e-3)


def test_parts_of_rows_put_together_are_the_matrix() -> None:
    matrix = likes()
    parts = row_parts(matrix, 300)
    assert len(parts) > 10
    assert (sparse.vstack(parts) != matrix).nnz == 0


def test_the_number_of_threads_makes_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gram_module, "_LIKES_PER_PART", 500)
    block = np.random.default_rng(1).standard_normal((600, 16), dtype=np.float32)
    several = Gram(likes()) @ block
    monkeypatch.setattr(gram_module, "cores", lambda: 1)
    assert np.array_equal(Gram(likes()) @ block, several)


def test_the_eigenpairs_are_those_of_the_dense_decomposition() -> None:
    matrix = normalise(likes(), 0.25, 0.25)
    values, vectors = exact(matrix, RANK)
    found = largest_eigenpairs(Gram(matrix), RANK, tolerance=1e-4, seed=0)
    assert np.allclose(found.values, values, rtol=1e-4)
    assert largest_angle(found.vectors, vectors) < 0.5


def test_every_residual_is_within_the_tolerance() -> None:
    matrix = normalise(likes(), 0.25, 0.25)
    found = largest_eigenpairs(Gram(matrix), 100, tolerance=TOLERANCE, seed=0)
    left = matrix.T @ (matrix @ found.vectors) - found.vectors * found.values
    assert np.all(np.linalg.norm(left, axis=0) <= 1.1 * TOLERANCE * found.values)
    assert np.allclose(found.vectors.T @ found.vectors, np.eye(100), atol=1e-4)


def products_to_come_within(degrees: float, matrix: Any, start: Any = None) -> int:
    """Return the fewest products after which the subspace is that close to the exact one."""
    _, vectors = exact(matrix, RANK)
    for tolerance in np.geomspace(TOLERANCE, 1e-5, 13):
        found = largest_eigenpairs(Gram(matrix), RANK, tolerance=tolerance, seed=0, start=start)
        if largest_angle(found.vectors, vectors) <= degrees:
            return found.products
    raise AssertionError(f"never within {degrees} degrees")


def test_a_warm_start_takes_fewer_products_to_the_same_subspace() -> None:
    now = normalise(likes(), 0.25, 0.25)
    earlier = Gram(normalise(without(likes(), 0.01), 0.25, 0.25))
    before = largest_eigenpairs(earlier, RANK, tolerance=TOLERANCE, seed=0).vectors
    assert largest_angle(before, exact(now, RANK)[1]) > 5
    for degrees in (2.0, 0.5):
        cold = products_to_come_within(degrees, now)
        assert products_to_come_within(degrees, now, start=before) < cold


def test_a_start_from_nothing_alike_costs_exactness_nothing() -> None:
    matrix = normalise(likes(), 0.25, 0.25)
    astray = np.linalg.qr(np.random.default_rng(4).standard_normal((600, RANK)))[0]
    found = largest_eigenpairs(
        Gram(matrix), RANK, tolerance=1e-4, seed=0, start=astray.astype(np.float32)
    )
    assert largest_angle(found.vectors, exact(matrix, RANK)[1]) < 0.5


def test_a_warm_start_finds_a_group_of_new_users_and_new_items() -> None:
    old = likes()
    group = sparse.csr_array(np.ones((200, 30), np.float32))
    now = normalise(sparse.csr_array(sparse.block_diag((old, group))), 0.25, 0.25)
    before = largest_eigenpairs(Gram(normalise(old, 0.25, 0.25)), RANK, tolerance=TOLERANCE, seed=0)
    start = np.vstack([before.vectors, np.zeros((30, RANK), np.float32)])
    found = largest_eigenpairs(Gram(now), RANK, tolerance=TOLERANCE, seed=0, start=start)
    assert np.square(found.vectors[-30:]).sum() == pytest.approx(1, abs=0.01)


def test_the_same_seed_and_start_give_the_same_bits() -> None:
    gram = Gram(normalise(likes(), 0.25, 0.25))
    one = largest_eigenpairs(gram, RANK, tolerance=TOLERANCE, seed=3)
    warm = [
        largest_eigenpairs(gram, RANK, tolerance=TOLERANCE, seed=3, start=one.vectors)
        for _ in range(2)
    ]
    assert np.array_equal(warm[0].vectors, warm[1].vectors)


@pytest.mark.parametrize("rank", [5, BLOCK, 40])
def test_eigenvalues_that_occur_many_times_and_zeros_are_found(rank: int) -> None:
    dense = [np.ones((4, 8), np.float32)] * 20 + [np.zeros((1, 8), np.float32)] * 20
    blocks = [sparse.csr_array(block) for block in dense]
    matrix = sparse.csr_array(sparse.block_diag(blocks))
    assert matrix.shape[1] >= dimensions_needed(rank)
    found = largest_eigenpairs(Gram(matrix), rank, tolerance=TOLERANCE, seed=0)
    assert np.allclose(found.values, [32] * min(rank, 20) + [0] * (rank - 20), atol=0.1)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 12), st.floats(0.02, 0.2))
def test_random_matrices_have_the_eigenvalues_of_the_dense_decomposition(
    seed: int, rank: int, density: float
) -> None:
    random = np.random.default_rng(seed)
    matrix = sparse.csr_array((random.random((150, 120)) < density).astype(np.float32))
    found = largest_eigenpairs(Gram(matrix), rank, tolerance=1e-3, seed=0)
    values, _ = exact(matrix, rank)
    assert np.allclose(found.values, values, rtol=2e-2, atol=1e-2)


def test_an_orthonormal_block_gives_its_columns_back_without_what_is_next_to_nothing() -> None:
    columns = np.random.default_rng(0).standard_normal((50, 6), dtype=np.float32)
    columns[:, 5] = columns[:, 0] + columns[:, 1]
    block, coupling = orthonormal(columns, 0.0)
    assert block.shape == (50, 5)
    assert np.allclose(block.T @ block, np.eye(5), atol=1e-5)
    assert np.allclose(block @ coupling, columns, atol=1e-4)
