"""Evaluate a release on the window after its cut: the serving pipeline itself, beside baselines and champion."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tastemaker import names
from tastemaker.errors import ServingError
from tastemaker.evaluation import interactions
from tastemaker.evaluation.baselines import Past, rank_baselines
from tastemaker.evaluation.compare import CANDIDATE, CHAMPION, compare
from tastemaker.evaluation.report import EvaluationReport
from tastemaker.evaluation.splits import temporal_split
from tastemaker.evaluation.truth import Ranking, Truth
from tastemaker.features.plan import FeaturePlan
from tastemaker.lake.tables import Lake
from tastemaker.models.ranker.forward import Forward
from tastemaker.promotion.conduct import Scored, countries_of, measure_conduct, unknown_shoppers
from tastemaker.promotion.list_conduct import ListConduct
from tastemaker.promotion.releases import ReleaseRegistry
from tastemaker.release.files import PLAN, RANKER, ModelCard
from tastemaker.serving.contract import ServedList
from tastemaker.settings import Settings
from tastemaker.training.served_rankings import served_rankings

__all__ = ["Assessment", "assess", "assess_release"]

_NEWCOMER = "popularity"  # what a shopper without a history is compared with
_NOBODY = "a shopper whom nobody knows"


@dataclass(frozen=True)
class Assessment:
    """What the test window says of a release.

    Attributes:
        report: quality beside baselines and champion.
        conduct: segments, exposure, cold starts and probabilities.
    """

    report: EvaluationReport
    conduct: ListConduct


def assess(
    settings: Settings, release_dir: Path, cut: datetime, days: int, *, k: int = 10, seed: int = 0
) -> EvaluationReport:
    """The report of :func:`assess_release`, with the same arguments."""
    return assess_release(settings, release_dir, cut, days, k=k, seed=seed).report


def assess_release(
    settings: Settings, release_dir: Path, cut: datetime, days: int, *, k: int = 10, seed: int = 0
) -> Assessment:
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
        The release is ``candidate`` in the report.

    Raises:
        DataError: the lake has no events before the cut.
    """
    lake = Lake(settings.lake_dir)
    history = interactions.load(lake)
    split = temporal_split(history, cut, days)
    rankings: dict[str, Ranking] = {}
    users = split.truth.user_ids.tolist()
    scored = _scored(release_dir, split.truth)
    served = _served(settings, release_dir, cut, [*users, _NOBODY], k=k, seen=scored)
    nobody = served.pop(_NOBODY)
    rankings[CANDIDATE] = served
    registry = ReleaseRegistry(settings)
    champion = registry.champion()
    compared = None
    if champion is not None:
        standing = registry.get(champion.release)
        if standing.lineage.data_to <= cut and _readable(standing.path):
            rankings[CHAMPION] = _served(settings, standing.path, cut, users, k=k)
            compared = CHAMPION
    rankings |= rank_baselines(split.train, cut, split.truth, k)
    report = compare(rankings, split.truth, k, seed, champion=compared, period=split.period)
    conduct = measure_conduct(
        split,
        rankings,
        candidate=CANDIDATE,
        against=compared or report.best_baseline(),
        countries=countries_of(lake, cut),
        scored=scored,
        newcomers=_newcomers(history, split.train, cut, days, nobody=nobody, truth=split.truth, k=k),
        k=k,
        seed=seed,
    )
    return Assessment(report, conduct)


def _bought(truth: Truth) -> dict[str, frozenset[str]]:
    return {
        user: frozenset(truth.catalogue[row[row >= 0]].tolist())
        for user, row in zip(truth.user_ids.tolist(), truth.relevant, strict=True)
    }


def _scored(release_dir: Path, truth: Truth) -> Scored:
    """Looks at probabilities, where the ranker foretells purchases alone; of several outcomes it gives a mixture."""
    card = ModelCard.read(release_dir)
    if card.parameters.ranker.outcomes != ("purchase",):
        return Scored({})
    return Scored(_bought(truth), Forward.load(release_dir / RANKER), card.ranking_features)


def _newcomers(
    history: pa.Table, train: pa.Table, cut: datetime, days: int, *, nobody: Sequence[str], truth: Truth, k: int
) -> tuple[Truth, dict[str, Ranking], str] | None:
    """Shoppers whom training does not know: all get the list of nobody, and are compared with what is popular."""
    moments = history[names.OCCURRED_AT]
    end = pa.scalar(cut + timedelta(days=days), type=moments.type)
    window = history.filter(
        pc.and_(pc.greater_equal(moments, pa.scalar(cut, type=moments.type)), pc.less(moments, end))
    )
    rows = unknown_shoppers(train, window, truth.catalogue.tolist())
    if not rows.num_rows:
        return None
    found = Truth.of(rows, truth.catalogue)
    users = found.user_ids.tolist()
    same: Ranking = {user: list(nobody) for user in users}
    popular = Past(train, cut).rank(_NEWCOMER, users, k)
    return found, {CANDIDATE: same, _NEWCOMER: popular}, _NEWCOMER


def _readable(release_dir: Path) -> bool:
    """Whether this version can serve a release; one of before an upgrade says nothing of what is in front of it."""
    try:
        ModelCard.read(release_dir)
    except ServingError:
        return False
    return True


def _silent(user: str, served: ServedList) -> None:
    """Looks at no list."""


def _served(
    settings: Settings,
    release_dir: Path,
    cut: datetime,
    users: Sequence[str],
    *,
    k: int,
    seen: Callable[[str, ServedList], None] = _silent,
) -> dict[str, list[str]]:
    """A release's lists, by its own feature plan: the declarations may have changed since it was trained."""
    plan = FeaturePlan.load(release_dir / PLAN)
    return served_rankings(settings, release_dir, plan, cut, user_ids=users, k=k, seen=seen)
