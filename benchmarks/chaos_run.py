"""Break one thing after the other under load, and watch what comes of it."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.client import HTTPException
from time import perf_counter
from typing import Final

import httpx

from benchmarks.changed_list_probe import ListProbe, NotChanged
from benchmarks.chaos_faults import Fault
from benchmarks.chaos_home import Shop, shop_of
from benchmarks.chaos_load import ChaosLoad, asked
from benchmarks.chaos_stack import ChaosStack
from benchmarks.chaos_table import DEGRADED, Row, recovery_s

__all__ = ["Shoppers", "broken"]

_CALM_S: Final = 1.0  # without a list of a lower tier: then all is well again
_WELL_S: Final = 30.0  # the longest time until then
_BEFORE_S: Final = 5.0  # before the first fault; one may be there from the start
_FED_S: Final = 60.0
_EVENTS: Final = 20  # in a batch
_BATCHES_S: Final = 0.2  # between two of them


class Shoppers:
    """A thread that posts events all the time; those that are not accepted are left.

    Args:
        stack: whose collector.
        shop: who and what there is.
    """

    def __init__(self, stack: ChaosStack, shop: Shop) -> None:
        self._url = f"{stack.settings.collector_url}/v1/events"
        self._shop = shop
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shoppers", daemon=True)

    def __enter__(self) -> "Shoppers":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join(10)

    def _run(self) -> None:
        number = 0
        with httpx.Client(timeout=2, trust_env=False) as client:
            while not self._enough.wait(_BATCHES_S):
                events = []
                for _ in range(_EVENTS):
                    number += 1
                    user = self._shop.shoppers[number * 31 % len(self._shop.shoppers)]
                    item = self._shop.items[number * 17 % len(self._shop.items)]
                    kind = ("view", "view", "cart_add")[number % 3]
                    visit = {"user_id": user, "session_id": f"s-{user}", "item_id": item}
                    events.append({"event_id": f"shopper-{number}", "type": kind, **visit})
                with suppress(httpx.TransportError):
                    client.post(self._url, json=events)


def broken(
    stack: ChaosStack,
    names: Sequence[str],
    faults: Sequence[Fault],
    *,
    seconds: float,
    per_second: float,
    told: Callable[[Row], None] = lambda row: None,
    deadline_ms: float | None = None,
) -> list[Row]:
    """Each fault in turn, under one load that goes on all the time.

    Args:
        stack: everything in it runs.
        names: of the recommenders that are asked.
        faults: each is mended before the next.
        seconds: how long each lasts.
        per_second: requests that are due.
        told: of each row, when it is there.
        deadline_ms: of all requests; None for the budget of each one's surface.

    Raises:
        SystemExit: a part ended that nobody killed.
    """
    shop = shop_of(stack.settings)
    ports = [stack.ports[name] for name in names]
    requests = asked(shop.requests(4_000, seed=1), deadline_ms)
    rows = []
    with Shoppers(stack, shop), ChaosLoad(ports, requests, per_second, set(shop.items)).running() as load:
        _well(load, perf_counter(), _BEFORE_S)
        for number, fault in enumerate(faults):
            probe = ListProbe(stack.settings.collector_port, ports[-1], shop.items, f"fed-{number}", look_s=0.02)
            began = perf_counter()
            fault.breaks(stack)
            time.sleep(seconds)
            fault.mends(stack)
            mended = perf_counter()
            fed_s = _fed(probe, mended) if fault.fed else None
            full_s = _well(load, mended)
            answers = load.since(began)
            under = [one for one in answers if one.due < mended]
            rows.append(Row(fault.part, fault.how, answers, under, full_s, fed_s))
            told(rows[-1])
            stack.check()
    return rows


def _well(load: ChaosLoad, since: float, limit_s: float = _WELL_S) -> float:
    """Wait until no list is amiss for a while; seconds from a moment to the last that was, infinite for too many."""
    while (now := perf_counter()) - since < limit_s:
        time.sleep(0.1)
        latest = load.since(now - _CALM_S)
        if now - since > _CALM_S and latest and not any(one.tier in DEGRADED for one in latest):
            return recovery_s(load.since(since), since)
    return math.inf


def _fed(probe: ListProbe, mended: float) -> float:
    """Wait until an event changes a list; seconds from a moment to then, infinite for too many."""
    while (waited := perf_counter() - mended) < _FED_S:
        probe.connect_again()
        with suppress(NotChanged, OSError, HTTPException):
            probe.accepted(_FED_S - waited)
            probe.looked_at(_FED_S - waited)
            return perf_counter() - mended
    return math.inf
