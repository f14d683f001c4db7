"""How alike two items are, by the best that is known of them, and how varied lists are by it."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tastemaker.evaluation.metrics import Floats, Ints

__all__ = ["Similarity", "by_co_occurrence", "by_path", "by_vector", "diversity"]

# Similarities, at most 1 and NaN where unknown, of pairs of items given as two arrays of codes.
Similarity = Callable[[Ints, Ints], Floats]

_PAIRS = 50_000  # looked up at one time


def by_vector(vectors: npt.NDArray[np.floating]) -> Similarity:
    """Cosine of vectors ``[items, size]``; NaN for an item whose vector has NaN or is 0."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, norms, out=np.full(vectors.shape, np.nan), where=norms > 0)
    return _in_blocks(lambda left, right: np.einsum("ij,ij->i", unit[left], unit[right]))


def by_path(levels: Ints) -> Similarity:
    """Share of the common beginning of two category paths: twice its length over the sum of both lengths.

    Args:
        levels: ``[items, depth]``: a code per prefix of each item's path, -1 below its end; all -1 is no category.

    >>> alike = by_path(np.array([[0, 1], [0, 2], [3, -1], [-1, -1]]))
    >>> alike(np.array([0, 0, 0, 0]), np.array([0, 1, 2, 3])).tolist()
    [1.0, 0.5, 0.0, nan]
    """
    depth = (levels >= 0).sum(axis=1)

    def alike(left: Ints, right: Ints) -> Floats:
        common = ((levels[left] == levels[right]) & (levels[left] >= 0)).sum(axis=1)
        known = (depth[left] > 0) & (depth[right] > 0)
        return np.where(known, 2 * common / np.maximum(depth[left] + depth[right], 1), np.nan)

    return _in_blocks(alike)


def by_co_occurrence(users: sparse.csr_matrix) -> Similarity:
    """Cosine of the sets of users of two items.

    Args:
        users: ``[users, items]``, 1 where a user took an item.
    """
    of_item = users.T.tocsr().astype(np.float32)
    size = np.diff(of_item.indptr).astype(np.float64)

    def alike(left: Ints, right: Ints) -> Floats:
        common = np.asarray(of_item[left].multiply(of_item[right]).sum(axis=1)).ravel()
        return np.asarray(common / np.sqrt(np.maximum(size[left] * size[right], 1.0)), dtype=np.float64)

    return _in_blocks(alike)


def diversity(ranked: Ints, similarity: Similarity, cutoffs: tuple[int, ...]) -> dict[int, Floats]:
    """Intra-list diversity: 1 - the mean similarity of all pairs of a list (Ziegler et al., 2005).

    Args:
        ranked: ``[users, k]``, padded with -1.
        similarity: of items.
        cutoffs: list lengths, at most k.

    Returns:
        Per cut-off ``[users]``, NaN for lists without two items that can be compared.
    """
    k = max(cutoffs)
    first, second = np.triu_indices(k, 1)
    left, right = ranked[:, first], ranked[:, second]
    both = (left >= 0) & (right >= 0)
    stride = int(ranked.max(initial=0)) + 1
    # Lists of different users share most of their pairs: each is looked up once.
    keys = np.minimum(left, right)[both].astype(np.int64) * stride + np.maximum(left, right)[both]
    pairs, places = np.unique(keys, return_inverse=True)
    alike = np.full(left.shape, np.nan)
    alike[both] = similarity(pairs // stride, pairs % stride)[places]
    found = {}
    for cutoff in cutoffs:
        chosen = alike[:, second < cutoff]
        known = np.isfinite(chosen)
        count = known.sum(axis=1)
        total = np.where(known, chosen, 0.0).sum(axis=1)
        found[cutoff] = 1 - np.divide(total, count, out=np.full(len(ranked), np.nan), where=count > 0)
    return found


def _in_blocks(alike: Similarity) -> Similarity:
    def blocked(left: Ints, right: Ints) -> Floats:
        starts = range(0, len(left), _PAIRS)
        parts = [alike(left[start : start + _PAIRS], right[start : start + _PAIRS]) for start in starts]
        return np.concatenate(parts) if parts else np.empty(0)

    return blocked
