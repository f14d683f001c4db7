"""Item-to-item weights from who interacted with what: the table behind the co-visitation source.

Small catalogues get EASE (Steck, *Embarrassingly Shallow Autoencoders for Sparse Data*, WWW 2019), which measures
best; its inverse is cubic in the number of items, so larger ones get the degree-normalised gram of GF-CF
(Shen et al., *How Powerful is Graph Convolution for Recommendation?*, CIKM 2021), computed in blocks.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tastemaker.models.histories import Histories
from tastemaker.release.item_item_parameters import ItemItemParameters
from tastemaker.training.interactions import Interactions

__all__ = ["Neighbours", "fit_item_item", "fit_together"]

_BLOCK = 1_024


@dataclass(frozen=True)
class Neighbours:
    """The strongest positive neighbours of each item.

    Attributes:
        items: int32 ``[n_items, k]``, strongest first; -1 as padding.
        weights: float32 ``[n_items, k]``; 0 as padding.
    """

    items: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]


def fit_item_item(interactions: Interactions, n_items: int, parameters: ItemItemParameters) -> Neighbours:
    """Fit the table on distinct (shopper, item) pairs; guests' baskets count as shoppers.

    Args:
        interactions: what happened.
        n_items: size of the catalogue.
        parameters: see there.
    """
    seen, active = _seen(interactions.shopper, interactions.item, n_items)
    if len(active) <= parameters.ease_max_items:
        found = _strongest(_ease(seen, parameters.ridge), parameters.neighbours)
    else:
        found = _strongest_normalised(seen, parameters.neighbours)
    return _spread(found, active, n_items, parameters.neighbours)


def fit_together(interactions: Interactions, n_items: int, kind: int, parameters: ItemItemParameters) -> Neighbours:
    """Fit the table of one kind of event on baskets: what was bought, or looked at, within one visit.

    The weight is the degree-normalised count of common baskets (the cosine of the items' baskets), so that a pair that
    always goes together stands before two items that everybody takes.

    Args:
        interactions: what happened.
        n_items: size of the catalogue.
        kind: index of the event type.
        parameters: see there.

    Returns:
        The neighbours; no item has any where no event is of the kind.
    """
    mine = interactions.type == kind
    seen, active = _seen(interactions.baskets()[mine], interactions.item[mine], n_items)
    if not len(active):
        return _spread((np.zeros((0, 0), np.int64), np.zeros((0, 0), np.float32)), active, n_items, 1)
    found = _strongest_normalised(seen, parameters.neighbours)
    return _spread(found, active, n_items, parameters.neighbours)


def _seen(
    rows: npt.NDArray[np.integer], items: npt.NDArray[np.integer], n_items: int
) -> tuple[Any, npt.NDArray[np.int64]]:
    """Which rows have which items, as 0 and 1, and only of the items that occur; and which items these are."""
    seen = Histories.of(rows, items, n_users=int(rows.max(initial=-1)) + 1, n_items=n_items).matrix(binary=True)
    active = np.flatnonzero(np.diff(seen.tocsc().indptr))
    return seen[:, active], active


def _spread(
    found: tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]],
    active: npt.NDArray[np.int64],
    n_items: int,
    neighbours: int,
) -> Neighbours:
    """From the items that occur to all of the catalogue, padded."""
    items = np.full((n_items, neighbours), -1, dtype=np.int32)
    weights = np.zeros((n_items, neighbours), dtype=np.float32)
    width = found[0].shape[1]
    items[active, :width] = np.where(found[1] > 0, active[found[0]], -1)
    weights[active, :width] = found[1]
    return Neighbours(items, weights)


def _ease(seen: Any, ridge: float) -> npt.NDArray[np.float32]:
    """EASE's weight matrix, ``[n, n]``: row ``i`` holds what having item ``i`` says about the others."""
    from scipy.linalg import lapack

    gram = (seen.T @ seen).toarray().astype(np.float32)
    gram[np.diag_indices(len(gram))] += np.float32(ridge)
    factor, failed = lapack.spotrf(gram, lower=1, overwrite_a=1)
    inverse, failed_too = lapack.spotri(factor, lower=1, overwrite_c=1)
    assert not failed, "a gram plus a positive ridge is positive definite"
    assert not failed_too, "so is its inverse"
    inverse = np.tril(inverse)
    inverse += np.tril(inverse, -1).T
    weights = inverse / -np.diag(inverse)
    weights[np.diag_indices(len(weights))] = 0.0
    return np.asarray(weights, dtype=np.float32)


def _strongest(dense: npt.NDArray[np.float32], k: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Columns and values of the ``k`` largest positive entries per row, largest first; ties by column."""
    k = min(k, dense.shape[1])
    order = np.argsort(-dense, axis=1, kind="stable")[:, :k]
    values = np.maximum(np.take_along_axis(dense, order, axis=1), 0.0)
    return order, values.astype(np.float32)


def _strongest_normalised(seen: Any, k: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """As :func:`_strongest`, of the gram of the matrix whose entries are divided by the roots of both degrees.

    A block of items at a time: the whole gram of a large catalogue would not fit into memory.
    """
    from scipy import sparse

    rows = 1.0 / np.sqrt(np.maximum(np.asarray(seen.sum(axis=1)).ravel(), 1.0))
    columns = 1.0 / np.sqrt(np.maximum(np.asarray(seen.sum(axis=0)).ravel(), 1.0))
    scaled = (sparse.diags(rows) @ seen @ sparse.diags(columns)).tocsc()
    blocks = []
    for start in range(0, scaled.shape[1], _BLOCK):
        gram = (scaled[:, start : start + _BLOCK].T @ scaled).toarray().astype(np.float32)
        gram[np.arange(len(gram)), start + np.arange(len(gram))] = 0.0
        blocks.append(_strongest(gram, k))
    return np.concatenate([block[0] for block in blocks]), np.concatenate([block[1] for block in blocks])
