"""Batches of lists, cut from the arrays by index, so that only a few lists are ever copied."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tastemaker.keras import tensorflow
from tastemaker.models.ranker.lists import PADDING, RankingLists
from tastemaker.models.ranker.parameters import RankerParameters

tf = tensorflow()

__all__ = ["list_batches", "signature"]

Batch = tuple[npt.NDArray[Any], ...]


def signature(features: int, outcomes: int) -> tuple[Any, ...]:
    """Specs of a batch: features, labels, positions, weights, correction; see ``RankerModel.compute_loss``."""
    return (
        tf.TensorSpec((None, None, features), tf.float32),
        tf.TensorSpec((None, None, outcomes), tf.float32),
        tf.TensorSpec((None, None), tf.int32),
        tf.TensorSpec((None,), tf.float32),
        tf.TensorSpec((None, None), tf.float32),
    )


def list_batches(lists: RankingLists, rows: npt.NDArray[np.int64], parameters: RankerParameters, *, seed: int) -> Any:
    """One shuffled pass over some lists at each iteration, as a ``tf.data.Dataset``; each pass in another order.

    Args:
        lists: see there.
        rows: which of them.
        parameters: batch size and loss.
        seed: of order and draws.
    """
    random = np.random.default_rng(seed)

    def one_pass() -> Iterator[Batch]:
        order = random.permutation(rows)
        for start in range(0, len(order), parameters.batch_lists):
            chosen = order[start : start + parameters.batch_lists]
            yield (
                _drawn(lists, chosen, parameters.negatives, random)
                if parameters.loss == "sampled"
                else _whole(lists, chosen)
            )

    shapes = signature(lists.features.shape[2], lists.labels.shape[2])
    return tf.data.Dataset.from_generator(one_pass, output_signature=shapes).prefetch(2)


def _whole(lists: RankingLists, rows: npt.NDArray[np.int64]) -> Batch:
    labels = lists.labels[rows]
    there = np.flatnonzero((labels != PADDING).any(axis=(0, 2)))
    width = int(there[-1]) + 1  # what pads all of these lists is left out
    return (
        lists.features[rows, :width],
        labels[:, :width],
        _positions(lists, rows)[:, :width],
        _weights(lists, rows),
        np.zeros((len(rows), width), dtype=np.float32),
    )


def _drawn(lists: RankingLists, rows: npt.NDArray[np.int64], negatives: int, random: np.random.Generator) -> Batch:
    """Hits and some negatives, drawn evenly from the list without replacement.

    The softmax over them estimates that over the list when each negative counts for all those that it was drawn from:
    its logit is raised by the logarithm of their number over the number drawn (Bengio and Senécal 2008).
    """
    labels = lists.labels[rows]
    real, hit = (labels != PADDING).any(axis=2), (labels == 1).any(axis=2)
    width = min(labels.shape[1], int(hit.sum(axis=1).max(initial=0)) + negatives)
    # Hits first, then the others in an order of chance, then padding.
    order = np.argsort(random.random(hit.shape) - hit + 2.0 * ~real, axis=1, kind="stable")[:, :width]
    rank = np.cumsum(np.take_along_axis(real & ~hit, order, axis=1), axis=1)
    taken = np.take_along_axis(hit, order, axis=1) | (np.take_along_axis(real, order, axis=1) & (rank <= negatives))
    others = (real & ~hit).sum(axis=1)
    raised = np.log(np.maximum(others, 1) / np.maximum(np.minimum(others, rank.max(axis=1)).clip(max=negatives), 1))
    chosen = np.take_along_axis(labels, order[:, :, None], axis=1)
    is_negative = taken & ~np.take_along_axis(hit, order, axis=1)
    return (
        lists.features[rows[:, None], order],
        np.where(taken[:, :, None], chosen, np.float32(PADDING)),
        np.take_along_axis(_positions(lists, rows), order, axis=1),
        _weights(lists, rows),
        np.where(is_negative, raised[:, None], 0.0).astype(np.float32),
    )


def _positions(lists: RankingLists, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    if lists.positions is None:
        return np.zeros((len(rows), lists.labels.shape[1]), dtype=np.int32)
    return lists.positions[rows].astype(np.int32)


def _weights(lists: RankingLists, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    return np.ones(len(rows), dtype=np.float32) if lists.weights is None else lists.weights[rows].astype(np.float32)
