"""Vectors of items from what users have in common, to start training from."""

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tastemaker.models.histories import Histories

__all__ = ["spectral_seconds", "spectral_vectors"]

_EXTRA = 16  # columns beside those that are wanted, for accuracy
_ROUNDS = 3


def spectral_vectors(train: Histories, dimension: int, generator: np.random.Generator) -> npt.NDArray[np.float32]:
    """Leading right singular vectors of the degree-normalised interactions, rows scaled to unit length.

    They are the low frequencies of the graph of users and items, which linear graph filters and graph convolutions
    keep (GF-CF, Shen et al., CIKM 2021). Found by randomised subspace iteration (Halko, Martinsson and Tropp, 2011).

    Args:
        train: every user's interactions.
        dimension: of the vectors; the last columns are 0 when the data has fewer.
        generator: of the first subspace.

    Returns:
        float32 ``[n_items, dimension]``; 0 for items without interactions.
    """
    matrix = train.matrix(binary=True)
    by_user = np.asarray(matrix.sum(axis=1)).ravel()
    by_item = np.asarray(matrix.sum(axis=0)).ravel()
    scaled = (
        sparse.diags(1 / np.sqrt(np.maximum(by_user, 1))) @ matrix @ sparse.diags(1 / np.sqrt(np.maximum(by_item, 1)))
    )
    scaled = scaled.tocsr().astype(np.float32)
    width = min(dimension + _EXTRA, *scaled.shape)
    basis = generator.standard_normal((train.n_items, width), dtype=np.float32)
    for _ in range(_ROUNDS):
        basis, _ = np.linalg.qr(scaled.T @ (scaled @ basis))
    _, values, right = np.linalg.svd(_gram_root(scaled @ basis))
    found = np.zeros((train.n_items, dimension), dtype=np.float32)
    n = min(dimension, width)
    found[:, :n] = (basis @ right.T[:, :n]) * np.sqrt(values[:n])
    return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12), dtype=np.float32)


def spectral_seconds(train: Histories, dimension: int) -> float:
    """About how long :func:`spectral_vectors` takes: sparse products and orthogonalisations on one ordinary core."""
    width = dimension + _EXTRA
    products = 4.0 * len(train.items) * width * (_ROUNDS + 1)
    orthogonal = 4.0 * train.n_items * width**2 * (_ROUNDS + 1) + 2.0 * train.n_users * width**2
    return products / 1e9 + orthogonal / 5e9


def _gram_root(tall: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A small matrix with the singular values and right singular vectors of a tall one."""
    return np.asarray(np.linalg.qr(tall, mode="r"), dtype=np.float32)
