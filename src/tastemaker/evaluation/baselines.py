"""The models that every release is compared with, from tables of interactions to lists."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tastemaker import names
from tastemaker.errors import DataError
from tastemaker.evaluation.truth import Ranking, Truth
from tastemaker.features.semantics import DAY_US
from tastemaker.models.histories import Histories
from tastemaker.models.protocol import FitContext
from tastemaker.models.ranking import rank
from tastemaker.models.registry import create

__all__ = ["BASELINES", "Past", "rank_baselines"]

BASELINES: Mapping[str, Mapping[str, Any]] = {
    "popularity": {},
    "recent-popularity": {},
    "own-frequency": {},
    "item-knn": {},
}
"""Hyperparameters by model; all of these fit in seconds. A name is one of :data:`tastemaker.models.registry.MODELS`."""


class Past:
    """What happened before a moment, as models take it.

    Args:
        interactions: columns ``user_id``, ``item_id``, ``occurred_at``; rows from ``at`` on are ignored, so that a
            caller cannot leak the future.
        at: the moment of the prediction (UTC).

    Raises:
        DataError: nothing happened before ``at``, or it has no timezone.
    """

    def __init__(self, interactions: pa.Table, at: datetime) -> None:
        if at.tzinfo is None:
            raise DataError(f"the moment {at.isoformat()} has no timezone; give it in UTC")
        moment = interactions[names.OCCURRED_AT]
        past = interactions.filter(pc.less(moment, pa.scalar(at, type=moment.type)))
        if not past.num_rows:
            raise DataError(f"no interactions before {at.isoformat()}; choose a later cut or import more history")
        # Models may tell apart what has one time by its place: that place must not depend on the order of the table.
        past = past.sort_by([(name, "ascending") for name in (names.USER_ID, names.OCCURRED_AT, names.ITEM_ID)])
        self._users, users = _codes(past[names.USER_ID])
        self.items, items = _codes(past[names.ITEM_ID])
        self._at = pa.scalar(at, type=pa.timestamp("us", tz="UTC")).cast(pa.int64()).as_py() / DAY_US
        days = past[names.OCCURRED_AT].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy() / DAY_US
        train = Histories.of(users, items, n_users=len(self._users), n_items=len(self.items), times=days)
        self.train = train.at(self._at)

    def of(self, user_ids: Sequence[str]) -> Histories:
        """The histories of any users, asked about at the moment; that of an unknown one is empty."""
        asked = np.asarray(list(user_ids), dtype=np.str_)
        rows = np.searchsorted(self._users, asked).clip(max=len(self._users) - 1)
        known = self._users[rows] == asked if len(asked) else np.zeros(0, bool)
        found = self.train.take(rows)
        return found.where(np.repeat(known, found.lengths))

    def rank(self, name: str, user_ids: Sequence[str], k: int, **hyperparameters: Any) -> npt.NDArray[np.str_]:
        """Fit a model on the past and list what it puts first.

        Args:
            name: of the model.
            user_ids: any users.
            k: length of the lists.
            hyperparameters: of the model.

        Returns:
            ``str[users, k]``, best first, each item once; ``""`` fills up where the catalogue is smaller than ``k``.

        Raises:
            DataError: there is no such model, or it cannot learn from this past.
        """
        model = create(name, **hyperparameters).fit(self.train, FitContext(seed=0))
        ranked = rank(model, self.of(user_ids), k, exclude_seen=False)
        # The padding, -1, takes the empty place at the end.
        places: npt.NDArray[np.str_] = np.append(self.items, "")[ranked]
        return places


def rank_baselines(
    interactions: pa.Table,
    at: datetime,
    truth: Truth,
    k: int = 10,
    baselines: Mapping[str, Mapping[str, Any]] = BASELINES,
) -> dict[str, Ranking]:
    """Fit every baseline on what happened before ``at`` and rank for the test users.

    Returns:
        ``str[users, k]`` by baseline name, in the order of ``truth.user_ids``, ready for
        :func:`tastemaker.evaluation.compare.compare`.

    Raises:
        DataError: nothing happened before ``at``.
    """
    past = Past(interactions, at)
    users = truth.user_ids.tolist()
    return {name: past.rank(name, users, k, **hyperparameters) for name, hyperparameters in baselines.items()}


def _codes(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.int64]]:
    """The sorted distinct values, and each row's place among them."""
    values = pc.unique(column)
    ordered = values.take(pc.sort_indices(values))
    # numpy's order of strings is by code point as well, so a searchsorted on the result is right.
    codes = pc.index_in(column, value_set=ordered).to_numpy().astype(np.int64)
    return np.asarray(ordered.to_pylist(), dtype=np.str_), codes
