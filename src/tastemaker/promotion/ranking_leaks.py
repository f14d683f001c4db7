"""Whether a column of the ranker's matrix knows the label: looked for in every release that is trained."""

import numpy as np

from tastemaker.features.audit.leaks import Telling
from tastemaker.promotion.gathered import keep_leaks, ranking_leaks
from tastemaker.training.pipeline import TrainedRelease

__all__ = ["look_for_ranking_leaks"]


def look_for_ranking_leaks(trained: TrainedRelease, seed: int) -> list[Telling]:
    """How well each column tells the label, derived ones included; what was found is left beside the release."""
    ranking_set = trained.ranking_set
    labels = ranking_set.labels[:, :, -1]  # of the outcome that matters most
    real = labels >= 0
    lists = np.repeat(np.arange(len(real)), real.sum(axis=1))
    columns = dict(zip(trained.card.ranking_features, ranking_set.features[real].T, strict=True))
    tellings, leaks = ranking_leaks(columns, labels[real], lists, seed)
    keep_leaks(trained.directory, leaks)
    return tellings
