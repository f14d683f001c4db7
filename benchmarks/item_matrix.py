"""The ranking matrix of a request: 1 shopper + 500 products x 40 features, the products' in this process.

Online Retail's shop as of an hour after its newest event, in an SQLite store, as by default. The products are followed
from the store's changes; of the shopper one row is read at each request.
"""

import gc
import os
import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console

from benchmarks.goal import Goal
from benchmarks.reading_data import ITEM, SHOPPER, compiled, fill
from tastemaker.errors import DataError
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.reading.resident import ResidentMatrix

__all__ = ["run"]

_ITEMS: Final = 500
_ROUNDS: Final = 5_000
_SEED: Final = 11
_EACH: Final = 20  # features of the shopper, and as many of a product
_BETWEEN_US: Final = 20_000  # of the shop's time, between two requests


def run() -> list[Goal]:
    """1 shopper + 500 products x 40 features into a matrix, the products' features in process: p50 at most 1 ms."""
    console = Console()
    plan = compiled(SHOPPER, ITEM)
    # Every second one: counts, sums, means, extremes, sketches, times and ratios of all windows.
    of_user, of_item = (list(plan.view(name).feature_names[::2])[-_EACH:] for name in (SHOPPER, ITEM))
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "online.sqlite"
        now_us = fill(path, plan)
        reader = FeatureReader(path, plan)
        users = sorted(key for key, _ in reader.store.all_rows(plan.view(SHOPPER).signature))
        items = sorted(key for key, _ in reader.store.all_rows(plan.view(ITEM).signature))
        begin = time.perf_counter()
        resident = ResidentMatrix(reader.store, plan, {ITEM: of_item}, now_us)
        console.print(
            f"{len(items):,} products come into this process in {time.perf_counter() - begin:.1f} s and take"
            f" {resident.nbytes / 2**20:.1f} MiB: {resident.nbytes / len(items) * 1e5 / 2**20:,.0f} for 100,000 such",
            highlight=False,
        )
        draw = np.random.default_rng(_SEED)

        def matrix(user: str, wanted: list[str], at_us: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
            found = np.empty((len(wanted), 2 * _EACH), np.float32)
            found[:, :_EACH] = reader.matrix(SHOPPER, [user], at_us, of_user)
            found[:, _EACH:] = resident.matrix(ITEM, wanted, at_us, of_item)
            return found

        taken = []
        gc.collect()
        gc.freeze()
        for number in range(_ROUNDS):
            at_us = now_us + number * _BETWEEN_US
            user = users[draw.integers(len(users))]
            wanted = [items[place] for place in draw.choice(len(items), _ITEMS, replace=False)]
            began = time.perf_counter_ns()
            found = matrix(user, wanted, at_us)
            taken.append((time.perf_counter_ns() - began) / 1e6)
            if number % 500 == 0:
                resident.refresh(at_us)
                if found[:, _EACH:].tobytes() != reader.matrix(ITEM, wanted, at_us, of_item).tobytes():
                    raise DataError("the products' features in process are not those of the reader")
        reader.close()
    p50, p99 = np.percentile(taken, [50, 99])
    console.print(
        f"p50 {p50:.3f} ms, p99 {p99:.3f} ms; the machine's load was {os.getloadavg()[0]:.1f}", highlight=False
    )
    return [Goal("1 shopper + 500 products x 40 features, p50", float(p50), "<=", 1, " ms")]
