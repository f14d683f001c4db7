"""How hard a search has to look: measured against the exact answer, when an index is built."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker.retrieval.allowed import Allowed
from tastemaker.retrieval.index.build import BuildParameters, pieces
from tastemaker.retrieval.index.cells import PRICE, TUNED_FOR, CellIndex, Effort
from tastemaker.retrieval.index.threads import faiss_threads

__all__ = ["exact_answers", "recall_of", "sample_queries", "tuned"]

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
_SCORED: Final = (150, 200, 250, 300, 400, 500, 700, 1_000, 1_500)
_STEP: Final = 1.15
_SHARES: Final = (0.03, 0.1, 0.3)


def sample_queries(vectors: Floats, rows: Rows, n: int, seed: int) -> Floats:
    """Queries where none are known: the directions of three items each, which lie between the cells as shoppers do."""
    draw = np.random.default_rng([seed, 2])
    found = sum(np.asarray(vectors[draw.choice(rows, n)], dtype=np.float32) for _ in range(3))
    length = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.where(length > 0.0, length, 1.0), dtype=np.float32)


def exact_answers(vectors: Floats, rows: Rows, queries: Floats, n: int = TUNED_FOR) -> Rows:
    """The ``n`` rows nearest to each query, int64 ``[queries, n]``, -1 where there are fewer; read piece by piece."""
    import faiss

    scores = np.full((len(queries), 0), 0.0, dtype=np.float32)
    found = np.full((len(queries), 0), -1, dtype=np.int64)
    for piece in pieces(rows):
        chosen = np.ascontiguousarray(vectors[piece], dtype=np.float32)
        some, places = faiss.knn(queries, chosen, min(n, len(piece)), metric=faiss.METRIC_INNER_PRODUCT)
        scores, found = np.hstack([scores, some]), np.hstack([found, piece[places]])
        order = np.argsort(-scores, axis=1, kind="stable")[:, :n]
        scores, found = np.take_along_axis(scores, order, 1), np.take_along_axis(found, order, 1)
    missing = np.full((len(queries), max(0, n - found.shape[1])), -1, dtype=np.int64)
    return np.hstack([found, missing])


def recall_of(search: Callable[[Floats], Rows], queries: Floats, truth: Rows) -> float:
    """Mean share of the true rows that a search finds."""
    wanted = (truth >= 0).sum()
    found = sum(len(np.intersect1d(search(query), true[true >= 0])) for query, true in zip(queries, truth, strict=True))
    return float(found / wanted) if wanted else 1.0


def tuned(
    index: CellIndex,
    vectors: Floats,
    rows: Rows,
    parameters: BuildParameters,
    *,
    queries: Floats | None = None,
) -> CellIndex:
    """The index with the least effort that has the recall, and the effort for filters.

    Args:
        index: as built.
        vectors: that it was built from.
        rows: likewise.
        parameters: likewise.
        queries: float32 ``[n, dimension]`` like those that will be asked; None makes some of the vectors.
    """
    with faiss_threads(parameters.threads):
        if queries is None:
            queries = sample_queries(vectors, rows, parameters.tuning_queries, parameters.seed)
        queries = queries[: parameters.tuning_queries]
        truth = exact_answers(vectors, rows, queries)
        draw = np.random.default_rng([parameters.seed, 3])
        lot = draw.random(len(vectors), dtype=np.float32)
        some = queries[: len(queries) // 2]
        parts = [(share, exact_answers(vectors, rows[lot[rows] < share], some)) for share in _SHARES]
    effort, recall = _least(index, _Asked(queries, truth, parameters.recall))
    filtered = tuple(
        (share, _probes(index, _Asked(some, answers, parameters.recall), effort, Allowed(lot < share)))
        for share, answers in parts
    )
    return index.with_card(replace(index.card, effort=effort, recall=recall, filtered=filtered))


@dataclass(frozen=True, eq=False)
class _Asked:
    """Queries, the rows that they should find, and the share of those that has to be found."""

    queries: Floats
    truth: Rows
    target: float

    def recall(self, index: CellIndex, effort: Effort, allowed: Allowed | None = None) -> float:
        """The share that a search finds."""
        return recall_of(
            lambda query: index.search(query, TUNED_FOR, alive=allowed, effort=effort).rows, self.queries, self.truth
        )


def _least(index: CellIndex, asked: _Asked) -> tuple[Effort, float]:
    """The cheapest pair of probes and scored candidates that has the recall; the costliest where none has."""
    per_cell = index.card.items / index.card.cells
    ladder = _ladder(index.card.cells)
    while (recall := asked.recall(index, Effort(ladder[0], _SCORED[-1]))) < asked.target:
        if len(ladder) == 1:
            return Effort(ladder[0], _SCORED[-1]), recall
        ladder = ladder[1:]
    cheapest: tuple[float, Effort, float] | None = None
    for probes in ladder[:4]:
        for scored in _SCORED:
            if (found := asked.recall(index, Effort(probes, scored))) >= asked.target:
                cost = probes * per_cell + scored * PRICE
                if cheapest is None or cost < cheapest[0]:
                    cheapest = cost, Effort(probes, scored), found
                break
    assert cheapest is not None  # the first rung has it with the last number
    return cheapest[1], cheapest[2]


def _probes(index: CellIndex, asked: _Asked, effort: Effort, allowed: Allowed) -> int:
    """The fewest cells that have the recall under a filter; all cells where none has."""
    for probes in _ladder(index.card.cells, effort.probes):
        if asked.recall(index, replace(effort, probes=probes), allowed) >= asked.target:
            return probes
    return index.card.cells


def _ladder(cells: int, first: int = 4) -> list[int]:
    """Numbers of cells to try, each some more than the one before."""
    found = [min(first, cells)]
    while found[-1] < cells:
        found.append(min(cells, max(found[-1] + 1, int(found[-1] * _STEP))))
    return found
