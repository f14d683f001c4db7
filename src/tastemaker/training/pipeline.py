"""Train a release, in steps that a flow can call one by one.

Nothing after the cut is read. The ranker learns from lists at moments before the cut; the towers and tables behind
those lists are fitted before the earliest of these moments, so that no label is in the scores that it is judged by.
What is served is then fitted again on everything before the cut.
"""

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tastemaker.errors import DataError
from tastemaker.features.plan import FeaturePlan
from tastemaker.lake.tables import Lake
from tastemaker.models.two_tower.saved import copy_weights, load_saved
from tastemaker.release.files import PLAN, RANKER, RANKING_TOWERS, TOWERS, ModelCard, vocabulary_hash
from tastemaker.release.parameters import TrainingParameters
from tastemaker.release.ranking_features import RankingLayout
from tastemaker.release.retrieval import load_retrieval
from tastemaker.serving.signals import TARGET
from tastemaker.settings import Settings
from tastemaker.training.ranker_lessons import lessons_of
from tastemaker.training.ranking_set import RankingSet, lists_at, merge_sets
from tastemaker.training.retrieval_fit import RetrievalFit, fit_retrieval
from tastemaker.training.tower_fit import TowerStart

__all__ = [
    "RankerFit",
    "TrainedRelease",
    "TrainingRun",
    "build_ranking_set",
    "fit_ranker",
    "fit_retrieval_for_ranking",
    "fit_retrieval_for_serving",
    "train_release",
    "write_release",
]

Progress = Callable[[str], None]


def _silent(message: str) -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class TrainingRun:
    """One run: what every step needs.

    Attributes:
        settings: where lake and feature repository are; the declarations are applied.
        plan: the feature plan.
        cut: nothing from this moment on is read (UTC).
        out_dir: the release directory.
        seed: of all that is random; the same seed on the same machine and data gives the same release.
        parameters: see there.
        progress: told what happens, in a line each.
        earlier: directory of a release whose towers this one's start from; None starts anew.
    """

    settings: Settings
    plan: FeaturePlan
    cut: datetime
    out_dir: Path
    seed: int
    parameters: TrainingParameters = field(default_factory=TrainingParameters)
    progress: Progress = _silent
    earlier: Path | None = None

    @property
    def lake(self) -> Lake:
        """The data."""
        return Lake(self.settings.lake_dir)

    @property
    def ranking_dir(self) -> Path:
        """Beside the release: towers and tables that the ranker's lists are made with, and that are not served."""
        return self.out_dir.with_name(f"{self.out_dir.name}.for-ranking")

    @property
    def checkpoints_dir(self) -> Path:
        """Beside the release too: where a killed run's towers go on from, when the same run is made again."""
        return self.out_dir.with_name(f"{self.out_dir.name}.checkpoints")

    @property
    def moments(self) -> list[datetime]:
        """When the ranker's lists are made, earliest first."""
        return [self.cut - timedelta(days=days) for days in sorted(self.parameters.ranker.cuts_days, reverse=True)]


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


def fit_retrieval_for_ranking(run: TrainingRun) -> RetrievalFit:
    """Step 1: towers and tables as of the earliest moment that the ranker learns from; they are not served.

    Raises:
        DataError: there is not enough data so long before the cut.
    """
    return fit_retrieval(
        run.lake,
        run.plan,
        run.moments[0],
        run.ranking_dir,
        parameters=run.parameters,
        seed=run.seed,
        start=_start(run, RANKING_TOWERS, run.moments[0]),
        progress=run.progress,
    )


def _start(run: TrainingRun, towers: str, moment: datetime) -> TowerStart:
    """What the towers of one fit begin from: never from any that have seen what comes after ``moment``."""
    checkpoints = run.checkpoints_dir / towers
    if run.earlier is None:
        return TowerStart(checkpoint_dir=checkpoints)
    begun = load_saved(run.earlier / towers)
    if datetime.fromisoformat(begun.about["cut"]) > moment:
        run.progress(f"the towers of {run.earlier.name} have seen what came after {moment:%Y-%m-%d}; starting anew")
        return TowerStart(checkpoint_dir=checkpoints)
    return TowerStart(earlier=run.earlier / towers, checkpoint_dir=checkpoints)


def build_ranking_set(run: TrainingRun) -> RankingSet:
    """Step 2: lists with labels, from what step 1 wrote.

    Raises:
        DataError: a label window would reach past the cut, or there is not enough data.
    """
    ranker = run.parameters.ranker
    if min(ranker.cuts_days) < ranker.label_days:
        raise DataError(
            f"lists {min(ranker.cuts_days)} days before the cut would be labelled with {ranker.label_days} days,"
            " which reaches past the cut; make cuts_days larger or label_days smaller"
        )
    retrieval = load_retrieval(run.ranking_dir)
    return merge_sets(
        [
            lists_at(run.settings, run.plan, retrieval, run.parameters, at=at, seed=run.seed, progress=run.progress)
            for at in run.moments
        ]
    )


