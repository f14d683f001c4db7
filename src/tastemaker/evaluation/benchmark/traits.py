"""What the metrics beyond accuracy need to know of a task's items, worked out once for all models."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from tastemaker.evaluation.benchmark.catalogue import CATEGORY, PATH_SEPARATOR, VECTOR
from tastemaker.evaluation.benchmark.task import Task
from tastemaker.evaluation.similarity import Similarity, by_co_occurrence, by_path, by_vector

__all__ = ["PAIRED_USERS", "Traits", "traits"]

PAIRED_USERS = 2_000  # users whose lists are compared item by item: the standard error of their mean is below 0.01

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Traits:
    """Of the items, and of whom to look at.

    Attributes:
        popularity: float32 ``[items]``, distinct users in train.
        categories: int ``[items]``, top level of each item's category, -1 without; None when no item has one.
        taken: ``[users, items]``, the test users' histories.
        similarity: of items.
        similarity_name: what it compares: ``vector``, ``category`` or ``co-occurrence``.
        paired: users whose lists are compared item by item.
    """

    popularity: npt.NDArray[np.float32]
    categories: Ints | None
    taken: sparse.csr_matrix
    similarity: Similarity
    similarity_name: str
    paired: Ints


def traits(task: Task, seed: int) -> Traits:
    """Work them out.

    Args:
        task: the benchmark.
        seed: of the sample of users whose lists are compared item by item.
    """
    n_users = task.history.n_users
    rng = np.random.default_rng(seed)
    paired = np.arange(n_users)
    if n_users > PAIRED_USERS:
        paired = np.sort(rng.choice(n_users, PAIRED_USERS, replace=False))
    levels = _levels(task.items)
    name, similarity = _similarity(task, levels)
    return Traits(
        popularity=task.train.popularity(),
        categories=None if levels is None else levels[:, 0],
        taken=task.history.matrix(np.ones(len(task.history.items), np.float32)),
        similarity=similarity,
        similarity_name=name,
        paired=paired,
    )


def _similarity(task: Task, levels: Ints | None) -> tuple[str, Similarity]:
    if task.items is not None and VECTOR in task.items.column_names:
        column = task.items[VECTOR].combine_chunks()
        known = np.flatnonzero(pc.is_valid(column).to_numpy(zero_copy_only=False))
        if len(known):
            numbers = column.drop_null().flatten().to_numpy(zero_copy_only=False)
            vectors = np.full((len(column), len(numbers) // len(known)), np.nan, dtype=np.float32)
            vectors[known] = numbers.reshape(len(known), -1)
            return VECTOR, by_vector(vectors)
    if levels is not None:
        return CATEGORY, by_path(levels)
    return "co-occurrence", by_co_occurrence(task.train.matrix(binary=True))


def _levels(items: pa.Table | None) -> Ints | None:
    """A code per prefix of each item's category path, ``[items, depth]``, -1 below its end; None without categories."""
    if items is None or CATEGORY not in items.column_names:
        return None
    encoded = items[CATEGORY].combine_chunks().dictionary_encode()
    paths = [tuple(part for part in text.split(PATH_SEPARATOR) if part) for text in encoded.dictionary.to_pylist()]
    depth = max((len(path) for path in paths), default=0)
    if not depth:
        return None
    codes: dict[tuple[str, ...], int] = {}
    of_path = np.full((len(paths) + 1, depth), -1, dtype=np.int64)  # the last row is for items without one
    for row, path in enumerate(paths):
        for level in range(len(path)):
            of_path[row, level] = codes.setdefault(path[: level + 1], len(codes))
    rows = pc.fill_null(encoded.indices, len(paths)).to_numpy(zero_copy_only=False)
    return np.asarray(of_path[rows], dtype=np.int64)
