"""Training two towers on ten million interactions: reading Parquet, throughput, memory.

The interactions are drawn: 100,000 shoppers, 50,000 products whose popularity follows Zipf's law, and a shopper's next
product is near the last one half of the time. What is measured is speed and memory, not quality.
"""

import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from benchmarks.goal import Goal

__all__ = ["run"]

_ROWS: Final = 10_000_000
_USERS: Final = 100_000
_ITEMS: Final = 50_000
_CHUNK: Final = 1_000_000
_SEED: Final = 7
_TRAIN_S: Final = 180.0


def _write(path: Path) -> None:
    """Ten million rows, a chunk at a time, in no order."""
    generator = np.random.default_rng(_SEED)
    schema = pa.schema([("user_id", pa.int64()), ("item_id", pa.int64()), ("timestamp", pa.int64())])
    with pq.ParquetWriter(path, schema) as writer:
        for _ in range(_ROWS // _CHUNK):
            popular = np.minimum(generator.zipf(1.2, _CHUNK), _ITEMS) - 1
            near = (np.roll(popular, 1) + generator.integers(1, 4, _CHUNK)) % _ITEMS
            columns = {
                "user_id": generator.integers(0, _USERS, _CHUNK),
                "item_id": np.where(generator.random(_CHUNK) < 0.5, popular, near),
                "timestamp": generator.integers(0, 90 * 86_400, _CHUNK),
            }
            writer.write_table(pa.table(columns, schema=schema))


def run() -> list[Goal]:
    """Two towers on 10 million interactions: peak memory at most 4 GiB while reading and training."""
    # Imported when it runs: TensorFlow takes seconds, and listing the benchmarks does not need it.
    from tastemaker.models.protocol import FitContext
    from tastemaker.models.two_tower.model import TwoTower
    from tastemaker.models.two_tower.parquet_reader import histories_from_parquet

    console = Console()
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "interactions.parquet"
        _write(path)
        began, busy = time.perf_counter(), time.process_time()
        read = histories_from_parquet(path)
        console.print(
            f"{len(read.histories.items):,} interactions of {read.histories.n_users:,} shoppers read in"
            f" {time.perf_counter() - began:.1f} s ({time.process_time() - busy:.1f} s of processor time)",
            highlight=False,
        )
    busy = time.process_time()
    model = TwoTower(encoder="transformer")
    model.fit(
        read.histories, FitContext(seed=_SEED, deadline=time.monotonic() + _TRAIN_S, progress=console.print)
    )  # fmt: skip
    busy = time.process_time() - busy
    positions = model.curve.steps[-1] * model.parameters.batch
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    console.print(
        f"{positions:,} targets in {busy:.0f} s of processor time, compiling and evaluating included:"
        f" {positions / busy:,.0f} a second; the machine's load was {os.getloadavg()[0]:.1f}",
        highlight=False,
    )
    return [Goal("10 million interactions, peak memory", peak_gib, "<=", 4, " GiB")]
