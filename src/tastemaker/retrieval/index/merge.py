"""Take new and changed items into an approximate index: a copy gets them, cells and codes stay as they were learned."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tastemaker.retrieval.index.build import pieces
from tastemaker.retrieval.index.cells import CellIndex
from tastemaker.retrieval.index.threads import one_thread

__all__ = ["merged"]

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


def merged(index: CellIndex, vectors: Floats, gone: Rows, added: Rows) -> CellIndex:
    """A copy of an index without some rows and with others; meanwhile both are in memory.

    Args:
        index: stays as it is, and may be searched.
        vectors: float32 ``[rows of the catalogue, dimension]``, as they are now.
        gone: int64: rows of the index that it is to forget: their vectors changed, or they are no more.
        added: int64: rows that it has not, once ``gone`` is forgotten.
    """
    import faiss

    one_thread()
    base = faiss.clone_index(index.cells.base)
    if len(gone):
        base.remove_ids(faiss.IDSelectorBatch(gone))
    end = len(index.codes.values)
    codes = index.codes.grown(end + len(added))
    for piece in pieces(added):
        chosen = np.ascontiguousarray(vectors[piece], dtype=np.float32)
        base.add_with_ids(chosen, piece)
        codes.put(np.arange(end, end + len(piece)), chosen)
        end += len(piece)
    places = index.places.after(base, len(vectors), added, len(index.codes.values))
    card = replace(index.card, items=int(base.ntotal))
    return CellIndex(replace(index.cells, base=base), codes, places, card)
