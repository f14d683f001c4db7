"""Content vectors: products with similar titles get similar vectors, learned from the shop's own titles.

TF-IDF over hashed words and letter groups, reduced by a truncated singular value decomposition: latent semantic
analysis (Deerwester et al., *Indexing by Latent Semantic Analysis*, JASIS 1990) with the hashing trick (Weinberger et
al., ICML 2009). A projection is fitted once and kept: vectors are only comparable under one projection, so that a new
product is projected and the projection is not fitted again, unless that is asked for.
"""

import hashlib
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["DIMENSIONS", "ContentProjection", "fit_projection"]

DIMENSIONS: Final = 48
_BUCKETS: Final = 1 << 14
_WORD: Final = re.compile(r"\w+")
_GROUP: Final = 4  # letters per group
_GROUP_WEIGHT: Final = 0.5  # a word counts as much as two of its letter groups
_EPSILON: Final = 1e-9

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ContentProjection:
    """From titles to vectors.

    Attributes:
        weights: float64 ``[buckets, DIMENSIONS]``: inverse document frequency times singular vectors.
        version: hash of the weights.
    """

    weights: _Floats
    version: str

    def vectors(self, titles: Sequence[str]) -> _Floats:
        """Unit vectors, float64 ``[n, DIMENSIONS]``; of zeros where no part of a title is known."""
        projected: _Floats = np.asarray(_counts(titles) @ self.weights, dtype=np.float64)
        length = np.linalg.norm(projected, axis=1, keepdims=True)
        units: _Floats = np.divide(projected, length, out=np.zeros_like(projected), where=length > _EPSILON)
        return units

    def save(self, path: Path) -> None:
        """Write it; a reader sees the old file or the new one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        with partial.open("wb") as file:
            np.savez_compressed(file, weights=self.weights.astype(np.float32), version=np.array(self.version))
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> "ContentProjection | None":
        """Read it; None where there is none.

        Raises:
            DataError: the file does not read, or is of another shape.
        """
        if not path.exists():
            return None
        try:
            with np.load(path) as stored:
                weights, version = stored["weights"].astype(np.float64), str(stored["version"])
        except (OSError, ValueError, KeyError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            raise DataError(
                f"{path} does not read ({error}); delete it, and the next materialisation fits a new one"
            ) from error
        if weights.shape != (_BUCKETS, DIMENSIONS):
            raise DataError(f"{path} is of shape {weights.shape}, not {(_BUCKETS, DIMENSIONS)}; delete it")
        return cls(weights, version)


def fit_projection(titles: Sequence[str], seed: int = 1) -> ContentProjection:
    """Learn a projection from a shop's titles.

    Args:
        titles: of all products; equal ones may repeat.
        seed: of the decomposition's start; the same seed on the same machine gives the same projection.

    Raises:
        DataError: there is no title with a word.
    """
    from scipy.sparse import diags
    from scipy.sparse.linalg import svds

    counts = _counts(sorted(set(titles)))
    rows = counts.shape[0]
    frequency = np.bincount(counts.indices, minlength=_BUCKETS)
    if not len(counts.indices):
        raise DataError("no product has a title to learn content vectors from; import items with titles")
    # Smoothed as if one more title held everything; what no title held weighs nothing, whatever a new title says.
    inverse = np.where(frequency > 0, 1.0 + np.log((1.0 + rows) / (1.0 + frequency)), 0.0)
    weighted = counts @ diags(inverse)
    length = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    weighted = diags(1.0 / np.maximum(length, _EPSILON)) @ weighted
    rank = min(DIMENSIONS, min(weighted.shape) - 1)
    components = np.zeros((_BUCKETS, DIMENSIONS))
    if rank < 1:  # a single title: one direction, its own
        components[:, 0] = np.asarray(weighted.todense()).ravel()
    else:
        start = np.random.default_rng(seed).normal(size=min(weighted.shape))
        _, values, vectors = svds(weighted, k=rank, v0=start)
        found = vectors[np.argsort(-values)].T
        found *= np.where(found[np.abs(found).argmax(axis=0), np.arange(rank)] < 0, -1.0, 1.0)  # a sign is arbitrary
        components[:, :rank] = found
    weights = (inverse[:, None] * components).astype(np.float32)  # as it is stored
    return ContentProjection(weights.astype(np.float64), hashlib.sha256(weights.tobytes()).hexdigest()[:12])


def _counts(titles: Sequence[str]) -> "csr_matrix[Any]":
    """Weighted counts of each title's parts, ``[n, buckets]``."""
    from scipy.sparse import csr_matrix

    places: list[int] = []
    weights: list[float] = []
    ends = [0]
    for title in titles:
        for part, weight in _parts(title):
            places.append(zlib.crc32(part.encode()) % _BUCKETS)
            weights.append(weight)
        ends.append(len(places))
    counts = csr_matrix((weights, places, ends), shape=(len(titles), _BUCKETS), dtype=np.float64)
    counts.sum_duplicates()
    return counts


def _parts(title: str) -> Iterator[tuple[str, float]]:
    """Words, and the groups of letters of longer words, so that mugs are near a mug."""
    for word in _WORD.findall(title.lower()):
        yield f"w{word}", 1.0
        marked = f"<{word}>"
        if len(marked) > _GROUP:
            for begin in range(len(marked) - _GROUP + 1):
                yield f"g{marked[begin : begin + _GROUP]}", _GROUP_WEIGHT
