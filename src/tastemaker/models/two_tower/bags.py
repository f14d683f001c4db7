"""Histories without an order as training batches: a random part of a user's items is predicted from the rest."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tastemaker.models.histories import Histories
from tastemaker.models.two_tower.parameters import TowerParameters

__all__ = ["bags", "query_bags"]

_STEP = 4096  # flat arrays are padded to a multiple of this, so that few shapes are compiled


def bags(
    train: Histories, parameters: TowerParameters, generator: np.random.Generator, *, skip: int = 0
) -> Iterator[dict[str, npt.NDArray[np.generic]]]:
    """One pass over the users with at least two interactions, in random order.

    Predicting what is hidden from what is shown is the denoising objective of variational autoencoders for
    collaborative filtering (Liang et al., WWW 2018), but only what is hidden counts: a list shall name other items
    than those that are known.

    Args:
        train: every user's interactions.
        parameters: ``batch`` users make a batch, the last one has fewer; up to ``held_out`` of a user's interactions
            are hidden; at least one is, and one is shown.
        generator: of all that is random.
        skip: batches to leave out at the beginning, which were used before.

    Yields:
        ``items``, ``types``, ``rows`` int32 and ``weights`` float32 ``[shown]``: what is shown, by row of the batch;
        ``targets``, ``target_rows`` int32 and ``target_weights`` float32 ``[hidden]``: what is asked for, each user's
        weights adding up to the root of their number.
    """
    able = generator.permutation(np.flatnonzero(train.lengths >= 2))
    for start in range(0, len(able), parameters.batch):
        taken = train.take(able[start : start + parameters.batch])
        lengths, rows = taken.lengths, taken.rows
        share = generator.random(taken.n_users) * parameters.held_out
        hidden = np.clip(np.ceil(share * lengths), 1, lengths - 1).astype(np.int64)
        order = np.lexsort((generator.random(len(rows)), rows))
        place = np.arange(len(rows)) - np.repeat(taken.offsets[:-1], lengths)
        asked = np.zeros(len(rows), dtype=np.bool_)
        asked[order] = place < hidden[rows]
        weights = taken.weights[asked]
        total = np.bincount(rows[asked], weights=weights, minlength=taken.n_users)
        each = weights * (np.sqrt(hidden) / np.maximum(total, 1e-9))[rows[asked]]
        if start < skip * parameters.batch:
            continue
        yield _shown(taken.where(~asked)) | {
            "targets": _padded(taken.items[asked], np.int32),
            "target_rows": _padded(rows[asked], np.int32),
            "target_weights": _padded(each, np.float32),
        }


def query_bags(histories: Histories) -> dict[str, npt.NDArray[np.generic]]:
    """Histories to ask about, as :func:`bags` shows them, and ``users``, how many there are."""
    return _shown(histories) | {"users": np.asarray(histories.n_users, dtype=np.int32)}


def _shown(histories: Histories) -> dict[str, npt.NDArray[np.generic]]:
    types = np.zeros(len(histories.items)) if histories.types is None else histories.types
    return {
        "items": _padded(histories.items, np.int32),
        "types": _padded(types, np.int32),
        "rows": _padded(histories.rows, np.int32),
        "weights": _padded(histories.weights, np.float32),
    }


def _padded(values: npt.NDArray[np.generic], kind: type[np.generic]) -> npt.NDArray[np.generic]:
    """Zeros at the end, at least one: with weight 0 they count nothing."""
    filled = np.zeros(-(-(len(values) + 1) // _STEP) * _STEP, dtype=kind)
    filled[: len(values)] = values
    return filled
