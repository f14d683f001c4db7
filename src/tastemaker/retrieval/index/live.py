"""The index that serves: an approximate one, the items that it has not yet, and the rows that it must not give."""

from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.retrieval.allowed import Allowed
from tastemaker.retrieval.index.best import best
from tastemaker.retrieval.index.build import BuildParameters, build
from tastemaker.retrieval.index.cells import CellIndex
from tastemaker.retrieval.index.exact import ExactIndex
from tastemaker.retrieval.index.merge import merged
from tastemaker.retrieval.index.tuning import tuned
from tastemaker.retrieval.index.upkeep import Upkeep
from tastemaker.retrieval.source import NO_CANDIDATES, NO_ROWS, Query, Retrieved

__all__ = ["EXACT_LIMIT", "IndexParameters", "VectorIndex"]

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
# Up to here looking at every vector takes less than the cells do, and loses nothing: see ADR 018.
EXACT_LIMIT: Final = 20_000


@dataclass(frozen=True)
class IndexParameters:
    """When which kind of index is used.

    Attributes:
        exact_limit: up to so many items every vector is looked at.
        beside: items that an approximate index has not yet are taken into it when they are more than so many; they
            are looked at one by one until then.
        outgrown: cells and codes are learned anew when an index has taken in so many times the items that it was built
            with, those that changed included.
        build: of the approximate index.
    """

    exact_limit: int = EXACT_LIMIT
    beside: int = 4_000
    outgrown: float = 2.0
    build: BuildParameters = field(default_factory=BuildParameters)


class VectorIndex:
    """Searches one state of the catalogue; :meth:`updated` gives that of the next state without a build.

    It is a candidate source and a :class:`~tastemaker.retrieval.index.protocol.CandidateIndex`.

    Args:
        vectors: float32 ``[rows, dimension]``, one per catalogue row; they are not copied.
        servable: bool ``[rows]``; only these are found.
        parameters: see there.
        queries: float32 ``[n, dimension]`` like those that will be asked, to tune by; None makes some of the vectors.
        main: an approximate index of these vectors, for example one that was saved; None builds what is needed.
    """

    name = names.SOURCE_TWO_TOWER

    def __init__(
        self,
        vectors: Floats,
        servable: Mask,
        *,
        parameters: IndexParameters | None = None,
        queries: Floats | None = None,
        main: CellIndex | None = None,
    ) -> None:
        self._parameters, self._queries = parameters or IndexParameters(), queries
        self._upkeep = Upkeep()
        rows = np.flatnonzero(servable)
        if main is None and len(rows) > self._parameters.exact_limit:
            main = self._built(vectors, rows)
        self._settle(vectors, servable, main, NO_ROWS)

    def _built(self, vectors: Floats, rows: Rows) -> CellIndex:
        how = self._parameters.build
        return tuned(build(vectors, rows, how), vectors, rows, how, queries=self._queries)

    def _settle(self, vectors: Floats, servable: Mask, main: CellIndex | None, moved: Rows) -> None:
        """Work out what is found where.

        Args:
            vectors: of the catalogue.
            servable: likewise.
            main: the approximate index, if any.
            moved: int64: rows whose vectors are not those that it has.
        """
        self._vectors, self._main, self._moved = vectors, main, moved
        kept = np.zeros(len(vectors), dtype=np.bool_)
        if main is not None:
            kept[: main.rows] = main.places.cell_of >= 0
            kept[moved] = False
        alive = kept & servable
        # All of an index is the usual case, and needs no selector.
        whole = main is None or int(np.count_nonzero(alive)) == main.card.items
        self._alive = None if whole else Allowed(alive)
        rows = np.flatnonzero(servable & ~kept)
        self._beside = ExactIndex(rows, vectors[rows])
        self._servable = servable

    @property
    def main(self) -> CellIndex | None:
        """The approximate index; None for a small catalogue."""
        return self._main

    @property
    def waiting(self) -> bool:
        """Whether a new approximate index waits to be used: :meth:`updated` takes it, changes or not."""
        return self._upkeep.ready

    @property
    def nbytes(self) -> int:
        """See the protocol."""
        return self._beside.nbytes + (0 if self._main is None else self._main.nbytes)

    def updated(self, vectors: Floats, servable: Mask, changed: Rows) -> Self:
        """The index of the next state; this one stays as it is.

        What changed is looked at one by one until there is much of it; then a thread takes it into a copy of the
        approximate index, which the next call after that uses.

        Args:
            vectors: float32 ``[rows, dimension]``; rows are those of before, and new ones after them.
            servable: bool ``[rows]``.
            changed: int64: rows whose vectors or availability may differ from before, new ones among them.
        """
        following = object.__new__(type(self))
        following.__dict__.update(self.__dict__)
        following._follow(self._vectors, vectors, servable, np.unique(changed))
        return following

    def _follow(self, before: Floats, vectors: Floats, servable: Mask, changed: Rows) -> None:
        moved = np.union1d(self._moved, _different(before, vectors, changed))
        main = self._main
        made = self._upkeep.take()
        if made is not None:  # it has what had changed until it was begun
            main, moved = made.index, _different(made.vectors, vectors, moved)
        self._settle(vectors, servable, main, moved)
        limit = self._parameters.exact_limit if main is None else self._parameters.beside
        if len(self._beside) > limit and self._upkeep.idle:
            self._upkeep.begin(self._next_main, vectors)

    def _next_main(self) -> CellIndex:
        """An approximate index of all that may be found now."""
        main, rows = self._main, np.flatnonzero(self._servable)
        if main is None or self._outgrown(main):
            return self._built(self._vectors, rows)
        gone = self._moved[self._moved < main.rows]
        return merged(main, self._vectors, gone[main.places.cell_of[gone] >= 0], self._beside.rows)

    def _outgrown(self, main: CellIndex) -> bool:
        taken_in = len(main.codes.values) + len(self._beside)
        return taken_in > self._parameters.outgrown * main.card.built_with

    def search(self, query: Floats, n: int, *, allowed: Allowed | None = None) -> Retrieved:
        """See the protocol."""
        beside = self._beside.search(query, n, allowed=allowed)
        if self._main is None:
            return beside
        found = self._main.search(query, n, allowed=allowed, alive=self._alive)
        if not len(beside.rows):
            return found
        rows = np.concatenate([found.rows, beside.rows])
        return best(rows, np.concatenate([found.scores, beside.scores]), n)

    def retrieve(self, query: Query, n: int) -> Retrieved:
        """The nearest items; the score is the cosine of the towers' vectors."""
        if query.vector is None:
            return NO_CANDIDATES
        return self.search(query.vector, n, allowed=query.allowed)


def _different(before: Floats, after: Floats, rows: Rows) -> Rows:
    """Those of some rows that are new or have another vector."""
    known = rows[rows < len(before)]
    other = known[(before[known] != after[known]).any(axis=1)]
    return np.concatenate([other, rows[rows >= len(before)]])
