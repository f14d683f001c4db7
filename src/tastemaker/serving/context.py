"""From a request to what is known of the shopper: history of user and session, purchases, and the query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.events.contract import EVENT_TYPES
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.retrieval.catalogue import Catalogue
from tastemaker.retrieval.encoders import History, QueryEncoder
from tastemaker.retrieval.interest import type_weights
from tastemaker.retrieval.parameters import IntentParameters
from tastemaker.retrieval.source import Query
from tastemaker.serving.exposure import NO_EXPOSURE, Exposure
from tastemaker.serving.signals import TARGET, Signals

__all__ = ["ShopperContext", "encode_queries", "nobody", "read_shopper"]

_TYPE_INDEX = {name: index for index, name in enumerate(EVENT_TYPES)}
_WEIGHTS = type_weights()


@dataclass(frozen=True, eq=False)
class ShopperContext:
    """What is known of a shopper at a moment.

    Attributes:
        user: the id; None for a session alone.
        history: newest events of user and session together, newest first.
        query: what the candidate sources see.
        histories: by history view, the events as they were read, newest first: item, type, time in microseconds.
        owned_values: float32 ``[owned, features]`` of ``user_item_activity``, in the order of ``query.owned``.
        exposure: what they were shown, and did not want.
    """

    user: str | None
    history: History
    query: Query
    owned_values: npt.NDArray[np.float32]
    histories: dict[str, tuple[tuple[str, str, int], ...]] = field(default_factory=dict)
    exposure: Exposure = NO_EXPOSURE

    @property
    def known(self) -> bool:
        """Whether anything is known that a list could be made from."""
        return bool(len(self.query.habits))

    def bought_since(self, since_us: int) -> npt.NDArray[np.int64]:
        """Rows of items that were bought after a moment, by the newest events of user and visit."""
        rows, types, times = self.history
        found: npt.NDArray[np.int64] = rows[(types == _TYPE_INDEX[TARGET]) & (times > since_us)]
        return found

    @cached_property
    def bought_ever(self) -> npt.NDArray[np.int64]:
        """Rows of items that are known to have been bought."""
        return np.concatenate([self.query.owned, self.bought_since(-1)])

    def newest_types(self) -> Mapping[int, str]:
        """The kind of the newest event with each row of the history."""
        rows, types, _ = self.history
        pairs = zip(rows[::-1].tolist(), types[::-1].tolist(), strict=True)
        return {row: EVENT_TYPES[kind] for row, kind in pairs}


def read_shopper(
    reader: FeatureReader,
    signals: Signals,
    catalogue: Catalogue,
    *,
    user: str | None,
    session: str | None,
    now_us: int,
    intent: IntentParameters,
) -> ShopperContext:
    """Read what the online store knows. Items that the catalogue does not know are passed over.

    Args:
        reader: of the online store, or of a snapshot of the past.
        signals: where its views have what.
        catalogue: gives items their rows.
        user: id, if any.
        session: id, if any.
        now_us: the moment, in microseconds.
        intent: how long a fresh event says what the visit is about.
    """
    from tastemaker.retrieval.interest_kernel import weigh  # compiled code is loaded where lists are made

    asked = ((names.VIEW_USER_HISTORY, user), (names.VIEW_SESSION_HISTORY, session))
    histories = {view: tuple(reader.history(view, key, now_us)) for view, key in asked if key}
    events = _newest_first([events for events in histories.values() if events])
    rows = catalogue.rows([event[0] for event in events])
    types = np.array([_TYPE_INDEX[event[1]] for event in events], dtype=np.int64)
    times = np.array([event[2] for event in events], dtype=np.int64)
    useful = (rows >= 0) & (_WEIGHTS[types] > 0)
    if not useful.all():
        rows, types, times = rows[useful], types[useful], times[useful]

    item_ids, values = reader.scan(names.VIEW_USER_ITEM_ACTIVITY, user, now_us) if user else ([], _nothing(reader))
    owned = catalogue.rows(item_ids)
    bought = (owned >= 0) & (values[:, signals.own_count] > 0)
    if not bought.all():
        owned, values = owned[bought], values[bought]
    anchors, anchor_weights, habits, habit_weights, wanted, wanted_weights = weigh(
        rows, types, times, owned, _WEIGHTS, _TYPE_INDEX[TARGET], now_us, float(intent.half_life_minutes)
    )
    query = Query(
        vector=None,
        anchors=anchors,
        anchor_weights=anchor_weights,
        habits=habits,
        habit_weights=habit_weights,
        intent=wanted,
        intent_weights=wanted_weights,
        owned=owned,
        owned_scores=values[:, signals.own_decayed],
        owned_due=_due(values, signals),
        now_us=now_us,
    )
    return ShopperContext(user, (rows, types, times), query, values, histories)


def nobody(reader: FeatureReader, signals: Signals, catalogue: Catalogue, now_us: int) -> ShopperContext:
    """What is known of nobody in particular; reads nothing."""
    return read_shopper(reader, signals, catalogue, user=None, session=None, now_us=now_us, intent=IntentParameters())


def _newest_first(histories: Sequence[Sequence[tuple[str, str, int]]]) -> list[tuple[str, str, int]]:
    """The events of some histories, newest first; one in several of them counts once."""
    events = list(dict.fromkeys(event for events in histories for event in events))
    if len(histories) > 1:
        events.sort(key=lambda event: -event[2])  # stable: within a moment in the store's order
    return events


def _due(values: npt.NDArray[np.float32], signals: Signals) -> npt.NDArray[np.float32]:
    """Days since the last purchase over the usual interval; NaN where an item was bought less than twice."""
    if signals.own_since < 0 or signals.own_interval < 0:
        return np.full(len(values), np.nan, dtype=np.float32)
    interval = values[:, signals.own_interval]
    known = (values[:, signals.own_count] > 1) & (interval > 0)
    return np.where(known, values[:, signals.own_since] / np.where(known, interval, 1.0), np.nan).astype(np.float32)


def _nothing(reader: FeatureReader) -> npt.NDArray[np.float32]:
    return np.zeros((0, len(reader.plan.view(names.VIEW_USER_ITEM_ACTIVITY).features)), dtype=np.float32)


def encode_queries(
    contexts: Sequence[ShopperContext], encoder: QueryEncoder, catalogue: Catalogue, now_us: int
) -> list[ShopperContext]:
    """The contexts with their query vectors; a shopper without history keeps none."""
    vectors = encoder([context.history for context in contexts], now_us, catalogue.vectors)
    return [
        replace(context, query=replace(context.query, vector=vector)) if len(context.history[0]) else context
        for context, vector in zip(contexts, vectors, strict=True)
    ]
