"""The blend: candidates of all sources in one list, each with the score of every source that named it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tastemaker.retrieval.source import Query, Retrieved, Source

__all__ = ["Blend", "blend", "unite"]


@dataclass(frozen=True, eq=False)
class Blend:
    """The union of the sources' candidates.

    Attributes:
        rows: int64 ``[n]``, each once.
        scores: float32 ``[n, sources]``; NaN where a source did not name the row.
        sources: names of the columns.
        retrieved: by source, what it gave.
    """

    rows: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    sources: tuple[str, ...]
    retrieved: Mapping[str, Retrieved]

    def only(self, keep: npt.NDArray[np.bool_]) -> "Blend":
        """The candidates at which a mask ``[n]`` is true."""
        return replace(self, rows=self.rows[keep], scores=self.scores[keep])

    def take(self, order: npt.NDArray[np.intp]) -> "Blend":
        """The candidates in another order."""
        return replace(self, rows=self.rows[order], scores=self.scores[order])

    def first(self, n: int) -> "Blend":
        """The first ``n`` candidates."""
        return replace(self, rows=self.rows[:n], scores=self.scores[:n])


def blend(sources: Sequence[Source], quotas: Mapping[str, int], query: Query) -> Blend:
    """Ask every source for its quota and unite the answers.

    The union is ordered so that any prefix of it is fair: sources take turns with their best, the first one first.

    Args:
        sources: in the order of their turns.
        quotas: candidates to ask for, by source name; a source without one is not asked.
        query: who asks.
    """
    retrieved = {
        source.name: source.retrieve(query, quotas[source.name]) for source in sources if quotas.get(source.name)
    }
    return unite(tuple(source.name for source in sources), retrieved)


def unite(names: tuple[str, ...], retrieved: Mapping[str, Retrieved]) -> Blend:
    """Unite what sources gave, as :func:`blend` does.

    Args:
        names: of the sources, in the order of their turns; one that gave nothing may be missing in ``retrieved``.
        retrieved: what they gave, by name.
    """
    ranks, rows, columns, values = [], [], [], []
    for column, name in enumerate(names):
        found = retrieved.get(name)
        if found is None:
            continue
        ranks.append(np.arange(len(found.rows)) * len(names) + column)
        rows.append(found.rows)
        columns.append(np.full(len(found.rows), column))
        values.append(found.scores)
    if not rows:
        empty = np.zeros((0, len(names)), dtype=np.float32)
        return Blend(np.zeros(0, dtype=np.int64), empty, names, retrieved)
    all_rows = np.concatenate(rows)
    turn = np.argsort(np.concatenate(ranks), kind="stable")
    unique, first, inverse = np.unique(all_rows[turn], return_index=True, return_inverse=True)
    order = np.argsort(first)  # by the best turn at which any source named the row
    place = np.empty(len(unique), dtype=np.int64)
    place[order] = np.arange(len(order))
    scores = np.full((len(order), len(names)), np.nan, dtype=np.float32)
    scores[place[inverse], np.concatenate(columns)[turn]] = np.concatenate(values)[turn]
    return Blend(unique[order], scores, names, retrieved)
