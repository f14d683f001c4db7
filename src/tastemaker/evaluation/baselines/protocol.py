"""What a baseline is."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["Baseline"]


@runtime_checkable
class Baseline(Protocol):
    """A model that ranks items for users from past interactions alone.

    Attributes:
        name: as it appears in reports.
    """

    name: str

    def fit(self, interactions: pa.Table, at: datetime) -> Self:
        """Learn from what happened before a moment.

        Args:
            interactions: columns ``user_id``, ``item_id``, ``occurred_at``; rows from ``at`` on are ignored, so
                that a caller cannot leak the future.
            at: the moment of the prediction (UTC).

        Raises:
            DataError: nothing happened before ``at``.
        """
        ...

    def rank(self, user_ids: Sequence[str], k: int) -> npt.NDArray[np.str_]:
        """The best items of each user, best first, each once.

        Args:
            user_ids: any users; an unknown one gets the most popular items.
            k: length of the lists.

        Returns:
            ``str[users, k]``; ``""`` fills up where the catalogue has fewer than ``k`` items.
        """
        ...
