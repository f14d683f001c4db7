"""A ranker whose labels are shuffled: of each list's candidates, others are said to have been bought.

The platform's own steps make it, from the towers and tables of the release that was trained just before. It is laid
where a run leaves what it trained, so that the training flow finds it, judges it on the real data, and never knows.
"""

import shutil
import sys
from dataclasses import replace
from datetime import datetime

import numpy as np
import numpy.typing as npt

from tastemaker.features.plan import FeaturePlan
from tastemaker.promotion.kept_run import KeptRun
from tastemaker.promotion.ranking_leaks import look_for_ranking_leaks
from tastemaker.promotion.training_key import content_key
from tastemaker.release.files import RANKER, ModelCard
from tastemaker.release.parameters import TrainingParameters
from tastemaker.release.retrieval import load_retrieval
from tastemaker.settings import Settings
from tastemaker.training.pipeline import TrainedRelease, TrainingRun, fit_ranker
from tastemaker.training.ranking_set import lists_at, merge_sets

__all__ = ["main", "shuffle_labels", "train_on_shuffled_labels"]


def shuffle_labels(labels: npt.NDArray[np.float32], seed: int) -> npt.NDArray[np.float32]:
    """Deal the labels of each list out anew among its candidates: as many hits as before, at random.

    Args:
        labels: ``[lists, limit, outcomes]``, -1 as padding, which stays where it is.
        seed: of the order.
    """
    rng = np.random.default_rng(seed)
    dealt = labels.copy()
    for row in dealt:
        there = np.flatnonzero(row[:, 0] >= 0)
        row[there] = row[rng.permutation(there)]
    return dealt


def train_on_shuffled_labels(
    settings: Settings, cut: datetime, *, of_seed: int, seed: int, parameters: TrainingParameters
) -> None:
    """Train, and leave the release to the next run of the training flow with this cut, seed and these parameters.

    Args:
        settings: of the platform.
        cut: see :func:`~tastemaker.training.pipeline.train_release`.
        of_seed: of the run whose towers and tables are used; it is trained.
        seed: of this release and of the shuffle.
        parameters: of both.
    """
    told = parameters.model_dump(mode="json")
    sound, kept = (KeptRun(settings, content_key(settings, cut, parameters=told, seed=one)) for one in (of_seed, seed))
    shutil.rmtree(kept.release_dir, ignore_errors=True)
    shutil.copytree(sound.release_dir, kept.release_dir)
    shutil.rmtree(kept.release_dir / RANKER)
    plan = FeaturePlan.load(settings.plan_path)
    run = TrainingRun(settings, plan, cut, kept.release_dir, seed, parameters)
    retrieval = load_retrieval(kept.release_dir)
    lists = merge_sets([lists_at(settings, plan, retrieval, parameters, at=at, seed=seed) for at in run.moments])
    lists = replace(lists, labels=shuffle_labels(lists.labels, seed))
    fitted = fit_ranker(run, lists)
    card = ModelCard.read(sound.release_dir)
    metrics = {**card.metrics, **fitted.metrics}
    card = card.model_copy(update={"seed": seed, "metrics": metrics, "ranking_features": fitted.features})
    card.write(kept.release_dir)
    look_for_ranking_leaks(TrainedRelease(kept.release_dir, card, lists), seed)
    kept.note_trained()


def main() -> None:
    """``python -m tastemaker.stack.rehearsal.shuffled CUT OF_SEED SEED PARAMETERS``, the last one as JSON."""
    cut, of_seed, seed, parameters = sys.argv[1:]
    train_on_shuffled_labels(
        Settings.from_env(),
        datetime.fromisoformat(cut),
        of_seed=int(of_seed),
        seed=int(seed),
        parameters=TrainingParameters.model_validate_json(parameters),
    )


if __name__ == "__main__":
    main()
