"""Rankings that are given again to identical requests, as long as nothing that they were made from has changed.

What a list is made from is compared, not guessed from messages: the shopper's rows as they are read from the online
store for every request anyway, the state of the shop, and the rules. So no list is older than the last event of its
shopper that is readable. The rerank stage runs anew for each answer: what is random is drawn again.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any, Final

from tastemaker.features.reading.at_hand import RowsAtHand
from tastemaker.serving.contract import RecommendationRequest
from tastemaker.serving.making import Made, Order
from tastemaker.serving.rerank.compiled_rules import ActiveRules
from tastemaker.serving.shop_state import ShopState
from tastemaker.serving.stages.context import Asked

__all__ = ["RepeatedLists"]

# A lower tier would outlast what it stands in for.
_WHOLE: Final = frozenset({"full", "cold_start"})


@dataclass(frozen=True, eq=False)
class _Kept:
    made: Made
    seen: Any
    state: ShopState
    rules: ActiveRules
    at_us: int


class RepeatedLists:
    """The newest rankings, by request; safe in several threads.

    Args:
        ttl_us: for how long one may be given again, in microseconds: features of products change, and windows decay,
            without an event of the shopper. 0 for never.
        capacity: rankings; one of 100 candidates takes some 50 kB.
    """

    def __init__(self, ttl_us: int, capacity: int = 512) -> None:
        self._ttl_us, self._capacity = ttl_us, capacity
        self._lock = threading.Lock()
        self._kept: OrderedDict[RecommendationRequest, _Kept] = OrderedDict()

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._kept.clear()

    def again(self, order: Order, asked: Asked) -> Made | None:
        """What was ranked for an identical request, if it would come out the same.

        Args:
            order: the request, and the state and rules that it is to be answered by.
            asked: what was read of the shopper.
        """
        if not self._ttl_us:
            return None
        with self._lock:
            kept = self._kept.get(order.request)
        if kept is None or self._outdated(kept, order, asked):
            return None
        return replace(kept.made, kept="hit")

    def keep(self, order: Order, asked: Asked, made: Made) -> Made:
        """Keep a ranking, where it may be given again.

        Returns:
            The same, with whether one was kept before.
        """
        seen = _seen(order, asked)
        if not self._ttl_us or seen is None or order.stale or made.tier not in _WHOLE:
            return made
        with self._lock:
            before = self._kept.get(order.request)
            self._kept[order.request] = _Kept(made, seen, order.state, order.rules, order.now_us)
            self._kept.move_to_end(order.request)
            while len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
        return replace(made, kept="miss" if before is None else "changed")

    def _outdated(self, kept: _Kept, order: Order, asked: Asked) -> bool:
        return (
            kept.state is not order.state
            or kept.rules is not order.rules
            or bool(order.stale)
            or not 0 <= order.now_us - kept.at_us < self._ttl_us
            or kept.seen != _seen(order, asked)
        )


def _seen(order: Order, asked: Asked) -> Any:
    """What was read of the shopper; None where a store cannot tell, because it does not read all of it at once."""
    if not order.request.user and not order.request.session:
        return ()
    store = asked.reader.store
    return store.seen if isinstance(store, RowsAtHand) else None
