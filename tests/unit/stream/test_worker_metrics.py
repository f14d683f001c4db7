"""What the stream worker tells Prometheus."""

import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry
from stream_cases import PLAN, event

from tastemaker import names
from tastemaker.features.stores.memory import MemoryStore
from tastemaker.features.stores.opening import open_online_reader, open_online_store
from tastemaker.features.streaming.state import ConsumedEvent
from tastemaker.stream.freshness_metric import Freshness
from tastemaker.stream.store_sizes import counting_rows
from tastemaker.stream.worker import help_text
from tastemaker.stream.worker_metrics import WorkerMetrics

ITEM, USER = ({"view": view} for view in (names.VIEW_ITEM_ACTIVITY, names.VIEW_USER_ACTIVITY))


def sample(registry: CollectorRegistry, name: str, labels: dict[str, Any]) -> float | None:
    return registry.get_sample_value(name, {key: str(value) for key, value in labels.items()})


def test_lag_is_told_of_the_worker_s_own_partitions_and_never_below_zero():
    metrics = WorkerMetrics(PLAN.views)
    ends = {names.TOPIC_EVENTS: {0: 10, 1: 20, 2: 30}, names.TOPIC_ITEMS: {0: 5}}
    metrics.ends(ends, {names.TOPIC_EVENTS: {0: 4, 2: 31}, names.TOPIC_ITEMS: {0: 5}})
    lag = "tastemaker_worker_lag_records"
    found = [sample(metrics.registry, lag, {"topic": names.TOPIC_EVENTS, "partition": p}) for p in (0, 1, 2)]
    assert found == [6, None, 0]  # partition 1 is another worker's; 2 was read on after the end was asked for
    metrics.ends(ends, {names.TOPIC_EVENTS: {1: 19}})
    found = [sample(metrics.registry, lag, {"topic": names.TOPIC_EVENTS, "partition": p}) for p in (0, 1, 2)]
    assert found == [None, 1, None]


def test_freshness_counts_each_event_in_the_views_that_see_it():
    now_s = 1_000.0
    registry = CollectorRegistry()
    freshness = Freshness(PLAN.views, lambda: now_s)
    registry.register(freshness)
    # Taken 8 ms, 40 ms and, by a clock that is ahead, -1 s ago: in the buckets of 10 and 50 ms, and the first.
    freshness.observe(["view", "purchase", "view"], [999_992, 999_960, 1_001_000])
    buckets = {bound: sample(registry, "tastemaker_worker_freshness_seconds_bucket", ITEM | {"le": bound}) for bound in ("0.005", "0.01", "0.03", "0.05", "+Inf")}  # fmt: skip # noqa: E501
    assert buckets == {"0.005": 1, "0.01": 2, "0.03": 2, "0.05": 3, "+Inf": 3}
    assert sample(registry, "tastemaker_worker_freshness_seconds_sum", ITEM) == pytest.approx(0.048)
    assert sample(registry, "tastemaker_worker_newest_event_age_seconds", ITEM) == 0


def test_newest_event_grows_old_while_nothing_comes():
    now_s = 1_000.0
    registry = CollectorRegistry()
    freshness = Freshness(PLAN.views, lambda: now_s)
    registry.register(freshness)
    assert sample(registry, "tastemaker_worker_newest_event_age_seconds", USER) is None
    freshness.observe(["view", "view"], [999_000, 998_000])
    now_s = 1_060.0
    assert sample(registry, "tastemaker_worker_newest_event_age_seconds", USER) == pytest.approx(61)


def test_late_events_are_counted_by_the_views_that_leave_them_out():
    strict, lax = PLAN.views[0], PLAN.views[1]
    strict = msgspec.structs.replace(strict, lateness_us=10_000_000)
    metrics = WorkerMetrics([strict, lax])
    assert metrics.shortest_lateness_us == 10_000_000
    metrics.late([("view", 10_000_001), ("view", 10_000_000), ("wishlist", 10**9)])  # the view sees no wishlists
    late = [sample(metrics.registry, "tastemaker_worker_late_events_total", {"view": v.name}) for v in (strict, lax)]
    assert late == [1, None]


def test_rows_are_counted_in_the_background_and_again_after_a_rest():
    location = "memory:sizes"
    with closing(open_online_store(location)) as store:
        assert isinstance(store, MemoryStore)
        view = PLAN.views[0]
        with store.transaction() as tx:
            tx.set_meta("current_views", view.signature)
            tx.put(view.signature, ["u1", "u2"], [1, 2], [b"", b""])
        told: list[tuple[str, int]] = []
        grown = threading.Event()

        def tell(name: str, rows: int) -> None:
            told.append((name, rows))
            if rows == 2:
                with store.transaction() as tx:
                    tx.put(view.signature, ["u3"], [3], [b""])
            else:
                grown.set()

        with counting_rows(location, [view], tell, every_s=0.0):
            assert grown.wait(30)
    assert told[:2] == [(view.name, 2), (view.name, 3)]


@pytest.mark.parametrize("mapped", [True, False])
def test_who_walks_over_the_whole_store_need_not_map_it(tmp_path, mapped):
    location = tmp_path / "online.sqlite"
    view = PLAN.views[0]
    with closing(open_online_store(location)) as store, store.transaction() as tx:
        tx.set_meta("current_views", view.signature)
        tx.put(view.signature, ["u1"], [1], [b"x" * 100_000])
    with closing(open_online_reader(location, mapped=mapped)) as reader:
        assert reader.size(view.signature).rows == 1
        maps = Path("/proc/self/maps").read_text()
    assert (f"{location}\n" in maps) == mapped


def test_help_names_every_metric():
    metrics = WorkerMetrics(PLAN.views)
    metrics.applied([ConsumedEvent(event("e1"), 0, 0, 0)], [0], 0.1)
    text = help_text()
    for name, meaning in metrics.described():
        assert name in text
        assert meaning in text
