"""What the served pipeline would have answered at a moment of the past: the real recommender over a snapshot."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from tastemaker import names
from tastemaker.clock import Clock, to_us
from tastemaker.features.bootstrap.snapshot import SnapshotReader
from tastemaker.features.plan import FeaturePlan
from tastemaker.lake.tables import Lake
from tastemaker.serving.contract import RecommendationRequest, ServedList
from tastemaker.serving.recommender import Recommender
from tastemaker.settings import Settings

__all__ = ["served_rankings"]

_EVERY = 200


class _Stopped(Clock):
    """A clock that stands still."""

    def now_us(self) -> int:
        return self.offset_us


def served_rankings(
    settings: Settings,
    release_dir: Path,
    plan: FeaturePlan,
    as_of: datetime,
    *,
    user_ids: Sequence[str],
    k: int,
    progress: Callable[[str], None] = lambda message: None,
    seen: Callable[[str, ServedList], None] = lambda user, served: None,
) -> dict[str, list[str]]:
    """The list of each user.

    Args:
        settings: where the lake is.
        release_dir: of a trained release.
        plan: the feature plan.
        as_of: the moment; nothing from it on is known.
        user_ids: whose lists.
        k: length of a list.
        progress: told how far it is.
        seen: given each user and what would have been logged of the list.

    Returns:
        Item ids by user, best first.
    """
    now_us = to_us(as_of)
    reader = SnapshotReader.as_of(
        Lake(settings.lake_dir), plan, now_us, plan.views_of(names.SERVICE_RANKING, names.SERVICE_RETRIEVAL)
    )
    try:
        recommender = Recommender(release_dir, reader, _Stopped(now_us))
        lists: dict[str, list[str]] = {}
        for user in user_ids:
            response, served = recommender.recommend(RecommendationRequest(user=user, k=k))
            seen(user, served)
            lists[user] = [item.item_id for item in response.items]
            if len(lists) % _EVERY == 0:
                progress(f"{len(lists):,} of {len(user_ids):,} lists")
        return lists
    finally:
        reader.close()