def fit_ranker(run: TrainingRun, ranking_set: RankingSet) -> RankerFit:
    """Step 3: the ranker, written into the release directory; it learns from :func:`lessons_of` the lists.

    Raises:
        DataError: no list has a hit.
    """
    from tastemaker.models.ranker.export import export_ranker
    from tastemaker.models.ranker.train import train_ranker

    run.out_dir.mkdir(parents=True, exist_ok=True)
    names = RankingLayout.of(run.plan).names
    lessons = lessons_of(ranking_set, run.parameters.ranker, names, run.progress)
    ranker = train_ranker(
        lessons.lists, lessons.parameters, validation=lessons.held_out, seed=run.seed, progress=run.progress
    )
    export_ranker(ranker, run.parameters.retrieval.limit, run.out_dir / RANKER)
    return RankerFit({"ranker_loss": ranker.report.loss, "retrieval_recall": ranking_set.recall}, names)


def fit_retrieval_for_serving(run: TrainingRun, ranking: RetrievalFit | None = None) -> RetrievalFit:
    """Step 4: towers and tables on everything before the cut, written into the release directory.

    Args:
        run: see there.
        ranking: of step 1; the values that were searched for then are used again.

    Raises:
        DataError: there is not enough data.
    """
    start = _start(run, TOWERS, run.cut)
    if ranking is not None:
        start = replace(start, values=ranking.start.values or {}, trials=ranking.start.trials)
    return fit_retrieval(
        run.lake,
        run.plan,
        run.cut,
        run.out_dir,
        parameters=run.parameters,
        seed=run.seed,
        start=start,
        progress=run.progress,
    )


def write_release(
    run: TrainingRun, retrieval: RetrievalFit, ranker: RankerFit, seconds: Mapping[str, float]
) -> ModelCard:
    """Step 5: the plan and the card beside the models; of what step 1 wrote, the weights of its towers are kept."""
    if run.ranking_dir.exists():
        copy_weights(run.ranking_dir / TOWERS, run.out_dir / RANKING_TOWERS)
    for directory in (run.ranking_dir, run.checkpoints_dir):
        shutil.rmtree(directory, ignore_errors=True)
    run.plan.save(run.out_dir / PLAN)
    card = ModelCard(
        cut=run.cut,
        data_from=retrieval.data_from,
        interactions=retrieval.interactions,
        users=retrieval.users,
        items=len(retrieval.item_ids),
        seed=run.seed,
        targets=(TARGET,),
        plan_hash=run.plan.hash,
        vocabulary_hash=vocabulary_hash(retrieval.item_ids),
        ranking_features=ranker.features,
        parameters=run.parameters,
        towers=retrieval.towers,
        metrics={**retrieval.towers.metrics, **ranker.metrics},
        seconds={step: round(value, 1) for step, value in seconds.items()},
    )
    card.write(run.out_dir)
    return card


def train_release(
    settings: Settings,
    plan: FeaturePlan,
    cut: datetime,
    out_dir: Path,
    *,
    seed: int,
    progress: Progress = _silent,
    parameters: TrainingParameters | None = None,
    earlier: Path | None = None,
) -> TrainedRelease:
    """All steps. Arguments as of :class:`TrainingRun`.

    A run that was killed goes on from the checkpoints of its towers when it is made again with the same arguments, an
    empty ``out_dir`` included.

    Raises:
        DataError: the directory holds something, the cut has no timezone, or there is not enough data.
    """
    if cut.tzinfo is None:
        raise DataError(f"the cut {cut.isoformat()} has no timezone; give it in UTC")
    if out_dir.exists() and any(out_dir.iterdir()):
        raise DataError(f"{out_dir} is not empty; a release is written once, into a directory of its own")
    chosen = parameters or TrainingParameters()
    run = TrainingRun(settings, plan, cut.astimezone(UTC), out_dir, seed, chosen, progress, earlier)
    seconds: dict[str, float] = {}
    begun = time.perf_counter()

    def took(step: str) -> None:
        nonlocal begun
        seconds[step], begun = time.perf_counter() - begun, time.perf_counter()

    first = fit_retrieval_for_ranking(run)
    took("retrieval_for_ranking")
    ranking_set = build_ranking_set(run)
    took("ranking_set")
    ranker = fit_ranker(run, ranking_set)
    took("ranker")
    retrieval = fit_retrieval_for_serving(run, first)
    took("retrieval_for_serving")
    card = write_release(run, retrieval, ranker, seconds)
    return TrainedRelease(out_dir, card, ranking_set)
