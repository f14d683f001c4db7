"""The blend: candidates of all sources in one list, each with the score of every source that named it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tastemaker.retrieval.source import NO_ROWS, Query, Retrieved, Source

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
    from tastemaker.retrieval.unite_kernel import take_turns  # compiled code is loaded where it runs

    found = [(column, retrieved[name]) for column, name in enumerate(names) if name in retrieved]
    if not found:
        return Blend(NO_ROWS, np.zeros((0, len(names)), dtype=np.float32), names, retrieved)
    starts = np.zeros(len(found) + 1, dtype=np.int64)
    np.cumsum([len(one.rows) for _, one in found], out=starts[1:])
    rows, scores = take_turns(
        np.concatenate([one.rows for _, one in found]),
        np.concatenate([one.scores for _, one in found]),
        starts,
        np.array([column for column, _ in found], dtype=np.int64),
        len(names),
    )
    return Blend(rows, scores, names, retrieved)
