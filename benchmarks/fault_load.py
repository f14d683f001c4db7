"""Shoppers for the fault runs: a sender that is never sure, with late events, repetitions and corrections."""

import random
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

__all__ = ["ITEMS", "Load"]

ITEMS = [
    {"item_id": f"item-{n}", "title": f"Thing {n}", "category": [f"aisle {n % 4}", f"shelf {n % 9}"], "price": 1.0 + n}
    for n in range(30)
]
_USERS = 40
_BATCH = 100
_TYPES = ("view", "cart_add", "cart_remove", "wishlist", "purchase", "return", "rating", "like", "search")
_WEIGHTS = (40, 12, 3, 4, 20, 3, 4, 6, 8)
_AGES_S = ((0.0, 78), (6 * 3_600.0, 12), (2 * 86_400.0, 6), (120 * 86_400.0, 4))
"""Longest age of an event when it is sent, and how many of a hundred are so: up to later than any view allows."""
_REPEATED = 0.03
_CORRECTING = 0.02
_REMEMBERED = 20_000


class Load:
    """Posts batches to a collector without a pause until each is accepted, whatever is killed meanwhile.

    What was not confirmed is sent again as it was, as a producer does that retries; and some of what was confirmed is
    sent once more, at once or much later. Some events are late, some correct or take back an earlier one.

    Args:
        url: of the collector.
        seed: of what shoppers do.
        pause_s: between two requests.

    Attributes:
        accepted: ids of events that the collector confirmed at least once.
        repeated: how many confirmed events were sent once more.
        retried: how many were sent again for want of a confirmation.
        corrections: how many accepted events correct or take back another.
    """

    def __init__(self, url: str, seed: int, pause_s: float = 0.0) -> None:
        self._url = url
        self._random = random.Random(seed)
        self._pause_s = pause_s
        self._number = 0
        self._sent: deque[dict[str, Any]] = deque(maxlen=_REMEMBERED)
        self._enough = threading.Event()
        self._problem: BaseException | None = None
        self.accepted: set[str] = set()
        self.repeated = self.retried = self.corrections = 0

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Send meanwhile; everything that was begun is accepted in the end.

        Raises:
            SystemExit: the collector refused something, or does not come back.
        """
        self._enough.clear()
        thread = threading.Thread(target=self._run, name="load", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._enough.set()
            thread.join(120)
        if self._problem is not None or thread.is_alive():
            raise SystemExit(f"the load did not get through: {self._problem or 'no answer in 120 s'}")

    def _run(self) -> None:
        try:
            with httpx.Client(timeout=20, trust_env=False) as client:
                pending: list[dict[str, Any]] = []
                while pending or not self._enough.is_set():
                    pending = self._post(client, pending or [self._event() for _ in range(_BATCH)])
                    time.sleep(self._pause_s)
        except BaseException as error:
            self._problem = error

    def _post(self, client: httpx.Client, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Send events, and some earlier ones; returns those that were not confirmed."""
        again = self._random.choices(self._sent, k=int(_REPEATED * _BATCH)) if self._sent else []
        again += events[:1]
        try:
            response = client.post(f"{self._url}/v1/events", json=[*events, *again])
        except httpx.TransportError:
            self.retried += len(events)
            time.sleep(0.02)
            return events
        if response.status_code not in {202, 503}:
            raise SystemExit(f"the collector answered {response.status_code}: {response.text[:500]}")
        results = response.json().get("results", [])
        confirmed = {result["event_id"] for result in results if result["status"] == "accepted"}
        self.repeated += sum(event["event_id"] in confirmed for event in again)
        for event in events:
            if event["event_id"] in confirmed - self.accepted:
                self._sent.append(event)
                self.corrections += "corrects" in event
        self.accepted |= confirmed
        rest = [event for event in events if event["event_id"] not in confirmed]
        self.retried += len(rest)
        return rest

    def _event(self) -> dict[str, Any]:
        pick = self._random
        self._number += 1
        kind = pick.choices(_TYPES, _WEIGHTS)[0]
        user = pick.randrange(_USERS)
        item = pick.choice(ITEMS)
        (longest_s, _), *_ = pick.choices(_AGES_S, [share for _, share in _AGES_S])
        occurred = datetime.now(UTC) - timedelta(seconds=pick.uniform(0, longest_s))
        event: dict[str, Any] = {
            "event_id": f"event-{self._number}",
            "type": kind,
            "session_id": f"session-{user}-{self._number // 2_000}",
            "occurred_at": occurred.isoformat(),
            "category": "/".join(item["category"]),
            "price": item["price"],
            "context": {"device": pick.choice(("phone", "desktop")), "country": pick.choice(("DE", "FR", "GB"))},
        }
        if pick.random() > 0.1:  # else a guest
            event["user_id"] = f"user-{user}"
        if kind != "search":
            event["item_id"] = item["item_id"]
        if kind in {"purchase", "return"}:
            event["value"] = item["price"] * pick.randint(1, 5)
        elif kind == "rating":
            event["value"] = float(pick.randint(1, 5))
        if self._sent and pick.random() < _CORRECTING:
            self._correct(event, pick.choice(self._sent))
        return event

    def _correct(self, event: dict[str, Any], earlier: dict[str, Any]) -> None:
        """Make an event the correction of an earlier one, or its retraction; both are of the same shopper."""
        event["corrects"] = earlier["event_id"]
        event["session_id"] = earlier["session_id"]
        event.pop("user_id", None)
        if "user_id" in earlier:
            event["user_id"] = earlier["user_id"]
        if self._random.random() < 0.5:
            event["type"] = "retraction"
            for field in ("item_id", "value", "category", "price"):
                event.pop(field, None)
