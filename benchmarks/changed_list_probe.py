"""Posts what a shopper does and asks for their list until it has changed."""

import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from typing import Any, Final

import msgspec

from tastemaker.serving.contract import RecommendationResponse

__all__ = ["ListProbe", "NotChanged"]

_PERSONAL: Final = frozenset({"full", "fewer", "unranked"})  # tiers that have read what the shopper did
_DECODER: Final = msgspec.json.Decoder(RecommendationResponse)


class NotChanged(Exception):
    """A list did not change in time."""


class ListProbe:
    """One shopper after the other, over connections that stay open.

    Args:
        collector_port: where events are accepted on this machine.
        recommender_port: where lists are asked for.
        items: ids that shoppers look at.
        name: what the ids of its shoppers and events begin with.
        look_s: pause between two looks.
    """

    def __init__(
        self, collector_port: int, recommender_port: int, items: list[str], name: str = "probe", look_s: float = 0.001
    ) -> None:
        self._collector = HTTPConnection("127.0.0.1", collector_port, timeout=5)
        self._recommender = HTTPConnection("127.0.0.1", recommender_port, timeout=5)
        self._items, self._name, self._look_s = items, name, look_s
        self._number = 0

    def looked_at(self, limit_s: float = 20.0) -> float:
        """A shopper nobody knows looks at an item; seconds from the collector's word to a list of their own.

        Raises:
            NotChanged: the list is still that of a stranger.
        """
        self._number += 1
        user = f"{self._name}-{self._number}"
        item = self._items[self._number * 7 % len(self._items)]
        return self._until(user, "view", item, lambda response: True, limit_s)

    def bought(self, limit_s: float = 20.0) -> float:
        """The shopper of :meth:`looked_at` buys the first item of their list; seconds until it is gone from it.

        Raises:
            NotChanged: the item is still in the list.
        """
        user = f"{self._name}-{self._number}"
        item = self.list_of(user).items[0].item_id
        return self._until(user, "purchase", item, lambda response: item not in _ids(response), limit_s)

    def connect_again(self) -> None:
        """Leave the connections: an answer that was not waited for may still be under way on them."""
        self._collector.close()
        self._recommender.close()

    def accepted(self, limit_s: float) -> None:
        """Wait until the collector accepts events.

        Raises:
            NotChanged: it does not.
        """
        deadline = time.perf_counter() + limit_s
        while time.perf_counter() < deadline:
            with suppress(NotChanged, OSError, HTTPException):
                self._number += 1
                self._post(f"{self._name}-{self._number}", "view", self._items[0])
                return
            self._collector.close()
            time.sleep(0.05)
        raise NotChanged(f"the collector accepts nothing within {limit_s:g} s")

    def list_of(self, user: str) -> RecommendationResponse:
        """The list of a shopper now."""
        body = msgspec.json.encode({"user": user, "k": 10})
        self._recommender.request("POST", "/v1/recommend", body, {"Content-Type": "application/json"})
        answer = self._recommender.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise NotChanged(f"the recommender answered {answer.status}: {said[:300]!r}")
        return _DECODER.decode(said)

    def _until(
        self, user: str, kind: str, item: str, changed: Callable[[RecommendationResponse], bool], limit_s: float
    ) -> float:
        self._post(user, kind, item)
        accepted = time.perf_counter()
        # Another tier's list may lack an item, too, though nothing is known of the event.
        while (response := self.list_of(user)).tier not in _PERSONAL or not changed(response):
            if time.perf_counter() > accepted + limit_s:
                raise NotChanged(f"the list of {user} is still of tier {response.tier} after {limit_s:g} s")
            time.sleep(self._look_s)
        return time.perf_counter() - accepted

    def _post(self, user: str, kind: str, item: str) -> None:
        event: dict[str, Any] = {
            "event_id": f"{user}-{kind}-{time.monotonic_ns()}",
            "type": kind,
            "user_id": user,
            "session_id": user,
            "item_id": item,
        }
        if kind == "purchase":
            event["value"] = 5.0
        body, headers = msgspec.json.encode(event), {"Content-Type": "application/json"}
        try:
            self._collector.request("POST", "/v1/events", body, headers)
            answer = self._collector.getresponse()
        except (ConnectionError, HTTPException):  # the collector closes what was idle for some seconds
            self._collector.close()
            self._collector.request("POST", "/v1/events", body, headers)
            answer = self._collector.getresponse()
        said = answer.read()
        if answer.status != 202:
            raise NotChanged(f"the collector answered {answer.status}: {said[:300]!r}")


def _ids(response: RecommendationResponse) -> set[str]:
    return {item.item_id for item in response.items}
