"""The approximate index: cells of k-means, 4-bit codes of each dimension, and the best candidates scored once more.

A query looks at the cells whose centres are nearest. Their vectors are compared by 4-bit codes of what remains after
the centre, whose tables fit registers (André, Kermarrec, Le Scouarnec 2015, "Cache locality is not enough"; Guo et al.
2020, "Accelerating Large-Scale Inference with Anisotropic Vector Quantization"; faiss calls it fast scan). The best are
scored again by vectors of 16-bit numbers, whose error is below 1e-4.
"""

from dataclasses import dataclass, replace
from typing import Any, Final, Self
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from tastemaker.retrieval.allowed import Allowed, SharedMask
from tastemaker.retrieval.index.best import best
from tastemaker.retrieval.index.centres import Centres
from tastemaker.retrieval.index.codes import Codes
from tastemaker.retrieval.index.places import Places
from tastemaker.retrieval.index.threads import one_thread
from tastemaker.retrieval.source import NO_CANDIDATES, Retrieved

__all__ = ["PRICE", "TUNED_FOR", "CellIndex", "Effort", "IndexCard"]

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Bits = npt.NDArray[np.uint8]
TUNED_FOR: Final = 100  # rows of a search whose recall is measured
PRICE: Final = 16.0  # codes that are compared in the time that one vector is scored in
_BLOCK: Final = 32  # vectors whose codes faiss keeps together
_FEW: Final = 20_000  # rows that are all scored, however few cells they are in
_BROAD: Final = 0.5  # a filter that allows more has rows in every cell


@dataclass(frozen=True)
class Effort:
    """How hard a search looks.

    Attributes:
        probes: cells that are looked at.
        scored: candidates that are scored once more.
    """

    probes: int
    scored: int


