"""The moment that the demo is about: a customer clicks, and the next list is another one."""

import time
from dataclasses import dataclass
from typing import Any

from tastemaker import names
from tastemaker.cli.recommend import fetch_list, post_events
from tastemaker.errors import ServingError
from tastemaker.events.item import Item
from tastemaker.settings import Settings

__all__ = ["Moment", "live_moment"]

_PATIENCE_S = 10.0


@dataclass(frozen=True)
class Moment:
    """One customer's list before and after a few events.

    Attributes:
        user: the customer.
        clicked: the item that they looked at.
        before: the response before.
        after: the first response that differs.
        events: types of the events that were sent.
        milliseconds: from the collector's acceptance to the changed list in hand.
    """

    user: str
    clicked: Item
    before: dict[str, Any]
    after: dict[str, Any]
    events: tuple[str, ...]
    milliseconds: float

    @property
    def because(self) -> list[dict[str, Any]]:
        """Items of the new list that were not in the old one."""
        shown = {item["item_id"] for item in self.before["items"]}
        return [item for item in self.after["items"] if item["item_id"] not in shown]


def live_moment(settings: Settings, user: str, k: int = 10) -> Moment:
    """Ask for a list, send three events through the collector, and ask until the list is another one.

    The events are about the best-selling item that the customer has never bought and that is not in their list.

    Args:
        settings: of the running stack.
        user: a customer's id.
        k: length of the list.

    Raises:
        ServingError: the list is not stable without events, or does not change within 10 s of them.
    """
    before = fetch_list(settings.recommender_url, user=user, k=k)
    again = fetch_list(settings.recommender_url, user=user, k=k)
    if _ids(before) != _ids(again):
        raise ServingError(f"two lists for customer {user} differ without an event between them")
    clicked = _unseen_best_seller(settings, user, set(_ids(before)))
    types = ("view", "cart_add", "view")
    session = f"demo-{before['request_id']}"
    event = {"user_id": user, "session_id": session, "item_id": clicked.item_id, "request_id": before["request_id"]}
    post_events(settings.collector_url, [{"type": kind, **event} for kind in types])
    accepted = time.monotonic()
    while time.monotonic() - accepted < _PATIENCE_S:
        after = fetch_list(settings.recommender_url, user=user, k=k)
        if _ids(after) != _ids(before):
            return Moment(user, clicked, before, after, types, (time.monotonic() - accepted) * 1000)
    raise ServingError(
        f"the list of customer {user} did not change within {_PATIENCE_S:g} s of {len(types)} accepted events;"
        " look at the worker's log: tastemaker logs worker"
    )


def _ids(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer.get("items", [])]


def _unseen_best_seller(settings: Settings, user: str, listed: set[str]) -> Item:
    from tastemaker.features.plan import FeaturePlan
    from tastemaker.features.reading.reader import FeatureReader

    plan = FeaturePlan.load(settings.plan_path)
    reader = FeatureReader(settings.online_location, plan)
    try:
        now_us = settings.clock.now_us()
        bought, _ = reader.scan(names.VIEW_USER_ITEM_ACTIVITY, user, now_us)
        unseen = [
            item
            for item_id, item in reader.items_changed()[1]
            if item is not None and item.available and item_id not in listed | set(bought)
        ]
        if not unseen:
            raise ServingError(f"customer {user} has bought every available item; take another one with --user")
        sold = reader.values(names.VIEW_ITEM_ACTIVITY, [item.item_id for item in unseen], now_us)
        column = plan.view(names.VIEW_ITEM_ACTIVITY).feature_names.index("item_purchases_28d")
        return unseen[int(sold[:, column].argmax())]
    finally:
        reader.close()
