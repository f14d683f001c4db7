"""From a request to what is known of the shopper: history of user and session, purchases, and the query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.events.contract import EVENT_TYPES
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.semantics import DAY_US
from tastemaker.retrieval.catalogue import Catalogue
from tastemaker.retrieval.encoders import History, QueryEncoder
from tastemaker.retrieval.interest import combine, freshness, recency, type_weights
from tastemaker.retrieval.parameters import IntentParameters
from tastemaker.retrieval.source import Query
from tastemaker.serving.exposure import NO_EXPOSURE, Exposure
from tastemaker.serving.signals import TARGET, Signals

__all__ = ["ShopperContext", "encode_queries", "read_shopper"]

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
    asked = ((names.VIEW_USER_HISTORY, user), (names.VIEW_SESSION_HISTORY, session))
    histories = {view: tuple(reader.history(view, key, now_us)) for view, key in asked if key}
    events = list(dict.fromkeys(event for read in histories.values() for event in read))  # one in both counts once
    ordered = sorted(events, key=lambda event: -event[2])  # stable: within a moment in the store's order
    rows = catalogue.rows([event[0] for event in ordered])
    types = np.array([_TYPE_INDEX[event[1]] for event in ordered], dtype=np.int64)
    times = np.array([event[2] for event in ordered], dtype=np.int64)
    useful = (rows >= 0) & (_WEIGHTS[types] > 0) if ordered else np.zeros(0, dtype=np.bool_)
    rows, types, times = rows[useful], types[useful], times[useful]

    item_ids, values = reader.scan(names.VIEW_USER_ITEM_ACTIVITY, user, now_us) if user else ([], _nothing(reader))
    owned = catalogue.rows(item_ids)
    bought = (owned >= 0) & (values[:, signals.own_count] > 0)
    owned, values = owned[bought], values[bought]

    ages = (now_us - times) / DAY_US
    no_purchase = types != _TYPE_INDEX[TARGET]
    fresh = _WEIGHTS[types] * freshness(ages, intent.half_life_minutes) * no_purchase
    intent_rows, intent_weights = combine(rows, fresh)
    anchors, anchor_weights = _anchors(rows, _WEIGHTS[types] * recency(ages), fresh)
    # Most purchases of the history are among the owned items; those of a session before its login are not.
    extra = no_purchase | ~np.isin(rows, owned)
    once = np.full(len(owned), _WEIGHTS[_TYPE_INDEX[TARGET]])
    habits, habit_weights = combine(
        np.concatenate([owned, rows[extra]]), np.concatenate([once, _WEIGHTS[types[extra]]])
    )
    query = Query(
        vector=None,
        anchors=anchors,
        anchor_weights=anchor_weights,
        habits=habits,
        habit_weights=np.minimum(habit_weights, 1.0),
        intent=intent_rows,
        intent_weights=intent_weights,
        owned=owned,
        owned_scores=values[:, signals.own_decayed],
        owned_due=_due(values, signals),
        now_us=now_us,
    )
    return ShopperContext(user, (rows, types, times), query, values, histories)


def _anchors(
    rows: npt.NDArray[np.int64], weights: npt.NDArray[np.float32], fresh: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Rows and weights, sum 1: the whole history, of which fresh intent takes up to half, however long it is."""
    share = 0.5 * (1.0 - np.exp(-float(fresh.sum())))
    mixed = (1.0 - share) * weights / max(float(weights.sum()), 1e-9) + share * fresh / max(float(fresh.sum()), 1e-9)
    return combine(rows, mixed.astype(np.float32))


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
