"""Train a release, in steps that a flow can call one by one.

Nothing after the cut is read. The ranker learns from lists at moments before the cut; the towers and tables behind
those lists are fitted before the earliest of these moments, so that no label is in the scores that it is judged by.
What is served is then fitted again on everything before the cut.
"""

import hashlib
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tastemaker.errors import DataError
from tastemaker.features.plan import FeaturePlan
from tastemaker.lake.tables import Lake
from tastemaker.serving.signals import TARGET
from tastemaker.settings import Settings
from tastemaker.training.parameters import TrainingParameters
from tastemaker.training.ranking_features import RankingLayout
from tastemaker.training.ranking_set import RankingSet, lists_at, merge_sets
from tastemaker.training.release_files import PLAN, RANKER, ModelCard
from tastemaker.training.retrieval_fit import RetrievalFit, fit_retrieval
from tastemaker.training.retrieval_load import load_retrieval

__all__ = [
    "RankerFit",
    "TrainedRelease",
    "build_ranking_set",
    "fit_ranker",
    "fit_retrieval_for_ranking",
    "fit_retrieval_for_serving",
    "train_release",
    "write_release",
]

Progress = Callable[[str], None]
_RANKING_DIR = "for-ranking"


def _silent(message: str) -> None:
    """Tells nobody."""


@dataclass(frozen=True, eq=False)
class RankerFit:
    """The ranker in the release directory.

    Attributes:
        metrics: of the fit.
        features: columns of its matrix.
    """

    metrics: Mapping[str, float]
    features: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class TrainedRelease:
    """A release directory that serving can load.

    Attributes:
        directory: where it is.
        card: what it says of itself.
        ranking_set: what the ranker learned from; its ``trained`` and ``served`` are a parity sample.
    """

    directory: Path
    card: ModelCard
    ranking_set: RankingSet


def fit_retrieval_for_ranking(
    settings: Settings,
    plan: FeaturePlan,
    cut: datetime,
    out_dir: Path,
    seed: int,
    parameters: TrainingParameters = TrainingParameters(),
    progress: Progress = _silent,
) -> RetrievalFit:
    """Step 1: towers and tables as of the earliest moment that the ranker learns from; they are not served.

    Args:
        settings: where the lake is.
        plan: the feature plan.
        cut: of the release (UTC).
        out_dir: of the release; the files go to a directory beside it.
        seed: of all that is random.
        parameters: see there.
        progress: told what happens.

    Raises:
        DataError: there is not enough data so long before the cut.
    """
    earliest = cut.astimezone(UTC) - timedelta(days=max(parameters.ranker.cuts_days))
    return fit_retrieval(
        Lake(settings.lake_dir), plan, earliest, _ranking_dir(out_dir), parameters, seed, progress
    )


def build_ranking_set(
    settings: Settings,
    plan: FeaturePlan,
    cut: datetime,
    out_dir: Path,
    seed: int,
    parameters: TrainingParameters = TrainingParameters(),
    progress: Progress = _silent,
) -> RankingSet:
    """Step 2: lists with labels, from what step 1 wrote. Arguments as there.

    Raises:
        DataError: a label window would reach past the cut, or there is not enough data.
    """
    ranker = parameters.ranker
    if min(ranker.cuts_days) < ranker.label_days:
        raise DataError(
            f"lists {min(ranker.cuts_days)} days before the cut would be labelled with {ranker.label_days} days,"
            " which reaches past the cut; make cuts_days larger or label_days smaller"
        )
    retrieval = load_retrieval(_ranking_dir(out_dir), parameters)
    moments = [cut.astimezone(UTC) - timedelta(days=days) for days in sorted(ranker.cuts_days, reverse=True)]
    return merge_sets([lists_at(settings, plan, retrieval, parameters, at, seed, progress) for at in moments])