@dataclass(frozen=True)
class IndexCard:
    """What an index says of itself.

    Attributes:
        items: vectors in it.
        cells: of k-means.
        code_bytes: of the 4-bit codes of one vector.
        effort: of a search for 100 rows, as tuned.
        recall: share of the exact 100 that such a search found, mean over the queries that it was tuned on.
        filtered: cells to look at when a share of the rows is allowed: pairs of share and probes, smallest share
            first.
        built_with: vectors that it had when cells and codes were learned.
    """

    items: int
    cells: int
    code_bytes: int
    effort: Effort
    recall: float
    filtered: tuple[tuple[float, int], ...] = ()
    built_with: int = 0


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of an index and the 4-bit codes in them.

    Attributes:
        base: faiss's inverted file; the ids are catalogue rows.
        centres: of the cells.
    """

    base: Any
    centres: Centres


class CellIndex:
    """An index that is never changed, so that any number of threads may search it.

    Args:
        cells: see there.
        codes: 16-bit numbers of the vectors, cell by cell: those that a query looks at lie close together.
        places: of each row of the catalogue.
        card: see there.
    """

    def __init__(self, cells: Cells, codes: Codes, places: Places, card: IndexCard) -> None:
        import faiss

        from tastemaker.retrieval.index.kernels import products

        self._faiss, self._products = faiss, products
        self.cells, self.codes, self.places, self.card = cells, codes, places, card
        self._per_cell = card.items / card.cells
        self._cells_with: WeakKeyDictionary[SharedMask, Mask] = WeakKeyDictionary()

    def with_card(self, card: IndexCard) -> Self:
        """The same with other settings."""
        return type(self)(self.cells, self.codes, self.places, card)

    @property
    def rows(self) -> int:
        """Rows of the catalogue when it was made, in the index or not."""
        return len(self.places.cell_of)

    @property
    def nbytes(self) -> int:
        """Bytes that it holds: codes of both kinds, ids, cells, and their centres here and in faiss."""
        lists = self.cells.base.invlists
        blocks = sum(-(-lists.list_size(cell) // _BLOCK) for cell in range(self.card.cells))
        codes = blocks * _BLOCK * self.card.code_bytes + 8 * int(lists.compute_ntotal())
        return int(codes + self.codes.values.nbytes + self.places.nbytes + self.cells.centres.nbytes)

    def among(self, query: Floats, rows: Rows, n: int) -> Retrieved:
        """The best of some rows of the index, every one of which is scored."""
        if not len(rows):
            return NO_CANDIDATES
        scores = np.empty(len(rows), dtype=np.float32)
        self._products(self.codes.values, self.places.code_of[rows], query * np.float32(self.codes.unit), scores)
        return best(rows, scores, n)

    def search(
        self,
        query: Floats,
        n: int,
        *,
        allowed: Allowed | None = None,
        alive: Allowed | None = None,
        effort: Effort | None = None,
    ) -> Retrieved:
        """The nearest rows.

        Args:
            query: float32 ``[dimension]``.
            n: at most so many.
            allowed: rows that may be given; None for all that the index has.
            alive: rows of the index that are still as they were when it was built; None for all.
            effort: how hard to look; as the card says where absent.
        """
        one_thread()
        effort = effort or self.effort_for(n)
        if allowed is None:
            return self._probe(query, n, effort, alive.bits(self.rows) if alive else None)
        share = allowed.count / max(1, self.card.items)
        probes = self._probes_for(share, effort.probes)
        if allowed.count <= max(_FEW, probes * self._per_cell / PRICE):
            rows = allowed.rows
            rows = rows[rows < self.rows]
            return self.among(query, rows[alive.mask[rows] if alive else self.places.cell_of[rows] >= 0], n)
        bits = allowed.bits(self.rows)
        if alive is not None:
            bits &= alive.bits(self.rows)
        among = None if share > _BROAD else self._cells_with_rows_of(allowed.shared)
        return self._probe(query, n, replace(effort, probes=probes), bits, among)

    def effort_for(self, n: int) -> Effort:
        """What the card says for 100 rows; longer lists reach farther."""
        tuned = self.card.effort
        if n <= TUNED_FOR:
            return tuned
        probes = min(self.card.cells, int(tuned.probes * (n / TUNED_FOR) ** 0.5))
        return Effort(probes, tuned.scored * n // TUNED_FOR)

    def _probes_for(self, share: float, least: int) -> int:
        """Cells to look at when a share of the rows is allowed, between those that were measured."""
        known = (*self.card.filtered, (1.0, least))
        shares, probes = np.log([each[0] for each in known]), np.log([max(each[1], least) for each in known])
        return min(self.card.cells, int(np.exp(np.interp(np.log(max(share, 1e-9)), shares, probes))))

    def _cells_with_rows_of(self, mask: SharedMask) -> Mask:
        """Cells that have a row of a mask: those of a category may all be far from the query."""
        found = self._cells_with.get(mask)
        if found is None:
            rows = mask.rows[: np.searchsorted(mask.rows, self.rows)]
            cells = self.places.cell_of[rows]
            found = np.bincount(cells[cells >= 0], minlength=self.card.cells) > 0
            self._cells_with[mask] = found
        return found

    def _probe(self, query: Floats, n: int, effort: Effort, bits: Bits | None, among: Mask | None = None) -> Retrieved:
        """Compare codes in the nearest cells, and score the best again."""
        asked = np.ascontiguousarray(query, dtype=np.float32)[None, :]
        if among is None:
            centres, cells = self.cells.centres.nearest(asked, min(effort.probes, self.card.cells))
        else:
            centres, cells = self.cells.centres.nearest_of(among, asked, effort.probes)
        if not cells.shape[1]:
            return NO_CANDIDATES
        selector = None if bits is None else self._faiss.IDSelectorBitmap(len(bits), self._faiss.swig_ptr(bits))
        parameters = self._faiss.IVFSearchParameters(nprobe=cells.shape[1], sel=selector)  # type: ignore[call-arg]
        products, found = np.empty(effort.scored, dtype=np.float32), np.empty(effort.scored, dtype=np.int64)
        # faiss's wrapper for Python takes no parameters here.
        arrays = (self._faiss.swig_ptr(each) for each in (cells, centres, products, found))
        self.cells.base.search_preassigned_c(1, self._faiss.swig_ptr(asked), effort.scored, *arrays, False, parameters)
        return self.among(query, found[found >= 0], n)
