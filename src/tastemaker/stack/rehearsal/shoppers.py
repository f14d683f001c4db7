"""Shoppers, simulated: real customers' ids ask for lists, and click by a given chance.

The lists, the events, their way through Kafka to the lake, and what a rollout reads of them are real. That a shopper
likes a release less than another one is what is given.
"""

import random
import threading
from collections import Counter
from collections.abc import Mapping, Sequence

import httpx

from tastemaker.settings import Settings

__all__ = ["Shoppers"]


class Shoppers:
    """Ask for lists and click, in threads, until the block ends: ``with Shoppers(...) as shoppers: ...``.

    Args:
        settings: where recommender and collector are.
        users: who asks, again and again in an order of its own per thread.
        likes: chance of a click on a list, by release; ``otherwise`` for others.
        otherwise: see ``likes``.
        seed: of orders and clicks.
        threads: how many ask at once.
        pause_s: of each, from one list to the next.
    """

    def __init__(
        self,
        settings: Settings,
        users: Sequence[str],
        likes: Mapping[str, float],
        *,
        otherwise: float,
        seed: int,
        threads: int = 3,
        pause_s: float = 0.03,
    ) -> None:
        self._settings, self._users, self._likes, self._otherwise = settings, users, likes, otherwise
        self._pause_s = pause_s
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.lists: Counter[str] = Counter()
        self.clicks: Counter[str] = Counter()
        self.failures: list[str] = []
        self._threads = [
            threading.Thread(target=self._shop, args=(random.Random(f"{seed}-{n}"),), daemon=True)  # noqa: S311
            for n in range(threads)
        ]

    def __enter__(self) -> "Shoppers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _shop(self, rng: random.Random) -> None:
        users = list(self._users)
        with httpx.Client(timeout=30, trust_env=False) as client:
            while not self._stop.is_set():
                rng.shuffle(users)
                for user in users:
                    if self._stop.is_set():
                        return
                    try:
                        self._visit(client, user, rng)
                    except httpx.HTTPError as error:
                        self._failed(f"{type(error).__name__}: {error}")
                    self._stop.wait(self._pause_s)

    def _visit(self, client: httpx.Client, user: str, rng: random.Random) -> None:
        answer = client.post(f"{self._settings.recommender_url}/v1/recommend", json={"user": user, "k": 10})
        if answer.status_code != httpx.codes.OK:
            self._failed(f"{answer.status_code}: {answer.text[:200]}")
            return
        served = answer.json()
        release = served["release"]
        clicked = served["items"] and rng.random() < self._likes.get(release, self._otherwise)
        with self._lock:
            self.lists[release] += 1
            self.clicks[release] += bool(clicked)
        if clicked:
            place = min(int(rng.expovariate(0.5)), len(served["items"]) - 1)
            event = {
                "type": "view",
                "user_id": user,
                "item_id": served["items"][place]["item_id"],
                "request_id": served["request_id"],
                "position": place,
            }
            client.post(f"{self._settings.collector_url}/v1/events", json={"events": [event]}).raise_for_status()

    def _failed(self, what: str) -> None:
        with self._lock:
            self.failures.append(what)
        self._stop.wait(0.2)
