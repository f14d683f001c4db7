"""The Ray engine beside the local one, on the same cores: what the shuffle costs, and what it buys.

On one machine Ray cannot win: the figure is by how many machines' cores it has to be paid back. Both sides run in
processes of their own, one after the other, from opening the lake to the rows in memory; then their answers are
compared, cell by cell. ``python -m benchmarks.scale_out EVENTS ROWS`` runs it at another size.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import duckdb
import msgspec
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.goal import Goal
from benchmarks.training_set_data import QUERY, simulate
from tastemaker.features.sql.lake_queries import FRAME, ROW, training_rows
from tastemaker.lake.tables import Lake

__all__ = ["run"]

_SIZES: Final = ((1_000_000, 100_000), (4_000_000, 400_000))
_CORES: Final = 2
_PARTITION_ROWS: Final = 1_000_000
_EVERY_S: Final = 0.5


class _Measured(msgspec.Struct):
    """What a side took.

    Attributes:
        seconds: wall clock, without the start of a cluster.
        cpu_seconds: of all processes, likewise.
        start_seconds: of the cluster; 0 for the local engine.
        peak_bytes: memory of all of its processes at its largest; what they share is counted once.
        task_bytes: the largest process alone.
    """

    seconds: float
    cpu_seconds: float
    start_seconds: float = 0
    peak_bytes: int = 0
    task_bytes: int = 0


class _Memory(threading.Thread):
    """Watches this process and all below it."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_bytes = self.task_bytes = 0
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(_EVERY_S):
            sizes = []
            for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
                try:
                    sizes.append(process.memory_full_info().pss)
                except psutil.Error:
                    continue
            self.peak_bytes = max(self.peak_bytes, sum(sizes))
            self.task_bytes = max(self.task_bytes, *sizes, 0)

    def stop(self) -> None:
        self._done.set()
        self.join()


def run(*sizes: tuple[int, int]) -> list[Goal]:
    """Training sets by the Ray engine and by the local one, on the same 2 cores: equal values, and the overhead."""
    overheads, different = [], 0
    for events, rows in sizes or _SIZES:
        with tempfile.TemporaryDirectory(prefix="scale-") as scratch:
            root = Path(scratch)
            simulate(root, events, rows)
            local, ray = _measure(root, "local"), _measure(root, "ray")
            different += _different(pq.read_table(root / "ray.parquet"), pq.read_table(root / "local.parquet"))
        overheads.append(ray.cpu_seconds / local.cpu_seconds)
        for name, measured in (("local", local), ("ray", ray)):
            print(
                f"{events:,} events, {rows:,} rows, {name}: {measured.seconds:.1f} s, {measured.cpu_seconds:.1f} s of"
                f" CPU (cluster's start {measured.start_seconds:.1f} s), memory {measured.peak_bytes / 2**30:.2f} GiB,"
                f" {measured.task_bytes / 2**30:.2f} GiB in the largest process"
            )
    return [
        Goal("cells that differ between the engines", different, "<=", 0),
        Goal("Ray's CPU time over the local engine's, largest size", overheads[-1], "<=", 4),
    ]


def _measure(root: Path, side: str) -> _Measured:
    command = [sys.executable, "-m", "benchmarks.scale_out", "--side", side, str(root)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return msgspec.json.decode((root / f"{side}.json").read_bytes(), type=_Measured)


def _side(side: str, root: Path) -> None:
    sides: dict[str, Callable[[Path], tuple[pa.Table, _Measured]]] = {"local": _local, "ray": _ray}
    memory = _Memory()
    memory.start()
    table, measured = sides[side](root)
    memory.stop()
    measured.peak_bytes, measured.task_bytes = memory.peak_bytes, memory.task_bytes
    pq.write_table(table, root / f"{side}.parquet")
    (root / f"{side}.json").write_bytes(msgspec.json.encode(measured))


def _local(root: Path) -> tuple[pa.Table, _Measured]:
    begin, cpu = time.monotonic(), _cpu_seconds()
    with Lake(root / "lake").connect(threads=_CORES) as duck:
        duck.execute(f"CREATE TEMP TABLE {FRAME} AS SELECT * FROM '{root / 'frame.parquet'}'")
        table = training_rows(duck, QUERY)
    return table.drop_columns(ROW), _Measured(time.monotonic() - begin, _cpu_seconds() - cpu)


def _ray(root: Path) -> tuple[pa.Table, _Measured]:
    from tastemaker.features.feast.ray_cluster import Cluster, prepare_environment

    prepare_environment({}, os.environ)  # before anything imports Ray
    from tastemaker.features.feast.ray import RayAsofOfflineStoreConfig
    from tastemaker.features.feast.ray_shuffle import Shuffle
    from tastemaker.features.feast.ray_tasks import deal

    begin = time.monotonic()
    options = RayAsofOfflineStoreConfig(
        lake=str(root / "lake"),
        processing_delay_seconds=0,
        partition_rows=_PARTITION_ROWS,
        ray_conf={"num_cpus": _CORES, "_temp_dir": str(root / "r")},
    )
    cluster = Cluster(options)
    cluster.collect(
        [cluster.submit(deal, pa.table({"bucket": [0]}), 1) for _ in range(_CORES)]
    )  # the workers have started
    connected, cpu = time.monotonic(), _cpu_seconds()
    frame = pq.read_table(root / "frame.parquet")
    table = pa.concat_tables(
        cluster.collect(Shuffle(cluster, root / "lake", _PARTITION_ROWS).training_blocks(frame, QUERY))
    )
    return table, _Measured(time.monotonic() - connected, _cpu_seconds() - cpu, connected - begin)


def _cpu_seconds() -> float:
    """Of this process and of all below it that still live."""
    spent = 0.0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        spent += times.user + times.system
    return spent


def _different(left: pa.Table, right: pa.Table) -> int:
    """How many cells differ; rows are in the same order, and NaN equals NaN."""
    names = [reference.split(":")[1] for reference in QUERY.references]
    if len(left) != len(right):
        return len(names) * max(len(left), len(right))
    with duckdb.connect() as duck:
        counts = []
        for name in names:
            duck.register("one", pa.table({"n": range(len(left)), "x": left[name]}))
            duck.register("other", pa.table({"n": range(len(right)), "y": right[name]}))
            query = "SELECT count(*) FROM one JOIN other USING (n) WHERE x IS DISTINCT FROM y"
            counts.append(int(duck.execute(query).fetchall()[0][0]))
    return sum(counts)


if __name__ == "__main__":
    if sys.argv[1] == "--side":
        _side(sys.argv[2], Path(sys.argv[3]))
    else:
        for goal in run((int(sys.argv[1]), int(sys.argv[2]))):
            print(goal)
