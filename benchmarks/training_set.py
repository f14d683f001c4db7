"""A training set of 1M rows and 40 features over 10M simulated events, against DuckDB SQL written by hand.

Both sides run in processes of their own, one after the other, with the same threads and memory limit, from opening
the lake to the rows in memory; then their answers are compared. ``python -m benchmarks.training_set EVENTS ROWS``
runs it at another size.
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.goal import Goal
from benchmarks.training_set_data import QUERY, simulate
from tastemaker.errors import DataError
from tastemaker.features.sql.lake_queries import FRAME, ROW, training_rows
from tastemaker.lake.tables import Lake

__all__ = ["run"]

_EVENTS, _ROWS = 10_000_000, 1_000_000
_THREADS: Final = 2
_MEMORY_LIMIT: Final = "2GB"  # of DuckDB; Arrow's copy of the result and Python come on top
_BY_HAND: Final = Path(__file__).with_name("training_set_by_hand.sql")
# Sketches estimate what the hand-written SQL counts; with 1,024 cells and at most some hundred labels within 4 errors
# of 2.6 %, or one label.
_SKETCHED: Final = frozenset({"u_items_28d", "i_buyers_28d"})


class _Measured(msgspec.Struct):
    """What a side took.

    Attributes:
        seconds: wall clock.
        cpu_seconds: over all threads.
        peak_bytes: resident memory at its largest.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int


def run(events: int = _EVENTS, rows: int = _ROWS) -> list[Goal]:
    """A training set of 1M rows x 40 features over 10M simulated events, against SQL written by hand."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        simulate(root, events, rows)
        by_hand, engine = _measure(root, "by_hand"), _measure(root, "engine")
        _compare(pq.read_table(root / "engine.parquet"), pq.read_table(root / "by_hand.parquet"))
    for name, measured in (("written by hand", by_hand), ("engine", engine)):
        print(
            f"{name}: {measured.seconds:.1f} s, {measured.cpu_seconds:.1f} s of CPU, "
            f"peak memory {measured.peak_bytes / 2**30:.2f} GiB"
        )
    return [
        Goal("training set, time over hand-written DuckDB", engine.seconds / by_hand.seconds, "<=", 2),
        Goal("training set, peak memory", engine.peak_bytes / 2**30, "<=", 4, " GiB"),
    ]


def _measure(root: Path, side: str) -> _Measured:
    """Run one side in a process of its own."""
    found = subprocess.run(
        [sys.executable, "-m", "benchmarks.training_set", "--side", side, str(root)], check=True, stdout=subprocess.PIPE
    )
    return msgspec.json.decode(found.stdout, type=_Measured)


def _side(side: str, root: Path) -> None:
    sides: dict[str, Callable[[Path], pa.Table]] = {"engine": _engine, "by_hand": _written_by_hand}
    begin = time.monotonic()
    table = sides[side](root)
    seconds = time.monotonic() - begin
    usage = resource.getrusage(resource.RUSAGE_SELF)
    measured = _Measured(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
    pq.write_table(table, root / f"{side}.parquet")
    sys.stdout.buffer.write(msgspec.json.encode(measured))


def _engine(root: Path) -> pa.Table:
    with Lake(root / "lake").connect(memory_limit=_MEMORY_LIMIT, threads=_THREADS) as duck:
        duck.execute(f"CREATE TEMP TABLE {FRAME} AS SELECT * FROM '{root / 'frame.parquet'}'")
        return training_rows(duck, QUERY)


def _written_by_hand(root: Path) -> pa.Table:
    with Lake(root / "lake").connect(memory_limit=_MEMORY_LIMIT, threads=_THREADS) as duck:
        duck.execute(f"CREATE TEMP TABLE {FRAME} AS SELECT * FROM '{root / 'frame.parquet'}'")
        duck.execute(_BY_HAND.read_text(encoding="utf-8"))
        return duck.sql("FROM answer").to_arrow_table()


def _compare(engine: pa.Table, by_hand: pa.Table) -> None:
    """Check that both sides answered the same question.

    Raises:
        DataError: a column differs by more than rounding.
    """
    for reference in QUERY.references:
        name = reference.split(":")[1]
        ours, theirs = (np.asarray(table.column(name).to_numpy(), np.float64) for table in (engine, by_hand))
        near = np.isclose(ours, theirs, rtol=1e-6, atol=1e-5, equal_nan=True)
        if name in _SKETCHED:
            near = np.abs(ours - theirs) <= np.maximum(4 * 0.026 * theirs, 1)
        if not near.mean() > (0.999 if name in _SKETCHED else 0.999_999):
            place = int(np.flatnonzero(~near)[0])
            row = engine.column(ROW)[place].as_py()
            raise DataError(
                f"{name}: {int((~near).sum())} rows differ, such as row {row}: {ours[place]!r} by the engine and"
                f" {theirs[place]!r} by hand"
            )


if __name__ == "__main__":
    if sys.argv[1] == "--side":
        _side(sys.argv[2], Path(sys.argv[3]))
    else:
        for goal in run(*map(int, sys.argv[1:3])):
            print(goal)
