"""Build an approximate index: learn cells and codes from a sample, then take in the vectors piece by piece."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError
from tastemaker.retrieval.index.cells import CellIndex, Cells, Effort, IndexCard
from tastemaker.retrieval.index.centres import Centres
from tastemaker.retrieval.index.codes import Codes
from tastemaker.retrieval.index.places import Places
from tastemaker.retrieval.index.threads import faiss_threads

__all__ = ["PIECE", "BuildParameters", "build", "pieces"]

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
PIECE: Final = 65_536


@dataclass(frozen=True)
class BuildParameters:
    """How an index is built.

    Attributes:
        cells: of k-means; None chooses by the number of vectors.
        per_cell: vectors that the cells are learned from, for each of them.
        iterations: of k-means.
        threads: that may be used meanwhile.
        seed: of sample and k-means.
        recall: that searches for 100 rows are tuned to have.
        tuning_queries: that they are tuned on.
    """

    cells: int | None = None
    per_cell: int = 64
    iterations: int = 8
    threads: int = 1
    seed: int = 0
    recall: float = 0.984
    tuning_queries: int = 400


def cells_for(n: int) -> int:
    """A power of two near twice the square root: what measured best, see ADR 018."""
    return int(2 ** round(np.log2(max(2.0 * np.sqrt(n), 16.0))))


def pieces(rows: Rows) -> Iterator[Rows]:
    """Rows in pieces that fit caches and memory."""
    for begin in range(0, len(rows), PIECE):
        yield rows[begin : begin + PIECE]


def build(
    vectors: Floats,
    rows: Rows,
    parameters: BuildParameters | None = None,
    *,
    progress: Callable[[str], None] = lambda message: None,
) -> CellIndex:
    """An index that is not tuned yet; see :func:`tastemaker.retrieval.index.tuning.tuned`.

    Args:
        vectors: float32 ``[rows of the catalogue, dimension]``, in memory or memory-mapped: it is read a piece at a
            time.
        rows: int64, ascending: those that the index has.
        parameters: see there.
        progress: told what happens.

    Raises:
        DataError: there are fewer rows than a code has values, or a vector is not finite.
    """
    import faiss

    parameters = parameters or BuildParameters()
    if len(rows) < 256:
        raise DataError(f"cells need 256 vectors at least, there are {len(rows)}; search them with ExactIndex")
    dimension = vectors.shape[1]
    cells = min(parameters.cells or cells_for(len(rows)), len(rows) // 16)
    with faiss_threads(parameters.threads):
        draw = np.random.default_rng(parameters.seed)
        wanted = min(len(rows), cells * parameters.per_cell)
        sample = np.array(vectors[np.sort(draw.choice(rows, wanted, replace=False))], dtype=np.float32)
        largest = max(float(np.abs(vectors[piece]).max()) for piece in pieces(rows))
        if not np.isfinite(largest):
            raise DataError("a vector is not finite; train the towers again")
        kmeans = faiss.Kmeans(
            dimension,
            cells,
            niter=parameters.iterations,
            spherical=True,
            seed=parameters.seed,
            min_points_per_centroid=1,
            max_points_per_centroid=parameters.per_cell,
        )
        kmeans.train(sample)
        centres = Centres(np.asarray(kmeans.centroids, dtype=np.float32))
        progress(f"{cells:,} cells learned from {wanted:,} vectors")
        base = _inverted_file(centres, sample[: 2 * PIECE])
        for piece in pieces(rows):
            base.add_with_ids(np.ascontiguousarray(vectors[piece], dtype=np.float32), piece)
        places = Places.cell_by_cell(base, len(vectors))
        codes = Codes.empty(len(rows), dimension, largest)
        for piece in pieces(rows):
            codes.put(places.code_of[piece], np.asarray(vectors[piece], dtype=np.float32))
        progress(f"{len(rows):,} vectors are in")
    card = IndexCard(len(rows), cells, base.code_size, Effort(min(cells, 32), 1_000), 0.0, built_with=len(rows))
    return CellIndex(Cells(base, centres), codes, places, card)


def _inverted_file(centres: Centres, sample: Floats) -> Any:
    """An empty inverted file whose codes are learned."""
    import faiss

    cells, dimension = centres.vectors.shape
    base = faiss.IndexIVFPQFastScan(centres.quantizer, dimension, cells, dimension, 4, faiss.METRIC_INNER_PRODUCT)
    base.implem = 11  # of faiss's loops the fastest for one query at a time: see ADR 018
    base.by_residual = True  # what remains after the centre is shorter, and its codes say more
    base.quantizer_trains_alone = chr(2)  # the centres are there
    base.train(sample)
    return base
