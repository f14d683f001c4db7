"""What shoppers did with items before a cut, as index arrays: the input of both retrieval models."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.errors import DataError
from tastemaker.events.contract import EVENT_TYPES
from tastemaker.features.sql.expressions import uncorrected_sql
from tastemaker.lake.tables import Lake

__all__ = ["BASKET_GAP_US", "Interactions", "load_interactions"]

# Purchases of one shopper that are closer together than this are one basket.
BASKET_GAP_US: Final = 30 * 60 * 1_000_000


@dataclass(frozen=True)
class Interactions:
    """Events with a known item, sorted by shopper, then time; a shopper is a user, or the session of a guest.

    Attributes:
        shoppers: ids; the first ``n_users`` are users.
        n_users: how many of them are users.
        shopper: int32 ``[n]``, index into ``shoppers``.
        item: int32 ``[n]``, row in the catalogue that was given.
        type: int8 ``[n]``, index into ``EVENT_TYPES``.
        time_us: int64 ``[n]``, microseconds since the epoch.
    """

    shoppers: tuple[str, ...]
    n_users: int
    shopper: npt.NDArray[np.int32]
    item: npt.NDArray[np.int32]
    type: npt.NDArray[np.int8]
    time_us: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.item)

    def baskets(self) -> npt.NDArray[np.int64]:
        """The basket of each event, ``[n]``, numbered from 0 in the order of the events."""
        if not len(self):
            return np.zeros(0, dtype=np.int64)
        starts = (np.diff(self.shopper) != 0) | (np.diff(self.time_us) > BASKET_GAP_US)
        return np.concatenate([[0], np.cumsum(starts)]).astype(np.int64)


def load_interactions(lake: Lake, item_ids: Sequence[str], cut: datetime, types: Sequence[str]) -> Interactions:
    """Read the events of some types that happened before a cut.

    As for features, an event_id counts once, its first occurrence, and one that another event corrects does not count:
    what stands in its place does, unless it is a retraction.

    Args:
        lake: the lake.
        item_ids: the catalogue; events with other items are left out.
        cut: nothing from this moment on is read.
        types: event types.

    Raises:
        DataError: there is no such event.
    """
    import pyarrow as pa

    with lake.connect() as connection:
        connection.register("catalogue", pa.table({"item_id": list(item_ids), "row": range(len(item_ids))}))
        connection.register("kinds", pa.table({"type": list(EVENT_TYPES), "kind": range(len(EVENT_TYPES))}))
        columns = connection.execute(
            f"""WITH seen AS (
                SELECT {names.EVENT_ID}, coalesce({names.USER_ID}, {names.SESSION_ID}) AS shopper,
                    {names.USER_ID} IS NULL AS guest, {names.ITEM_ID}, {names.TYPE}, {names.OCCURRED_AT}
                FROM {names.TABLE_EVENTS}
                WHERE {names.OCCURRED_AT} < $cut AND {names.TYPE} IN (SELECT unnest($types))
                    AND {uncorrected_sql()}
                QUALIFY row_number() OVER (
                    PARTITION BY {names.EVENT_ID} ORDER BY {names.INGESTED_AT}, {names.PARTITION}, {names.OFFSET}
                ) = 1
            )
            SELECT shopper, guest, row::INTEGER AS item, kind::TINYINT AS kind,
                epoch_us({names.OCCURRED_AT}) AS time_us
            FROM seen JOIN catalogue USING ({names.ITEM_ID}) JOIN kinds USING (type)
            ORDER BY guest, shopper, time_us, {names.EVENT_ID}""",
            {"cut": cut, "types": list(types)},
        ).fetchnumpy()
    if not len(columns["item"]):
        raise DataError(
            f"the lake at {lake.root} has no {', '.join(types)} of a known item before {cut.isoformat()};"
            " import data, or train at a later cut"
        )
    shopper, guest = np.asarray(columns["shopper"], dtype=object), np.asarray(columns["guest"], dtype=bool)
    first = np.concatenate([[True], (shopper[1:] != shopper[:-1]) | (guest[1:] != guest[:-1])])
    return Interactions(
        shoppers=tuple(shopper[first]),
        n_users=int((first & ~guest).sum()),
        shopper=(np.cumsum(first) - 1).astype(np.int32),
        item=np.asarray(columns["item"], dtype=np.int32),
        type=np.asarray(columns["kind"], dtype=np.int8),
        time_us=np.asarray(columns["time_us"], dtype=np.int64),
    )
