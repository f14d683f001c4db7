"""Item and query vectors by the million that are like trained ones.

No shop with ten million items comes with this project, so the vectors are simulated: a Gaussian mixture is fitted on
the item vectors of towers that were trained on Online Retail, another one on the query vectors of its shoppers, and
both are drawn from. What decides how hard a search is stays as it was trained: the spectrum, the clusters, the unit
length, and how near an item's and a query's neighbours are (:func:`likeness` compares). The numbers of Gaussians are
those of the largest likelihood on vectors that were held out. What is not there is what only a real catalogue of that
size has, such as variants of one product, which would make the search easier.
"""

import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from benchmarks.quality_data import write_tables

__all__ = ["Mixture", "Simulated", "likeness", "trained_vectors"]

Floats = npt.NDArray[np.float32]
_OF_ITEMS: Final = 256
_OF_QUERIES: Final = 128
_PRIOR: Final = 64.0  # a component's covariance counts for as many vectors of the pooled one as it has dimensions
_SEED: Final = 5
_TRAIN_S: Final = 600.0


@dataclass(frozen=True, eq=False)
class Mixture:
    """Gaussians on the unit sphere.

    Attributes:
        shares: float64 ``[components]``, how often each is drawn.
        means: float32 ``[components, dimension]``.
        factors: float32 ``[components, dimension, dimension]``: a normal vector times it has the covariance.
    """

    shares: npt.NDArray[np.float64]
    means: Floats
    factors: Floats

    @classmethod
    def fitted(cls, vectors: Floats, components: int, seed: int = _SEED) -> Self:
        """Cells of k-means, each with its covariance shrunk to the one within all cells."""
        import faiss

        dimension = vectors.shape[1]
        kmeans = faiss.Kmeans(dimension, components, niter=25, seed=seed, min_points_per_centroid=1)
        kmeans.train(vectors)
        cell = kmeans.index.search(vectors, 1)[1][:, 0]
        used = np.flatnonzero(np.bincount(cell, minlength=components))
        means = np.stack([vectors[cell == one].mean(axis=0) for one in used])
        rest = vectors - means[np.searchsorted(used, cell)]
        pooled = rest.T @ rest / len(rest)
        factors = []
        for one in used:
            own = rest[cell == one]
            covariance = (own.T @ own + _PRIOR * pooled) / (len(own) + _PRIOR)
            values, axes = np.linalg.eigh(covariance.astype(np.float64))
            factors.append((axes * np.sqrt(np.maximum(values, 0.0))).T)
        counts = np.bincount(cell, minlength=components)[used]
        return cls(counts / counts.sum(), means.astype(np.float32), np.stack(factors).astype(np.float32))

    def draw(self, n: int, generator: np.random.Generator) -> Floats:
        """Vectors of unit length, float32 ``[n, dimension]``, in no order."""
        component = generator.choice(len(self.shares), n, p=self.shares)
        found = generator.standard_normal((n, self.means.shape[1]), dtype=np.float32)
        for one in range(len(self.shares)):
            places = np.flatnonzero(component == one)
            found[places] = found[places] @ self.factors[one] + self.means[one]
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        return found


@dataclass(frozen=True, eq=False)
class Simulated:
    """A catalogue of any size, made a piece at a time, and queries.

    Attributes:
        items: what item vectors are drawn from.
        queries: likewise, of query vectors.
        n: how many items there are.
    """

    items: Mixture
    queries: Mixture
    n: int
    piece: int = 100_000

    @classmethod
    def like(cls, vectors: tuple[Floats, Floats], n: int) -> Self:
        """So many items, and queries, like some trained vectors of both."""
        items, queries = vectors
        return cls(Mixture.fitted(items, _OF_ITEMS), Mixture.fitted(queries, _OF_QUERIES), n)

    def write(self, path: Path) -> Floats:
        """All vectors as a memory-mapped file, float32 ``[n, dimension]``."""
        found = np.memmap(path, np.float32, "w+", shape=(self.n, self.items.means.shape[1]))
        for piece in self.pieces():
            found[piece.start : piece.stop] = self.rows(piece)
        found.flush()
        return np.memmap(path, np.float32, "r", shape=found.shape)

    def pieces(self) -> list[range]:
        """The rows of each piece."""
        return [range(begin, min(begin + self.piece, self.n)) for begin in range(0, self.n, self.piece)]

    def rows(self, piece: range) -> Floats:
        """The vectors of one piece: the same whenever they are asked for."""
        return self.items.draw(len(piece), np.random.default_rng((_SEED, piece.start)))

    def asked(self, n: int, seed: int) -> Floats:
        """Queries, float32 ``[n, dimension]``."""
        return self.queries.draw(n, np.random.default_rng((seed, 1 << 40)))


@cache
def trained_vectors(path: Path) -> tuple[Floats, Floats]:
    """Vectors of Online Retail's items and of its shoppers, by towers with a release's parameters.

    Args:
        path: of the shipped Parquet file.

    Returns:
        float32 ``[items, 64]`` and ``[shoppers, 64]``, of unit length; all purchases are read.
    """
    # Imported when it runs: TensorFlow takes seconds, and listing the benchmarks does not need it.
    from tastemaker.events.adapters import online_retail
    from tastemaker.models.protocol import FitContext
    from tastemaker.models.two_tower.model import TwoTower
    from tastemaker.models.two_tower.parquet_reader import histories_from_parquet
    from tastemaker.release.tower_parameters import ReleaseTowerParameters

    with tempfile.TemporaryDirectory() as scratch:
        tables = write_tables(online_retail.load(path), datetime.max.replace(tzinfo=UTC), None, Path(scratch))
        histories = histories_from_parquet(tables.train).histories
    model = TwoTower(**ReleaseTowerParameters().values())
    model.fit(histories, FitContext(seed=_SEED, deadline=time.monotonic() + _TRAIN_S))
    return tuple(
        each / np.linalg.norm(each, axis=1, keepdims=True)
        for each in (model.item_vectors(), model.query_vectors(histories))
    )


def likeness(real: tuple[Floats, Floats], drawn: tuple[Floats, Floats]) -> list[str]:
    """How drawn items and queries compare with as many real ones, a line for each figure."""
    lines = []
    for what, figure in (
        ("dimensions that the items' variance fills", lambda items, _: _filled(items)),
        ("length of the items' mean", lambda items, _: float(np.linalg.norm(items.mean(axis=0)))),
        ("cosine of an item and its 10th neighbour, median", lambda items, _: _nearest(items, items, 11)),
        ("cosine of a query and its best item, median", lambda items, queries: _nearest(queries, items, 1)),
        ("cosine of a query and its 100th item, median", lambda items, queries: _nearest(queries, items, 100)),
    ):
        lines.append(f"{what}: {figure(*real):.2f} as trained, {figure(*drawn):.2f} as drawn")
    return lines


def _filled(vectors: Floats) -> float:
    """The participation ratio of the spectrum."""
    values = np.linalg.eigvalsh(np.cov(vectors.T))
    return float(values.sum() ** 2 / (values**2).sum())


def _nearest(queries: Floats, items: Floats, rank: int) -> float:
    """The median over queries of the cosine of the item at a rank."""
    scores = queries @ items.T
    return float(np.median(np.partition(scores, -rank, axis=1)[:, -rank]))