def fit_ranker(
    ranking_set: RankingSet,
    plan: FeaturePlan,
    out_dir: Path,
    seed: int,
    parameters: TrainingParameters = TrainingParameters(),
    progress: Progress = _silent,
) -> RankerFit:
    """Step 3: the ranker, written into the release directory.

    Raises:
        DataError: no list has a hit.
    """
    from tastemaker.training.ranker import export_ranker, train_ranker

    out_dir.mkdir(parents=True, exist_ok=True)
    layout = RankingLayout.of(plan)
    model, loss = train_ranker(ranking_set.features, ranking_set.labels, parameters.ranker, seed, progress)
    export_ranker(model, layout.names, parameters.retrieval.limit, out_dir / RANKER)
    return RankerFit({"ranker_loss": loss, "retrieval_recall": ranking_set.recall}, layout.names)


def fit_retrieval_for_serving(
    settings: Settings,
    plan: FeaturePlan,
    cut: datetime,
    out_dir: Path,
    seed: int,
    parameters: TrainingParameters = TrainingParameters(),
    progress: Progress = _silent,
) -> RetrievalFit:
    """Step 4: towers and tables on everything before the cut, written into the release directory."""
    return fit_retrieval(Lake(settings.lake_dir), plan, cut.astimezone(UTC), out_dir, parameters, seed, progress)


def write_release(
    plan: FeaturePlan,
    cut: datetime,
    out_dir: Path,
    seed: int,
    parameters: TrainingParameters,
    retrieval: RetrievalFit,
    ranker: RankerFit,
    seconds: Mapping[str, float],
) -> ModelCard:
    """Step 5: the plan and the card beside the models; what step 1 wrote is removed."""
    shutil.rmtree(_ranking_dir(out_dir), ignore_errors=True)
    plan.save(out_dir / PLAN)
    card = ModelCard(
        cut=cut.astimezone(UTC),
        data_from=retrieval.data_from,
        interactions=retrieval.interactions,
        users=retrieval.users,
        items=len(retrieval.item_ids),
        seed=seed,
        targets=(TARGET,),
        plan_hash=plan.hash,
        vocabulary_hash=hashlib.sha256("\n".join(retrieval.item_ids).encode()).hexdigest(),
        ranking_features=ranker.features,
        parameters=parameters,
        metrics={**retrieval.metrics, **ranker.metrics},
        seconds={step: round(value, 1) for step, value in seconds.items()},
    )
    card.write(out_dir)
    return card


def train_release(
    settings: Settings,
    plan: FeaturePlan,
    cut: datetime,
    out_dir: Path,
    seed: int,
    progress: Progress = _silent,
    parameters: TrainingParameters = TrainingParameters(),
) -> TrainedRelease:
    """All steps.

    Args:
        settings: where lake and feature repository are; the declarations are applied.
        plan: the feature plan.
        cut: nothing from this moment on is read; timezone-aware.
        out_dir: the release directory; must not exist, or be empty.
        seed: of all that is random; the same seed on the same machine and data gives the same release.
        progress: told what happens, in a line each.
        parameters: see there.

    Raises:
        DataError: the directory holds something, the cut has no timezone, or there is not enough data.
    """
    if cut.tzinfo is None:
        raise DataError(f"the cut {cut.isoformat()} has no timezone; give it in UTC")
    if out_dir.exists() and any(out_dir.iterdir()):
        raise DataError(f"{out_dir} is not empty; a release is written once, into a directory of its own")
    seconds: dict[str, float] = {}
    begun = time.perf_counter()

    def took(step: str) -> None:
        nonlocal begun
        seconds[step], begun = time.perf_counter() - begun, time.perf_counter()

    fit_retrieval_for_ranking(settings, plan, cut, out_dir, seed, parameters, progress)
    took("retrieval_for_ranking")
    ranking_set = build_ranking_set(settings, plan, cut, out_dir, seed, parameters, progress)
    took("ranking_set")
    ranker = fit_ranker(ranking_set, plan, out_dir, seed, parameters, progress)
    took("ranker")
    retrieval = fit_retrieval_for_serving(settings, plan, cut, out_dir, seed, parameters, progress)
    took("retrieval_for_serving")
    card = write_release(plan, cut, out_dir, seed, parameters, retrieval, ranker, seconds)
    return TrainedRelease(out_dir, card, ranking_set)


def _ranking_dir(out_dir: Path) -> Path:
    return out_dir.with_name(f"{out_dir.name}.{_RANKING_DIR}")
