"""An hour of load at half of what the recommender can answer: memory stays flat, and nothing fails.

Ten minutes by default; ``SUSTAINED_MINUTES=60`` is the long form.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
import numpy as np
import psutil
from rich.console import Console

from benchmarks.chaos_home import prepared_shop, shop_of
from benchmarks.chaos_load import ChaosLoad, asked
from benchmarks.chaos_run import Shoppers
from benchmarks.chaos_stack import ChaosStack, chaos_stack
from benchmarks.goal import Goal
from benchmarks.http_load import closed, post_request

__all__ = ["Memory", "run"]

_MINUTES: Final = 10.0
_SHARE: Final = 0.5
_CONNECTIONS: Final = 8
_SAMPLE_S: Final = 2.0
_WARM: Final = 0.3  # of the run: lists that are kept for bad times, and the allocator, are then as large as they get
_GROWTH: Final = 0.02  # of the memory, over all of the time measured


class Memory:
    """Resident memory of some processes together, sampled."""

    def __init__(self, family: list[psutil.Process]) -> None:
        self._family = family
        self._began = time.monotonic()
        self.samples: list[tuple[float, float]] = []  # seconds, MiB

    @contextmanager
    def watched(self) -> Iterator["Memory"]:
        """Sample meanwhile."""
        enough = threading.Event()

        def run() -> None:
            while not enough.wait(_SAMPLE_S):
                used = sum(process.memory_info().rss for process in self._family) / 2**20
                self.samples.append((time.monotonic() - self._began, used))

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            enough.set()
            thread.join()

    def after_warm_up(self) -> tuple[float, float, float]:
        """MiB at the end of the warm-up, MiB a minute by a line through all later samples, and minutes of those."""
        seconds, used = np.array(self.samples).T
        later = seconds >= seconds[0] + _WARM * (seconds[-1] - seconds[0])
        slope, at_zero = np.polyfit(seconds[later], used[later], 1)
        first = seconds[later][0]
        return float(at_zero + slope * first), float(slope * 60), float((seconds[-1] - first) / 60)


def run() -> list[Goal]:
    """10 minutes (SUSTAINED_MINUTES) at half of the maximum: no errors, and memory grows by less than 2 % of itself."""
    console = Console()
    minutes = float(os.environ.get("SUSTAINED_MINUTES", _MINUTES))
    with prepared_shop(console.print) as (home, release), chaos_stack(home, release, proxied=False) as stack:
        shop = shop_of(stack.settings)
        port = stack.add_recommender("recommender")
        stack.start_and_wait("recommender")
        requests = shop.requests(20_000, seed=1)
        wires = [post_request("/v1/recommend", msgspec.json.encode(request)) for request in requests]
        with Shoppers(stack, shop):
            closed(port, wires, 5.0, _CONNECTIONS)
            most = closed(port, wires, 15.0, _CONNECTIONS).per_second
            per_second = most * _SHARE
            console.print(f"at most {most:,.0f} lists/s; {minutes:g} minutes of {per_second:,.0f}/s", highlight=False)
            load = ChaosLoad([port], asked(requests), per_second, set(shop.items))
            with Memory(stack.family("recommender")).watched() as memory, load.running():
                _wait(stack, minutes, load, memory, console)
    begin, a_minute, measured = memory.after_warm_up()
    answers = load.since(0.0)
    wrong = sum(not one.tier for one in answers)
    p50, p99 = np.quantile([one.ms for one in answers], [0.5, 0.99])
    tiers = {tier: sum(one.tier == tier for one in answers) for tier in sorted({one.tier for one in answers})}
    console.print(
        f"{len(answers):,} lists, p50 {p50:.1f} ms, p99 {p99:.1f}, tiers {tiers}; memory {begin:,.0f} MiB after the"
        f" warm-up, then {a_minute:+.2f} MiB a minute for {measured:.1f} minutes",
        highlight=False,
    )
    return [
        Goal("requests without a valid list", float(wrong), "<=", 0.0),
        Goal("growth of memory after the warm-up", a_minute * measured, "<=", _GROWTH * begin, " MiB"),
    ]


def _wait(stack: ChaosStack, minutes: float, load: ChaosLoad, memory: Memory, console: Console) -> None:
    """Until the time is over; says once a minute how it goes."""
    for minute in range(1, int(minutes) + 1):
        time.sleep(60.0)
        stack.check()
        console.print(
            f"minute {minute}: {len(load.answers):,} lists, {memory.samples[-1][1]:,.0f} MiB", highlight=False
        )
    time.sleep((minutes - int(minutes)) * 60)
