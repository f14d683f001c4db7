"""Leading singular vectors of a large sparse matrix, by random projection (Halko, Martinsson and Tropp, 2011)."""

import numpy as np
from scipy import linalg, sparse

from tastemaker.models.histories import Floats

__all__ = ["right_vectors"]


def right_vectors(matrix: sparse.csr_matrix, rank: int, *, seed: int, passes: int = 3) -> tuple[Floats, Floats]:
    """The leading right singular vectors and values.

    Args:
        matrix: ``[n, m]``.
        rank: how many, below both sizes.
        seed: of the projection.
        passes: of power iteration; more make the last vectors sharper.

    Returns:
        float32 ``[m, rank]`` orthonormal columns, and float32 ``[rank]``, largest first.
    """
    width = min(rank + max(16, rank // 4), *matrix.shape)
    transposed = matrix.T.tocsr()
    start = np.random.default_rng(seed).standard_normal((matrix.shape[1], width), dtype=np.float32)
    basis = _orthonormal(transposed @ (matrix @ start))
    for _ in range(passes):
        basis = _orthonormal(transposed @ (matrix @ basis))
    image = matrix @ basis
    values, turn = linalg.eigh(image.T @ image)
    turn = turn[:, ::-1][:, :rank]
    found = np.sqrt(np.maximum(values[::-1][:rank], 0.0))
    return np.ascontiguousarray(basis @ turn, dtype=np.float32), found.astype(np.float32)


def _orthonormal(columns: Floats) -> Floats:
    """An orthonormal basis of the same space."""
    found: Floats = linalg.qr(columns, mode="economic", overwrite_a=True, check_finite=False)[0]
    return found
