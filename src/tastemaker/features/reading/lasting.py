"""Values of features, and from when until when they hold while nothing happens."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tastemaker.features.plan import ViewPlan
from tastemaker.features.reading.collapse import validity
from tastemaker.features.reading.row_values import is_live, stored_columns, time_of
from tastemaker.features.semantics import DAY_US, NEVER
from tastemaker.features.stores.protocol import Row

__all__ = ["FOREVER", "Lasting", "at_moment", "lasting_values"]

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]
# The end of what does not end.
FOREVER = 2**63 - 1


class Lasting(NamedTuple):
    """Numeric features of some entities.

    Attributes:
        values: float64 ``[n, features]``, as of some moment.
        times: int64 ``[n, features]``: of a feature that is the days since a time, that time; ``NEVER`` of all others,
            and where it has its default.
        since: int64 ``[n]``: from when (inclusive) everything but the features with a time stays.
        until: int64 ``[n]``: until when (exclusive).
    """

    values: _Floats
    times: _Ints
    since: _Ints
    until: _Ints


def lasting_values(view: ViewPlan, features: tuple[str, ...], rows: Sequence[Row | None], now_us: int) -> Lasting:
    """Numeric features of an aggregate or batch view's rows.

    Args:
        view: the view.
        features: their names.
        rows: one per entity; None where the store has none.
        now_us: the moment, in microseconds.

    Raises:
        DataError: a feature is no number, or the view has none of that name.
    """
    if view.kind == "aggregate":
        values, times, spans = validity(view, [row and row.state for row in rows], now_us, features)
        return Lasting(values, times, spans[:, 0], spans[:, 1])
    places = [view.feature_names.index(name) for name in features]
    asked = [view.features[place] for place in places]
    found = Lasting(
        np.tile(np.array([feature.default_value for feature in asked], np.float64), (len(rows), 1)),
        np.full((len(rows), len(asked)), NEVER, np.int64),
        np.full(len(rows), NEVER, np.int64),
        np.full(len(rows), FOREVER, np.int64),
    )
    for number, row in enumerate(rows):
        if row is None:
            continue
        end = row.event_us + view.ttl_us + 1 if view.ttl_us else FOREVER
        if not is_live(view, row, now_us):
            if row.event_us > now_us:
                found.until[number] = row.event_us
            else:
                found.since[number] = end
            continue
        found.since[number], found.until[number] = row.event_us, end
        columns = stored_columns(row)
        for column, (place, feature) in enumerate(zip(places, asked, strict=True)):
            if columns[place] is None:
                continue
            if feature.function == "age":
                found.times[number, column] = time_of(columns[place])
            else:
                found.values[number, column] = columns[place]
    return found


def at_moment(values: _Floats, times: _Ints, now_us: int) -> None:
    """Set features that are the days since a time, in place; shapes as of :class:`Lasting`."""
    known = times != NEVER
    values[known] = (now_us - times[known]).astype(np.float64) / DAY_US
