"""The baselines that every release is compared with. A new one is a file beside this one and a line here."""

from collections.abc import Callable, Mapping
from datetime import datetime

import pyarrow as pa

from tastemaker.evaluation.baselines.item_knn import ItemKnn
from tastemaker.evaluation.baselines.own_frequency import OwnFrequency
from tastemaker.evaluation.baselines.popularity import Popularity
from tastemaker.evaluation.baselines.protocol import Baseline
from tastemaker.evaluation.baselines.recent_popularity import RecentPopularity
from tastemaker.evaluation.truth import Ranking, Truth

__all__ = ["BASELINES", "rank_baselines"]

BASELINES: Mapping[str, Callable[[], Baseline]] = {
    "popularity": Popularity,
    "recent_popularity": RecentPopularity,
    "own_frequency": OwnFrequency,
    "item_knn": ItemKnn,
}


def rank_baselines(interactions: pa.Table, at: datetime, truth: Truth, k: int = 10) -> dict[str, Ranking]:
    """Fit every baseline on what happened before ``at`` and rank for the test users.

    Returns:
        ``str[users, k]`` by baseline name, in the order of ``truth.user_ids``, ready for
        :func:`tastemaker.evaluation.compare.compare`.

    Raises:
        DataError: nothing happened before ``at``.
    """
    return {name: build().fit(interactions, at).rank(truth.user_ids.tolist(), k) for name, build in BASELINES.items()}
