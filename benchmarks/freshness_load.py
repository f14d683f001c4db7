"""A steady stream of shoppers' events into the collector, at a rate that does not yield when answers are slow."""

import multiprocessing
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, RemoteDisconnected
from multiprocessing.sharedctypes import Synchronized
from queue import Empty, Queue
from threading import Thread
from typing import Any

import msgspec

from tastemaker.settings import Settings

__all__ = ["connection", "post", "steady_load"]

_BATCH = 50
_CONNECTIONS = 4
_TYPES = ("view", "cart_add", "purchase", "wishlist", "return")
_WEIGHTS = (70, 12, 13, 3, 2)


def connection(settings: Settings) -> HTTPConnection:
    """A connection that stays open between requests."""
    return HTTPConnection(settings.host, settings.collector_port, timeout=30)


def post(client: HTTPConnection, path: str, body: bytes) -> None:
    """Send a body and wait for the collector's word.

    Raises:
        SystemExit: it did not accept everything.
    """
    headers = {"Content-Type": "application/json"}
    try:
        client.request("POST", path, body, headers)
        answer = client.getresponse()
    except (ConnectionError, RemoteDisconnected):  # the collector closes what was idle for some seconds
        client.close()
        client.request("POST", path, body, headers)
        answer = client.getresponse()
    said = answer.read()
    if answer.status != 202:
        raise SystemExit(f"the collector answered {answer.status}: {said[:500]!r}")


@contextmanager
def steady_load(settings: Settings, users: list[str], items: list[str], rate: int) -> Iterator["Synchronized[int]"]:
    """So many events a second meanwhile, from a process of its own.

    Yields:
        How many were accepted, as it grows.
    """
    context = multiprocessing.get_context("spawn")
    accepted: Any = context.Value("q", 0)
    process = context.Process(target=_send, args=(settings, users, items, rate, accepted), daemon=True)
    process.start()
    try:
        yield accepted
    finally:
        process.terminate()
        process.join()


def _send(settings: Settings, users: list[str], items: list[str], rate: int, accepted: "Synchronized[int]") -> None:
    due: Queue[bytes] = Queue()
    for _ in range(_CONNECTIONS):
        Thread(target=_post_all, args=(settings, due, accepted), daemon=True).start()
    pick = random.Random(1)
    encode = msgspec.json.Encoder().encode
    began, number = time.monotonic(), 0
    while True:
        batch = [_event(pick, users, items, number + place) for place in range(_BATCH)]
        number += _BATCH
        body = encode(batch)
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        due.put(body)


def _post_all(settings: Settings, due: "Queue[bytes]", accepted: "Synchronized[int]") -> None:
    client = connection(settings)
    while True:
        try:
            body = due.get(timeout=60)
        except Empty:
            return
        post(client, "/v1/events", body)
        with accepted.get_lock():
            accepted.value += _BATCH


def _event(pick: random.Random, users: list[str], items: list[str], number: int) -> dict[str, Any]:
    user = pick.choice(users)
    kind = pick.choices(_TYPES, _WEIGHTS)[0]
    event: dict[str, Any] = {
        "event_id": f"load-{number}",
        "type": kind,
        "user_id": user,
        "session_id": f"load-{user}",
        "item_id": pick.choice(items),
        "context": {"device": "phone", "surface": "home"},
    }
    if kind in {"purchase", "return"}:
        event["value"] = round(pick.uniform(1, 100), 2)
    return event
