"""The largest eigenpairs of ``S = R'R`` by block Lanczos, to a given tolerance.

A basis Q of a Krylov space grows by a block of vectors at a time, so that one pass over the sparse matrix
serves all of them and the rest is matrix products (Golub and Underwood, "The Block Lanczos Method for
Computing Eigenvalues", 1977). It is kept orthogonal in full. When it is full, its best Ritz vectors
take its place (Wu and Simon, "Thick-Restart Lanczos Method for Large Symmetric Eigenvalue Problems",
2000). Throughout ``S Q = Q T + N C``, where N is the next block and C couples it to the last one:
so the residual of every Ritz vector is known without another product, and the method stops when all
are small, not after a number of iterations that is hoped to be enough.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import linalg

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from indexer.gram import SymmetricMap
    from likewise.ranking.array_types import FloatArray

    Doubles = NDArray[np.float64]

BLOCK = 16
"""Vectors in a block: fewer need fewer products in all, more make each one cheaper."""
_MOST_RESTARTS = 50
# The basis is restarted when it has this many times the vectors wanted.
_ROOM = 3
# Share of random vectors in a first block made from known ones.
_NOISE = 0.02
# Directions of a block weaker than this, relative to its strongest, are left out.
_WEAK = 1e-3
# Norm of an image, relative to S, below which it is only rounding error.
_NOTHING = 1e-5


class Eigenpairs(NamedTuple):
    """The eigenpairs, and the number of products they took."""

    values: FloatArray
    """[d], in descending order."""
    vectors: FloatArray
    """[n, d], orthonormal."""
    products: int
    """Vectors that were multiplied by S."""


class Ritz(NamedTuple):
    """Approximate eigenpairs in a basis, largest value first."""

    values: Doubles
    combinations: Doubles
    """[size of the basis, d]: each vector in terms of the basis."""
    residuals: Doubles
    """[d] norms of ``S v - e v``."""

    def has_converged(self, tolerance: float) -> bool:
        """Whether every residual is within the tolerance, relative to its value."""
        rounding = _NOTHING * np.abs(self.values[0])
        allowed = tolerance * np.abs(self.values) + rounding
        return bool(np.all(self.residuals <= allowed))


def largest_eigenpairs(
    gram: SymmetricMap, rank: int, *, tolerance: float, seed: int, start: FloatArray | None = None
) -> Eigenpairs:
    """Return the `rank` largest eigenpairs of S, each with ``|S v - e v| <= tolerance e``.

    S has at least `dimensions_needed` rows. `start` [n, k] are approximations of the
    eigenvectors, such as those of a slightly different matrix. They make it faster and never less
    exact: see `_first_block`. Deterministic for a seed.
    """
    rng = np.random.default_rng(seed)
    space = KrylovSpace(gram, _first_block(gram, start, rng), rank, rng)
    while space.size < 2 * rank:
        space.extend()
    return _solve(space, tolerance)


def dimensions_needed(rank: int) -> int:
    """Return the smallest size of S for which this many eigenpairs can be found."""
    return _ROOM * (rank + BLOCK)


def _first_block(
    gram: SymmetricMap, start: FloatArray | None, rng: np.random.Generator
) -> FloatArray:
    """Return the first block [n, b]: random vectors, or random mixtures of the start vectors.

    Mixtures lie almost entirely in the wanted space, so the basis covers it first. Starting with all
    k vectors would cost k products a step and gain less from each: for the same number of products, a
    narrow block reaches polynomials in S of a much higher degree. Some random noise in the mixtures
    finds directions that the start lacks, such as those of new items.
    """
    noise = _random(gram, rng)
    if start is None:
        return noise
    mixtures = start @ rng.standard_normal((start.shape[1], BLOCK), dtype=np.float32)
    scale = _NOISE * linalg.norm(mixtures) / linalg.norm(noise)
    mixed: FloatArray = mixtures + np.float32(scale) * noise
    return mixed


def _solve(space: KrylovSpace, tolerance: float) -> Eigenpairs:
    """Extend the Krylov space until its eigenpairs have converged, and return them."""
    ritz, restarts = space.ritz(), 0
    while not ritz.has_converged(tolerance) and restarts < _MOST_RESTARTS:
        if space.is_full():
            space.restart()
            restarts += 1
        # A convergence check costs about as much as one or two blocks.
        look_at = space.size + max(space.rank // 8, 1)
        while not space.is_full() and space.size < look_at:
            space.extend()
        ritz = space.ritz()
    return Eigenpairs(
        np.maximum(ritz.values, 0).astype(np.float32),
        space.vectors(ritz.combinations),
        space.products,
    )


def _random(gram: SymmetricMap, rng: np.random.Generator) -> FloatArray:
    return rng.standard_normal((gram.size, BLOCK), dtype=np.float32)


class KrylovSpace:
    """An orthonormal basis Q of a Krylov space of S, with T = Q'SQ and the next block.

    Vectors are rows here, so that the basis grows in place.
    """

    def __init__(
        self, gram: SymmetricMap, first: FloatArray, rank: int, rng: np.random.Generator
    ) -> None:
        """Take the span of `first` [n, k] as the first block; multiply nothing yet."""
        self.rank = rank
        self.size = 0
        self.products = 0
        self._gram = gram
        self._rng = rng
        room = dimensions_needed(rank)
        self._rows = np.empty((room, gram.size), np.float32)
        self._projected = np.zeros((room, room))
        # Where the vectors begin that S may map the next block to, but for itself and the new.
        self._near = 0
        self._set_next(first)

    def is_full(self) -> bool:
        """Whether there is no room for the image of the next block."""
        return self.size + 2 * self._width > len(self._rows)

    def extend(self) -> None:
        """Add the next block to the basis; its image under S becomes the next one."""
        begin, end = self.size, self.size + self._width
        image = self._gram @ self._rows[begin:end].T
        self.products += self._width
        near = self._rows[self._near : end]
        coefficients = near @ image
        image -= near.T @ coefficients
        # In exact arithmetic the image would be orthogonal to the basis already.
        basis = self._rows[:end]
        left = basis @ image
        image -= basis.T @ left
        coefficients += left[self._near :]
        self._projected[self._near : end, begin:end] = coefficients
        self._projected[begin:end, self._near : end] = coefficients.T
        self._near, self.size = begin, end
        self._set_next(image)

    def ritz(self) -> Ritz:
        """Return the Ritz approximations of the largest eigenpairs."""
        return self._ritz(self.rank)

    def restart(self) -> None:
        """Restart: replace the basis by its best vectors, to make room for new blocks."""
        kept = self.rank + (self.size - self.rank) // 4
        kept = max(self.rank, min(kept, len(self._rows) - 2 * self._width))
        best = self._ritz(kept)
        following = self._rows[self.size : self.size + self._width].copy()
        self._rows[:kept] = best.combinations.T.astype(np.float32) @ self._rows[: self.size]
        self._rows[kept : kept + self._width] = following
        self._projected[:] = 0
        np.fill_diagonal(self._projected[:kept, :kept], best.values)
        self._near, self.size = 0, kept

    def vectors(self, combinations: Doubles) -> FloatArray:
        """Return these combinations of the basis, [n, d]."""
        rows = combinations.T.astype(np.float32) @ self._rows[: self.size]
        return np.ascontiguousarray(rows.T)

    def _ritz(self, count: int) -> Ritz:
        leading = (self.size - count, self.size - 1)
        projected = self._projected[: self.size, : self.size]
        values, combinations = linalg.eigh(projected, subset_by_index=leading)
        combinations = combinations[:, ::-1]
        last = combinations[self.size - self._coupling.shape[1] :]
        residuals = np.sqrt(np.square(self._coupling @ last).sum(axis=0))
        return Ritz(values[::-1], combinations, residuals)

    def _set_next(self, image: FloatArray) -> None:
        """Make an orthonormal block of the image: ``image = N C``."""
        nothing = _NOTHING * float(self._projected.diagonal().max())
        block, self._coupling = orthonormal(image, nothing)
        if not block.shape[1]:
            # S maps the space to itself: continue from random vectors.
            block = self._elsewhere()
            self._coupling = np.zeros((block.shape[1], image.shape[1]))
        self._width: int = block.shape[1]
        self._rows[self.size : self.size + self._width] = block.T

    def _elsewhere(self) -> FloatArray:
        block = _random(self._gram, self._rng)
        basis = self._rows[: self.size]
        for _ in range(2):
            block -= basis.T @ (basis @ block)
            block, _coupling = orthonormal(block, 0.0)
        return block


def orthonormal(columns: FloatArray, nothing: float) -> tuple[FloatArray, Doubles]:
    """Return N [n, k] orthonormal and C [k, b] with ``columns = N C``, without weak directions.

    By the eigenvectors of the Gram matrix (SVQB; Stathopoulos and Wu, "A Block Orthogonalization
    Procedure with Constant Synchronization Requirements", 2002), twice, because the first round is exact to
    only half of the digits. Directions of a norm up to `nothing` are left out; k may be 0.
    """
    first, coupling = _svqb(columns, nothing)
    if not first.shape[1]:
        return first, coupling
    second, correction = _svqb(first, 0.0)
    return second, correction @ coupling


def _svqb(columns: FloatArray, nothing: float) -> tuple[FloatArray, Doubles]:
    squares, directions = linalg.eigh((columns.T @ columns).astype(np.float64))
    strong = squares > max(_WEAK**2 * squares[-1], nothing**2)
    norms, directions = np.sqrt(squares[strong]), directions[:, strong]
    return columns @ (directions / norms).astype(np.float32), norms[:, None] * directions.T
