"""Feature values as they were served: what the log of served lists says that ranking read, and when."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from tastemaker import names
from tastemaker.clock import to_us
from tastemaker.features.keys import join_key
from tastemaker.features.plan import FeaturePlan, ViewPlan
from tastemaker.lake.tables import Lake

__all__ = ["Served", "ServedRow", "ServedValues", "as_served", "served_rows", "served_values"]


class _Request(msgspec.Struct, frozen=True):
    user: str | None = None
    session: str | None = None


class ServedValues(msgspec.Struct):
    """What a served list holds of features.

    Attributes:
        request_id: of the request.
        served_at: when its features were read.
        release: that served it.
        request: who asked.
        features: by final item, the values.
        feature_names: of the values, in order; features of the ranking service come first.
        histories: by history view, the events that were read, newest first: item, type, time in microseconds.
    """

    request_id: str
    served_at: datetime
    release: str
    request: _Request = _Request()
    features: dict[str, tuple[float, ...]] = {}
    feature_names: tuple[str, ...] = ()
    histories: dict[str, tuple[tuple[str, str, int], ...]] = {}


Served = float | tuple[Any, ...]
"""A value as a list logs it: a number, or the entries of a list."""

# Where an event of a history has what a column of events holds.
_PLACES: Final = {names.ITEM_ID: 0, names.TYPE: 1, names.OCCURRED_AT: 2}


class ServedRow(NamedTuple):
    """The values of one view that one list served for one entity.

    Attributes:
        view: name of the view.
        key: of the entity, as :mod:`tastemaker.features.keys` joins it.
        at_us: when they were read, in microseconds.
        request_id: of the request.
        values: by feature.
    """

    view: str
    key: str
    at_us: int
    request_id: str
    values: Mapping[str, Served]


def served_values(lake: Lake, since: datetime, until: datetime, sample: int, seed: int) -> list[ServedValues]:
    """Some of the lists that were served between two moments and say what they read, oldest first.

    Args:
        lake: with the served lists.
        since: the first moment.
        until: the last.
        sample: at most so many, drawn without replacement; each request once.
        seed: of the draw.
    """
    with lake.connect() as duck:
        found = duck.execute(
            f"SELECT any_value(served_list) FROM {names.TABLE_SERVED_LISTS} WHERE {names.SERVED_AT} BETWEEN ? AND ?"
            f" AND tier = 'full' GROUP BY {names.REQUEST_ID} ORDER BY any_value({names.SERVED_AT}), {names.REQUEST_ID}",
            [since, until],
        ).fetchall()
    chosen = np.sort(np.random.default_rng(seed).permutation(len(found))[:sample])
    decode = msgspec.json.Decoder(ServedValues).decode
    return [decode(found[place][0]) for place in chosen]


def served_rows(served: ServedValues, plan: FeaturePlan, views: Collection[str]) -> Iterator[ServedRow]:
    """What a list read of each view of the ranking service, once per entity, and of the histories.

    Args:
        served: a list.
        plan: the declarations that its release was trained with.
        views: names of the views that are wanted.
    """
    by_view: dict[str, list[str]] = {}
    for view, feature in plan.service(names.SERVICE_RANKING).features:
        if view in views and view in plan.by_name and feature in served.feature_names:
            by_view.setdefault(view, []).append(feature)
    at_us = to_us(served.served_at)
    for view, features in by_view.items():
        places = {feature: served.feature_names.index(feature) for feature in features}
        seen = set()
        for item, values in served.features.items():
            ids = _ids(plan.view(view), served.request, item)
            if None in ids or ids in seen:
                continue
            seen.add(ids)
            key = join_key([part for part in ids if part is not None])
            read: dict[str, Served] = {feature: values[place] for feature, place in places.items()}
            yield ServedRow(view, key, at_us, served.request_id, read)
    for view, events in served.histories.items():
        if view in views and view in plan.by_name:
            (owner,) = _ids(plan.view(view), served.request, "")
            lists = {
                feature.name: tuple(event[_PLACES[feature.column]] for event in events[: feature.n])
                for feature in plan.view(view).features
                if feature.function == "last_n" and feature.column in _PLACES
            }
            if owner is not None:
                yield ServedRow(view, join_key([owner]), at_us, served.request_id, lists)


def as_served(value: Any) -> Served:
    """A recomputed value as a list would log it: in single precision, 0 for what is not known; lists as they are."""
    if isinstance(value, list):
        return tuple(value)
    number = np.nan_to_num(np.float32(0.0 if value is None else value), nan=0.0)
    return float(number)


def _ids(view: ViewPlan, request: _Request, item: str) -> tuple[str | None, ...]:
    known = {names.ENTITY_USER: request.user, names.ENTITY_SESSION: request.session, names.ENTITY_ITEM: item}
    return tuple(known.get(entity) for entity in view.entities)
