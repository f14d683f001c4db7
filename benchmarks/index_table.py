"""Kinds of indexes side by side: time, memory and build of each, with the least effort that has the recall."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from benchmarks.ann_data import Simulated, trained_vectors
from benchmarks.goal import Goal
from tastemaker.settings import Settings

__all__ = ["run"]

Floats = npt.NDArray[np.float32]
Search = Callable[[Floats], npt.NDArray[np.int64]]
_ITEMS: Final = "INDEX_ITEMS"  # of the environment; graphs of a million items take an hour to build
_QUERIES: Final = 400
_RECALL: Final = 0.98
_PROBES: Final = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
_WIDTHS: Final = (100, 150, 200, 300, 400, 600, 800, 1_200)


@dataclass(frozen=True, eq=False)
class Kind:
    """One kind of index, built.

    Attributes:
        name: of faiss's factory, or of ours.
        efforts: to try, least first.
        search: gives what searches with an effort.
        nbytes: bytes that it holds.
        built_s: seconds that it took to build.
    """

    name: str
    efforts: Sequence[Any]
    search: Callable[[Any], Search]
    nbytes: int
    built_s: float


def run() -> list[Goal]:
    """Exact, IVF, HNSW, NSG and this project's index side by side on 100,000 vectors, or INDEX_ITEMS."""
    from tastemaker.retrieval.index.threads import one_thread
    from tastemaker.retrieval.index.tuning import exact_answers, recall_of

    one_thread()
    n = int(os.environ.get(_ITEMS, "100000"))
    data = Simulated.like(trained_vectors(Settings.from_env().repository / "data" / "online_retail.parquet"), n)
    vectors = np.concatenate([data.rows(piece) for piece in data.pieces()])
    asked = data.asked(_QUERIES, 2)
    truth = exact_answers(vectors, np.arange(n), asked)
    table = Table("index", "recall@100", "p50 µs", "p99 µs", "bytes an item", "build s")
    best: dict[str, float] = {}
    for make in (_ours, *(_faiss(factory, n) for factory in _factories(n))):
        kind = make(vectors)
        for effort in kind.efforts:
            search = kind.search(effort)
            recall = recall_of(search, asked, truth)
            if recall >= _RECALL:
                break
        taken = []
        for query in np.tile(asked, (3, 1)):
            began = time.perf_counter_ns()
            search(query)
            taken.append((time.perf_counter_ns() - began) / 1e3)
        p50, p99 = np.percentile(taken, [50, 99])
        best[kind.name] = float(p50) if recall >= _RECALL else np.inf
        figures = (f"{recall:.3f}", f"{p50:.0f}", f"{p99:.0f}", f"{kind.nbytes / n:.0f}", f"{kind.built_s:.0f}")
        table.add_row(kind.name, *figures)
    Console().print(table)
    others = min(value for name, value in best.items() if name != "ours")
    return [Goal("p50 of the index of this project over the best other", best["ours"] / others, "<=", 1)]


def _factories(n: int) -> list[str]:
    cells = int(4 * np.sqrt(n))
    return ["Flat", f"IVF{cells},Flat", f"IVF{cells},SQ8", "HNSW16,Flat", "HNSW32,Flat", "HNSW32,SQ8", "NSG32,Flat"]


def _ours(vectors: Floats) -> Kind:
    from tastemaker.retrieval.index.build import BuildParameters, build
    from tastemaker.retrieval.index.cells import Effort

    rows = np.arange(len(vectors))
    began = time.perf_counter()
    index = build(vectors, rows, BuildParameters())
    built_s = time.perf_counter() - began
    efforts = [Effort(probes, scored) for probes in _PROBES for scored in (400, 600, 1_000)]
    return Kind(
        "ours",
        efforts,
        lambda effort: lambda query: index.search(query, 100, effort=effort).rows,
        index.nbytes,
        built_s,
    )


def _faiss(factory: str, n: int) -> Callable[[Floats], Kind]:
    """One of faiss's, whose memory is that of its file."""

    def make(vectors: Floats) -> Kind:
        import faiss

        began = time.perf_counter()
        index = faiss.index_factory(vectors.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
        index.train(vectors[: min(n, 200_000)])
        index.add(vectors)
        built_s = time.perf_counter() - began
        downcast: Any = faiss.downcast_index(index)
        efforts: Sequence[int] = (0,)
        if factory.startswith("IVF"):
            efforts = _PROBES
        elif factory != "Flat":
            efforts = _WIDTHS

        def search(effort: int) -> Search:
            if factory.startswith("IVF"):
                downcast.nprobe = effort
            elif factory.startswith("HNSW"):
                downcast.hnsw.efSearch = effort
            elif factory.startswith("NSG"):
                downcast.nsg.search_L = effort
            return lambda query: index.search(query[None, :], 100)[1][0]

        return Kind(factory, efforts, search, len(faiss.serialize_index(index)), built_s)

    return make
