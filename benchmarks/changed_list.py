"""How soon an event that the collector has accepted changes the list that its shopper gets."""

import os
import time

import numpy as np
from rich.console import Console

from benchmarks.changed_list_probe import ListProbe
from benchmarks.chaos_home import prepared_shop, shop_of
from benchmarks.chaos_stack import SERVICE, chaos_stack
from benchmarks.fault_stack import StoreKind
from benchmarks.freshness_load import steady_load
from benchmarks.goal import Goal
from benchmarks.local_kafka import wait_until

__all__ = ["run"]

_RATE = 5_000
_WARM_S = 10.0
_MEASURED_S = 40.0
_PAUSE_S = (0.02, 0.08)  # between two probes


def run() -> list[Goal]:
    """Event accepted -> the shopper's list has changed, over HTTP: p99 at 5,000 events/s at most 100 ms."""
    console = Console()
    rate = int(os.environ.get("CHANGED_LIST_RATE", _RATE))
    store: StoreKind = "redis" if os.environ.get("CHANGED_LIST_STORE") == "redis" else "sqlite"
    measured_s = float(os.environ.get("CHANGED_LIST_SECONDS", _MEASURED_S))
    with (
        prepared_shop(console.print) as (home, release),
        chaos_stack(home, release, store=store, proxied=False) as stack,
    ):
        settings = stack.settings
        shop = shop_of(settings)
        port = stack.add_recommender("recommender", SERVICE)
        stack.start_and_wait("recommender")
        probe = ListProbe(settings.collector_port, port, shop.items)
        _measure(probe, _WARM_S / 2)
        low = _measure(probe, measured_s / 2)
        with steady_load(settings, shop.shoppers, shop.items, rate) as accepted:
            wait_until("the load", lambda: accepted.value > 0, 30)
            _measure(probe, _WARM_S)
            began, before = time.monotonic(), accepted.value
            high = _measure(probe, measured_s)
            reached = (accepted.value - before) / (time.monotonic() - began)
    for title, found in (("low load", low), (f"{reached:,.0f} events/s", high)):
        for what, seconds in found.items():
            p50, p90, p99, worst = np.percentile(seconds, [50, 90, 99, 100]) * 1e3
            console.print(
                f"{title}, {what}: {len(seconds)} lists, p50 {p50:.1f} ms, p90 {p90:.1f}, p99 {p99:.1f},"
                f" at most {worst:.1f}",
                highlight=False,
            )
    console.print(f"online store: {store}; the machine's load was {os.getloadavg()[0]:.1f}", highlight=False)
    return [
        Goal("p99 at low load", _p99(low), "<=", 100, " ms"),
        Goal(f"p99 at {rate:,} events/s", _p99(high), "<=", 100, " ms"),
        Goal(f"events/s that the collector accepted of {rate:,}", reached, ">", 0.97 * rate),
    ]


def _p99(found: dict[str, list[float]]) -> float:
    return float(np.percentile([one for some in found.values() for one in some], 99) * 1e3)


def _measure(probe: ListProbe, seconds: float) -> dict[str, list[float]]:
    """Seconds to each changed list, by what the shopper did."""
    until, pick = time.monotonic() + seconds, np.random.default_rng(1)
    found: dict[str, list[float]] = {"a look at an item": [], "a purchase": []}
    while time.monotonic() < until:
        time.sleep(pick.uniform(*_PAUSE_S))
        found["a look at an item"].append(probe.looked_at())
        time.sleep(pick.uniform(*_PAUSE_S))
        found["a purchase"].append(probe.bought())
    return found
