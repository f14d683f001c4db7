"""Reading 100 shoppers x 50 features, beside a raw MGET of the same bytes and beside the stock Feast SDK.

One store holds the rows that the stream executor packs, another of the same kind the same values as Feast's own store
keeps them. The kinds of read take turns, a hundred at a time (of the SDK, five), each on shoppers drawn anew: each runs
with the processor's caches as its own reads leave them, and what else the machine does meets all. ``raw`` is redis-py's
MGET of the very keys that the reader asks for.
"""

import gc
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import numpy as np
import redis
from rich.console import Console

from benchmarks.goal import Goal
from benchmarks.local_valkey import ValkeyServer
from benchmarks.reading_data import SHOPPER, compiled, fill
from benchmarks.reading_feast import over_packed_store, over_stock_store, write_stock
from tastemaker.clock import Clock
from tastemaker.errors import DataError
from tastemaker.features.plan import FeaturePlan, ViewPlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.stores.redis_keys import RedisKeys

if TYPE_CHECKING:
    from feast import FeatureStore

__all__ = ["run"]

_READ: Final = 100
_ROUNDS: Final = 2_000
_BLOCK: Final = 100  # reads of a kind before it is the next one's turn
_FEAST_EVERY: Final = 20  # a read through the SDK for so many of the others
_SEED: Final = 7
_PREFIX: Final = b"tastemaker"


def run() -> list[Goal]:
    """100 shoppers x 50 features: against a raw MGET of the same bytes, and against the stock Feast SDK."""
    console = Console()
    plan = compiled(SHOPPER)
    with tempfile.TemporaryDirectory() as scratch:
        server = ValkeyServer(Path(scratch))
        try:
            options = {"type": "redis", "connection_string": f"127.0.0.1:{server.port},db=1"}
            location = f"redis://127.0.0.1:{server.port}/0"
            on_redis = _read(console, Path(scratch) / "redis", plan, location, options, client=server.client())
        finally:
            server.kill()
        sqlite = Path(scratch) / "sqlite"
        options = {"type": "sqlite", "path": str(sqlite / "stock.db")}
        on_sqlite = _read(console, sqlite, plan, str(sqlite / "packed.sqlite"), options)
    console.print(f"the machine's load was {os.getloadavg()[0]:.1f}", highlight=False)
    return [
        Goal("p99 over that of a raw MGET of the same bytes", on_redis["ours"][1] / on_redis["raw"][1], "<=", 3),
        Goal("p50 of the Feast SDK over ours, both on Redis", on_redis["sdk"][0] / on_redis["ours"][0], ">", 50),
        Goal("p50 of the Feast SDK over ours, both on SQLite", on_sqlite["sdk"][0] / on_sqlite["ours"][0], ">", 50),
    ]


def _read(
    console: Console,
    scratch: Path,
    plan: FeaturePlan,
    location: str,
    options: dict[str, str],
    *,
    client: "redis.Redis | None" = None,
) -> dict[str, tuple[float, float]]:
    """Fill a packed store and one of Feast's own, compare their values, and read both in turns; p50 and p99 in ms.

    Args:
        console: gets the figures.
        scratch: a directory for this; is made.
        plan: of one view, :data:`SHOPPER`.
        location: of the packed store.
        options: of Feast's store.
        client: of the server that has the packed store; its MGET is the third to take turns.
    """
    scratch.mkdir()
    view = plan.view(SHOPPER)
    now_us = fill(location, plan)
    reader = FeatureReader(location, plan)
    users = sorted(key for key, _ in reader.store.all_rows(view.signature))
    references = [f"{SHOPPER}:{name}" for name in view.feature_names]
    _compare(reader, view, over_packed_store(scratch / "packed", view, location), references, users, now_us=now_us)
    stock = over_stock_store(scratch / "stock", view, options)
    write_stock(stock, view, users, reader.values(SHOPPER, users, now_us), now_us)
    beginning = RedisKeys(_PREFIX).rows(view.signature)
    reads: dict[str, Callable[[Sequence[str]], Any]] = {
        "ours": lambda keys: reader.values(SHOPPER, keys, now_us),
        "sdk": lambda keys: stock.get_online_features(references, [{"user_id": key} for key in keys]),
    }
    if client is not None:
        reads["raw"] = lambda keys: client.mget([beginning + key.encode() for key in keys])
    draw = np.random.default_rng(_SEED)

    def drawn() -> list[str]:
        return [users[place] for place in draw.choice(len(users), _READ, replace=False)]

    taken: dict[str, list[float]] = {name: [] for name in reads}
    for read in reads.values():
        _timed(read, drawn())
    gc.collect()
    gc.freeze()
    for _ in range(_ROUNDS // _BLOCK):
        for name, read in reads.items():
            asked = [drawn() for _ in range(_BLOCK // (_FEAST_EVERY if name == "sdk" else 1))]
            taken[name] += [_timed(read, keys) for keys in asked]
    gc.unfreeze()
    reader.close()
    if client is not None:
        sizes = [len(row) for row in client.mget([beginning + key.encode() for key in users])]
        console.print(f"a row has {np.mean(sizes):,.0f} bytes on average, the largest {max(sizes):,}", highlight=False)
    said = {"ours": "feature reader", "sdk": "Feast SDK with its own rows", "raw": "raw MGET"}
    found = {name: tuple(np.percentile(times, [50, 99])) for name, times in taken.items()}
    for name, (p50, p99) in found.items():
        console.print(f"{options['type']}, {said[name]}: p50 {p50:.3f} ms, p99 {p99:.3f} ms", highlight=False)
    return found


def _timed(read: Callable[[Sequence[str]], Any], keys: Sequence[str]) -> float:
    """Milliseconds that one read takes."""
    begin = time.perf_counter_ns()
    read(keys)
    return (time.perf_counter_ns() - begin) / 1e6


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
