"""EASE: the closed-form linear model of items by items (Steck, "Embarrassingly Shallow Autoencoders", 2019)."""

import os
import time
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tastemaker.errors import DataError
from tastemaker.models.histories import Floats, Histories
from tastemaker.models.inputs import bounded, popularity_tie, require_interactions, values
from tastemaker.models.protocol import FitContext, Scores

__all__ = ["Ease"]

_TIE = 1e-7  # popularity orders what the history says nothing about
_PROBE = 1536  # size of the matrix on which this machine's speed is measured
_SHARE = 0.6  # of the remaining time that the inverse may take: it is an estimate, and scoring comes after


class Ease:
    """Items by a ridge regression of each item on all others, the diagonal forced to zero.

    With ``G`` the weighted gram matrix and ``P`` the inverse of ``G + regularisation * I``, the weights are
    ``-P_ij / P_jj``, so that a history ``x`` scores ``x_j - (x P)_j / P_jj``. Only ``P`` is kept: float32, computed in
    place by a Cholesky decomposition; 4 bytes times the square of the number of items, and time by its cube.

    Above ``max_items``, above what the deadline leaves time for, or beyond half of the machine's memory, the inverse
    covers the most popular items. An item beyond is regressed on those: it scores ``(x P) G_j``, with ``G_j`` its
    sparse column of the gram matrix, on the same scale; as an input it counts nothing.

    Args:
        regularisation: added to the diagonal, above 0, in units of interactions.
        damping: a user of ``n`` items counts ``n ** -damping``; 0 is EASE as published.
        half_life: of an item of a history that is scored, in interactions; None: all count the same, as they do without
            times. The fit is not affected.
        max_items: covered by the inverse; 40,000 take 6.4 GB.

    Raises:
        DataError: a hyperparameter is outside its range.
    """

    name = "ease"

    def __init__(
        self,
        *,
        regularisation: float = 50.0,
        damping: float = 0.5,
        half_life: float | None = 2.0,
        max_items: int = 42_000,
    ) -> None:
        if not regularisation > 0 or max_items < 1 or (half_life is not None and not half_life > 0):
            raise DataError("ease needs a regularisation above 0, max_items of at least 1, and a half-life above 0")
        self.regularisation = regularisation
        self.damping = damping
        self.half_life = half_life
        self.max_items = max_items

    @classmethod
    def space(cls, train: Histories) -> Mapping[str, tuple[Any, ...]]:
        """Regularisation over two orders of magnitude, and what long and old histories count."""
        choices: dict[str, tuple[Any, ...]] = {
            "regularisation": (3.0, 10.0, 50.0, 200.0, 500.0),
            "damping": (0.0, 0.5),
        }
        return choices if train.times is None else {**choices, "half_life": (1.0, 2.0, 6.0, None)}

    def fit(self, train: Histories, context: FitContext) -> Self:
        """Invert the gram matrix.

        Raises:
            DataError: there are no interactions.
        """
        require_interactions(train)
        taken = bounded(train, context, share=0.2).matrix(binary=True)
        lengths = np.maximum(np.diff(taken.indptr), 1)
        weighted = (sparse.diags(lengths ** -(self.damping / 2)) @ taken).astype(np.float32).tocsc()
        popularity = train.popularity()
        size = min(self.max_items, train.n_items, _affordable(context.remaining_s * _SHARE), _storable())
        if size < train.n_items:
            context.progress(f"ease: inverse over the {size:,} most popular of {train.n_items:,} items")
        self._core = np.sort(np.argsort(-popularity, kind="stable")[:size])
        self._rest = np.setdiff1d(np.arange(train.n_items), self._core)
        core = weighted[:, self._core].tocsr()
        self._inverse = _inverse(_gram(core, self.regularisation))
        self._diagonal = self._inverse.diagonal().copy()
        self._cross = (core.T @ weighted[:, self._rest]).tocsr()
        self._tie = popularity_tie(popularity, _TIE)
        return self

    def score(self, histories: Histories) -> Scores:
        """The regressions' predictions for each history."""
        known = values(histories, self.half_life)[:, self._core].astype(np.float32)
        dual = known @ self._inverse
        scores = np.repeat(self._tie[None, :], histories.n_users, axis=0)
        scores[:, self._core] -= dual / self._diagonal
        if len(self._rest):
            scores[:, self._rest] += (self._cross.T @ dual.T).T
        rows = np.repeat(np.arange(histories.n_users), np.diff(known.indptr))
        scores[rows, self._core[known.indices]] += known.data
        return scores


def _gram(taken: sparse.csr_matrix, ridge: float) -> Floats:
    """Dense ``taken.T @ taken + ridge * I``, built in blocks of columns."""
    n_items = taken.shape[1]
    gram = np.empty((n_items, n_items), np.float32)
    transposed = taken.T.tocsr()
    for start in range(0, n_items, 512):
        gram[start : start + 512] = (transposed[start : start + 512] @ taken).toarray()
    gram[np.arange(n_items), np.arange(n_items)] += np.float32(ridge)
    return gram


def _inverse(gram: Floats) -> Floats:
    """The inverse of a positive definite matrix, in its own memory.

    Raises:
        DataError: it is not positive definite in float32.
    """
    from scipy.linalg import lapack

    # A symmetric C-ordered matrix is its own Fortran-ordered transpose: nothing is copied.
    factor, failed = lapack.spotrf(gram.T, lower=1, clean=0, overwrite_a=1)
    if failed:
        raise DataError("the gram matrix is singular in single precision; raise ease's regularisation")
    inverse, _ = lapack.spotri(factor, lower=1, overwrite_c=1)
    found: Floats = inverse.T  # upper triangle, C order
    for start in range(0, len(found), 1024):  # mirrored block by block
        stop = min(start + 1024, len(found))
        found[stop:, start:stop] = found[start:stop, stop:].T
        square = found[start:stop, start:stop]
        square[:] = np.triu(square) + np.triu(square, 1).T
    return found


def _storable() -> int:
    """The largest matrix that half of this machine's memory holds."""
    return int((os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2 / 4) ** 0.5)


def _affordable(seconds: float) -> int:
    """The largest matrix that this machine inverts in so many seconds."""
    if seconds == float("inf"):
        return np.iinfo(np.int64).max
    from scipy.linalg import lapack

    probe: npt.NDArray[np.float32] = np.eye(_PROBE, dtype=np.float32, order="F") * 2
    started = time.monotonic()
    lapack.spotri(lapack.spotrf(probe, lower=1)[0], lower=1)
    per_cube = max(time.monotonic() - started, 1e-4) / _PROBE**3
    return max(256, int((max(seconds, 0.1) / per_cube) ** (1 / 3)))
