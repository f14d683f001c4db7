"""The stream executor alone: decoded events through all declared views into rows in memory, in one thread."""

import gc
import time
from itertools import islice

from benchmarks.kafka_fill import moved_events
from tastemaker import names
from tastemaker.events.adapters import online_retail
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.stores.memory import MemoryStore
from tastemaker.features.streaming.consumed import ConsumedEvent
from tastemaker.features.streaming.state import FeatureState
from tastemaker.settings import Settings

__all__ = ["executor_rate"]

_BATCH = 20_000
_WARM = 2  # batches


def executor_rate(settings: Settings, plan: FeaturePlan, batches: int = 8) -> float:
    """Events per second of processor time, so that what else the machine does matters little."""
    table = online_retail.load(settings.repository / "data" / "online_retail.parquet").events
    events = moved_events(table, (_WARM + batches) * _BATCH, time.time_ns() // 1_000)
    state = FeatureState(MemoryStore("ingest-executor"), plan)
    offset, spent = 0, 0.0
    while batch := [ConsumedEvent(event, 0, offset + n) for n, event in enumerate(islice(events, _BATCH))]:
        offset += len(batch)
        gc.disable()  # the worker hardly ever collects either
        began = time.thread_time()
        state.apply(batch, {0: offset})
        gc.enable()
        if offset > _WARM * _BATCH:
            spent += time.thread_time() - began
    if state.positions(names.TOPIC_EVENTS) != {0: (_WARM + batches) * _BATCH}:
        raise SystemExit("the executor did not take all events")
    return batches * _BATCH / spent
