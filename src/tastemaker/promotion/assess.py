"""Evaluate a release on the window after its cut: the serving pipeline itself, beside baselines and champion."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from tastemaker.errors import ServingError
from tastemaker.evaluation import interactions
from tastemaker.evaluation.baselines import rank_baselines
from tastemaker.evaluation.compare import CANDIDATE, CHAMPION, compare
from tastemaker.evaluation.report import EvaluationReport
from tastemaker.evaluation.splits import temporal_split
from tastemaker.evaluation.truth import Ranking
from tastemaker.features.plan import FeaturePlan
from tastemaker.lake.tables import Lake
from tastemaker.promotion.releases import ReleaseRegistry
from tastemaker.release.files import PLAN, ModelCard
from tastemaker.settings import Settings
from tastemaker.training.served_rankings import served_rankings

__all__ = ["assess"]


def assess(
    settings: Settings, release_dir: Path, cut: datetime, days: int, *, k: int = 10, seed: int = 0
) -> EvaluationReport:
    """Compare a release with every baseline, and with the champion where it did not learn from the window.

    Each release answers real requests, with the features that it was trained with as the online store would have
    had them at the cut.

    Args:
        settings: of the platform.
        release_dir: what training wrote.
        cut: first moment of the window (UTC); the release has seen nothing from it on.
        days: length of the window.
        k: length of the lists.
        seed: of the bootstrap.

    Returns:
        The report; the release is ``candidate`` in it.

    Raises:
        DataError: the lake has no events before the cut.
    """
    split = temporal_split(interactions.load(Lake(settings.lake_dir)), cut, days)
    rankings: dict[str, Ranking] = {}
    users = split.truth.user_ids.tolist()
    rankings[CANDIDATE] = _served(settings, release_dir, cut, users, k)
    registry = ReleaseRegistry(settings)
    champion = registry.champion()
    compared = None
    if champion is not None:
        standing = registry.get(champion.release)
        if standing.lineage.data_to <= cut and _readable(standing.path):
            rankings[CHAMPION] = _served(settings, standing.path, cut, users, k)
            compared = CHAMPION
    rankings |= rank_baselines(split.train, cut, split.truth, k)
    return compare(rankings, split.truth, k, seed, champion=compared, period=split.period)


def _readable(release_dir: Path) -> bool:
    """Whether this version can serve a release; one of before an upgrade says nothing of what is in front of it."""
    try:
        ModelCard.read(release_dir)
    except ServingError:
        return False
    return True


def _served(settings: Settings, release_dir: Path, cut: datetime, users: Sequence[str], k: int) -> Ranking:
    """A release's lists, by its own feature plan: the declarations may have changed since it was trained."""
    plan = FeaturePlan.load(release_dir / PLAN)
    return served_rankings(settings, release_dir, plan, cut, user_ids=users, k=k)
